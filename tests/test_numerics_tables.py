"""Tables of unary operators: near the real function in every profile, and exact where the profile says so."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numerics_draws import grids

from accel_sim.arithmetic import PReluSlope, derive_requantize, derive_table
from accel_sim.ir import (
    RELU,
    RELU6,
    Activation,
    Add,
    Clip,
    Concat,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Logistic,
    PRelu,
    QuantParams,
    Requantize,
    Tanh,
)
from accel_sim.numerics import ONNXRUNTIME, PAPER, POWER_OF_TWO, PROFILES, TFLITE, UnsupportedByProfileError
from accel_sim.numerics.rational_functions import rational_logistic, rational_tanh

SLOPE = PReluSlope(-40, 2.0**-6, 8)  # -0.75
FUNCTIONS = {
    Clip(RELU6): lambda v: np.clip(v, 0, 6),
    Concat(0, RELU): lambda v: np.maximum(v, 0),
    HardSigmoid(0.25, 0.5): lambda v: np.clip(0.25 * v + 0.5, 0, 1),
    HardSwish(): lambda v: v * np.clip(v + 3, 0, 6) / 6,
    LeakyRelu(0.125): lambda v: np.where(v >= 0, v, 0.125 * v),
    Logistic(): lambda v: 1 / (1 + np.exp(-v)),
    PRelu(): lambda v: np.where(v >= 0, v, -0.75 * v),
    Requantize(): lambda v: v,
    Tanh(): np.tanh,
}
SIXTEEN_BITS = {HardSwish(), Requantize(), LeakyRelu(0.125), Tanh(), Logistic()}


def table_of(profile, op, x, y):
    return derive_table(profile, op, x, y, SLOPE if isinstance(op, PRelu) else None)


def real_codes(op, x, y):
    """Codes before rounding, float64, on the output grid."""
    reals = x.scale[0] * (np.arange(x.low, x.high + 1) - x.zero_point[0])
    return np.clip(FUNCTIONS[op](reals) / y.scale[0] + y.zero_point[0], y.low, y.high)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("op", FUNCTIONS, ids=lambda op: op.name)
@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda p: p.name)
def test_every_profile_is_within_a_code_of_the_function(profile, op, signed):
    x = QuantParams.per_tensor(2.0**-5, 20, signed=signed)
    y = QuantParams.per_tensor(2.0**-7, 0, signed=signed)
    table = table_of(profile, op, x, y)
    assert table.shape == (256,)
    slack = 2.0 if isinstance(op, HardSwish) else 1.0  # TFLite's 16-bit chain truncates
    assert np.abs(table - real_codes(op, x, y)).max() <= slack


@pytest.mark.parametrize("op", SIXTEEN_BITS, ids=lambda op: op.name)
@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda p: p.name)
def test_tables_of_more_than_eight_bits_are_near_the_function(profile, op):
    x = QuantParams.per_tensor(2.0**-8, bits=12)
    y = QuantParams.per_tensor(2.0**-14, bits=16)
    table = table_of(profile, op, x, y)
    assert table.shape == (1 << 12,)
    slack = 10.0 if isinstance(op, Logistic | Tanh) else 1.0  # interpolated between samples
    assert np.abs(table - real_codes(op, x, y)).max() <= slack


@pytest.mark.parametrize("op", [Tanh(), Logistic()], ids=lambda op: op.name)
def test_sixteen_bit_tables_have_an_entry_per_code(op):
    x, y = QuantParams.per_tensor(2.0**-12, bits=16), QuantParams.per_tensor(2.0**-15, bits=16)
    table = derive_table(TFLITE, op, x, y)
    assert table.shape == (1 << 16,)
    assert np.abs(table - real_codes(op, x, y)).max() <= 8


@given(grids(), grids(), st.sampled_from([Requantize(), LeakyRelu(0.3), HardSwish(), Clip(RELU6)]))
def test_paper_rounds_the_exact_function_half_to_even(x, y, op):
    def function(v):
        match op:
            case LeakyRelu():
                return v if v >= 0 else Fraction(op.alpha) * v
            case HardSwish():
                return v * min(max(v + 3, 0), 6) / 6
            case Clip():
                return min(max(v, Fraction(0)), Fraction(6))
        return v

    table = derive_table(PAPER, op, x, y)
    for code in (x.low, x.low + 1, x.zero_point[0], (x.low + x.high) // 2, x.high - 1, x.high):
        real = function(Fraction(x.scale[0]) * (code - x.zero_point[0])) / Fraction(y.scale[0])
        assert table[code - x.low] == min(max(round(real) + y.zero_point[0], y.low), y.high)


def test_power_of_two_rounds_half_up():
    x, y = QuantParams.per_tensor(0.25), QuantParams.per_tensor(0.5)
    codes = np.arange(-128, 128)
    assert np.array_equal(derive_table(POWER_OF_TWO, Requantize(), x, y), [math.floor(c / 2 + 0.5) for c in codes])
    with pytest.raises(UnsupportedByProfileError):
        derive_table(POWER_OF_TWO, Requantize(), QuantParams.per_tensor(0.3), y)


@pytest.mark.parametrize("profile", [p for p in PROFILES.values() if p is not POWER_OF_TWO], ids=lambda p: p.name)
@given(grids(), grids())
def test_requantization_by_table_and_by_arithmetic_agree(profile, x, y):
    codes = np.arange(x.low, x.high + 1)
    arithmetic = derive_requantize(profile, x, y).apply(codes - x.zero_point[0])
    assert np.array_equal(derive_table(profile, Requantize(), x, y), arithmetic)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda p: p.name)
def test_concatenation_copies_on_equal_grids(profile):
    q = QuantParams.per_tensor(2.0**-3, 7)
    assert np.array_equal(derive_table(profile, Concat(1), q, q), np.arange(-128, 128))


def test_concatenation_of_unsigned_codes_rescales_in_float32():
    """TFLite's two float32 roundings are not the fixed-point requantization."""
    x, y = QuantParams.per_tensor(0.0111, 13, signed=False), QuantParams.per_tensor(0.0313, 200, signed=False)
    scale = np.float32(0.0111) * (np.float32(1) / np.float32(0.0313))
    values = np.arange(256).astype(np.float32) * scale + np.float32(-13) * scale
    expected = np.clip(np.floor(np.abs(values.astype(np.float64)) + 0.5) * np.sign(values) + 200, 0, 255)
    assert np.array_equal(derive_table(TFLITE, Concat(0), x, y), expected)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda p: p.name)
