"""Element-wise functions of two arrays of codes, in integers. Sums and products give accumulators to be requantized."""

import numpy as np

from accel_kernels._jit import kernel
from accel_kernels._types import Array, Int64
from accel_kernels.integers import clamp, wrap32
from accel_kernels.requantize_exact import rescale_exact
from accel_kernels.requantize_fixed import ADDEND, LEFT, MULTIPLIER, RIGHT, SIGN_ADDEND, rescale


@kernel
def sum_fixed(a: Array, a_zero: Int64, a_table: Array, b: Array, b_zero: Int64, b_table: Array, sums: Array) -> None:
    """sums[i] = wrap32(rescale(a[i] - a_zero) + rescale(b[i] - b_zero)), in fixed point.

    Operands:
        a, b: [n] codes. a_zero, b_zero: their zero points.
        a_table, b_table: int64 [FIELDS], the parameters of `requantize_fixed.rescale`.
        sums: int32 [n].
    """
    for i in range(sums.size):
        left = _rescale(np.int64(a[i]) - a_zero, a_table)
        right = _rescale(np.int64(b[i]) - b_zero, b_table)
        sums[i] = wrap32(left + right)


@kernel
def difference_fixed(
    a: Array, a_zero: Int64, a_table: Array, b: Array, b_zero: Int64, b_table: Array, sums: Array
) -> None:
    """As `sum_fixed`, the second operand subtracted."""
    for i in range(sums.size):
        left = _rescale(np.int64(a[i]) - a_zero, a_table)
        right = _rescale(np.int64(b[i]) - b_zero, b_table)
        sums[i] = wrap32(left - right)


@kernel
def sum_exact(
    a: Array,
    a_zero: Int64,
    a_scale: Array,
    a_sign: Int64,
    b: Array,
    b_zero: Int64,
    b_scale: Array,
    b_sign: Int64,
    half: Array,
    ties: Int64,
    zero_point: Int64,
    low: Int64,
    high: Int64,
    codes: Array,
) -> None:
    """codes[i] = clamp(round(a_sign (a[i] - a_zero) a_scale + b_sign (b[i] - b_zero) b_scale) + zero_point, low, high).

    a_scale, b_scale: [F + 1] from `scale_limbs`; half, ties: see `rescale_exact`.
    """
    for i in range(codes.size):
        x0 = a_sign * (np.int64(a[i]) - a_zero)
        x1 = b_sign * (np.int64(b[i]) - b_zero)
        codes[i] = clamp(rescale_exact(x0, a_scale, x1, b_scale, half, ties) + zero_point, low, high)


@kernel
def product(a: Array, a_zero: Int64, b: Array, b_zero: Int64, products: Array) -> None:
    """products[i] = (a[i] - a_zero) * (b[i] - b_zero); int32 or int64, wide enough."""
    for i in range(products.size):
        products[i] = (np.int64(a[i]) - a_zero) * (np.int64(b[i]) - b_zero)


@kernel
def minimum(a: Array, b: Array, codes: Array) -> None:
    """codes[i] = min(a[i], b[i])."""
    for i in range(codes.size):
        codes[i] = min(a[i], b[i])


@kernel
def maximum(a: Array, b: Array, codes: Array) -> None:
    """codes[i] = max(a[i], b[i])."""
    for i in range(codes.size):
        codes[i] = max(a[i], b[i])


@kernel
def subtract_zero_point(x: Array, zero_point: Int64, differences: Array) -> None:
    """differences[i] = x[i] - zero_point; int32 or int64, wide enough."""
    for i in range(differences.size):
        differences[i] = np.int64(x[i]) - zero_point


@kernel
def _rescale(x: Int64, table: Array) -> Int64:
    return rescale(x, table[MULTIPLIER], table[LEFT], table[RIGHT], table[ADDEND], table[SIGN_ADDEND])
