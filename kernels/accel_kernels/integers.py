"""Narrowing and exact products of integers: the small functions that other kernels are made of."""

import numpy as np

from accel_kernels._jit import kernel


@kernel
def wrap32(x: np.int64) -> np.int64:
    """Two's complement wrap of an int64 to the range of int32."""
    return (x << 32) >> 32


@kernel
def wrap(x: np.int64, spare: int) -> np.int64:
    """Two's complement wrap of an int64 to 64 - spare bits."""
    return (x << spare) >> spare


@kernel
def clamp(x: np.int64, low: np.int64, high: np.int64) -> np.int64:
    """x limited to [low, high]."""
    return min(max(x, low), high)
