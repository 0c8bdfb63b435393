"""Requantization in fixed point: one 64-bit product, one programmable rounding constant, one shift.

::

    x' = wrap32(x << left)
    y  = clamp(wrap(wrap((x' * multiplier + addend + sign(x') * sign_addend) >> right) + zero_point), low, high)

covers every fixed-point requantizer, with sign(x') = 1 for x' >= 0 and -1 below:

================================  ================  ==========  ==============  ==================  ================
recipe                            multiplier        left        right           addend              sign_addend
================================  ================  ==========  ==============  ==================  ================
double rounding, m, shift s       m >= 0            max(s, 0)   31 + max(-s,0)  2^(right - 1)       2^30 if right > 31
single rounding, m, shift s       m                 0           31 - s          2^(right - 1)       0
single rounding, 16-bit m         (m + 2^15) >> 16  0           15 - s          2^(right - 1)       0
(acc * m + a) >> s                m                 0           s               a                   0
================================  ================  ==========  ==============  ==================  ================

Double rounding first rounds the product's high half, then its shift: that both together are one addition and one shift
is TOSA's apply_scale_32. |multiplier| < 2^31, |addend| <= 2^61, 0 <= right <= 62.
"""

import numpy as np

from accel_kernels._jit import kernel
from accel_kernels._types import Array, Int64
from accel_kernels.integers import clamp, wrap, wrap32

MULTIPLIER, LEFT, RIGHT, ADDEND, SIGN_ADDEND, LOWEST, HIGHEST, FIELDS = range(8)
"""Rows of the table of parameters, int64 [FIELDS, C]."""

_LOW_HALF = (1 << 32) - 1
_FAR = 1 << 62  # beyond every code


@kernel
def rescale(x: Int64, multiplier: Int64, left: Int64, right: Int64, addend: Int64, sign: Int64) -> Int64:
    """The formula of the module up to its shift, for x whose left shift is meant to wrap."""
    moved = wrap32(x << left)
    return (moved * multiplier + addend + (sign if moved >= 0 else -sign)) >> right


@kernel
def requantize_fixed(
    accumulators: Array, table: Array, zero_point: Int64, wraps: Int64, sum_wraps: Int64, rows: Int64, codes: Array
) -> None:
    """codes[i, c] for accumulators[i, c] of 32 bits, or wider ones that the recipe wraps to 32 first.

    Operands:
        accumulators: int32 or int64 [at least rows, C].
        table: int64 [FIELDS, C].
        zero_point: of the codes.
        wraps: bits that the scaled value loses (32: it wraps to int32; 0: it is exact).
        sum_wraps: bits that its sum with the zero point loses.
        codes: [at least rows, C], any integer type that holds the limits.
    """
    for i in range(rows):
        for c in range(accumulators.shape[1]):
            scaled = rescale(
                np.int64(accumulators[i, c]),
                table[MULTIPLIER, c],
                table[LEFT, c],
                table[RIGHT, c],
                table[ADDEND, c],
                table[SIGN_ADDEND, c],
            )
            offset = wrap(wrap(scaled, wraps) + zero_point, sum_wraps)
            codes[i, c] = clamp(offset, table[LOWEST, c], table[HIGHEST, c])


@kernel
def requantize_fixed_wide(
    accumulators: Array, table: Array, zero_point: Int64, wraps: Int64, sum_wraps: Int64, rows: Int64, codes: Array
) -> None:
    """As `requantize_fixed` for int64 accumulators that are not wrapped: the product has 96 bits; left is 0."""
    for i in range(rows):
        for c in range(accumulators.shape[1]):
            scaled = _rescale_wide(accumulators[i, c], table[MULTIPLIER, c], table[ADDEND, c], table[RIGHT, c], wraps)
            offset = wrap(wrap(scaled, wraps) + zero_point, sum_wraps)
            codes[i, c] = clamp(offset, table[LOWEST, c], table[HIGHEST, c])


@kernel
def _rescale_wide(x: Int64, multiplier: Int64, addend: Int64, right: Int64, wraps: Int64) -> Int64:
    """(x * multiplier + addend) >> right in two halves of 32 and 64 bits; wrapped, or limited to +-2^62."""
    low_product = (x & _LOW_HALF) * multiplier
    low = (low_product & _LOW_HALF) + (addend & _LOW_HALF)
    high = (x >> 32) * multiplier + (low_product >> 32) + (addend >> 32) + (low >> 32)
    if right >= 32:
        shifted = high >> (right - 32)
        return wrap32(shifted) if wraps > 0 else clamp(shifted, -_FAR, _FAR)
    if wraps > 0:
        return wrap32((high << (32 - right)) | ((low & _LOW_HALF) >> right))
    if high >= 1 << 29 or high < -(1 << 29):
        return np.int64(_FAR) if high > 0 else np.int64(-_FAR)
    return (high << (32 - right)) | ((low & _LOW_HALF) >> right)
