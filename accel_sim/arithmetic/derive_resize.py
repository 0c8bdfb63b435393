"""Recipes of resizing: source indices of nearest neighbour, indices and weights of bilinear.

Two families of coordinates. A scale of 0.0 in the operator means the ratio of the shapes as TFLite computes it, output
index times f32(in / out); any other scale is ONNX Resize's (opset 11 to 19), output index divided by the scale, and so
are the conventions that TFLite does not have, at scale f32(out / in). Both in float32, one rounding per operation.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from math import lcm

import numpy as np

from accel_sim.arithmetic.derive_requantization import fixed_point_requantization, rational_requantization
from accel_sim.ir import CoordinateMode, NearestRounding, QuantParams, ResizeBilinear, ResizeNearest
from accel_sim.numerics.floats import round_half_away_scalar
from accel_sim.numerics.profiles import Arithmetic, Profile, refuse
from accel_sim.numerics.requantization import Requantization
from accel_sim.numerics.resize import (
    BilinearRecipe,
    FixedPointBilinear,
    FloatBilinear,
    InterpolationAxis,
    RawFloatBilinear,
    RescaledBilinear,
)

_F = np.float32
_UNIT = 1 << 10  # of TFLite's fixed-point weights
_TFLITE_NEAREST = {
    (CoordinateMode.ASYMMETRIC, NearestRounding.FLOOR),
    (CoordinateMode.HALF_PIXEL, NearestRounding.ROUND_PREFER_CEIL),
    (CoordinateMode.ALIGN_CORNERS, NearestRounding.ROUND_PREFER_CEIL),
}


def nearest_indices(
    op: ResizeNearest, in_hw: tuple[int, int], out_hw: tuple[int, int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(rows, columns): the source index of every output index (TFLite RESIZE_NEAREST_NEIGHBOR, ONNX Resize nearest)."""
    rows = tuple(_nearest(op, i, in_hw[0], out_hw[0], op.scale_y) for i in range(out_hw[0]))
    return rows, tuple(_nearest(op, i, in_hw[1], out_hw[1], op.scale_x) for i in range(out_hw[1]))


def derive_bilinear(
    profile: Profile,
    op: ResizeBilinear,
    in_hw: tuple[int, int],
    out_hw: tuple[int, int],
    x: QuantParams,
    y: QuantParams,
) -> BilinearRecipe:
    """The recipe of bilinear resizing.

    TFLite interpolates codes: x and y lie on one grid (`needs_equal_grids`), int8 and int16 with 10-bit weights, uint8
    in float32. ONNX Runtime dequantizes. TOSA's RESIZE and the paper interpolate exactly with rational weights.

    Raises:
        UnsupportedByProfileError: different grids where the profile needs one; scales it cannot express.
    """
    rule = profile.resize
    sizes = ((in_hw[0], out_hw[0], op.scale_y), (in_hw[1], out_hw[1], op.scale_x))
    if rule is Arithmetic.FLOAT32:
        row, column = (_float_axis(op.coordinates, *size) for size in sizes)
        return FloatBilinear(row, column, x.scale[0], x.zero_point[0], y.scale[0], y.zero_point[0], y.low, y.high)
    if rule in (Arithmetic.FIXED_DOUBLE, Arithmetic.FIXED_SINGLE):
        if not x.same_grid(y):
            raise refuse(profile, "ResizeBilinear", "input and output on different grids", "they lie on one grid")
        if x.signed:
            row, column = (_fixed_point_axis(op.coordinates, *size) for size in sizes)
            return FixedPointBilinear(row, column, x.bits, x.signed)
        row, column = (_tflite_float_axis(op.coordinates, *size) for size in sizes)
        return RawFloatBilinear(row, column)
    return _exact(profile, op, sizes, x, y)


Size = tuple[int, int, float]
"""(input extent, output extent, scale or 0.0) of one axis."""


def _exact(
    profile: Profile, op: ResizeBilinear, sizes: tuple[Size, Size], x: QuantParams, y: QuantParams
) -> RescaledBilinear:
    (row, y_unit), (column, x_unit) = (_rational_axis(op.coordinates, *size) for size in sizes)
    rule, zero, low, high = profile.resize, y.zero_point[0], (y.low,), (y.high,)
    exact = Fraction(x.scale[0]) / Fraction(y.scale[0]) / (y_unit * x_unit)
    output: Requantization
    if rule in (Arithmetic.EXACT, Arithmetic.SHIFT):
        output = rational_requantization(rule, (exact,), zero, low, high)
    elif rule is Arithmetic.TOSA:
        output = fixed_point_requantization(profile, rule, (float(exact),), zero, low, high)
    else:
        raise refuse(profile, "resize arithmetic", rule.value, "computes no bilinear resizing")
    return RescaledBilinear(row, column, y_unit, x_unit, x.zero_point[0], output)


def _coordinate(mode: CoordinateMode, i: int, extent: int, size: int, scale: float) -> np.float32:
    """The input coordinate of output index i in ONNX Runtime's float32 arithmetic."""
    s = _F(scale) if scale else _F(size) / _F(extent)
    if s == 1:
        return _F(i)
    if mode is CoordinateMode.ALIGN_CORNERS:
        return _F(0) if size == 1 else _F(i) * _F(extent - 1) / _F(size - 1)
    if mode is CoordinateMode.ASYMMETRIC:
        return _F(i) / s
    if mode is CoordinateMode.PYTORCH_HALF_PIXEL and size == 1:
        return _F(0)
    return (_F(i) + _F(0.5)) / s - _F(0.5)


