"""Exact rational rescaling: round(x * numerator / denominator), for numerators and denominators of any size.

A real scale r is held as floor(r * 2^f), an integer of many digits: F fraction limbs of 30 bits (f = 30 F), the lowest
first, then the integer part; int64 [F + 1]. Its error makes an error below 2^33 units of 2^-f in any sum of products
that a kernel forms. A sum of products of denominator D that is no tie keeps a distance of 1 / (2 D) from every half,
and f is so large (2^f > 2^61 * D) that this is more than 2^60 units. So the sum plus one half plus 2^33 units, shifted
right by f, is the exact sum rounded half up; and the limbs of 2^60 units and above that the shift drops are all zero
exactly for ties.
"""

from collections.abc import Iterable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from accel_kernels._jit import kernel
from accel_kernels._types import Array, Int64
from accel_kernels.integers import clamp

LIMB_BITS = 30
LARGEST_SCALE = 1 << 30
"""Scales must not be larger."""
TIES_UP, TIES_EVEN, TIES_DOWN = 1, 0, -1

_LIMB = (1 << LIMB_BITS) - 1
_LOW_HALF = (1 << 32) - 1
_TIE_LIMB = 2  # limb 2 is worth 2^60 units
_SLACK = 1 << 33


def scale_limbs(scales: Iterable[Fraction], denominator: int, *, shifted: int = 0) -> NDArray[np.int64]:
    """[F + 1, C]: each non-negative scale times 2^shifted; `denominator` is common to all sums of products.

    `half_limbs` of the same denominator goes with it.
    """
    fraction = _fraction_limbs(denominator)
    numbers = [(s.numerator << (LIMB_BITS * fraction + shifted)) // s.denominator for s in scales]
    return np.array([_limbs(n, fraction) for n in numbers], np.int64).T.copy()


def half_limbs(denominator: int) -> NDArray[np.int64]:
    """[F + 1]: one half and the slack for the error."""
    fraction = _fraction_limbs(denominator)
    return np.array(_limbs((1 << (LIMB_BITS * fraction - 1)) + _SLACK, fraction), np.int64)


def _fraction_limbs(denominator: int) -> int:
    return -(-(62 + denominator.bit_length()) // LIMB_BITS)


def _limbs(number: int, fraction: int) -> list[int]:
    return [(number >> (LIMB_BITS * j)) & _LIMB for j in range(fraction)] + [number >> (LIMB_BITS * fraction)]


@kernel
def rescale_exact(x0: Int64, scale0: Array, x1: Int64, scale1: Array, half: Array, ties: Int64) -> Int64:
    """x0 * scale0 + x1 * scale1 to the nearest integer.

    |x0| + |x1| < 2^33, |x0| < 2^32, |x1| <= 2^31. ties: TIES_UP, TIES_EVEN or TIES_DOWN.
    """
    fraction = half.size - 1
    carry, rest = np.int64(0), np.int64(0)
    for j in range(fraction):
        total = x0 * scale0[j] + x1 * scale1[j] + half[j] + carry
        carry = total >> LIMB_BITS
        if j >= _TIE_LIMB:
            rest |= total & _LIMB
    rounded = x0 * scale0[fraction] + x1 * scale1[fraction] + half[fraction] + carry
    return _settle(rounded, rest, ties)


@kernel
def requantize_exact(
    accumulators: Array,
    scales: Array,
    half: Array,
    ties: Int64,
    zero_point: Int64,
    low: Array,
    high: Array,
    rows: Int64,
    codes: Array,
) -> None:
    """codes[i, c] = clamp(round(acc * scale[c]) + zero_point, low[c], high[c]) for accumulators of 32 bits.

    Operands:
        accumulators: int32 [at least rows, C].
        scales: [F + 1, C] from `scale_limbs`. half: [F + 1] from `half_limbs`. ties: see `rescale_exact`.
        zero_point, low, high: of the codes; int64 [C].
        codes: [at least rows, C], any integer type that holds the limits.
    """
    channels = accumulators.shape[1]
    carry, rest = np.empty(channels, np.int64), np.empty(channels, np.int64)
    for i in range(rows):
        carry[:] = 0
        rest[:] = 0
        for j in range(half.size - 1):
            for c in range(channels):
                total = np.int64(accumulators[i, c]) * scales[j, c] + half[j] + carry[c]
                carry[c] = total >> LIMB_BITS
                rest[c] |= total & (_LIMB if j >= _TIE_LIMB else 0)
        for c in range(channels):
            rounded = np.int64(accumulators[i, c]) * scales[half.size - 1, c] + half[half.size - 1] + carry[c]
            codes[i, c] = clamp(_settle(rounded, rest[c], ties) + zero_point, low[c], high[c])


@kernel
def requantize_exact_wide(
    accumulators: Array,
    scales: Array,
    scales_high: Array,
    half: Array,
    ties: Int64,
    zero_point: Int64,
    low: Array,
    high: Array,
    rows: Int64,
    codes: Array,
) -> None:
    """As `requantize_exact` for int64 accumulators; scales_high: the scales times 2^32.

    Magnitudes are rescaled, in halves of 32 bits; a tie that goes up goes down in the magnitude of a negative number.
    """
    for i in range(rows):
        for c in range(accumulators.shape[1]):
            x = np.int64(accumulators[i, c])
            sign = np.int64(1) if x >= 0 else np.int64(-1)
            lower, upper = (x * sign) & _LOW_HALF, ((x * sign) >> 32) & _LOW_HALF
            rounded = rescale_exact(lower, scales[:, c], upper, scales_high[:, c], half, ties * sign)
            codes[i, c] = clamp(sign * rounded + zero_point, low[c], high[c])


@kernel
def _settle(rounded: Int64, rest: Int64, ties: Int64) -> Int64:
    """The number rounded half up, corrected where what was dropped says that it is a tie."""
    if rest != 0 or ties == TIES_UP:
        return rounded
    return rounded - 1 if ties == TIES_DOWN else rounded - (rounded & 1)
