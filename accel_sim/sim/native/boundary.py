"""Inputs quantized by a kernel, where the profile rounds a float32 quotient; codes only change their layout."""

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_kernels.native import objects
from accel_kernels.native.number_fields import BOUNDARY_FIELDS
from accel_kernels.native.tables import number_table
from accel_kernels.native.tier import tier
from accel_sim.ir import QuantParams
from accel_sim.numerics.profiles import Arithmetic, Profile
from accel_sim.program import Port
from accel_sim.sim.native.runner import available
from accel_sim.sim.native.step import CODES

_ROUNDINGS = {
    Arithmetic.FLOAT32: "even",
    Arithmetic.FLOAT64: "away",
    Arithmetic.FIXED_DOUBLE: "away",
    Arithmetic.FIXED_SINGLE: "away",
    Arithmetic.TOSA: "away",
}
_MOST_PLANES = 4
_ARGUMENTS = 4
_TO_NHWC = (0, 2, 3, 1)


def quantize_into(codes: NDArray[Any], profile: Profile, port: Port, part: NDArray[Any]) -> bool:
    """Write the codes of one sample of an input; False, and nothing is written, where no kernel does it.

    Args:
        codes: contiguous, in the port's stored layout.
        profile: its `boundary` rule rounds.
        port: of the program.
        part: one sample in the file's layout.
    """
    planes, moves = _planes(port, part.shape), part.dtype == codes.dtype
    if not planes or (moves and planes == 1):
        return False
    pixels = part.size // planes
    if port.operand.dtype not in CODES or not part.flags.c_contiguous or pixels < tier().lanes or not available():
        return False
    if moves:
        _function(f"boundary:none:{planes}")(part.ctypes.data, pixels, 0, codes.ctypes.data)
        return True
    rounding, quant = _ROUNDINGS.get(profile.boundary), port.quant
    if rounding is None or quant is None or len(quant.scale) != 1 or part.dtype != np.float32:
        return False
    _function(f"boundary:{rounding}:{planes}")(part.ctypes.data, pixels, _table(quant).ctypes.data, codes.ctypes.data)
    return True


def _planes(port: Port, shape: tuple[int, ...]) -> int:
    """How many planes of the file become neighbours in each pixel; 0 for another change of layout."""
    if not port.file_axes or port.file_axes == tuple(range(len(shape))):
        return 1
    if port.file_axes == _TO_NHWC and shape[0] == 1 and shape[1] <= _MOST_PLANES:
        return shape[1]
    moved = [axis for axis in port.file_axes if shape[axis] != 1]
    return int(moved == sorted(moved) and prod(shape) > 0)


@lru_cache
def _function(name: str) -> Any:
    return objects.function(name, _ARGUMENTS)


@lru_cache
def _table(quant: QuantParams) -> NDArray[np.int64]:
    zero_point = quant.zero_point[0]
    low, high = quant.low - zero_point, quant.high - zero_point
    values = {"scale": quant.scale[0], "low": low, "high": high, "zero_point": zero_point}
    return number_table(BOUNDARY_FIELDS, values)
