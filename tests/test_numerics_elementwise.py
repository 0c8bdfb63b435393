"""Element-wise recipes of two operands, in every profile."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numerics_draws import grids, power_of_two_grids

from accel_sim.arithmetic import activation_bounds, derive_elementwise
from accel_sim.ir import NO_ACTIVATION, RELU, RELU6, QuantParams
from accel_sim.numerics import (
    ONNXRUNTIME,
    PAPER,
    POWER_OF_TWO,
    PROFILES,
    TFLITE,
    TOSA,
    BinaryKind,
    FloatBinary,
    FloatProduct,
    FusedFloatSum,
    UnsupportedByProfileError,
)

SUMS_AND_PRODUCT = [BinaryKind.ADD, BinaryKind.SUBTRACT, BinaryKind.MULTIPLY]
FUNCTIONS = {
    BinaryKind.ADD: lambda a, b: a + b,
    BinaryKind.SUBTRACT: lambda a, b: a - b,
    BinaryKind.MULTIPLY: lambda a, b: a * b,
}
ALL_PAIRS = np.arange(-128, 128)[:, None], np.arange(-128, 128)[None, :]


def reals(codes, q):
    return q.scale[0] * (codes - q.zero_point[0])


@pytest.mark.parametrize("activation", [NO_ACTIVATION, RELU6])
@pytest.mark.parametrize("kind", SUMS_AND_PRODUCT)
@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda p: p.name)
def test_all_pairs_of_codes_are_within_a_code_of_the_function(profile, kind, activation):
    a, b, y = (QuantParams.per_tensor(2.0**-k, z) for k, z in ((5, -11), (4, 30), (3, 2)))
    codes = derive_elementwise(profile, kind, a, b, y, activation).apply(*ALL_PAIRS)
    (low,), (high,) = activation_bounds(profile, activation, y)
    exact = FUNCTIONS[kind](reals(ALL_PAIRS[0], a), reals(ALL_PAIRS[1], b)) / y.scale[0] + y.zero_point[0]
    assert codes.dtype == np.int64
    assert np.abs(codes - np.clip(exact, low, high)).max() <= 0.52  # two roundings: the first at 1/32


@pytest.mark.parametrize("kind", SUMS_AND_PRODUCT)
@pytest.mark.parametrize("profile", [p for p in PROFILES.values() if p is not POWER_OF_TWO], ids=lambda p: p.name)
@given(grids(signed=True), grids(signed=True), grids(low=-3, high=2, signed=True))
def test_int64_arrays_give_what_python_integers_give(profile, kind, a, b, y):
    recipe = derive_elementwise(profile, kind, a, b, y, RELU)
    left, right = ALL_PAIRS[0][::37], ALL_PAIRS[1][:, ::41]
    machine = recipe.apply(left, right)
    assert machine.tolist() == recipe.apply(left.astype(object), right.astype(object)).tolist()
    assert recipe.apply(int(left[1, 0]), int(right[0, 2])) == machine[1, 2]


@given(grids(), grids(), grids(low=-3, high=2), st.integers(0, 255), st.integers(0, 255))
def test_paper_rounds_the_exact_function_half_to_even(a, b, y, i, j):
    codes = a.low + i, b.low + j
    exact = [Fraction(q.scale[0]) * (c - q.zero_point[0]) for q, c in zip((a, b), codes, strict=True)]
    for kind, function in FUNCTIONS.items():
        rounded = round(function(*exact) / Fraction(y.scale[0])) + y.zero_point[0]
        assert derive_elementwise(PAPER, kind, a, b, y).apply(*codes) == min(max(rounded, y.low), y.high)


@given(power_of_two_grids(), power_of_two_grids(), power_of_two_grids(), st.integers(-128, 127), st.integers(-128, 127))
def test_power_of_two_rounds_half_up(a, b, y, i, j):
    exact = [Fraction(q.scale[0]) * (c - q.zero_point[0]) for q, c in ((a, i), (b, j))]
    for kind, function in FUNCTIONS.items():
        rounded = math.floor(function(*exact) / Fraction(y.scale[0]) + Fraction(1, 2)) + y.zero_point[0]
        assert derive_elementwise(POWER_OF_TWO, kind, a, b, y).apply(i, j) == min(max(rounded, y.low), y.high)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda p: p.name)
def test_extrema_compare_codes_of_one_grid(profile):
    q, other = QuantParams.per_tensor(0.5, 3), QuantParams.per_tensor(0.25, 3)
    a, b = ALL_PAIRS
    assert np.array_equal(derive_elementwise(profile, BinaryKind.MINIMUM, q, q, q).apply(a, b), np.minimum(a, b))
    assert np.array_equal(derive_elementwise(profile, BinaryKind.MAXIMUM, q, q, q).apply(a, b), np.maximum(a, b))
    with pytest.raises(UnsupportedByProfileError):
        derive_elementwise(profile, BinaryKind.MAXIMUM, q, other, q)


def test_onnxruntime_leaves_what_it_has_no_kernel_for_in_float():
    q, wide = QuantParams.per_tensor(0.5), QuantParams.per_tensor(0.5, bits=16)
    assert isinstance(derive_elementwise(ONNXRUNTIME, BinaryKind.ADD, q, q, q), FusedFloatSum)
    assert isinstance(derive_elementwise(ONNXRUNTIME, BinaryKind.MULTIPLY, q, q, q), FloatProduct)
    assert isinstance(derive_elementwise(ONNXRUNTIME, BinaryKind.SUBTRACT, q, q, q), FloatBinary)
    assert isinstance(derive_elementwise(ONNXRUNTIME, BinaryKind.ADD, wide, wide, wide), FloatBinary)
    absorbed = QuantParams.per_tensor(0.5, -128)
    assert isinstance(derive_elementwise(ONNXRUNTIME, BinaryKind.ADD, q, q, absorbed, RELU), FusedFloatSum)
    assert isinstance(derive_elementwise(ONNXRUNTIME, BinaryKind.ADD, q, q, q, RELU), FloatBinary)


def test_the_zero_point_lies_inside_the_rounding_of_a_float_product():
    """2.5 + 1 rounds to 4 to even; 2 + 1 would be 3."""
    half, unit = QuantParams.per_tensor(0.5), QuantParams.per_tensor(1.0, 1)
    assert derive_elementwise(ONNXRUNTIME, BinaryKind.MULTIPLY, half, unit, unit).apply(5, 2) == 4


def test_tosa_and_tflite_sums_differ_only_in_rounding():
    a, b, y = (QuantParams.per_tensor(s, z) for s, z in ((0.0173, 5), (0.0311, -7), (0.0402, 1)))
    tosa, tflite = (derive_elementwise(p, BinaryKind.ADD, a, b, y).apply(*ALL_PAIRS) for p in (TOSA, TFLITE))
    assert 0 < (tosa != tflite).sum() < 0.05 * tosa.size
    assert np.abs(tosa - tflite).max() == 1


def test_sixteen_bit_sums_keep_fifteen_fraction_bits():
    q = QuantParams.per_tensor(0.001, bits=16)
    recipe = derive_elementwise(TFLITE, BinaryKind.ADD, q, q, q)
    assert recipe.left_shift == 15
    assert recipe.apply(20_000, -30_000) == -10_000


@pytest.mark.parametrize("kind", [BinaryKind.ADD, BinaryKind.SUBTRACT])
def test_a_sum_whose_last_multiplier_is_not_below_1_is_refused_as_tflite_does(kind):
    q = QuantParams.per_tensor(1.0)
    derive_elementwise(TFLITE, kind, q, q, QuantParams.per_tensor(2.0**-18))
    with pytest.raises(UnsupportedByProfileError, match="below 1"):
        derive_elementwise(TFLITE, kind, q, q, QuantParams.per_tensor(2.0**-19))
