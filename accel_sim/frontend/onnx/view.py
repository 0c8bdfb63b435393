"""Typed reading of a node: attributes of the wrong kind, and operands that must be constant, become faults."""

import math
from collections.abc import Mapping

import numpy as np

from accel_sim.errors import Fault
from accel_sim.frontend.onnx.model import Array, RawNode

_MAX_LISTED = 64  # axes, kernel sizes and the like are short; anything longer is damage


class NodeFault(Exception):  # noqa: N818  - it is a fault on its way into an error, never an error of its own
    """A node breaks a rule; the reader of the whole graph collects it.

    Args:
        value: the offending value, as text.
        rule: what holds for a valid node.
        cure: what to do.
    """

    def __init__(self, value: object, rule: str, cure: str = "") -> None:
        super().__init__(value, rule, cure)
        self.value, self.rule, self.cure = str(value), rule, cure

    def at(self, where: str) -> Fault:
        """The fault of the node that errors call `where`."""
        return Fault(where, self.value, self.rule, self.cure)


class NodeView:
    """One node with the constants of its graph."""

    def __init__(self, node: RawNode, constants: Mapping[str, Array]) -> None:
        self.node = node
        self.constants = constants

    @property
    def opset(self) -> int:
        """The file's version of the default operator set."""
        return self.node.opset

    def has(self, name: str) -> bool:
        """Whether the attribute is given."""
        return name in self.node.attributes

    def integer(self, name: str, default: int | None = None) -> int:
        """An integer attribute."""
        value = self._attribute(name, default)
        if not isinstance(value, int):
            raise NodeFault(f"{name}={value!r}", f"attribute {name} is an integer")
        return value

    def real(self, name: str, default: float | None = None) -> float:
        """A finite float attribute."""
        value = self._attribute(name, default)
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise NodeFault(f"{name}={value!r}", f"attribute {name} is a finite number")
        return float(value)

    def text(self, name: str, default: str | None = None) -> str:
        """A string attribute."""
        value = self._attribute(name, None if default is None else default.encode())
        if not isinstance(value, bytes):
            raise NodeFault(f"{name}={value!r}", f"attribute {name} is a string")
        return value.decode("utf-8", "replace")

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A 0 / 1 attribute."""
        return self.integer(name, int(default)) != 0

    def integers(self, name: str, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """A list of integers."""
        value = self._attribute(name, None if default is None else list(default))
        if not isinstance(value, list) or len(value) > _MAX_LISTED or not all(isinstance(v, int) for v in value):
            raise NodeFault(f"{name}={str(value)[:80]}", f"attribute {name} is a short list of integers")
        return tuple(v for v in value if isinstance(v, int))

    def _attribute(self, name: str, default: object) -> object:
        if name in self.node.attributes:
            return self.node.attributes[name]
        if default is None:
            raise NodeFault(f"no {name}", f"attribute {name} is given")
        return default

    def given(self, index: int) -> bool:
        """Whether operand `index` is present."""
        return index < len(self.node.inputs) and self.node.inputs[index] != ""

    def name(self, index: int) -> str:
        """Name of operand `index`, which must be present."""
        if not self.given(index):
            raise NodeFault(f"input {index}", "this operand is given")
        return self.node.inputs[index]

    def array(self, index: int) -> Array:
        """The constant operand `index`."""
        name = self.name(index)
        if name not in self.constants:
            raise NodeFault(name, f"operand {index} is constant", "fix the shape of the model before loading it")
        return self.constants[name]

    def listed(self, attribute: str, index: int, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """Integers that older operator sets give as an attribute and newer ones as a constant operand."""
        if self.given(index):
            return as_integers(self.array(index), f"input {index}")
        return self.integers(attribute, default)


def as_integers(array: Array, what: str) -> tuple[int, ...]:
    """A short constant vector (or scalar) of integers."""
    flat = np.ravel(array)
    if array.dtype.kind not in "iu" or array.ndim > 1 or flat.size > _MAX_LISTED:
        raise NodeFault(f"{array.dtype}{list(array.shape)}", f"{what} is a short vector of integers")
    return tuple(int(v) for v in flat)


def in_rank(axis: int, rank: int) -> int:
    """An axis counted from the front; negative ones count from the back."""
    if not -rank <= axis < rank:
        raise NodeFault(f"axis {axis}", f"an axis lies inside the {rank} axes of the operand")
    return axis % rank


def in_ranks(axes: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """Several distinct axes, sorted."""
    found = tuple(sorted(in_rank(a, rank) for a in axes))
    if len(set(found)) != len(found):
        raise NodeFault(f"axes {list(axes)}", "an axis is listed once")
    return found
