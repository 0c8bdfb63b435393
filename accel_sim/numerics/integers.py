"""Integer primitives of fixed-point inference, on unbounded integers.

Every function takes Python integers or object arrays of Python integers (broadcast), and returns the same; nothing
overflows unless a function says by name that it wraps or saturates. `>>` and `//` floor. An int64 array is as good
where its caller has shown that no intermediate value leaves int64 (`within`): the result is then an int64 array.

Sources: gemmlowp fixedpoint.h (SRDHM, RDPOT), TFLite kernels/internal/common.cc (MultiplyByQuantizedMultiplier),
TOSA 1.0 specification (apply_scale_32, apply_scale_16).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = Any
"""A Python int, an object array of Python ints (NumPy cannot express it in its types), or a proved int64 array."""

INT32_MIN = -(1 << 31)
INT32_MAX = (1 << 31) - 1


def unbounded(values: NDArray[np.generic] | int) -> Integers:
    """An integer array as an object array of Python ints (same shape); a Python int as it is."""
    if isinstance(values, int):
        return values
    return np.asarray(values).astype(object)


def is_int64(x: Integers) -> bool:
    """Whether x is an array of machine integers rather than Python ints."""
    return isinstance(x, np.ndarray) and x.dtype != object


def within(x: Integers, limit: int) -> Integers:
    """An integer array as int64 where no magnitude exceeds `limit`, as Python ints otherwise; Python ints unchanged."""
    if not is_int64(x):
        return x
    if x.size == 0 or (int(x.max()) <= limit and int(x.min()) >= -limit):
        return x.astype(np.int64)
    return x.astype(object)


def per_channel(values: tuple[int, ...], like: Integers) -> Integers:
    """One value as a plain int, several as an array along the last axis, of the kind that `like` is."""
    if len(values) == 1:
        return values[0]
    return np.array(values, np.int64 if is_int64(like) else object)


def where(condition: Any, yes: Integers, no: Integers) -> Integers:
    """Element by element `yes` where `condition`, else `no`; plain ints stay plain ints."""
    if isinstance(condition, bool | np.bool_):
        return yes if condition else no
    condition = np.asarray(condition, bool)
    if not (_is_unbounded(yes) or _is_unbounded(no)):
        return np.where(condition, yes, no)
    return np.where(condition, unbounded(yes), unbounded(no))


def _is_unbounded(x: Integers) -> bool:
    """Whether x needs Python ints. A small constant does not: it takes the kind of what it is combined with."""
    return abs(x) >= 1 << 62 if isinstance(x, int) else not is_int64(x)


def clamp(x: Integers, low: Integers, high: Integers) -> Integers:
    """eq 5: x limited to [low, high]."""
    return where(x < low, low, where(x > high, high, x))


def wrap(x: Integers, bits: int) -> Integers:
    """Two's complement wrap to `bits` bits, signed."""
    half = 1 << (bits - 1)
    return ((x + half) & ((1 << bits) - 1)) - half


def wrap32(x: Integers) -> Integers:
    """Two's complement wrap to int32."""
    return wrap(x, 32)


def saturate(x: Integers, bits: int) -> Integers:
    """x limited to the signed range of `bits` bits."""
    return clamp(x, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def divide_truncating(a: Integers, b: Integers) -> Integers:
    """C's integer division: the quotient rounded towards zero. b > 0."""
    return where(a < 0, -((-a) // b), a // b)


def divide_half_even(a: Integers, b: Integers) -> Integers:
    """a / b to the nearest integer, ties to even. b > 0."""
    floor = a // b
    twice = 2 * (a - floor * b)
    up = where(twice == b, floor & 1 == 1, twice > b)
    return floor + where(up, 1, 0)


def divide_half_away(a: Integers, b: Integers) -> Integers:
    """a / b to the nearest integer, ties away from zero. b > 0."""
    return where(a < 0, -((-2 * a + b) // (2 * b)), (2 * a + b) // (2 * b))


def divide_half_up(a: Integers, b: Integers) -> Integers:
    """a / b to the nearest integer, ties to plus infinity. b > 0."""
    return (2 * a + b) // (2 * b)


def saturating_rounding_doubling_high_mul(a: Integers, b: Integers, bits: int = 32) -> Integers:
    """SRDHM: a * b / 2^(bits-1) to the nearest integer, ties to plus infinity.

    The only product that does not fit, MIN * MIN, gives MAX (gemmlowp, and Arm's SQRDMULH).
    """
    lowest = -(1 << (bits - 1))
    high = (a * b + (1 << (bits - 2))) >> (bits - 1)
    return where((a == lowest) & (b == lowest), -lowest - 1, high)


def rounding_divide_by_power_of_two(x: Integers, exponent: Integers) -> Integers:
    """RDPOT: x / 2^exponent to the nearest integer, ties away from zero (gemmlowp). exponent >= 0."""
    mask = (1 << exponent) - 1
    threshold = (mask >> 1) + where(x < 0, 1, 0)
    return (x >> exponent) + where((x & mask) > threshold, 1, 0)


def multiply_double_round(x: Integers, multiplier: Integers, shift: Integers) -> Integers:
    """x * multiplier * 2^(shift-31) with two roundings: SRDHM, then RDPOT (TFLite's default; CMSIS arm_nn_requantize).

    A positive shift is to the left, before the product, and wraps to 32 bits.
    """
    left = where(shift > 0, shift, 0)
    right = where(shift > 0, 0, -shift)
    product = saturating_rounding_doubling_high_mul(wrap32(x * (1 << left)), multiplier)
    return rounding_divide_by_power_of_two(product, right)


def multiply_single_round(x: Integers, multiplier: Integers, shift: Integers) -> Integers:
    """x * multiplier * 2^(shift-31), rounded once, ties up (TFLITE_SINGLE_ROUNDING, TOSA). shift <= 30."""
    return (x * multiplier + (1 << (30 - shift))) >> (31 - shift)


def multiply_16bit(x: Integers, multiplier: Integers, shift: Integers) -> Integers:
    """The int64-accumulator overload: the multiplier reduced to 16 bits, rounded once, ties to plus infinity."""
    reduced = where(multiplier < 0x7FFF0000, (multiplier + (1 << 15)) >> 16, 0x7FFF)
    return (x * reduced + (1 << (14 - shift))) >> (15 - shift)


def apply_scale_32(value: Integers, multiplier: Integers, shift: Integers, *, double_round: bool) -> Integers:
    """TOSA apply_scale_32: value * multiplier / 2^shift, 2 <= shift <= 62."""
    rounding = 1 << (shift - 1)
    if double_round:
        extra = where(value >= 0, 1 << 30, -(1 << 30))
        rounding = rounding + where(shift > 31, extra, 0)
    return (value * multiplier + rounding) >> shift


def reciprocal_scale(n: int) -> tuple[int, int]:
    """TOSA reciprocal_scale: (multiplier, shift) with n * multiplier / 2^shift close to 1. n >= 1."""
    k = (n - 1).bit_length()
    return ((1 << 30) + 1 << k) // n, 30 + k


def bit_length(x: Integers) -> Integers:
    """Bits of 0 <= x < 2^32: 32 minus C's count of leading zeros."""
    total = where(x >= 1, 1, 0)
    for bit in range(1, 32):
        total = total + where(x >= 1 << bit, 1, 0)
    return total


def take(table: tuple[int, ...], index: Integers) -> Integers:
    """table[index], of the kind that index is."""
    if isinstance(index, int):
        return table[index]
    values = np.array(table, np.int64)[index.astype(np.int64)]
    return values if is_int64(index) else values.astype(object)
