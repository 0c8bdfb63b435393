"""The chain of element-wise add, subtract and multiply, from the device's arithmetic to the exact one."""

from fractions import Fraction

import numpy as np

from accel_sim.analysis.causes.cause import Cause, Codes, Step
from accel_sim.analysis.causes.exact import ExactReal, Term
from accel_sim.analysis.causes.requantization import Bounds, requantization_steps
from accel_sim.ir import Multiply, QuantParams, Subtract
from accel_sim.ir.operators import Operator
from accel_sim.numerics.elementwise import (
    ElementwiseRecipe,
    FixedPointSum,
    FloatBinary,
    FloatProduct,
    FusedFloatSum,
    Product,
    RationalSum,
)
from accel_sim.numerics.integers import multiply_double_round, multiply_single_round, wrap32
from accel_sim.numerics.requantization import Rounding

Grids = tuple[QuantParams, QuantParams, QuantParams]


def exact_elementwise(op: Operator, a: Codes, b: Codes, grids: Grids) -> ExactReal:
    """The exact result in steps of the result's grid; a, b int64 [D], codes minus zero points."""
    qa, qb, qy = grids
    step, none = Fraction(qy.scale[0]), np.zeros(len(a), np.int64)
    if isinstance(op, Multiply):
        return ExactReal((Term(a * b, (Fraction(qa.scale[0]) * Fraction(qb.scale[0]) / step,), none),))
    sign = -1 if isinstance(op, Subtract) else 1
    return ExactReal(
        (Term(a, (Fraction(qa.scale[0]) / step,), none), Term(b, (sign * Fraction(qb.scale[0]) / step,), none))
    )


def elementwise_steps(
    recipe: ElementwiseRecipe, a: Codes, b: Codes, grids: Grids, exact: ExactReal, bounds: Bounds
) -> list[Step]:
    """From the device's codes to the exact value.

    Args:
        recipe: the device's.
        a: int64 [D], codes minus zero point.
        b: the same.
        grids: of a, b and the result.
        exact: the exact result.
        bounds: of the real clamp.
    """
    final = bounds.codes(exact.half_even())
    zero = bounds.zero_point
    match recipe:
        case FixedPointSum():
            return [*_fixed_point_sum(recipe, a, b, grids, bounds), (Cause.RESCALING, final)]
        case Product():
            return [*requantization_steps(recipe.output, a * b, exact), (Cause.CLIP_ORDER, final)]
        case FusedFloatSum() | FloatProduct():
            inside = np.clip(exact.half_even(offset=zero), recipe.low, recipe.high)
            narrow = np.rint((exact.approximate + zero).astype(np.float32)).astype(np.int64)
            return [
                (Cause.MULTIPLIER_PRECISION, np.clip(narrow, recipe.low, recipe.high)),
                (Cause.DOUBLE_ROUNDING, inside),
                (Cause.ZERO_POINT_INSIDE, np.clip(exact.half_even() + zero, recipe.low, recipe.high)),
                (Cause.CLIP_ORDER, final),
            ]
        case RationalSum():
            device = Bounds(recipe.zero_point, np.array(recipe.low), np.array(recipe.high))
            return [(Cause.TIE_RULE, device.codes(exact.half_even())), (Cause.CLIP_ORDER, final)]
        case FloatBinary():
            return [(Cause.DEVICE_FLOAT, final)]
    return [(Cause.RESCALING, final)]  # minimum and maximum: operands on the result's grid first


def _fixed_point_sum(recipe: FixedPointSum, a: Codes, b: Codes, grids: Grids, bounds: Bounds) -> list[Step]:
    """The sum on the common scale as an accumulator: unit 2 max(s_a, s_b) / 2^20, or 2^15 for 16-bit codes."""
    left = _rescaled(recipe, a, recipe.a_multiplier, recipe.a_shift)
    right = _rescaled(recipe, b, recipe.b_multiplier, recipe.b_shift)
    total = left - right if recipe.subtract else left + right
    fraction_bits = 20 if max(q.bits for q in grids) <= 8 else 15
    common = 2 * max(Fraction(q.scale[0]) for q in grids[:2])
    ratio = common / 2**fraction_bits / Fraction(grids[2].scale[0])
    exact = ExactReal((Term(total, (ratio,), np.zeros(len(total), np.int64)),))
    clipped = (Cause.CLIP_ORDER, bounds.codes(exact.half_even()))
    return [*requantization_steps(recipe.output, total, exact), clipped]


def _rescaled(recipe: FixedPointSum, x: Codes, multiplier: int, shift: int) -> Codes:
    """An operand on the common scale, as the device computes it."""
    multiply = multiply_double_round if recipe.rounding is Rounding.DOUBLE else multiply_single_round
    rescaled: Codes = wrap32(multiply(wrap32(x << recipe.left_shift), multiplier, shift))
    return rescaled
