"""Reals to codes and back: every profile against exact fractions, ties included."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numerics_draws import grids, often, power_of_two_grids

from accel_sim.arithmetic import activation_bounds, dequantize, pad_code, quantize_real
from accel_sim.ir import NO_ACTIVATION, RELU, RELU6, RELU_N1_TO_1, Activation, QuantParams
from accel_sim.numerics import ONNXRUNTIME, PAPER, POWER_OF_TWO, PROFILES, TFLITE

REALS = often(st.integers(-600, 600).map(lambda k: k / 64), st.floats(-300, 300, width=32))


def clamped(offset, q):
    return min(max(offset + q.zero_point[0], q.low), q.high)


def code_of(profile, value, q):
    return int(quantize_real(profile, np.array([value], np.float32), q)[0])


@given(REALS, grids())
def test_paper_rounds_the_exact_quotient_half_to_even(value, q):
    assert code_of(PAPER, value, q) == clamped(round(Fraction(value) / Fraction(q.scale[0])), q)


@given(REALS, power_of_two_grids())
def test_power_of_two_rounds_half_up(value, q):
    exact = Fraction(value) / Fraction(q.scale[0])
    assert code_of(POWER_OF_TWO, value, q) == clamped(math.floor(exact + Fraction(1, 2)), q)


@given(REALS, grids())
def test_tflite_rounds_the_float32_quotient_half_away(value, q):
    quotient = Fraction(float(np.float32(value) / np.float32(q.scale[0])))
    away = math.floor(abs(quotient) + Fraction(1, 2))
    assert code_of(TFLITE, value, q) == clamped(-away if quotient < 0 else away, q)


@given(REALS, grids())
def test_onnxruntime_rounds_the_float32_quotient_half_to_even(value, q):
    quotient = Fraction(float(np.float32(value) / np.float32(q.scale[0])))
    assert code_of(ONNXRUNTIME, value, q) == clamped(round(quotient), q)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda p: p.name)
def test_codes_survive_dequantizing_and_quantizing(profile):
    for q in (QuantParams.per_tensor(0.25, 3), QuantParams.per_tensor(2.0**-7, 200, signed=False)):
        codes = np.arange(q.low, q.high + 1)
        assert np.array_equal(quantize_real(profile, dequantize(codes, q), q), codes)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda p: p.name)
def test_reals_beyond_the_grid_saturate(profile):
    q = QuantParams.per_tensor(2.0**-4, 5)
    values = np.array([-3e38, -100, 100, 3e38, np.inf, -np.inf], np.float32)
    assert quantize_real(profile, values, q).tolist() == [-128, -128, 127, 127, 127, -128]


def test_channels_have_their_own_grids():
    q = QuantParams.per_channel([0.5, 0.25], [1, -1], axis=1)
    values = np.array([[1.0, 1.0], [-2.0, -2.0]], np.float32)
    codes = quantize_real(PAPER, values, q)
    assert codes.tolist() == [[3, 3], [-3, -9]]
    assert dequantize(codes, q).tolist() == values.tolist()


def test_scales_that_no_float32_holds_are_taken_exactly():
    q = QuantParams.per_tensor(0.1)
    assert code_of(PAPER, np.float32(0.25), q) == 2  # 2.5 less a little: 0.1 in double is above 1/10
    assert code_of(PAPER, np.float32(-0.25), q) == -2


def test_scalars_have_codes():
    assert quantize_real(TFLITE, np.float32(1.0), QuantParams.per_tensor(0.5)).tolist() == 2


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda p: p.name)
def test_activation_bounds(profile):
    q = QuantParams.per_tensor(2.0**-4, -10)
    assert activation_bounds(profile, NO_ACTIVATION, q) == ((-128,), (127,))
    assert activation_bounds(profile, RELU, q) == ((-10,), (127,))
    assert activation_bounds(profile, RELU6, q) == ((-10,), (86,))
    assert activation_bounds(profile, RELU_N1_TO_1, q) == ((-26,), (6,))
    assert activation_bounds(profile, Activation(0.0, (1.0, 100.0)), q) == ((-10,), (6, 127))


def test_activation_bounds_never_cross():
    """A clamp outside the grid leaves its nearest code."""
    q = QuantParams.per_tensor(0.01, 0)
    assert activation_bounds(TFLITE, Activation(2.0, 6.0), q) == ((127,), (127,))
    assert activation_bounds(TFLITE, Activation(-6.0, -2.0), q) == ((-128,), (-128,))


@given(grids())
def test_padding_with_zero_is_the_zero_point(q):
    for profile in (TFLITE, ONNXRUNTIME, PAPER):
        assert pad_code(profile, 0.0, q) == q.zero_point[0]


def test_the_boundary_follows_its_own_rule():
    """One rule of a profile can be changed alone."""
    q, tie = QuantParams.per_tensor(1.0), np.float32(2.5)
    mixed = replace(TFLITE, boundary=ONNXRUNTIME.boundary)
    assert code_of(TFLITE, tie, q) == 3
    assert code_of(mixed, tie, q) == 2
