"""Recipes of element-wise operators of two operands (2.3.3)."""

from fractions import Fraction
from math import lcm

import numpy as np

from accel_sim.arithmetic.boundary import activation_bounds
from accel_sim.arithmetic.derive_requantization import (
    exact_requantization,
    fixed_point_multiplier,
    fixed_point_requantization,
    fixed_point_rounding,
    is_power_of_two,
)
from accel_sim.ir import NO_ACTIVATION, Activation, QuantParams
from accel_sim.numerics.elementwise import (
    BinaryKind,
    CodeExtremum,
    ElementwiseRecipe,
    FixedPointSum,
    FloatBinary,
    FloatProduct,
    FusedFloatSum,
    Product,
    RationalSum,
)
from accel_sim.numerics.floats import fused_multiply_add
from accel_sim.numerics.profiles import Arithmetic, Profile, refuse
from accel_sim.numerics.requantization import TieRule

_MOST_CODES = (1 << 31) - (1 << 16)
_FIXED = {Arithmetic.FIXED_DOUBLE, Arithmetic.FIXED_SINGLE, Arithmetic.TOSA}


def derive_elementwise(
    profile: Profile,
    kind: BinaryKind,
    a: QuantParams,
    b: QuantParams,
    y: QuantParams,
    activation: Activation = NO_ACTIVATION,
) -> ElementwiseRecipe:
    """The recipe of y = kind(a, b) on per-tensor grids a, b, y.

    Minimum and maximum compare codes: their operands lie on y's grid (`needs_equal_grids`: requantize first; rounding
    is monotonic, so that is what comparing real numbers and rounding once gives).

    Raises:
        UnsupportedByProfileError: scales that the profile cannot express, or a minimum of different grids.
    """
    if kind in (BinaryKind.MINIMUM, BinaryKind.MAXIMUM):
        if not (a.same_grid(y) and b.same_grid(y)):
            raise refuse(profile, kind.value, "operands on different grids", "operands lie on the result's grid")
        return CodeExtremum(kind)
    if profile.elementwise is Arithmetic.FLOAT32:
        return _float(profile, kind, a, b, y, activation)
    derive = _product if kind is BinaryKind.MULTIPLY else _sum
    return derive(profile, kind, a, b, y, activation)


def _sum(
    profile: Profile, kind: BinaryKind, a: QuantParams, b: QuantParams, y: QuantParams, activation: Activation
) -> ElementwiseRecipe:
    rule = profile.elementwise
    if rule in _FIXED:
        return _fixed_point_sum(profile, kind, a, b, y, activation)
    if rule not in (Arithmetic.EXACT, Arithmetic.SHIFT):
        raise refuse(profile, "elementwise arithmetic", rule.value, "computes no sum")
    ratios = [Fraction(q.scale[0]) / Fraction(y.scale[0]) for q in (a, b)]
    if rule is Arithmetic.SHIFT and not all(map(is_power_of_two, ratios)):
        raise refuse(profile, "scale ratios", f"{float(ratios[0])}, {float(ratios[1])}", "are powers of two")
    denominator = lcm(ratios[0].denominator, ratios[1].denominator)
    numerators = [int(r * denominator) for r in ratios]
    (low,), (high,) = activation_bounds(profile, activation, y)
    return RationalSum(
        a.zero_point[0],
        numerators[0],
        b.zero_point[0],
        -numerators[1] if kind is BinaryKind.SUBTRACT else numerators[1],
        denominator,
        TieRule.HALF_EVEN if rule is Arithmetic.EXACT else TieRule.HALF_UP,
        y.zero_point[0],
        low,
        high,
    )


def _fixed_point_sum(
    profile: Profile, kind: BinaryKind, a: QuantParams, b: QuantParams, y: QuantParams, activation: Activation
) -> FixedPointSum:
    """TFLite add.cc: the common scale is 2 * max(s_a, s_b), operands keep 20 (8-bit) or 15 (16-bit) fraction bits.

    TFLite rounds the common scale, and its product with the output's, to float32; TOSA's lowering works in double and
    gives the fraction bits to the operands' RESCALE. TFLite checks that the last multiplier is below 1, or shifts by a
    negative number.
    """
    rule, is_tosa = profile.elementwise, profile.elementwise is Arithmetic.TOSA
    fraction_bits = 20 if max(a.bits, b.bits, y.bits) <= 8 else 15
    common = 2.0 * max(a.scale[0], b.scale[0])
    scaled_output = y.scale[0] * 2.0**fraction_bits
    if not is_tosa:
        common, scaled_output = float(np.float32(common)), float(np.float32(scaled_output))
    gain = 2.0**fraction_bits if is_tosa else 1.0
    pairs = [fixed_point_multiplier(profile, rule, q.scale[0] / common * gain) for q in (a, b)]
    low, high = activation_bounds(profile, activation, y)
    scale = common / scaled_output
    output = fixed_point_requantization(profile, rule, (scale,), y.zero_point[0], low, high)
    if not is_tosa and output.shift[0] > 0:
        raise refuse(profile, f"{kind.value} scale ratio", repr(scale), "is below 1")
    return FixedPointSum(
        0 if is_tosa else fraction_bits,
        a.zero_point[0],
        *pairs[0],
        b.zero_point[0],
        *pairs[1],
        kind is BinaryKind.SUBTRACT,
        fixed_point_rounding(profile, rule),
        output,
    )


