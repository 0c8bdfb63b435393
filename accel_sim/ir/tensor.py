"""Tensors: a name, a shape, an element type, optionally a grid and optionally constant data."""

from dataclasses import field
from enum import Enum
from math import prod

import numpy as np
from numpy.typing import NDArray

from accel_sim.errors import Fault, GraphError
from accel_sim.ir.quant_params import QuantParams
from accel_sim.records import dataclass


class ElementType(Enum):
    """How an element is stored; the value is NumPy's name. Codes narrower than 8 bits are stored in 8."""

    FLOAT32 = "float32"
    INT8 = "int8"
    UINT8 = "uint8"
    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    INT64 = "int64"

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The NumPy dtype."""
        return np.dtype(self.value)

    @property
    def is_float(self) -> bool:
        """Whether elements are real numbers."""
        return self is ElementType.FLOAT32

    @classmethod
    def for_grid(cls, q: QuantParams) -> "ElementType":
        """The narrowest storage for codes of the grid `q`."""
        if q.bits <= 8:
            return cls.INT8 if q.signed else cls.UINT8
        if q.bits <= 16:
            return cls.INT16 if q.signed else cls.UINT16
        return cls.INT32


@dataclass(frozen=True, eq=False)
class Tensor:
    """A value of the graph.

    Attributes:
        name: unique in the graph; the file's own name where the file has one.
        shape: stored shape (NHWC for rank 4; OHWI for convolution weights); all axes >= 0 and known.
        element: storage type.
        quant: the grid of an integer tensor that stands for real numbers; None for floats, indices, raw accumulators.
        data: constant contents (C-contiguous, read-only, of `shape` and `element`), or None for an activation.
        file_axes: stored axis i is axis file_axes[i] of the file, so stored = file.transpose(file_axes);
            () means the same order.
    """

    name: str
    shape: tuple[int, ...]
    element: ElementType
    quant: QuantParams | None = None
    data: NDArray[np.generic] | None = field(default=None, repr=False)
    file_axes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        faults = _faults(self)
        if faults:
            raise GraphError(f"tensor {self.name!r}", faults)
        if self.data is not None:
            frozen = np.ascontiguousarray(self.data).reshape(self.shape)
            if frozen.flags.writeable:
                frozen = frozen.view()
                frozen.flags.writeable = False
            object.__setattr__(self, "data", frozen)

    @property
    def is_constant(self) -> bool:
        """Whether the contents are known before a run."""
        return self.data is not None

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def size_bytes(self) -> int:
        """Bytes of storage."""
        return self.size * self.element.dtype.itemsize

    @property
    def constant(self) -> NDArray[np.generic]:
        """The data of a constant tensor; raises GraphError where there is none."""
        if self.data is None:
            raise GraphError(f"tensor {self.name!r}", [Fault("data", "none", "this tensor must be constant")])
        return self.data

    def to_file_layout(self, stored: NDArray[np.generic]) -> NDArray[np.generic]:
        """A stored array in the file's own axis order."""
        if not self.file_axes:
            return stored
        return np.ascontiguousarray(stored.transpose(np.argsort(self.file_axes)))

    def from_file_layout(self, array: NDArray[np.generic]) -> NDArray[np.generic]:
        """An array in the file's axis order, as stored."""
        return np.ascontiguousarray(array.transpose(self.file_axes)) if self.file_axes else array


def _faults(t: Tensor) -> list[Fault]:
    faults = []
    if any(n < 0 for n in t.shape):
        faults.append(Fault("shape", str(t.shape), "every axis has a known, non-negative length"))
    if t.data is not None and (t.data.shape != t.shape or t.data.dtype != t.element.dtype):
        given = f"{t.data.dtype}{list(t.data.shape)}"
        faults.append(Fault("data", given, f"constant data is {t.element.value}{list(t.shape)}"))
    if t.file_axes and sorted(t.file_axes) != list(range(len(t.shape))):
        faults.append(Fault("file_axes", str(t.file_axes), "a permutation of the axes"))
    if t.quant is not None:
        faults += _grid_faults(t, t.quant)
    return faults


def _grid_faults(t: Tensor, q: QuantParams) -> list[Fault]:
    faults = []
    if t.element.is_float:
        faults.append(Fault("quant", "given", "a float tensor has no grid"))
    else:
        info = np.iinfo(t.element.value)
        if q.low < info.min or q.high > info.max:
            faults.append(Fault("element", t.element.value, f"codes [{q.low}, {q.high}] must fit the storage"))
    if q.axis is not None:
        if q.axis >= len(t.shape):
            faults.append(Fault("quant.axis", str(q.axis), f"lies inside the {len(t.shape)} axes"))
        elif t.shape[q.axis] != len(q.scale):
            faults.append(
                Fault(
                    "quant.scale",
                    f"{len(q.scale)} values",
                    f"one per index of axis {q.axis} ({t.shape[q.axis]})",
                )
            )
    return faults
