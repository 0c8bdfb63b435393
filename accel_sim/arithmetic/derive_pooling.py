"""Recipes of average pooling and of means."""

from fractions import Fraction
from math import prod

import numpy as np

from accel_sim.arithmetic.boundary import activation_bounds
from accel_sim.arithmetic.derive_requantization import (
    fixed_point_multiplier,
    fixed_point_requantization,
    fixed_point_rounding,
    is_power_of_two,
    rational_requantization,
)
from accel_sim.ir import AveragePool2D, QuantParams
from accel_sim.numerics.pooling import (
    AverageRecipe,
    FloatAverage,
    FloatMean,
    MeanRecipe,
    RationalAverage,
    ReciprocalAverage,
    SumOrder,
    SumRequantization,
    TruncatingAverage,
)
from accel_sim.numerics.profiles import Arithmetic, Profile, refuse
from accel_sim.numerics.requantization import FixedPointRequantization, FloatRequantization, TieRule
from accel_sim.records import dataclass


@dataclass(frozen=True)
class ReductionLayout:
    """Where the reduced axes lie in the file's own axis order (NCHW for ONNX)."""

    shape: tuple[int, ...]
    axes: tuple[int, ...]


_CODE_BITS = 8
_BLOCK = 16
"""ONNX Runtime pools floats of so many channels and multiples in blocks of channels (NCHWc, with AVX-512)."""
_WIDEST_ROW = 2045
_WIDEST_STRIDE = 2


def derive_average_pool(
    profile: Profile, op: AveragePool2D, x: QuantParams, y: QuantParams, shape: tuple[int, ...]
) -> AverageRecipe:
    """The recipe of AVERAGE_POOL_2D on an image [N, H, W, C] of this shape.

    Fixed point and TOSA average codes: x and y lie on one grid (`needs_equal_grids`: requantize first). ONNX Runtime
    averages floats where x and y are of different types or have 16 bits: pixel by pixel from version 19 of the operator
    on, before that in an order that the shape decides (MLAS on processors with AVX-512, found by experiment).

    Raises:
        UnsupportedByProfileError: different grids where the profile needs one; scales it cannot express.
    """
    rule = profile.pooling
    (low,), (high,) = activation_bounds(profile, op.activation, y)
    zero_in, zero = x.zero_point[0], y.zero_point[0]
    if rule is Arithmetic.FLOAT32:
        if _is_left_in_float(x, y):
            grids = x.scale[0], zero_in, y.scale[0], 0, low - zero, high - zero
            return FloatAverage(*grids, offset=zero, columns=_summed_columns(op, shape))
        return FloatAverage(x.scale[0], zero_in, y.scale[0], zero, low, high)
    if rule in (Arithmetic.EXACT, Arithmetic.SHIFT):
        ratio = Fraction(x.scale[0]) / Fraction(y.scale[0])
        if rule is Arithmetic.SHIFT and not is_power_of_two(ratio):
            raise refuse(profile, "scale ratio", str(float(ratio)), "is a power of two")
        ties = TieRule.HALF_EVEN if rule is Arithmetic.EXACT else TieRule.HALF_UP
        return RationalAverage(zero_in, ratio.numerator, ratio.denominator, ties, zero, low, high)
    if not x.same_grid(y):
        raise refuse(profile, "AveragePool2D", "input and output on different grids", "they lie on one grid")
    return ReciprocalAverage(zero_in, zero, low, high) if rule is Arithmetic.TOSA else TruncatingAverage(low, high)


def _is_left_in_float(x: QuantParams, y: QuantParams) -> bool:
    """Whether ONNX Runtime has no pooling of codes between these types."""
    return x.signed != y.signed or max(x.bits, y.bits) > _CODE_BITS


def _summed_columns(op: AveragePool2D, shape: tuple[int, ...]) -> int:
    """Columns of the window where ONNX Runtime adds each of them up first; 0 where it goes pixel by pixel."""
    width = shape[2] + op.padding.left + op.padding.right
    by_pixel = op.by_pixel or shape[3] % _BLOCK == 0 or op.strides[1] > _WIDEST_STRIDE or width > _WIDEST_ROW
    return 0 if by_pixel else op.kernel[1]


