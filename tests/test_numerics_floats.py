"""The floating-point primitives: exactly rounded, whatever the CPU."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numerics_draws import often

from accel_sim.numerics.floats import fused_multiply_add, quantize_float32, round_half_away, round_half_away_scalar
from accel_sim.numerics.transcendental import exponential, hyperbolic_tangent, logistic

FLOAT32 = st.floats(-(2.0**40), 2.0**40, width=32)
NEAR_TIES = st.builds(
    lambda k, ulps: float(np.float32(k + 0.5) + np.float32(ulps * 2.0**-24)), st.integers(-300, 300), st.integers(-2, 2)
)


def nearest_float32(value):
    """The float32 number nearest to a fraction, ties to even, by search among the neighbours."""
    guess = np.float32(float(value))
    candidates = [np.nextafter(guess, np.float32(-np.inf)), guess, np.nextafter(guess, np.float32(np.inf))]
    distances = [abs(Fraction(float(c)) - value) for c in candidates]
    best = min(distances)
    nearest = [c for c, d in zip(candidates, distances, strict=True) if d == best]
    return min(nearest, key=lambda c: int(c.view(np.int32)) & 1)


@given(FLOAT32, FLOAT32, FLOAT32)
def test_fused_multiply_add_rounds_once(a, b, c):
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if exact != 0 and abs(exact) < Fraction(2) ** -120:
        return  # float32's subnormal numbers do not occur in quantized arithmetic
    made = fused_multiply_add(np.float32(a), np.float32(b), np.float32(c))
    assert float(made) == float(nearest_float32(exact))


@given(st.integers(1, (1 << 24) - 1), st.integers(1, (1 << 24) - 1), st.integers(-3, 3), st.booleans())
def test_fused_multiply_add_at_ties_of_float32(a, b, offset, negative):
    """Products of 24-bit integers plus a number that brings the sum to or next to a tie."""
    product = a * b
    addend = np.float32((product >> 24 << 24) + (1 << 23) - product + offset)
    sign = -1 if negative else 1
    exact = Fraction(sign * product) + Fraction(float(addend))
    made = fused_multiply_add(np.float32(sign * a), np.float32(b), addend)
    assert float(made) == float(nearest_float32(exact))


@given(often(NEAR_TIES, st.floats(-1e6, 1e6)))
def test_round_half_away_is_c_round(value):
    expected = (
        math.floor(Fraction(value) + Fraction(1, 2)) if value >= 0 else -math.floor(Fraction(1, 2) - Fraction(value))
    )
    assert round_half_away(np.array([value]))[0] == expected
    assert round_half_away_scalar(value) == expected


def test_round_half_away_just_below_a_half():
    below = np.nextafter(np.float32(0.5), np.float32(0))
    assert round_half_away(np.array([below, -below, 0.5, -0.5], np.float32)).tolist() == [0, 0, 1, -1]


@given(st.fractions(-40, 40, max_denominator=1 << 24))
def test_transcendental_functions_agree_with_the_library_to_a_few_units(x):
    assert float(exponential(x)) == pytest.approx(math.exp(float(x)), rel=1e-14)
    assert float(hyperbolic_tangent(x)) == pytest.approx(math.tanh(float(x)), rel=1e-13, abs=1e-15)
    assert float(logistic(x)) == pytest.approx(1 / (1 + math.exp(-float(x))), rel=1e-14)


def test_transcendental_functions_at_known_values():
    """exp(1) to 40 digits; the symmetries; nothing overflows far out."""
    e = Fraction(27182818284590452353602874713526624977572, 10**40)
    assert abs(exponential(Fraction(1)) - e) < Fraction(1, 10**39)
    assert logistic(Fraction(3)) + logistic(Fraction(-3)) == pytest.approx(1)
    assert hyperbolic_tangent(Fraction(-2)) == -hyperbolic_tangent(Fraction(2))
    assert float(exponential(Fraction(-(10**9)))) < 1e-200
    assert logistic(Fraction(10**9)) <= 1
    assert hyperbolic_tangent(Fraction(0)) == 0


def test_quantize_float32_clamps_before_it_rounds():
    values = np.array([-1e30, -0.26, -0.25, 0.25, 0.75, 1e30], np.float32)
    codes = quantize_float32(values, 0.5, 3, -128, 127)
    assert codes.tolist() == [-128, 2, 3, 3, 5, 127]
