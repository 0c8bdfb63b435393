"""gemmlowp's fixed-point exponential and reciprocal, the ingredients of TFLite's int8 softmax.

A Qm.n number is an int32 whose real value is raw / 2^n, m + n = 31. Constants are the real numbers in the comments, in
Q0.31. Source: gemmlowp fixedpoint/fixedpoint.h.
"""

import math

from accel_sim.numerics.integers import (
    INT32_MAX,
    Integers,
    bit_length,
    divide_truncating,
    rounding_divide_by_power_of_two,
    saturate,
    saturating_rounding_doubling_high_mul,
    where,
    wrap32,
)

_EXP_MINUS_EIGHTH = 1895147668  # exp(-1/8)
_ONE_THIRD = 715827883
_NEWTON_START = 1515870810  # 48/17 in Q2.29
_NEWTON_SLOPE = -1010580540  # -32/17 in Q2.29
_ONE_Q2 = 1 << 29

_multiply = saturating_rounding_doubling_high_mul
_divide = rounding_divide_by_power_of_two


def exp_on_negative_values(a: Integers, integer_bits: int) -> Integers:
    """exp(a) in Q0.31 of a <= 0 in Q`integer_bits`.n.

    exp of the remainder in [-1/4, 0), times the constant exp(-2^k) for each bit of weight 2^k of what is left.
    """
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    remainder = (a & (quarter - 1)) - quarter
    result = _exp_between_minus_quarter_and_zero(saturate(remainder * (1 << integer_bits), 32))
    left = wrap32(remainder - a)
    for exponent in range(-2, min(integer_bits, 5)):
        factor = round(math.ldexp(math.exp(-(2.0**exponent)), 31))
        result = where(left & (1 << (fraction_bits + exponent)) != 0, _multiply(result, factor), result)
    if integer_bits > 5:
        result = where(a < -(1 << (fraction_bits + 5)), 0, result)
    return where(a == 0, INT32_MAX, result)


def _exp_between_minus_quarter_and_zero(a: Integers) -> Integers:
    """Taylor's polynomial of degree 4 around -1/8, Q0.31 to Q0.31."""
    x = a + (1 << 28)
    x2 = _multiply(x, x)
    x3 = _multiply(x2, x)
    x4 = _multiply(x2, x2)
    inner = _multiply(_divide(x4, 2) + x3, _ONE_THIRD) + x2
    return wrap32(_EXP_MINUS_EIGHTH + _multiply(_EXP_MINUS_EIGHTH, x + _divide(inner, 1)))


def reciprocal(x: Integers, integer_bits: int) -> tuple[Integers, Integers]:
    """(r, e) with 1 / x = r * 2^-e, r in Q0.31, for x > 0 in Q`integer_bits`.n."""
    headroom = 32 - bit_length(x)
    mantissa = wrap32(x * (1 << headroom) - (1 << 31))
    return _one_over_one_plus(mantissa), integer_bits - headroom


def _one_over_one_plus(a: Integers) -> Integers:
    """1 / (1 + a) in Q0.31 for a in [0, 1): three Newton steps from 48/17 - 32/17 x, in Q2.29."""
    total = a + INT32_MAX
    half = divide_truncating(total + where(total >= 0, 1, -1), 2)
    x = _NEWTON_START + _multiply(half, _NEWTON_SLOPE)
    for _ in range(3):
        error = _ONE_Q2 - _multiply(half, x)
        x = wrap32(x + saturate(_multiply(x, error) * 4, 32))
    return saturate(x * 2, 32)
