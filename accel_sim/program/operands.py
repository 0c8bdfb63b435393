"""Operands of commands: where an array lies and what it holds."""

from enum import Enum
from math import prod

import numpy as np

from accel_sim.errors import Fault, ProgramError
from accel_sim.records import dataclass


class Region(Enum):
    """A memory image that a program addresses."""

    ACTIVATIONS = "activations"
    """The arena: inputs, outputs and everything computed; its addresses are reused as lifetimes end."""
    CONSTANTS = "constants"
    """Read-only: weights, biases, tables."""


@dataclass(frozen=True)
class Operand:
    """A dense row-major array in a region.

    Attributes:
        name: the tensor's name in the graph, for people and observers.
        region, address: byte offset of the first element.
        shape: NHWC for rank 4 (OHWI for convolution weights); () for a scalar.
        dtype: NumPy name of the element type.
    """

    name: str
    region: Region
    address: int
    shape: tuple[int, ...]
    dtype: str

    def __post_init__(self) -> None:
        if self.address < 0 or any(n < 0 for n in self.shape):
            raise ProgramError(
                f"operand {self.name!r}",
                [Fault("address, shape", f"{self.address}, {self.shape}", "are not negative")],
            )

    @property
    def size(self) -> int:
        """Elements."""
        return prod(self.shape)

    @property
    def size_bytes(self) -> int:
        """Bytes."""
        return self.size * np.dtype(self.dtype).itemsize
