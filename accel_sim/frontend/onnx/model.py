"""An ONNX graph without protobuf: named nodes in topological order, constants as arrays."""

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_sim.records import dataclass

Array = NDArray[Any]
Attribute = int | float | bytes | list[int] | list[float] | list[bytes] | Array | None  # None: a kind we do not read

# Element types by their number in the file (TensorProto.DataType); strings, complex and 4 or 8 bit floats are not read.
ELEMENTS = {
    number: np.dtype(name)
    for number, name in {
        1: "float32",
        2: "uint8",
        3: "int8",
        4: "uint16",
        5: "int16",
        6: "int32",
        7: "int64",
        9: "bool",
        10: "float16",
        11: "float64",
        12: "uint32",
        13: "uint64",
    }.items()
}


@dataclass(frozen=True, eq=False)
class RawNode:
    """One node of the file.

    Attributes:
        name: unique; the file's, or made from the operator and position.
        op_type: the operator, with its domain in front where it is not the default one ("com.microsoft.QGemm").
        inputs: value names; "" is an absent operand.
        outputs: value names.
        attributes: by name.
        opset: the file's version of the default operator set.
    """

    name: str
    op_type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    opset: int = 17

    @property
    def where(self) -> str:
        """The node as errors name it."""
        return f"node {self.name!r} ({self.op_type})"

    def reading(self, inputs: tuple[str, ...]) -> "RawNode":
        """The same node with other operands."""
        return replace(self, inputs=inputs)


@dataclass(frozen=True)
class RawValue:
    """A graph input or output as the file declares it; None where the file does not say.

    An unknown first axis counts as 1 (one sample); other unknown axes stay None.
    """

    name: str
    dtype: np.dtype[Any] | None
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True, eq=False)
class RawModel:
    """A whole file."""

    name: str
    nodes: tuple[RawNode, ...]
    constants: Mapping[str, Array]
    inputs: tuple[RawValue, ...]
    outputs: tuple[RawValue, ...]
