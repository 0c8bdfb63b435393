"""Requantization recipes: derived from grids, against exact fractions and the formulas' own definitions."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numerics_draws import INT32_MAX, INT32_MIN, grids, int32s, power_of_two_grids, scales

from accel_sim.arithmetic import (
    AccumulatorKind,
    derive_requantization,
    derive_requantize,
    derive_shift,
    is_wide_accumulator,
)
from accel_sim.ir import NO_ACTIVATION, RELU, ElementType, QuantParams, RequantShift, Tensor
from accel_sim.numerics import (
    LITERT,
    ONNXRUNTIME,
    PAPER,
    POWER_OF_TWO,
    PROFILES,
    SINGLE_ROUND,
    TFLITE,
    TOSA,
    FixedPointRequantization,
    RationalRequantization,
    Rounding,
    ShiftRequantization,
    TieRule,
    UnsupportedByProfileError,
    quantize_multiplier,
)

CONVOLUTION, FULLY_CONNECTED, MATMUL = AccumulatorKind
MULTIPLIERS = [1 << 30, (1 << 30) + 1, 0x4CCCCCCD, 0x55555555, 0x60000001, 0x7654321F, INT32_MAX - 1, INT32_MAX]
WEIGHTS = scales(-9, -3).map(QuantParams.per_tensor)


def one(recipe, accumulator):
    return int(recipe.apply(accumulator))


def clamped(value, q):
    return min(max(value + q.zero_point[0], q.low), q.high)


@given(int32s(), grids(), WEIGHTS, grids())
def test_paper_is_one_rounding_of_the_exact_scale(acc, x, w, y):
    exact = acc * Fraction(x.scale[0]) * Fraction(w.scale[0]) / Fraction(y.scale[0])
    assert one(derive_requantization(PAPER, CONVOLUTION, x, w, y), acc) == clamped(round(exact), y)


@given(int32s(), power_of_two_grids(), st.integers(-9, 0), power_of_two_grids())
def test_power_of_two_is_one_rounding_shift(acc, x, k, y):
    w = QuantParams.per_tensor(2.0**k)
    exact = acc * Fraction(x.scale[0]) * Fraction(w.scale[0]) / Fraction(y.scale[0])
    rounded = math.floor(exact + Fraction(1, 2))
    assert one(derive_requantization(POWER_OF_TWO, CONVOLUTION, x, w, y), acc) == clamped(rounded, y)


@given(int32s(), grids(), WEIGHTS, grids())
def test_tosa_is_one_rounding_of_its_multiplier_and_a_saturating_sum(acc, x, w, y):
    multiplier, shift = quantize_multiplier(x.scale[0] * w.scale[0] / y.scale[0])
    rounded = math.floor(acc * multiplier * Fraction(2) ** (shift - 31) + Fraction(1, 2))
    if INT32_MIN <= rounded <= INT32_MAX:  # the specification demands it
        assert one(derive_requantization(TOSA, CONVOLUTION, x, w, y), acc) == clamped(rounded, y)


@given(grids(), WEIGHTS, grids())
def test_where_each_kernel_rounds_the_scale(x, w, y):
    """TFLite: double products for int8 convolutions; float32 first for uint8, FULLY_CONNECTED and BATCH_MATMUL."""
    in_double = quantize_multiplier(x.scale[0] * w.scale[0] / y.scale[0])
    in_float32 = quantize_multiplier(float(np.float32(x.scale[0]) * np.float32(w.scale[0])) / y.scale[0])
    for kind, expected in (
        (CONVOLUTION, in_double if x.signed else in_float32),
        (FULLY_CONNECTED, in_float32),
        (MATMUL, in_float32),
    ):
        recipe = derive_requantization(TFLITE, kind, x, w, y)
        assert (recipe.multiplier[0], recipe.shift[0]) == expected


@pytest.mark.parametrize("profile", [p for p in PROFILES.values() if p is not POWER_OF_TWO], ids=lambda p: p.name)
@given(st.lists(int32s(), min_size=3, max_size=3), st.tuples(*[scales(-9, -3)] * 3), grids(), grids())
def test_channels_are_independent_and_int64_is_exact(profile, accumulators, weights, x, y):
    """Three channels give what three recipes of one channel give, on Python integers and on int64 arrays."""
    together = derive_requantization(profile, CONVOLUTION, x, QuantParams.per_channel(weights, axis=0), y)
    values = np.array([accumulators], object)
    single = [
        one(derive_requantization(profile, CONVOLUTION, x, QuantParams.per_channel([w], axis=0), y), acc)
        for w, acc in zip(weights, accumulators, strict=True)
    ]
    assert together.apply(values)[0].tolist() == single
    machine = together.apply(values.astype(np.int64))
    assert machine.dtype == np.int64
    assert machine[0].tolist() == single


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda p: p.name)
def test_codes_grow_with_accumulators_and_stay_on_the_grid(profile):
    x, w, y = (QuantParams.per_tensor(2.0**-k, z) for k, z in ((5, -3), (7, 0), (3, 10)))
    codes = derive_requantization(profile, CONVOLUTION, x, w, y, RELU).apply(np.arange(-200_000, 200_000, 37))
    assert (np.diff(codes) >= 0).all()
    assert codes[0] == 10
    assert codes[-1] == 127


@pytest.mark.parametrize("profile", [TFLITE, LITERT, SINGLE_ROUND, TOSA], ids=lambda p: p.name)
def test_wide_accumulators_use_the_16_bit_multiplier(profile):
    x, w, y = (QuantParams.per_tensor(float(np.float32(s)), bits=b) for s, b in ((0.001, 16), (0.01, 8), (0.002, 16)))
    recipe = derive_requantization(profile, CONVOLUTION, x, w, y, wide_accumulator=True)
    assert recipe.rounding is Rounding.SINGLE_16BIT
    scale = x.scale[0] * w.scale[0] / y.scale[0]
    accumulators = np.array([-(1 << 40), -123_456, 0, 1_000_001, 1 << 40])
    expected = np.clip(accumulators * scale, -32768, 32767)
    np.testing.assert_allclose(recipe.apply(accumulators), expected, rtol=2.0**-14, atol=1)


def test_who_accumulates_wide():
    int16, int8 = QuantParams.per_tensor(1.0, bits=16), QuantParams.per_tensor(1.0)
    assert is_wide_accumulator(int16, ElementType.INT64)
    assert is_wide_accumulator(int16, None)
    assert not is_wide_accumulator(int16, ElementType.INT32)
    assert not is_wide_accumulator(int8, None)


@given(st.integers(-255, 255), grids(), grids())
def test_requantizing_codes(value, x, y):
    exact = value * Fraction(x.scale[0]) / Fraction(y.scale[0])
    assert one(derive_requantize(PAPER, x, y), value) == clamped(round(exact), y)
    real = np.float32(np.float32(value) * np.float32(x.scale[0])) / np.float32(y.scale[0])
    assert one(derive_requantize(ONNXRUNTIME, x, y), value) == clamped(round(Fraction(float(real))), y)


def test_the_sum_with_the_zero_point_wraps_in_tflite_and_saturates_in_tosa():
    x, w, y = QuantParams.per_tensor(1 - 2.0**-30), QuantParams.per_tensor(1.0), QuantParams.per_tensor(1.0, 127)
    assert one(derive_requantization(TFLITE, CONVOLUTION, x, w, y), INT32_MAX) == -128
    assert one(derive_requantization(TOSA, CONVOLUTION, x, w, y), INT32_MAX) == 127


def test_an_explicit_shift_floors_after_its_addend():
    y = Tensor("y", (2,), ElementType.UINT8)
    recipe = derive_shift(RequantShift((3, -5), (8, 9), 4), y)
    accumulators = np.array([[100, 100], [-7, -7]])
    assert recipe.apply(accumulators).tolist() == [[(300 + 8) >> 4, 0], [0, (35 + 9) >> 4]]
    assert (recipe.low, recipe.high) == ((0,), (255,))


def test_shifts_of_channels_are_brought_together():
    """Channels of different power-of-two scales share one shift; each still rounds once, half up."""
    x, y = QuantParams.per_tensor(0.5), QuantParams.per_tensor(1.0)
    w = QuantParams.per_channel([2.0**-3, 2.0**-6, 2.0**2], axis=0)
    recipe = derive_requantization(POWER_OF_TWO, CONVOLUTION, x, w, y, NO_ACTIVATION)
    assert isinstance(recipe, ShiftRequantization)
    assert recipe.shift == 7
    for acc in range(-50, 51):
        expected = [math.floor(Fraction(acc) * Fraction(s) / 2 + Fraction(1, 2)) for s in w.scale]
        assert recipe.apply(np.array([[acc] * 3])).tolist()[0] == [min(max(e, -128), 127) for e in expected]


@pytest.mark.parametrize(
    ("profile", "scale"), [(POWER_OF_TWO, 0.3), (TFLITE, 2.0**33), (TOSA, 2.0**30)], ids=lambda v: getattr(v, "name", v)
)
def test_scales_that_a_profile_cannot_express_are_refused(profile, scale):
    unit = QuantParams.per_tensor(1.0)
    with pytest.raises(UnsupportedByProfileError, match=profile.name):
        derive_requantization(profile, CONVOLUTION, QuantParams.per_tensor(scale), unit, unit)


@pytest.mark.slow
@pytest.mark.parametrize("rounding", [Rounding.DOUBLE, Rounding.SINGLE])
@pytest.mark.parametrize("multiplier", MULTIPLIERS)
def test_int64_arithmetic_over_a_million_accumulators(rounding, multiplier):
    """The int64 path against Python integers, all over the int32 range."""
    accumulators = np.concatenate(
        [np.arange(INT32_MIN, INT32_MAX, 4099), [INT32_MIN, INT32_MIN + 1, -1, 0, 1, INT32_MAX]]
    )
    for shift in (-31, -17, -1, 0):
        recipe = FixedPointRequantization(-5, (INT32_MIN,), (INT32_MAX,), (multiplier,), (shift,), rounding)
        assert np.array_equal(recipe.apply(accumulators), recipe.apply(accumulators.astype(object)).astype(np.int64))


def test_exact_limits_are_honoured():
    """Beyond its limit a recipe leaves int64 by itself, so that no product overflows."""
    huge = RationalRequantization(0, (-128,), (127,), (1 << 60,), (1 << 62,), TieRule.HALF_UP)
    assert huge.exact_limit < 100
    assert huge.apply(np.array([-398, 2, 6, 10])).tolist() == [-99, 1, 2, 3]
    shift = ShiftRequantization(0, (-128,), (127,), (1 << 40,), (0,), 40)
    assert shift.apply(np.array([1 << 30, -5])).tolist() == [127, -5]
