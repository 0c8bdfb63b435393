"""Softmax on codes, in every profile."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_sim.arithmetic import derive_softmax, softmax_grid
from accel_sim.ir import QuantParams, Softmax
from accel_sim.numerics import ONNXRUNTIME, PAPER, PROFILES, TFLITE, UnsupportedByProfileError

UNIT = QuantParams.per_tensor(2.0**-8, -128)
ROWS = st.integers(1, 40).flatmap(lambda n: st.lists(st.integers(-128, 127), min_size=n, max_size=n))


def softmax(real):
    e = np.exp(real - real.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda p: p.name)
@given(ROWS, st.sampled_from([2.0**-6, 2.0**-4, 2.0**-1]))
def test_every_profile_is_within_a_code_of_the_function(profile, codes, scale):
    x = QuantParams.per_tensor(scale, 12)
    made = derive_softmax(profile, Softmax(), x, UNIT, len(codes)).apply(np.array([codes]))
    exact = np.clip(softmax(scale * np.array([codes], float)) * 256 - 128, -128, 127)
    assert np.abs(made - exact).max() <= 1


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda p: p.name)
@given(st.lists(st.integers(-128, 127), min_size=3, max_size=12))
def test_int64_arrays_give_what_python_integers_give(profile, codes):
    recipe = derive_softmax(profile, Softmax(), QuantParams.per_tensor(2.0**-3), UNIT, len(codes))
    machine = recipe.apply(np.array([codes]))
    assert machine.dtype == np.int64
    assert machine.tolist() == recipe.apply(np.array([codes], object)).tolist()


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda p: p.name)
def test_sixteen_bits(profile):
    x, y = QuantParams.per_tensor(2.0**-12, bits=16), QuantParams.per_tensor(2.0**-15, bits=16)
    codes = np.random.default_rng(3).integers(-32768, 32768, (5, 20))
    made = derive_softmax(profile, Softmax(), x, y, 20).apply(codes)
    assert np.abs(made - softmax(codes / 4096) * 32768).max() <= 12


@pytest.mark.parametrize("beta", [0.5, 2.0])
def test_beta_scales_the_differences(beta):
    x = QuantParams.per_tensor(2.0**-4)
    codes = np.array([[-10, 0, 10, 20]])
    exact = softmax(beta * codes / 16) * 256 - 128
    for profile in (TFLITE, PAPER):
        assert np.abs(derive_softmax(profile, Softmax(beta=beta), x, UNIT, 4).apply(codes) - exact).max() <= 1


def test_the_grid_that_the_kernels_write():
    int8, int16 = QuantParams.per_tensor(0.1), QuantParams.per_tensor(0.1, bits=16)
    uint8 = QuantParams.per_tensor(0.1, signed=False)
    assert softmax_grid(TFLITE, int8, int8) == UNIT
    assert softmax_grid(TFLITE, int8, uint8) == QuantParams.per_tensor(2.0**-8, 0, signed=False)
    assert softmax_grid(TFLITE, int16, int16) == QuantParams.per_tensor(2.0**-15, bits=16)
    assert softmax_grid(TFLITE, int8, int16) == QuantParams.per_tensor(2.0**-16, -32768, bits=16)
    assert softmax_grid(ONNXRUNTIME, int8, uint8) == uint8


def test_int8_to_int16_has_sixteen_bits_of_result():
    x = QuantParams.per_tensor(2.0**-4)
    y = softmax_grid(TFLITE, x, QuantParams.per_tensor(1.0, bits=16))
    codes = np.array([[-10, 0, 10, 20]])
    made = derive_softmax(TFLITE, Softmax(), x, y, 4).apply(codes)
    assert np.abs(made - (softmax(codes / 16) * 65536 - 32768)).max() <= 2


def test_a_far_smaller_element_gets_the_lowest_code():
    x = QuantParams.per_tensor(1.0)
    for profile in PROFILES.values():
        assert derive_softmax(profile, Softmax(), x, UNIT, 2).apply(np.array([[-128, 127]])).tolist() == [[-128, 127]]


def test_the_float_table_is_raised_by_a_float32_headroom():
    # ONNX Runtime gives 43 of 256 for the smaller elements of this row: 42.500001 with float32's headroom, 42.499999
    # with double's
    grid = QuantParams.per_tensor(2.0**-7, -128), QuantParams.per_tensor(2.0**-8, -128)
    recipe = derive_softmax(ONNXRUNTIME, Softmax(), *grid, 6)
    row = np.array([-127, -128, -128, -127, -127, -128])
    np.testing.assert_array_equal(recipe.apply(row), [-85] * 6)


@pytest.mark.parametrize(("scale", "beta"), [(2.0**-26, 1.0), (1.0, 2.0**-27), (1.0, 0.0), (1.0, -1.0)])
def test_a_scale_that_the_fixed_point_kernel_aborts_on_is_refused(scale, beta):
    with pytest.raises(UnsupportedByProfileError, match="above 1/67108864"):
        derive_softmax(TFLITE, Softmax(beta=beta), QuantParams.per_tensor(scale), UNIT, 4)
