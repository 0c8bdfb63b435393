"""The integer primitives: each against a definition that is not ours, and against each other."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numerics_draws import INT32_MAX, INT32_MIN, int32s, often

from accel_sim.numerics import integers as I  # noqa: N812 - every function of the module is under test

MULTIPLIERS = often(st.sampled_from((1 << 30, INT32_MAX, (1 << 30) + 1)), st.integers(1 << 30, INT32_MAX))
SHIFTS = st.integers(-31, 20)


def nearest(value, tie):
    """A fraction rounded to the nearest integer, exact halves as `tie(lower, upper)` says."""
    lower = math.floor(value)
    rest = value - lower
    if rest == Fraction(1, 2):
        return tie(lower, lower + 1)
    return lower + (rest > Fraction(1, 2))


def up(_, upper):
    return upper


def away(lower, upper):
    return upper if lower >= 0 else lower


def even(lower, upper):
    return lower if lower % 2 == 0 else upper


@pytest.mark.parametrize(
    ("divide", "tie"), [(I.divide_half_even, even), (I.divide_half_away, away), (I.divide_half_up, up)]
)
def test_divisions_round_as_their_names_say(divide, tie):
    for a in range(-60, 61):
        for b in range(1, 13):
            assert divide(a, b) == nearest(Fraction(a, b), tie), (a, b)


def test_truncating_division_is_towards_zero():
    for a in range(-40, 41):
        for b in range(1, 9):
            assert I.divide_truncating(a, b) == int(a / b)


def test_saturating_rounding_doubling_high_mul_of_all_bytes():
    """8-bit arithmetic has the same rule as 32-bit: every pair of int8 values."""
    for a in range(-128, 128):
        for b in range(-128, 128):
            expected = 127 if a == b == -128 else nearest(Fraction(a * b, 128), up)
            assert I.saturating_rounding_doubling_high_mul(a, b, 8) == expected


def test_rounding_divide_by_power_of_two_breaks_ties_away_from_zero():
    for x in range(-300, 301):
        for exponent in range(8):
            assert I.rounding_divide_by_power_of_two(x, exponent) == nearest(Fraction(x, 1 << exponent), away)


@given(st.integers(-(1 << 40), 1 << 40), st.integers(2, 33))
def test_wrap_is_congruent_and_in_range(x, bits):
    wrapped = I.wrap(x, bits)
    assert -(1 << (bits - 1)) <= wrapped < 1 << (bits - 1)
    assert (wrapped - x) % (1 << bits) == 0


@given(st.integers(-(1 << 40), 1 << 40), st.integers(2, 33))
def test_saturate_is_the_nearest_value_in_range(x, bits):
    assert I.saturate(x, bits) == max(min(x, (1 << (bits - 1)) - 1), -(1 << (bits - 1)))


@given(int32s(), MULTIPLIERS, SHIFTS)
def test_single_rounding_is_one_rounding_of_the_exact_product(x, multiplier, shift):
    exact = Fraction(x * multiplier) * Fraction(2) ** (shift - 31)
    assert I.multiply_single_round(x, multiplier, shift) == nearest(exact, up)


@given(int32s(), MULTIPLIERS, st.integers(-31, 0))
def test_double_rounding_is_two_roundings_of_the_exact_product(x, multiplier, shift):
    first = nearest(Fraction(x * multiplier, 1 << 31), up)
    assert I.multiply_double_round(x, multiplier, shift) == nearest(Fraction(first, 1 << -shift), away)


@given(int32s(), MULTIPLIERS, st.integers(1, 31))
def test_a_left_shift_wraps_before_the_product(x, multiplier, shift):
    shifted = (x << shift) % (1 << 32)
    shifted -= (1 << 32) if shifted >= 1 << 31 else 0
    assert I.multiply_double_round(x, multiplier, shift) == nearest(Fraction(shifted * multiplier, 1 << 31), up)


@given(st.integers(-(1 << 47), 1 << 47), st.integers(1 << 30, INT32_MAX), st.integers(-31, 7))
def test_the_16_bit_multiplier_is_the_high_half_rounded(x, multiplier, shift):
    reduced = min(nearest(Fraction(multiplier, 1 << 16), up), 0x7FFF)
    assert I.multiply_16bit(x, multiplier, shift) == nearest(Fraction(x * reduced) * Fraction(2) ** (shift - 15), up)


@given(int32s(), MULTIPLIERS, st.integers(-31, 0))
def test_one_hardware_requantizer_covers_tflite_and_tosa(x, multiplier, shift):
    """Double rounding is TOSA's apply_scale_32 with double_round, single rounding without (NUMERICS, identities)."""
    if x == INT32_MIN and multiplier == INT32_MIN:
        return
    double = I.apply_scale_32(x, multiplier, 31 - shift, double_round=True)
    assert I.multiply_double_round(x, multiplier, shift) == double
    single = I.apply_scale_32(x, multiplier, 31 - shift, double_round=False)
    assert I.multiply_single_round(x, multiplier, shift) == single


def test_single_and_double_rounding_differ_as_often_as_theory_says():
    """On about 2^-(r+1) of the values for a right shift r."""
    rng = np.random.default_rng(5)
    x = rng.integers(INT32_MIN, INT32_MAX, 40_000)
    for right in (1, 3, 5):
        multiplier = int(rng.integers(1 << 30, INT32_MAX))
        double = I.multiply_double_round(x, multiplier, -right)
        share = float(np.mean(double != I.multiply_single_round(x, multiplier, -right)))
        assert share == pytest.approx(2.0 ** -(right + 1), rel=0.15)


@given(st.integers(1, 1 << 20), int32s())
def test_reciprocal_scale_divides(n, x):
    value = x >> 12
    multiplier, shift = I.reciprocal_scale(n)
    assert I.apply_scale_32(value, multiplier, shift, double_round=False) == pytest.approx(value / n, abs=0.5 + 1e-3)


@given(st.lists(int32s(), min_size=1, max_size=8), MULTIPLIERS, st.integers(-31, 31))
def test_int64_arrays_give_what_python_integers_give(values, multiplier, shift):
    machine = np.array(values, np.int64)
    python = machine.astype(object)
    for multiply in (I.multiply_double_round, I.multiply_single_round):
        right = min(shift, 30)
        assert multiply(machine, multiplier, right).tolist() == multiply(python, multiplier, right).tolist()


def test_bit_length_and_take():
    values = np.array([0, 1, 2, 3, 4, 255, 256, (1 << 32) - 1], object)
    assert I.bit_length(values).tolist() == [int(v).bit_length() for v in values]
    assert I.take((10, 20, 30), np.array([2, 0], object)).tolist() == [30, 10]
    assert I.take((10, 20, 30), 1) == 20


def test_within_chooses_python_integers_beyond_the_limit():
    small, large = np.array([-5, 5]), np.array([-6, 5])
    assert I.within(small, 5).dtype == np.int64
    assert I.within(large, 5).dtype == object
    assert I.within(7, 5) == 7
