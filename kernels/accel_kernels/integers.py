"""Narrowing and exact products of integers: the small functions that other kernels are made of."""

from accel_kernels._jit import kernel
from accel_kernels._types import Int64


@kernel
def wrap32(x: Int64) -> Int64:
    """Two's complement wrap of an int64 to the range of int32."""
    return (x << 32) >> 32


@kernel
def wrap(x: Int64, spare: Int64) -> Int64:
    """Two's complement wrap of an int64 to 64 - spare bits."""
    return (x << spare) >> spare


@kernel
def clamp(x: Int64, low: Int64, high: Int64) -> Int64:
    """x limited to [low, high]."""
    return min(max(x, low), high)
