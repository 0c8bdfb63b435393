"""Average pooling and means, in every profile."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numerics_draws import grids

from accel_sim.arithmetic import ReductionLayout, derive_average_pool, derive_mean, needs_equal_grids
from accel_sim.ir import RELU, AveragePool2D, QuantParams
from accel_sim.numerics import (
    ONNXRUNTIME,
    PAPER,
    POWER_OF_TWO,
    PROFILES,
    TFLITE,
    TOSA,
    FloatMean,
    SumOrder,
    UnsupportedByProfileError,
)

POOL = AveragePool2D((2, 2))
IMAGE = (1, 4, 4, 3)
CODES = st.lists(st.integers(-128, 127), min_size=1, max_size=9)


def average(profile, x, y, codes, op=POOL):
    recipe = derive_average_pool(profile, op, x, y, IMAGE)
    return int(recipe.apply(np.array([codes]), np.array([len(codes)]))[0])


def mean(profile, x, y, codes, *, global_pool=False):
    recipe = derive_mean(profile, len(codes), x, y, global_pool=global_pool)
    return int(recipe.apply(np.array([codes]))[0])


@given(CODES)
def test_tflite_averages_codes_half_away_from_zero(codes):
    """C's (sum > 0 ? sum + n/2 : sum - n/2) / n."""
    q, total, n = QuantParams.per_tensor(0.5, 3), sum(codes), len(codes)
    assert average(TFLITE, q, q, codes) == int((total + n // 2) / n if total > 0 else (total - n // 2) / n)


@given(CODES)
def test_tosa_equals_tflite_where_the_zero_point_is_zero_but_for_negative_ties(codes):
    q, exact = QuantParams.per_tensor(0.5), Fraction(sum(codes), len(codes))
    if exact < 0 and exact % 1 == Fraction(1, 2):
        return
    assert average(TOSA, q, q, codes) == average(TFLITE, q, q, codes)


@given(CODES, grids(signed=True), grids(signed=True))
def test_paper_rounds_the_exact_mean_half_to_even(codes, x, y):
    exact = Fraction(x.scale[0]) * Fraction(sum(c - x.zero_point[0] for c in codes), len(codes)) / Fraction(y.scale[0])
    expected = min(max(round(exact) + y.zero_point[0], -128), 127)
    assert average(PAPER, x, y, codes) == expected
    assert mean(PAPER, x, y, codes) == expected


@given(CODES)
def test_power_of_two_rounds_the_exact_mean_half_up(codes):
    x, y = QuantParams.per_tensor(0.25, 7), QuantParams.per_tensor(0.5, -3)
    exact = Fraction(sum(c - 7 for c in codes), len(codes)) / 2
    expected = min(max(math.floor(exact + Fraction(1, 2)) - 3, -128), 127)
    assert average(POWER_OF_TWO, x, y, codes) == expected
    assert mean(POWER_OF_TWO, x, y, codes) == expected


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda p: p.name)
@given(CODES)
def test_every_profile_is_near_the_mean(profile, codes):
    x, y = QuantParams.per_tensor(2.0**-4, 9), QuantParams.per_tensor(2.0**-5, -20)
    exact = np.clip((np.mean(codes) - 9) * 2 - 20, -128, 127)
    assert abs(mean(profile, x, y, codes) - exact) <= 0.75
    assert abs(mean(profile, x, y, codes, global_pool=True) - exact) <= 0.75
    assert abs(average(profile, x, x, codes) - np.mean(codes)) <= 0.5 + 1e-6


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda p: p.name)
def test_averages_count_only_valid_elements_and_clamp(profile):
    q = QuantParams.per_tensor(0.5, -5)
    recipe = derive_average_pool(profile, AveragePool2D((2, 2), activation=RELU), q, q, IMAGE)
    window, count = np.array([[10, 20, 0, 0], [-100, -50, -60, -70]]), np.array([2, 4])
    assert recipe.apply(window, count).tolist() == [15, -5]
    assert recipe.apply(window.astype(object), count.astype(object)).tolist() == [15, -5]


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda p: p.name)
def test_profiles_that_average_codes_say_so(profile):
    x, y = QuantParams.per_tensor(0.5), QuantParams.per_tensor(0.25)
    if needs_equal_grids(profile, POOL):
        with pytest.raises(UnsupportedByProfileError, match="one grid"):
            derive_average_pool(profile, POOL, x, y, IMAGE)
    else:
        derive_average_pool(profile, POOL, x, y, IMAGE)


@pytest.mark.parametrize(
    ("shape", "axes", "order", "row"),
    [
        ((2, 3, 4, 5), (2, 3), SumOrder.ROWS, 20),
        ((2, 3), (0, 1), SumOrder.ROWS, 6),
        ((6, 5), (0,), SumOrder.SEQUENTIAL, 6),
        ((2, 3, 4), (1,), SumOrder.GROUPS, 3),
        ((1, 3, 4), (1,), SumOrder.SEQUENTIAL, 3),
        ((2, 3, 4), (0, 2), SumOrder.ROW_BLOCKS, 4),
        ((2, 1, 4), (0, 2), SumOrder.SEQUENTIAL, 8),
        ((2, 3, 4, 5), (0, 2), SumOrder.SEQUENTIAL, 8),
    ],
)
def test_the_order_of_float_additions_follows_from_the_layout(shape, axes, order, row):
    q = QuantParams.per_tensor(0.1)
    count = int(np.prod([shape[a] for a in axes]))
    recipe = derive_mean(ONNXRUNTIME, count, q, q, global_pool=False, layout=ReductionLayout(shape, axes))
    assert isinstance(recipe, FloatMean)
    assert (recipe.order, recipe.row) == (order, row)


@pytest.mark.parametrize("order", SumOrder)
def test_every_order_adds_every_element_once(order):
    """Powers of two are added exactly in any order."""
    q = QuantParams.per_tensor(1.0, bits=16)
    for count in (1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 24):
        row = count // 2 if order is SumOrder.ROW_BLOCKS and count % 2 == 0 else count
        recipe = FloatMean(1.0, 0, 2.0**-4, 0, q.low, q.high, order, row)
        codes = np.random.default_rng(count).integers(-50, 50, (3, count))
        assert recipe.apply(codes).tolist() == np.rint(codes.mean(axis=1, dtype=np.float32) * 16).tolist()
