"""Real scales as multiplier and shift."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from numerics_draws import INT32_MAX, often

from accel_sim.numerics import (
    quantize_multiplier,
    single_round_multiplier,
    tosa_multiplier,
    tosa_multiplier_16,
)

REALS = often(st.integers(-28, 28).map(lambda k: 2.0**k), st.floats(-28, 28).map(lambda e: 2.0**e))


@given(REALS)
def test_the_multiplier_is_the_nearest_of_31_bits(real):
    multiplier, shift = quantize_multiplier(real)
    assert 1 << 30 <= multiplier <= INT32_MAX
    unit = Fraction(2) ** (shift - 31)
    assert abs(multiplier * unit - Fraction(real)) <= unit / 2


@given(REALS)
def test_tosa_agrees_within_its_range(real):
    assert tosa_multiplier(real) == quantize_multiplier(real)
    multiplier, shift = tosa_multiplier_16(real)
    assert multiplier % (1 << 16) == 0
    assert 1 << 14 <= multiplier >> 16 < 1 << 15
    unit = Fraction(2) ** (shift - 15)
    assert abs((multiplier >> 16) * unit - Fraction(real)) <= unit / 2


@pytest.mark.parametrize(
    ("real", "expected"),
    [
        (0.0, (0, 0)),
        (1.0, (1 << 30, 1)),
        (0.5, (1 << 30, 0)),
        (1 - 2.0**-40, (1 << 30, 1)),  # rounds up to 2^31, which is halved
        (2.0**-32, (1 << 30, -31)),
        (2.0**-33, (0, 0)),  # too small for a shift: every result is 0
        (-0.75, (-(3 << 29), 0)),
    ],
)
def test_edges_of_the_multiplier(real, expected):
    assert quantize_multiplier(real) == expected


def test_single_rounding_has_no_shift_above_30():
    assert single_round_multiplier(2.0**30) == (INT32_MAX, 30)
    assert single_round_multiplier(2.0**29) == (1 << 30, 30)


def test_tosa_gives_up_bits_below_its_smallest_scale():
    assert tosa_multiplier(2.0**-40) == ((1 << 30) >> 8, -31)
    assert tosa_multiplier(2.0**-80) == (0, -31)
