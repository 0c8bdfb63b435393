"""The integer evaluator: exact accumulators, wrapping, every grid rule, every profile on one network."""

from fractions import Fraction

import numpy as np
import pytest
from reference_graphs import activation, constant, int8, single

from accel_sim.errors import GraphError, InputError
from accel_sim.ir import (
    RELU6,
    Activation,
    Add,
    ArgMax,
    AveragePool2D,
    BatchNorm,
    Clip,
    Concat,
    Conv2D,
    ElementType,
    FullyConnected,
    GlobalAveragePool2D,
    HardSwish,
    LeakyRelu,
    MatMul,
    Maximum,
    MaxPool2D,
    Mean,
    Multiply,
    Pad,
    Padding2D,
    PRelu,
    QuantParams,
    Requantize,
    RequantShift,
    Reshape,
    ResizeBilinear,
    Slice,
    Softmax,
    Subtract,
    Tanh,
    Transpose,
    TransposeConv2D,
)
from accel_sim.numerics import LITERT, ONNXRUNTIME, PAPER, POWER_OF_TWO, PROFILES, TFLITE
from accel_sim.reference import evaluate_fake_quant, evaluate_integer

RNG = np.random.default_rng(8)
IMAGE = RNG.integers(-128, 128, (1, 6, 6, 4)).astype(np.int8)
COARSE = int8(2.0**-3, -20)
PER_CHANNEL = QuantParams.per_channel([2.0**-6, 2.0**-7, 2.0**-6, 2.0**-8], axis=0)
BIAS = np.int32([100, -500, 3, 0])
EVERY = pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda p: p.name)


def weights(*shape):
    return constant("w", RNG.integers(-127, 128, shape).astype(np.int8), PER_CHANNEL)


def codes(profile, op, operands, y_shape, y_quant=COARSE, element=None):
    """The result on IMAGE-like codes; `operands` are arrays with their grids, or constants."""
    tensors = [t if not isinstance(t, tuple) else activation(f"x{i}", t[0].shape, t[1]) for i, t in enumerate(operands)]
    graph = single(op, tensors, activation("y", y_shape, y_quant, element))
    inputs = {f"x{i}": t[0] for i, t in enumerate(operands) if isinstance(t, tuple)}
    return evaluate_integer(graph, inputs, profile)["y"], graph, inputs


X = (IMAGE, int8(2.0**-4, 10))
OPERATORS = [
    (
        Conv2D(padding=Padding2D(1, 1, 1, 1), activation=RELU6),
        [X, weights(4, 3, 3, 4), constant("b", BIAS)],
        IMAGE.shape,
    ),
    (Conv2D(groups=4), [X, weights(4, 2, 2, 1)], (1, 5, 5, 4)),
    (TransposeConv2D((2, 2)), [X, weights(4, 2, 2, 4)], (1, 12, 12, 4)),
    (FullyConnected(), [X, weights(4, 144), constant("b", BIAS)], (1, 4)),
    (MatMul(transpose_b=True), [X, (IMAGE, int8(2.0**-7))], (1, 6, 6, 6)),
    (MaxPool2D((2, 2), (2, 2)), [X], (1, 3, 3, 4)),
    (AveragePool2D((3, 3), padding=Padding2D(1, 1, 1, 1)), [X], IMAGE.shape),
    (GlobalAveragePool2D(), [X], (1, 1, 1, 4)),
    (Mean((1, 3)), [X], (1, 1, 6, 1)),
    (Add(RELU6), [X, (IMAGE, int8(2.0**-5))], IMAGE.shape),
    (Subtract(), [X, (IMAGE[:, :1], int8(2.0**-5))], IMAGE.shape),
    (Multiply(), [X, constant("c", IMAGE[0, 0, 0], int8(2.0**-6))], IMAGE.shape),
    (Maximum(), [X, (IMAGE, int8(2.0**-5))], IMAGE.shape),
    (Concat(3), [X, (IMAGE, int8(2.0**-2))], (1, 6, 6, 8)),
    (Pad((0, 1, 1, 0), (0, 1, -1, 0)), [X], (1, 8, 6, 4)),
    (Reshape(), [X], (1, 144)),
    (Transpose((0, 2, 1, 3)), [X], IMAGE.shape),
    (Slice((0, 5, 0, 0), (1, -2, 1, 1)), [X], (1, 3, 6, 4)),
    (ResizeBilinear(), [X], (1, 12, 12, 4)),
    (Requantize(), [X], IMAGE.shape),
    (Clip(RELU6), [X], IMAGE.shape),
    (LeakyRelu(0.125), [X], IMAGE.shape),
    (PRelu(), [X, constant("s", np.int8([-64, 32, 0, 127]), int8(2.0**-6))], IMAGE.shape),
    (HardSwish(), [X], IMAGE.shape),
    (Tanh(), [X], IMAGE.shape),
]