def test_logistic_and_tanh_keep_their_symmetry(profile):
    x = QuantParams.per_tensor(2.0**-4)
    y = QuantParams.per_tensor(2.0**-7)
    tanh = derive_table(profile, Tanh(), x, y)[1:]
    assert np.abs(tanh + tanh[::-1]).max() <= 1
    logistic = derive_table(profile, Logistic(), x, QuantParams.per_tensor(2.0**-8, -128))[1:] + 128
    assert np.abs(logistic + logistic[::-1] - 256).max() <= 1


def test_wide_grids_saturate_and_do_not_warn():
    coarse, fine = QuantParams.per_tensor(1e30), QuantParams.per_tensor(1e-30)
    for profile in (TFLITE, ONNXRUNTIME, PAPER):
        for op in (Logistic(), Tanh(), HardSigmoid(), LeakyRelu(0.1)):
            if profile is TFLITE and isinstance(op, LeakyRelu):
                continue  # the scale ratio leaves no shift
            assert set(derive_table(profile, op, coarse, fine)) <= {-128, 0, 127}


def test_tables_are_cached_and_cannot_be_changed():
    q = QuantParams.per_tensor(0.5)
    table = derive_table(TFLITE, Tanh(), q, q)
    assert table is derive_table(TFLITE, Tanh(), q, q)
    with pytest.raises(ValueError, match="read-only"):
        table[0] = 1


def test_what_is_no_table_is_refused():
    q = QuantParams.per_tensor(0.5)
    with pytest.raises(UnsupportedByProfileError, match="no such table"):
        derive_table(TFLITE, Add(), q, q)
    with pytest.raises(UnsupportedByProfileError, match="one bound"):
        derive_table(TFLITE, Clip(Activation(0.0, (1.0, 2.0))), q, q)
    with pytest.raises(UnsupportedByProfileError, match="128"):
        derive_table(TFLITE, HardSwish(), QuantParams.per_tensor(1.0), QuantParams.per_tensor(2.0**-9))


def test_scales_at_which_tflites_kernels_are_undefined_are_refused():
    unit, wide = QuantParams.per_tensor(1.0), QuantParams.per_tensor(2.0**-15, bits=16)
    for op, defined, undefined, y, rule in (
        (HardSwish(), 2.0**-9, 2.0**-10, unit, "at least 1/512"),
        (Logistic(), 2.0**17, 2.0**18, wide, "int32 multiplier"),
        (Tanh(), 2.0**17, 2.0**18, wide, "int32 multiplier"),
    ):
        q = QuantParams.per_tensor(defined, bits=y.bits)
        derive_table(TFLITE, op, q, y)
        with pytest.raises(UnsupportedByProfileError, match=rule):
            derive_table(TFLITE, op, QuantParams.per_tensor(undefined, bits=y.bits), y)
    with pytest.raises(UnsupportedByProfileError, match="below 2\\^31 steps"):
        derive_table(TFLITE, Clip(RELU6), unit, QuantParams.per_tensor(2.0**-29))


@pytest.mark.parametrize(("operator", "function"), [("Tanh", rational_tanh), ("Sigmoid", rational_logistic)])
def test_functions_of_float32_are_onnx_runtimes_to_the_last_bit(operator, function):
    runtime, onnx = pytest.importorskip("onnxruntime"), pytest.importorskip("onnx")
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(operator, ["x"], ["y"])], operator, [value("x", 1, [None])], [value("y", 1, [None])]
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = np.concatenate([np.random.default_rng(1).standard_normal(20_000) * 3, np.linspace(-20, 20, 401)])
    x = x.astype(np.float32)
    np.testing.assert_array_equal(function(x), session.run(None, {"x": x})[0])
