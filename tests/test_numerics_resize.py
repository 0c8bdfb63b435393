"""Resizing: indices against the conventions' own definitions, interpolation near the real function."""

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from accel_sim.arithmetic import derive_bilinear, nearest_indices, needs_equal_grids
from accel_sim.ir import CoordinateMode, NearestRounding, QuantParams, ResizeBilinear, ResizeNearest
from accel_sim.numerics import PAPER, PROFILES, TOSA, RescaledBilinear, UnsupportedByProfileError

Q = QuantParams.per_tensor(2.0**-3, 5)
SIZES = [((4, 4), (8, 8)), ((3, 5), (7, 11)), ((7, 6), (3, 2)), ((1, 4), (5, 1)), ((5, 5), (5, 5))]


def coordinate(mode, i, extent, size):
    """The exact input coordinate."""
    match mode:
        case CoordinateMode.ALIGN_CORNERS:
            return Fraction(i * (extent - 1), size - 1) if size > 1 else Fraction(0)
        case CoordinateMode.ASYMMETRIC:
            return Fraction(i * extent, size)
        case CoordinateMode.PYTORCH_HALF_PIXEL if size == 1:
            return Fraction(0)
    return (i + Fraction(1, 2)) * Fraction(extent, size) - Fraction(1, 2)


def rounded(v, rounding):
    match rounding:
        case NearestRounding.FLOOR:
            return math.floor(v)
        case NearestRounding.CEIL:
            return math.ceil(v)
        case NearestRounding.ROUND_PREFER_FLOOR:
            return math.ceil(v - Fraction(1, 2))
    return math.floor(v + Fraction(1, 2))


@pytest.mark.parametrize("stated", [False, True])
@pytest.mark.parametrize(("mode", "rounding"), list(product(CoordinateMode, NearestRounding)), ids=lambda v: v.value)
def test_nearest_indices_of_exact_ratios(mode, rounding, stated):
    """Ratios that float32 holds: the exact coordinate decides, in both families of arithmetic."""
    for extent, size in ((4, 8), (8, 4), (3, 12), (6, 3), (5, 5), (1, 4), (4, 1)):
        scale = size / extent if stated else 0.0
        rows, columns = nearest_indices(ResizeNearest(mode, rounding, scale, scale), (extent,) * 2, (size,) * 2)
        exact = [coordinate(mode, i, extent, size) for i in range(size)]
        if any(v.denominator & (v.denominator - 1) for v in exact):
            continue  # a coordinate that float32 rounds
        expected = [min(max(rounded(v, rounding), 0), extent - 1) for v in exact]
        assert list(rows) == list(columns) == expected


def exact_bilinear(image, mode, out_hw):
    """Bilinear interpolation of one channel in exact fractions, coordinates clamped to the image."""
    height, width = image.shape
    result = np.empty(out_hw, object)
    for i, j in np.ndindex(*out_hw):
        y = min(max(coordinate(mode, i, height, out_hw[0]), Fraction(0)), Fraction(height - 1))
        x = min(max(coordinate(mode, j, width, out_hw[1]), Fraction(0)), Fraction(width - 1))
        y0, x0 = int(y), int(x)
        y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
        top = image[y0, x0] * (1 - x + x0) + image[y0, x1] * (x - x0)
        bottom = image[y1, x0] * (1 - x + x0) + image[y1, x1] * (x - x0)
        result[i, j] = top * (1 - y + y0) + bottom * (y - y0)
    return result


@pytest.mark.parametrize("mode", CoordinateMode, ids=lambda m: m.value)
@pytest.mark.parametrize(("in_hw", "out_hw"), SIZES)
def test_paper_interpolates_exactly_and_rounds_half_to_even(mode, in_hw, out_hw):
    codes = np.random.default_rng(1).integers(-128, 128, (1, *in_hw, 1))
    y = QuantParams.per_tensor(2.0**-4, -7)
    made = derive_bilinear(PAPER, ResizeBilinear(mode), in_hw, out_hw, Q, y).apply(codes)
    exact = exact_bilinear(codes[0, :, :, 0] - 5, mode, out_hw) * 2
    expected = [[min(max(round(v) - 7, -128), 127) for v in row] for row in exact]
    assert made[0, :, :, 0].tolist() == expected


@pytest.mark.parametrize("mode", CoordinateMode, ids=lambda m: m.value)
@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda p: p.name)
def test_every_profile_is_within_a_code_of_exact_interpolation(profile, signed, mode):
    q = QuantParams.per_tensor(2.0**-3, 5, signed=signed)
    for in_hw, out_hw in SIZES:
        codes = np.random.default_rng(2).integers(q.low, q.high + 1, (1, *in_hw, 1))
        op = ResizeBilinear(mode)
        made = derive_bilinear(profile, op, in_hw, out_hw, q, q).apply(codes)
        exact = exact_bilinear(codes[0, :, :, 0], mode, out_hw).astype(float)
        # TFLite's step between pixels has ten bits: its error grows with the index.
        slack = 255 * max(out_hw) / 1024 if needs_equal_grids(profile, op) else 0
        assert np.abs(made[0, :, :, 0] - exact).max() <= 0.5 + slack + 1e-4


def test_tosa_rescales_the_exact_sum_once_half_up():
    codes, q = np.array([[[[0], [1]]]]), QuantParams.per_tensor(0.5, 4)
    op = ResizeBilinear(CoordinateMode.ALIGN_CORNERS)
    recipe = derive_bilinear(TOSA, op, (1, 2), (1, 3), q, q)
    assert isinstance(recipe, RescaledBilinear)
    assert recipe.apply(codes).ravel().tolist() == [0, 1, 1]
    assert derive_bilinear(PAPER, op, (1, 2), (1, 3), q, q).apply(codes).ravel().tolist() == [0, 0, 1]


def test_python_integers_give_what_int64_arrays_give():
    codes = np.random.default_rng(4).integers(-128, 128, (2, 3, 4, 2))
    for profile in PROFILES.values():
        recipe = derive_bilinear(profile, ResizeBilinear(CoordinateMode.HALF_PIXEL), (3, 4), (5, 7), Q, Q)
        assert recipe.apply(codes).tolist() == recipe.apply(codes.astype(object)).tolist()


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda p: p.name)
def test_profiles_that_interpolate_codes_say_so(profile):
    other = QuantParams.per_tensor(2.0**-2)
    op = ResizeBilinear()
    if needs_equal_grids(profile, op):
        with pytest.raises(UnsupportedByProfileError, match="one grid"):
            derive_bilinear(profile, op, (2, 2), (4, 4), Q, other)
    else:
        derive_bilinear(profile, op, (2, 2), (4, 4), Q, other)