@EVERY
@pytest.mark.parametrize(("op", "operands", "shape"), OPERATORS, ids=lambda v: getattr(v, "name", ""))
def test_every_profile_stays_near_the_simulation(profile, op, operands, shape):
    """Scales are powers of two, so that all seven apply; codes differ from fake-quant by rounding only."""
    made, graph, inputs = codes(profile, op, operands, shape)
    simulated = evaluate_fake_quant(graph, inputs, np.float64)["y"]
    expected = np.rint(simulated / COARSE.scale[0]) + COARSE.zero_point[0]
    assert made.dtype == np.int8
    assert np.abs(made - expected).max() <= (2 if isinstance(op, HardSwish) else 1)


@pytest.mark.parametrize(("op", "operands", "shape"), OPERATORS, ids=lambda v: getattr(v, "name", ""))
def test_the_paper_profile_is_the_simulation_in_double(op, operands, shape):
    """Exact rational arithmetic and fake-quant agree where double holds every sum exactly: figures 4a and 4b."""
    made, graph, inputs = codes(PAPER, op, operands, shape)
    simulated = evaluate_fake_quant(graph, inputs, np.float64)["y"]
    assert np.array_equal(made, simulated / COARSE.scale[0] + COARSE.zero_point[0])


def test_a_convolution_is_equation_3():
    """Accumulators by Python integers, requantized by a fraction."""
    x, w, y = int8(0.03, 17), QuantParams.per_channel([0.011, 0.02], axis=0), int8(0.4, -5)
    array, kernel = IMAGE[:, :3, :3], RNG.integers(-127, 128, (2, 2, 2, 4)).astype(np.int8)
    op = Conv2D(padding=Padding2D(1, 0, 0, 1), strides=(2, 1))
    operands = [(array, x), constant("w", kernel, w), constant("b", np.int32([50, -60]))]
    made, *_ = codes(PAPER, op, operands, (1, 2, 3, 2), y)
    for i, j, co in np.ndindex(2, 3, 2):
        acc = [50, -60][co]
        for p, q, c in np.ndindex(2, 2, 4):
            row, column = 2 * i + p - 1, j + q
            if 0 <= row < 3 and 0 <= column < 3:
                acc += (int(array[0, row, column, c]) - 17) * int(kernel[co, p, q, c])
        exact = acc * Fraction(x.scale[0]) * Fraction(w.scale[co]) / Fraction(0.4)
        assert made[0, i, j, co] == min(max(round(exact) - 5, -128), 127)


def test_asymmetric_weights_are_all_four_terms_of_equation_13():
    x, w = QuantParams.per_tensor(1.0, 7, signed=False), QuantParams.per_tensor(1.0, 130, signed=False)
    array, kernel = RNG.integers(0, 256, (3, 5), np.uint8), RNG.integers(0, 256, (4, 5), np.uint8)
    y = activation("y", (3, 4), element=ElementType.INT32)
    graph = single(FullyConnected(), [activation("x", (3, 5), x), constant("w", kernel, w)], y)
    made = evaluate_integer(graph, {"x": array}, TFLITE)["y"]
    assert np.array_equal(made, (array.astype(int) - 7) @ (kernel.astype(int) - 130).T)


def test_accumulators_wrap_at_32_bits_and_wide_ones_do_not():
    x16, w, y = QuantParams.per_tensor(2.0**-10, bits=16), int8(2.0**-7), QuantParams.per_tensor(2.0**10, bits=16)
    array = np.full((1, 3), 32767, np.int16)
    kernel = constant("w", np.full((1, 3), 127, np.int8), w)
    total = 3 * 32767 * 127

    def run(bias):
        operands = [(array, x16), kernel, constant("b", bias)]
        return int(codes(PAPER, FullyConnected(), operands, (1, 1), y)[0][0, 0])

    offset = (1 << 31) - total
    assert run(np.int32([offset])) == round(Fraction(-(1 << 31), 1 << 27))
    assert run(np.int64([offset])) == round(Fraction(1 << 31, 1 << 27))
    assert run(np.int64([1 << 40])) == round(Fraction((1 << 40) + total, 1 << 27))


def test_sums_beyond_float64_are_exact():
    """A matrix product of 16-bit codes whose bound exceeds 2^53 is formed in int64."""
    q = QuantParams.per_tensor(1.0, bits=16)
    k = 1 << 22
    a, b = np.full((1, k), -32768, np.int16), np.full((k, 1), 32767, np.int16)
    a[0, 0] = 1
    y = activation("y", (1, 1), element=ElementType.INT64)
    graph = single(MatMul(), [activation("a", a.shape, q), activation("b", b.shape, q)], y)
    assert evaluate_integer(graph, {"a": a, "b": b}, TFLITE)["y"][0, 0] == 32767 - (k - 1) * 32768 * 32767


def test_per_channel_caps():
    """ReLU6 after cross-layer equalization has a cap per channel."""
    capped = Activation(0.0, (0.5, 1.0, 2.0, 4.0))
    made, *_ = codes(TFLITE, Conv2D(activation=capped), [X, weights(4, 1, 1, 4)], IMAGE.shape, int8(2.0**-4, -128))
    assert made.max(axis=(0, 1, 2)).tolist() == [-120, -112, -96, -64]