def _tflite_scale(mode: CoordinateMode, extent: int, size: int) -> np.float32:
    """Input over output extent in TFLite's float32 arithmetic."""
    if mode is CoordinateMode.ALIGN_CORNERS and size > 1:
        return _F(extent - 1) / _F(size - 1)
    return _F(extent) / _F(size)


def _nearest(op: ResizeNearest, i: int, extent: int, size: int, scale: float) -> int:
    if scale or (op.coordinates, op.rounding) not in _TFLITE_NEAREST:
        index = _rounded(float(_coordinate(op.coordinates, i, extent, size, scale)), op.rounding)
        return min(max(index, 0), extent - 1)
    # TFLite folds the half pixel's -0.5 into the rounding: floor(v + 0.5 * scale) where v is i * scale.
    half = _F(0.5) if op.coordinates is CoordinateMode.HALF_PIXEL else _F(0)
    v = float((_F(i) + half) * _tflite_scale(op.coordinates, extent, size))
    index = round_half_away_scalar(v) if op.coordinates is CoordinateMode.ALIGN_CORNERS else math.floor(v)
    return min(max(index, 0), extent - 1)


_TIE_TOLERANCE = 1e-6
"""ONNX Runtime 1.32 takes a float32 coordinate this close to a half for the half that it would be without rounding."""


def _rounded(v: float, rounding: NearestRounding) -> int:
    if rounding is NearestRounding.FLOOR:
        return math.floor(v)
    if rounding is NearestRounding.CEIL:
        return math.ceil(v)
    if abs(abs(v - math.trunc(v)) - 0.5) <= _TIE_TOLERANCE:
        return math.floor(v) if rounding is NearestRounding.ROUND_PREFER_FLOOR else math.ceil(v)
    return round_half_away_scalar(v)


def _axis(points: Sequence[tuple[int, int, float]]) -> InterpolationAxis:
    return InterpolationAxis(*(tuple(column) for column in zip(*points, strict=True)))


def _float_axis(mode: CoordinateMode, extent: int, size: int, scale: float) -> InterpolationAxis:
    """ONNX Runtime: the coordinate clamped to the image; 0.5 where both source indices are the same."""
    points = []
    for i in range(size):
        v = min(max(_coordinate(mode, i, extent, size, scale), _F(0)), _F(extent - 1))
        lower = min(int(v), extent - 1)
        upper = min(lower + 1, extent - 1)
        points.append((lower, upper, 0.5 if lower == upper else float(v - _F(lower))))
    return _axis(points)


def _tflite_float_axis(mode: CoordinateMode, extent: int, size: int, scale: float) -> InterpolationAxis:
    """TFLite uint8: float32 coordinates, not clamped."""
    ratio = _tflite_scale(mode, extent, size) if _is_ratio(extent, size, scale) else _F(1) / _F(scale)
    points = []
    for i in range(size):
        v = (_F(i) + _F(0.5)) * ratio - _F(0.5) if _is_half_pixel(mode, size) else _F(i) * ratio
        lower, upper = max(math.floor(v), 0), min(math.ceil(v), extent - 1)
        points.append((lower, upper, float(v - _F(lower))))
    return _axis(points)


def _fixed_point_axis(mode: CoordinateMode, extent: int, size: int, scale: float) -> InterpolationAxis:
    """TFLite int8, int16: coordinates and scale in units of 2^-10, C's divisions."""
    is_ratio = _is_ratio(extent, size, scale)
    ratio = (_UNIT * extent + size // 2) // size if is_ratio else math.floor(_UNIT / scale + 0.5)
    if mode is CoordinateMode.ALIGN_CORNERS and size > 1:
        ratio = (_UNIT * (extent - 1) + (size - 1) // 2) // (size - 1)
    points = []
    for i in range(size):
        v = i * ratio + (ratio // 2 - _UNIT // 2 if _is_half_pixel(mode, size) else 0)
        lower = max(int(v / _UNIT), 0)
        upper = min(int((v + _UNIT - 1) / _UNIT), extent - 1)
        points.append((lower, upper, v - _UNIT * lower))
    return _axis(points)


def _rational_axis(mode: CoordinateMode, extent: int, size: int, scale: float) -> tuple[InterpolationAxis, int]:
    """Exact coordinates, clamped to the image; weights as integers of the second result."""
    step = Fraction(extent, size) if _is_ratio(extent, size, scale) else 1 / Fraction(scale)
    if mode is CoordinateMode.ALIGN_CORNERS:
        step = Fraction(extent - 1, size - 1) if size > 1 else Fraction(0)
    shift = (step - 1) / 2 if _is_half_pixel(mode, size) else Fraction(0)
    exact = [min(max(i * step + shift, Fraction(0)), Fraction(extent - 1)) for i in range(size)]
    unit = lcm(*(v.denominator for v in exact))
    points = [(int(v), min(int(v) + 1, extent - 1), int((v - int(v)) * unit)) for v in exact]
    return _axis(points), unit


def _is_ratio(extent: int, size: int, scale: float) -> bool:
    """Whether a scale is the ratio of the extents, stated or not."""
    return not scale or bool(_F(scale) == _F(size) / _F(extent))


def _is_half_pixel(mode: CoordinateMode, size: int) -> bool:
    """Whether pixels are points at their centres; PyTorch's variant has one output pixel at the corner."""
    return mode is CoordinateMode.HALF_PIXEL or (mode is CoordinateMode.PYTORCH_HALF_PIXEL and size > 1)
