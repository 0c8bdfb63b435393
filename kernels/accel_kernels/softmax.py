"""Softmax of codes along the last axis. Exponentials come from a table indexed by the distance to the row's maximum."""

import numpy as np

from accel_kernels._jit import kernel
from accel_kernels._types import Array, Int64
from accel_kernels.integers import clamp, wrap32

_INT32_MAX = (1 << 31) - 1
_NEWTON_START = 1515870810  # 48/17 in Q2.29
_NEWTON_SLOPE = -1010580540  # -32/17 in Q2.29
_ONE_Q2 = 1 << 29


@kernel
def softmax_fixed(x: Array, exponentials: Array, low: Int64, high: Int64, output_bits: Int64, codes: Array) -> None:
    """gemmlowp's fixed-point softmax.

    Operands:
        x: [rows, n] codes, n < 2^13.
        exponentials: int64, Q0.31, by max - x; -1 where the difference is too large to count.
        low, high: range of the output. output_bits: 8 or 16.
        codes: [rows, n].
    """
    for i in range(x.shape[0]):
        top = _largest(x[i])
        total = np.int64(0)
        for k in range(x.shape[1]):
            e = exponentials[top - np.int64(x[i, k])]
            total += divide_by_power_of_two(e, 12) if e >= 0 else 0
        headroom = 32 - bit_length(total)
        inverse = one_over_one_plus(wrap32((total << headroom) - (1 << 31)))
        for k in range(x.shape[1]):
            e = exponentials[top - np.int64(x[i, k])]
            share = divide_by_power_of_two(multiply_high(inverse, max(e, 0)), 12 - headroom + 31 - output_bits)
            codes[i, k] = clamp(share + low, low, high) if e >= 0 else low


@kernel
def softmax_table16(x: Array, exponentials: Array, reciprocals: Array, codes: Array) -> None:
    """TFLite's int16 softmax.

    Operands:
        x: [rows, n] int16 codes.
        exponentials: int64, Q0.15, by max - x. reciprocals: int64 [513], samples of 1 / (1 + x) (interpolated).
        codes: [rows, n] int16.
    """
    for i in range(x.shape[0]):
        top = _largest(x[i])
        total = np.int64(0)
        for k in range(x.shape[1]):
            total += exponentials[top - np.int64(x[i, k])]
        headroom = 32 - bit_length(total)
        shifted = ((total << (headroom - 1)) + (1 << 13)) >> 14
        inverse = _interpolate(reciprocals, clamp(shifted - ((1 << 15) + (1 << 16)), -32768, 32767))
        right = 31 - headroom
        for k in range(x.shape[1]):
            share = (exponentials[top - np.int64(x[i, k])] * inverse + (np.int64(1) << (right - 1))) >> right
            codes[i, k] = clamp(share, 0, 32767)


@kernel
def softmax_float32(
    x: Array, exponentials: Array, output_scale: float, zero_point: Int64, low: Int64, high: Int64, codes: Array
) -> None:
    """codes = clamp(rint(f64(f64(e * output_scale) / sum)) + zero_point, low, high); sequential float32 sum.

    exponentials: float32, by max - x.
    """
    for i in range(x.shape[0]):
        top = _largest(x[i])
        total = np.float32(0)
        for k in range(x.shape[1]):
            total = total + exponentials[top - np.int64(x[i, k])]
        for k in range(x.shape[1]):
            share = np.float64(exponentials[top - np.int64(x[i, k])]) * output_scale / np.float64(total)
            codes[i, k] = _rounded(share, zero_point, low, high)


@kernel
def softmax_float64(
    x: Array, exponentials: Array, scale: float, zero_point: Int64, low: Int64, high: Int64, codes: Array
) -> None:
    """codes = clamp(rint(f64(f64(e / sum) / scale)) + zero_point, low, high); sequential double sum.

    exponentials: float64, by max - x.
    """
    for i in range(x.shape[0]):
        top = _largest(x[i])
        total = 0.0
        for k in range(x.shape[1]):
            total = total + exponentials[top - np.int64(x[i, k])]
        for k in range(x.shape[1]):
            codes[i, k] = _rounded(exponentials[top - np.int64(x[i, k])] / total / scale, zero_point, low, high)


@kernel
def _rounded(multiple: float, zero_point: Int64, low: Int64, high: Int64) -> Int64:
    """rint(multiple) + zero_point, limited before it becomes an integer."""
    limited = min(max(np.rint(multiple), float(low - zero_point)), float(high - zero_point))
    return np.int64(limited) + zero_point


@kernel
def _largest(x: Array) -> Int64:
    top = np.int64(x[0])
    for k in range(1, x.size):
        top = max(top, np.int64(x[k]))
    return top


@kernel
def bit_length(x: Int64) -> int:
    """Bits of an integer that is not negative."""
    length = 0
    while x > 0:
        x >>= 1
        length += 1
    return length


@kernel
def multiply_high(a: Int64, b: Int64) -> Int64:
    """gemmlowp's SaturatingRoundingDoublingHighMul; the one saturating case does not occur here."""
    return (a * b + (1 << 30)) >> 31


@kernel
def divide_by_power_of_two(x: Int64, exponent: Int64) -> Int64:
    """gemmlowp's RoundingDivideByPOT of x >= 0: halves up."""
    mask = (np.int64(1) << exponent) - 1
    return (x >> exponent) + np.int64(x & mask > mask >> 1)


@kernel
def one_over_one_plus(a: Int64) -> Int64:
    """gemmlowp's one_over_one_plus_x_for_x_in_0_1: three Newton steps in Q2.29."""
    half = (a + _INT32_MAX + 1) >> 1
    x = _NEWTON_START + multiply_high(half, np.int64(_NEWTON_SLOPE))
    for _ in range(3):
        error = _ONE_Q2 - multiply_high(half, x)
        x = wrap32(x + clamp(multiply_high(x, error) * 4, -_INT32_MAX - 1, _INT32_MAX))
    return clamp(x * 2, -_INT32_MAX - 1, _INT32_MAX)


@kernel
def _interpolate(table: Array, x: Int64) -> Int64:
    index = 256 + (x >> 7)
    slope = ((table[index + 1] - table[index]) << 48) >> 48
    return ((table[index] + ((slope * (x & 127) + 64) >> 7)) << 48) >> 48