def test_codes_that_only_move_keep_their_values_on_one_grid():
    q = int8(0.3, 4)
    for op, shape in ((Reshape(), (144,)), (MaxPool2D((1, 1)), IMAGE.shape), (Pad((0,) * 4, (0,) * 4), IMAGE.shape)):
        for profile in (TFLITE, ONNXRUNTIME, PAPER):
            made, *_ = codes(profile, op, [(IMAGE, q)], shape, q)
            assert np.array_equal(made, IMAGE.reshape(shape))


def test_padding_with_a_real_value():
    q = int8(0.5, 4)
    op = Pad((0, 1, 0, 0), (0, 0, 0, 0), value=-3.0)
    made, *_ = codes(TFLITE, op, [(IMAGE, q)], (1, 7, 6, 4), q)
    assert (made[:, 0] == -2).all()
    assert np.array_equal(made[:, 1:], IMAGE)


def test_softmax_on_a_grid_that_the_kernel_does_not_write_is_requantized():
    x = int8(2.0**-4)
    native, *_ = codes(TFLITE, Softmax(axis=2), [(IMAGE, x)], IMAGE.shape, int8(2.0**-8, -128))
    other, *_ = codes(TFLITE, Softmax(axis=2), [(IMAGE, x)], IMAGE.shape, int8(2.0**-7, 0))
    assert np.abs((native.astype(int) + 128) / 2 - other).max() <= 0.5


def test_explicit_shifts_and_raw_values_need_no_grid():
    x = np.int32([[1000, -1000], [7, 100_000]])
    graph = single(
        RequantShift((3, 5), (8, -8), 4),
        [activation("x", x.shape, element=ElementType.INT32)],
        activation("y", x.shape, element=ElementType.INT8),
    )
    assert evaluate_integer(graph, {"x": x}, LITERT)["y"].tolist() == [[127, -128], [1, 127]]


def test_indices():
    x = np.int8([[3, 9, 9, -1]])
    y = activation("y", (1,), element=ElementType.INT64)
    graph = single(ArgMax(1, keep_dims=False, select_last=True), [activation("x", x.shape, int8())], y)
    made = evaluate_integer(graph, {"x": x}, TFLITE)["y"]
    assert made.tolist() == [2]
    assert made.dtype == np.int64


def test_reals_are_quantized_by_the_profile():
    q = int8(1.0)
    graph = single(Reshape(), [activation("x", (2,), q)], activation("y", (2,), q))
    tie = np.float32([0.5, 2.5])
    assert evaluate_integer(graph, {"x": tie}, TFLITE)["y"].tolist() == [1, 3]
    assert evaluate_integer(graph, {"x": tie}, ONNXRUNTIME)["y"].tolist() == [0, 2]


def test_samples_are_concatenated():
    graph = single(
        Add(), [activation("x", (1, 4), int8()), activation("z", (1, 4), int8())], activation("y", (1, 4), int8())
    )
    x = RNG.integers(-128, 128, (5, 4)).astype(np.int8)
    made = evaluate_integer(graph, {"x": x, "z": x[::-1]}, TFLITE)["y"]
    assert made.shape == (5, 4)
    assert np.array_equal(made[2], evaluate_integer(graph, {"x": x[2:3], "z": x[2:3]}, TFLITE)["y"][0])
    with pytest.raises(InputError, match="number of samples"):
        evaluate_integer(graph, {"x": x, "z": x[:2]}, TFLITE)


@pytest.mark.parametrize(
    ("profile", "x", "message"),
    [(POWER_OF_TWO, int8(0.3), "powers of two"), (TFLITE, None, "no float tensors")],
)
def test_what_cannot_be_computed_names_the_node(profile, x, message):
    graph = single(Tanh(), [activation("x", (1, 2), x)], activation("y", (1, 2), x))
    with pytest.raises(GraphError, match=message) as caught:
        evaluate_integer(graph, {"x": np.zeros((1, 2), np.int8)}, profile)
    assert "'node' (Tanh)" in str(caught.value)


def test_a_scale_ratio_without_a_shift_names_the_node():
    graph = single(Requantize(), [activation("x", (1, 2), int8(2.0**33))], activation("y", (1, 2), int8(1.0)))
    with pytest.raises(GraphError, match=r"'node' \(Requantize\), profile 'tflite'.*below 2\^31"):
        evaluate_integer(graph, {"x": np.zeros((1, 2), np.int8)}, TFLITE)


def test_batch_normalization_is_folded_first():
    channels = [constant(n, np.ones(4, np.float32)) for n in "gbmv"]
    graph = single(BatchNorm(), [activation("x", (1, 4), int8()), *channels], activation("y", (1, 4), int8()))
    with pytest.raises(GraphError, match="folded"):
        evaluate_integer(graph, {"x": IMAGE[0, 0, :1]}, TFLITE)


def test_an_operand_without_grid_is_named():
    graph = single(
        Add(),
        [activation("x", (2,), element=ElementType.INT32), activation("z", (2,), int8())],
        activation("y", (2,), int8()),
    )
    with pytest.raises(GraphError, match="x: no grid"):
        evaluate_integer(graph, {"x": np.zeros(2, np.int32), "z": np.zeros(2, np.int8)}, TFLITE)