def _product(
    profile: Profile, kind: BinaryKind, a: QuantParams, b: QuantParams, y: QuantParams, activation: Activation
) -> ElementwiseRecipe:
    """The product's scale is s_a * s_b / s_y; TFLite mul.cc computes it in float32."""
    rule, zero = profile.elementwise, y.zero_point[0]
    low, high = activation_bounds(profile, activation, y)
    if rule in (Arithmetic.EXACT, Arithmetic.SHIFT):
        exact = Fraction(a.scale[0]) * Fraction(b.scale[0]) / Fraction(y.scale[0])
        output = exact_requantization(profile, rule, (exact,), zero, low, high)
    else:
        scale = _float32_product(a, b, y) if rule is not Arithmetic.TOSA else a.scale[0] * b.scale[0] / y.scale[0]
        output = fixed_point_requantization(profile, rule, (scale,), zero, low, high)
    return Product(a.zero_point[0], b.zero_point[0], output)


def _float(
    profile: Profile, kind: BinaryKind, a: QuantParams, b: QuantParams, y: QuantParams, activation: Activation
) -> ElementwiseRecipe:
    """ONNX Runtime: QLinearAdd and QLinearMul for 8-bit codes of one type without a clamp; float32 for all others."""
    (low,), (high,) = activation_bounds(profile, activation, y)
    clamps = (low, high) != (y.low, y.high)
    one_type = max(a.bits, b.bits, y.bits) <= 8 and a.signed == b.signed == y.signed
    if one_type and not clamps and kind is not BinaryKind.SUBTRACT:
        return _fused_sum(profile, a, b, y) if kind is BinaryKind.ADD else _float_product(profile, a, b, y)
    clip_high = activation.high[0] if isinstance(activation.high, tuple) else activation.high
    return FloatBinary(
        kind,
        a.scale[0],
        a.zero_point[0],
        b.scale[0],
        b.zero_point[0],
        y.scale[0],
        y.zero_point[0],
        y.low,
        y.high,
        activation.low,
        clip_high,
    )


def _check_int32(profile: Profile, kind: BinaryKind, largest: float) -> None:
    """ONNX Runtime converts to int32 before it saturates: what is larger gets the lowest code."""
    if largest >= _MOST_CODES:
        raise refuse(profile, f"{kind.value} of the largest codes", f"{largest:g} codes", "is below 2^31 - 2^16")


def _reach(q: QuantParams) -> int:
    return max(q.high - q.zero_point[0], q.zero_point[0] - q.low)


def _fused_sum(profile: Profile, a: QuantParams, b: QuantParams, y: QuantParams) -> FusedFloatSum:
    """r = f32(s / s_y); the constant is f32(z_y - fma(r_a, z_a, f32(r_b * z_b)))."""
    _check_int32(profile, BinaryKind.ADD, (_reach(a) * a.scale[0] + _reach(b) * b.scale[0]) / y.scale[0])
    ratio_a, ratio_b = (np.float32(q.scale[0]) / np.float32(y.scale[0]) for q in (a, b))
    offset_b = ratio_b * np.float32(b.zero_point[0])
    constant = np.float32(y.zero_point[0]) - fused_multiply_add(ratio_a, np.float32(a.zero_point[0]), offset_b)
    return FusedFloatSum(float(ratio_a), float(ratio_b), float(constant), y.low, y.high)


def _float_product(profile: Profile, a: QuantParams, b: QuantParams, y: QuantParams) -> FloatProduct:
    ratio = _float32_product(a, b, y)
    _check_int32(profile, BinaryKind.MULTIPLY, _reach(a) * _reach(b) * ratio)
    return FloatProduct(a.zero_point[0], b.zero_point[0], ratio, y.zero_point[0], y.low, y.high)


def _float32_product(a: QuantParams, b: QuantParams, y: QuantParams) -> float:
    """f32(f32(s_a * s_b) / s_y)."""
    with np.errstate(over="ignore", under="ignore"):
        return float(np.float32(a.scale[0]) * np.float32(b.scale[0]) / np.float32(y.scale[0]))