def derive_mean(
    profile: Profile,
    count: int,
    x: QuantParams,
    y: QuantParams,
    *,
    global_pool: bool,
    in_float: bool = False,
    layout: ReductionLayout | None = None,
) -> MeanRecipe:
    """The recipe of a mean over `count` elements (MEAN, ReduceMean) or of a global average pool.

    Args:
        profile: its `reduction` rule decides.
        count: elements per mean, at least 1.
        x: the input's grid.
        y: the result's grid.
        global_pool: ONNX Runtime has an integer kernel for GlobalAveragePool (between codes of one type) and leaves
            ReduceMean in float.
        in_float: a global pool that it leaves in float whatever the types are.
        layout: of the reduction in the file, which decides the order of ReduceMean's float additions; None: all
            reduced axes last.

    Raises:
        UnsupportedByProfileError: scales that the profile cannot express.
    """
    rule, zero, low, high = profile.reduction, y.zero_point[0], (y.low,), (y.high,)
    offset = count * x.zero_point[0]
    if rule is Arithmetic.FLOAT32 and global_pool and (in_float or _is_left_in_float(x, y)):
        scales = x.scale[0], x.zero_point[0], y.scale[0]
        return FloatMean(*scales, zero, y.low, y.high, SumOrder.LANES, count)
    if rule is Arithmetic.FLOAT32 and not global_pool:
        order, row = _sum_order(layout) if layout else (SumOrder.ROWS, count)
        return FloatMean(x.scale[0], x.zero_point[0], y.scale[0], zero, y.low, y.high, order, row)
    if rule is Arithmetic.FLOAT32:
        with np.errstate(over="ignore", under="ignore"):
            scale = np.float32(x.scale[0]) / (np.float32(y.scale[0]) * np.float32(count))
        return SumRequantization(offset, FloatRequantization(zero, low, high, (float(scale),)))
    ratio = x.scale[0] / y.scale[0]
    if rule is Arithmetic.TOSA:
        return SumRequantization(offset, fixed_point_requantization(profile, rule, (ratio / count,), zero, low, high))
    if rule in (Arithmetic.FIXED_DOUBLE, Arithmetic.FIXED_SINGLE):
        return SumRequantization(offset, _tflite_mean(profile, ratio, count, y))
    exact = Fraction(x.scale[0]) / Fraction(y.scale[0])
    if rule is Arithmetic.EXACT or (rule is Arithmetic.SHIFT and is_power_of_two(exact)):
        return SumRequantization(offset, rational_requantization(rule, (exact / count,), zero, low, high))
    raise refuse(profile, "reduction arithmetic", rule.value, "computes no mean of these scales")


def _tflite_mean(profile: Profile, ratio: float, count: int, y: QuantParams) -> FixedPointRequantization:
    """TFLite reduce.cc: the multiplier of s_x / s_y, divided by the count after the largest shift that fits.

    clz is of 64 bits; the quotient truncates; the shifts are limited so that the result's own shift stays above -32.
    """
    multiplier, shift = fixed_point_multiplier(profile, profile.reduction, ratio)
    more = min(count.bit_length() - 1, 32, 31 + shift)
    rounding = fixed_point_rounding(profile, profile.reduction)
    return FixedPointRequantization(
        y.zero_point[0],
        (y.low,),
        (y.high,),
        ((multiplier << more) // count,),
        (shift - more,),
        rounding,
    )


def _sum_order(layout: ReductionLayout) -> tuple[SumOrder, int]:
    """ONNX Runtime's classes of reductions, after neighbouring axes of one kind are merged (K kept, R reduced)."""
    merged: list[tuple[bool, int]] = []
    for axis, size in enumerate(layout.shape):
        reduced = axis in layout.axes
        if merged and merged[-1][0] == reduced:
            merged[-1] = (reduced, merged[-1][1] * size)
        else:
            merged.append((reduced, size))
    pattern = "".join("R" if reduced else "K" for reduced, _ in merged)
    sizes = [size for _, size in merged]
    if pattern in ("R", "KR"):
        return SumOrder.ROWS, sizes[-1]
    if pattern == "KRK" and sizes[0] >= 2:
        return SumOrder.GROUPS, sizes[1]
    if pattern == "RKR" and sizes[1] >= 2:
        return SumOrder.ROW_BLOCKS, sizes[2]
    return SumOrder.SEQUENTIAL, prod(layout.shape[a] for a in layout.axes)
