"""From grids to requantization recipes: what a compiler computes once per layer (figure 2).

The exact scale of an accumulator is s_x * s_w / s_y; profiles differ in where they round it, which decides bytes.
"""

from enum import Enum
from fractions import Fraction

import numpy as np

from accel_sim.arithmetic.boundary import activation_bounds
from accel_sim.ir import NO_ACTIVATION, Activation, ElementType, QuantParams, RequantShift, Tensor
from accel_sim.numerics.multipliers import (
    quantize_multiplier,
    single_round_multiplier,
    tosa_multiplier,
    tosa_multiplier_16,
)
from accel_sim.numerics.profiles import Arithmetic, Profile, refuse
from accel_sim.numerics.requantization import (
    DoubleRequantization,
    FixedPointRequantization,
    FloatGridRequantization,
    FloatRequantization,
    RationalRequantization,
    Requantization,
    Rounding,
    ShiftRequantization,
    TieRule,
)

Codes = tuple[int, ...]


class AccumulatorKind(Enum):
    """The operator that made the accumulators."""

    CONVOLUTION = "convolution"
    FULLY_CONNECTED = "fully_connected"
    MATMUL = "matmul"


def is_wide_accumulator(input_q: QuantParams, bias: ElementType | None) -> bool:
    """Whether a matrix operator accumulates in int64: 16-bit activations, and a bias of int64 or none (TFLite 16x8)."""
    return input_q.bits > 8 and bias in (None, ElementType.INT64)


def derive_requantization(
    profile: Profile,
    kind: AccumulatorKind,
    input_q: QuantParams,
    weight_q: QuantParams,
    output_q: QuantParams,
    activation: Activation = NO_ACTIVATION,
    *,
    wide_accumulator: bool = False,
) -> Requantization:
    """The recipe that turns accumulators of a convolution or matrix product into codes.

    Args:
        profile: `fully_connected` decides for FULLY_CONNECTED, `requantization` for the others.
        kind: what made the accumulators.
        input_q: the activation's grid, per tensor.
        weight_q: per tensor, or per channel: one scale per output channel (the recipe's last axis).
        output_q: the result's grid, per tensor.
        activation: fused, becomes the clamp.
        wide_accumulator: int64 accumulators (`is_wide_accumulator`).

    Raises:
        UnsupportedByProfileError: scales that the profile cannot express.
    """
    rule = profile.fully_connected if kind is AccumulatorKind.FULLY_CONNECTED else profile.requantization
    low, high = activation_bounds(profile, activation, output_q)
    exact = tuple(Fraction(input_q.scale[0]) * Fraction(s) / Fraction(output_q.scale[0]) for s in weight_q.scale)
    zero = output_q.zero_point[0]
    if rule is Arithmetic.FLOAT32:
        return FloatRequantization(zero, low, high, _float32_scales(input_q, weight_q, output_q))
    if rule in (Arithmetic.EXACT, Arithmetic.SHIFT):
        return exact_requantization(profile, rule, exact, zero, low, high)
    scales = _double_scales(rule, kind, input_q, weight_q, output_q)
    if rule is Arithmetic.FLOAT64:
        return DoubleRequantization(zero, low, high, scales)
    return fixed_point_requantization(profile, rule, scales, zero, low, high, wide_accumulator=wide_accumulator)


def derive_requantize(profile: Profile, input_q: QuantParams, output_q: QuantParams) -> Requantization:
    """The recipe from x - input zero point to codes of another grid (TFLite QUANTIZE; Q after DQ).

    Raises:
        UnsupportedByProfileError: scales that the profile cannot express.
    """
    rule = profile.requantization
    low, high = (output_q.low,), (output_q.high,)
    s_in, s_out, zero = input_q.scale[0], output_q.scale[0], output_q.zero_point[0]
    if rule is Arithmetic.FLOAT32:
        return FloatGridRequantization(zero, low, high, s_in, s_out)
    if rule in (Arithmetic.EXACT, Arithmetic.SHIFT):
        return exact_requantization(profile, rule, (Fraction(s_in) / Fraction(s_out),), zero, low, high)
    if rule is Arithmetic.FLOAT64:
        return DoubleRequantization(zero, low, high, (s_in / s_out,))
    return fixed_point_requantization(profile, rule, (s_in / s_out,), zero, low, high)


def derive_shift(op: RequantShift, output: Tensor) -> ShiftRequantization:
    """The recipe of an explicit multiply-add-shift; the clamp is the output's codes or, without a grid, its type's."""
    info = np.iinfo(output.element.value)
    low, high = (output.quant.low, output.quant.high) if output.quant else (int(info.min), int(info.max))
    return ShiftRequantization(0, (low,), (high,), op.multiplier, op.addend, op.shift)


