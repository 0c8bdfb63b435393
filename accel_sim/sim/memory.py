"""The memories of one worker: activations, constants, scratch; arrays are views of them by address."""

from collections.abc import Mapping
from enum import Enum
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import DTypeLike, NDArray

from accel_sim.program import Operand, Region

Array = NDArray[np.generic]
Bytes = NDArray[np.uint8]

_ALIGNMENT = 64
_SLACK = 256  # bytes that vectors may read past the end of an operand


class Scratch(Enum):
    """A buffer that commands use while they run, one after the other."""

    PANEL = "pixels under a window"
    EXPANDED = "the panel with a channel multiplier"
    ACCUMULATORS = "accumulators before requantization"
    WEIGHTS = "the right-hand matrix of a product of activations"
    LEFT = "first operand, broadcast or reordered"
    RIGHT = "second operand, broadcast"


ScratchBytes = Mapping[Scratch, int]


def aligned(size_bytes: int) -> Bytes:
    """Zeroed bytes that begin at a multiple of the widest vector, and after which there are some more to be read."""
    raw = np.zeros(size_bytes + _ALIGNMENT + _SLACK, np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + size_bytes]


def aligned_size(size_bytes: int) -> int:
    """The bytes rounded up, so that what follows is aligned."""
    return -(-size_bytes // _ALIGNMENT) * _ALIGNMENT


class Constants:
    """Region.CONSTANTS, shared by all workers.

    Attributes:
        codes: the program's own bytes, read-only.
    """

    def __init__(self, content: bytes) -> None:
        self.codes: Bytes = np.frombuffer(content, np.uint8)

    @cached_property
    def image(self) -> Bytes:
        """A writable copy in aligned memory, for kernels that read constants where they lie: one kind of array."""
        image = aligned(self.codes.size)
        image[:] = self.codes
        return image


def constant_image(constants: bytes) -> Bytes:
    """Region.CONSTANTS in aligned memory, writable."""
    return Constants(constants).image


def view(image: Bytes, operand: Operand) -> Array:
    """The operand's array inside the image of its region."""
    part = image[operand.address : operand.address + operand.size_bytes]
    return part.view(operand.dtype).reshape(operand.shape)


class Memory:
    """What one worker computes in."""

    def __init__(self, activation_bytes: int, constants: Constants, scratch: ScratchBytes) -> None:
        self._activations, self._constants = aligned(activation_bytes), constants
        self._ports: dict[int, tuple[Operand, Array]] = {}
        self._scratch = {name: aligned(size) for name, size in scratch.items()}

    @property
    def arena(self) -> int:
        """The address of the activations."""
        return self._activations.ctypes.data

    def view(self, operand: Operand) -> Array:
        """The operand's array."""
        constant = operand.region is Region.CONSTANTS
        return view(self._constants.image if constant else self._activations, operand)

    def port(self, operand: Operand) -> Array:
        """As `view`, made once: for the inputs and outputs of a program, which every sample needs."""
        known = self._ports.get(id(operand))
        if known is None:
            known = self._ports[id(operand)] = operand, self.view(operand)
        return known[1]

    def scratch(self, name: Scratch, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
        """An array over the beginning of a scratch buffer."""
        size = prod(shape) * np.dtype(dtype).itemsize
        return self._scratch[name][:size].view(dtype).reshape(shape)


def matrices(array: Array, leading: tuple[int, ...], *, transposed: bool) -> Array:
    """A view [*leading, rows, columns] of stacked matrices."""
    view = array.swapaxes(-1, -2) if transposed else array
    return np.broadcast_to(view, (*leading, *view.shape[-2:]))