def exact_requantization(
    profile: Profile, rule: Arithmetic, scales: tuple[Fraction, ...], zero_point: int, low: Codes, high: Codes
) -> Requantization:
    """Exact rational scales: one rounding half to even (EXACT), or one shift half up for powers of two (SHIFT)."""
    if rule is Arithmetic.EXACT:
        return rational_requantization(rule, scales, zero_point, low, high)
    if not all(is_power_of_two(s) for s in scales):
        raise refuse(profile, "scale ratio", str(max(map(float, scales))), "is a power of two")
    # Every channel shifts by the largest shift; a channel that needs less multiplies first, which loses no bit.
    shift = max(0, *(s.denominator.bit_length() - 1 for s in scales))
    multipliers = tuple(int(s * (1 << shift)) for s in scales)
    half = 1 << (shift - 1) if shift else 0
    return ShiftRequantization(zero_point, low, high, multipliers, (half,), shift)


def rational_requantization(
    rule: Arithmetic, scales: tuple[Fraction, ...], zero_point: int, low: Codes, high: Codes
) -> RationalRequantization:
    """Exact rational scales of any kind: halves to even (EXACT) or up (SHIFT: means and interpolation divide)."""
    numerators, denominators = tuple(s.numerator for s in scales), tuple(s.denominator for s in scales)
    ties = TieRule.HALF_EVEN if rule is Arithmetic.EXACT else TieRule.HALF_UP
    return RationalRequantization(zero_point, low, high, numerators, denominators, ties)


def fixed_point_requantization(
    profile: Profile,
    rule: Arithmetic,
    scales: tuple[float, ...],
    zero_point: int,
    low: Codes,
    high: Codes,
    *,
    wide_accumulator: bool = False,
) -> FixedPointRequantization:
    """Multiplier and shift of real scales, with the rounding of the rule."""
    is_tosa = rule is Arithmetic.TOSA
    pairs = [fixed_point_multiplier(profile, rule, s, wide_accumulator=wide_accumulator) for s in scales]
    rounding = Rounding.SINGLE_16BIT if wide_accumulator else fixed_point_rounding(profile, rule)
    multipliers, shifts = tuple(m for m, _ in pairs), tuple(s for _, s in pairs)
    return FixedPointRequantization(zero_point, low, high, multipliers, shifts, rounding, saturating=is_tosa)


def fixed_point_multiplier(
    profile: Profile, rule: Arithmetic, scale: float, *, wide_accumulator: bool = False
) -> tuple[int, int]:
    """(m, s) of a real scale under a fixed-point rule.

    Raises:
        UnsupportedByProfileError: a scale so large that no shift is left.
    """
    derive = {
        Arithmetic.FIXED_DOUBLE: quantize_multiplier,
        Arithmetic.FIXED_SINGLE: quantize_multiplier if wide_accumulator else single_round_multiplier,
        Arithmetic.TOSA: tosa_multiplier_16 if wide_accumulator else tosa_multiplier,
    }.get(rule)
    if derive is None:
        raise refuse(profile, "arithmetic", rule.value, "is a fixed-point rule here")
    multiplier, shift = derive(scale)
    limit = (13 if wide_accumulator else 29) if rule is Arithmetic.TOSA else (14 if wide_accumulator else 31)
    if shift > limit:
        raise refuse(profile, "scale ratio", repr(scale), f"is below 2^{limit}")
    return multiplier, shift


def fixed_point_rounding(profile: Profile, rule: Arithmetic) -> Rounding:
    """One rounding or two."""
    double = rule is Arithmetic.FIXED_DOUBLE or (rule is Arithmetic.TOSA and profile.tosa_double_round)
    return Rounding.DOUBLE if double else Rounding.SINGLE


def is_power_of_two(value: Fraction) -> bool:
    """Whether a positive fraction is 2^k for an integer k."""
    bigger = max(value.numerator, value.denominator)
    return min(value.numerator, value.denominator) == 1 and bigger & (bigger - 1) == 0


def _float32_scales(x: QuantParams, w: QuantParams, y: QuantParams) -> tuple[float, ...]:
    """f32(f32(s_x * s_w) / s_y) (ONNX Runtime)."""
    with np.errstate(over="ignore", under="ignore"):
        scales = np.float32(x.scale[0]) * np.array(w.scale, np.float32) / np.float32(y.scale[0])
    return tuple(float(s) for s in scales)


def _double_scales(
    rule: Arithmetic, kind: AccumulatorKind, x: QuantParams, w: QuantParams, y: QuantParams
) -> tuple[float, ...]:
    """s_x * s_w / s_y in double; the product in float32 first where TFLite's kernels do so.

    Float32 products: BATCH_MATMUL, FULLY_CONNECTED per tensor, and convolutions of uint8 activations
    (GetQuantizedConvolutionMultipler). Double products: the others, per channel or not; LiteRT >= 1.3 FULLY_CONNECTED;
    TOSA's lowering.
    """
    fixed = rule in (Arithmetic.FIXED_DOUBLE, Arithmetic.FIXED_SINGLE)
    in_float32 = (
        fixed
        and {
            AccumulatorKind.MATMUL: True,
            AccumulatorKind.FULLY_CONNECTED: not w.is_per_channel,
            AccumulatorKind.CONVOLUTION: not w.is_per_channel and not x.signed,
        }[kind]
    )
    products = [float(np.float32(x.scale[0]) * np.float32(s)) if in_float32 else x.scale[0] * s for s in w.scale]
    return tuple(p / y.scale[0] for p in products)
