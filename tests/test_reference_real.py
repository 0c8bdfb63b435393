"""The float and fake-quant evaluators: textbook functions, against ONNX Runtime and against definitions."""

import numpy as np
import pytest
from reference_graphs import activation, constant, int8, single

from accel_sim.errors import InputError
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
    CoordinateMode,
    DepthToSpace,
    ElementType,
    FullyConnected,
    GlobalAveragePool2D,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Logistic,
    MatMul,
    Maximum,
    MaxPool2D,
    Mean,
    Minimum,
    Multiply,
    NearestRounding,
    Pad,
    Padding2D,
    PRelu,
    QuantParams,
    Requantize,
    RequantShift,
    Reshape,
    ResizeBilinear,
    ResizeNearest,
    Slice,
    Softmax,
    SpaceToDepth,
    Subtract,
    Tanh,
    Transpose,
    TransposeConv2D,
)
from accel_sim.reference import evaluate_fake_quant, evaluate_float
from accel_sim.reference.integer import _OPERATORS as INTEGER_OPERATORS
from accel_sim.reference.movement import MOVEMENTS
from accel_sim.reference.real import _OPERATORS as REAL_OPERATORS

RNG = np.random.default_rng(5)
IMAGE = RNG.normal(size=(2, 5, 6, 4)).astype(np.float32)


def run(op, arrays, out_shape, dtype=np.float64, constants=(), element=None):
    """The operator on float arrays; `constants` are operands after the inputs."""
    inputs = [activation(f"x{i}", a.shape) for i, a in enumerate(arrays)]
    fixed = [constant(f"c{i}", c) for i, c in enumerate(constants)]
    graph = single(op, [*inputs, *fixed], activation("y", out_shape, element=element))
    return evaluate_float(graph, {f"x{i}": a for i, a in enumerate(arrays)}, dtype)["y"]


def convolution_loops(x, w, bias, op, out_hw):
    """Conv2D as its definition says it, pixel by pixel."""
    n, height, width, channels = x.shape
    outputs, kh, kw, inputs = w.shape
    x, w = x.astype(np.float64), w.astype(np.float64)
    y = np.zeros((n, *out_hw, outputs)) + bias
    for b, i, j, co, p, q, c in np.ndindex(n, *out_hw, outputs, kh, kw, inputs):
        iy = i * op.strides[0] + p * op.dilations[0] - op.padding.top
        ix = j * op.strides[1] + q * op.dilations[1] - op.padding.left
        if 0 <= iy < height and 0 <= ix < width:
            group = co // (outputs // op.groups)
            y[b, i, j, co] += x[b, iy, ix, group * inputs + c] * w[co, p, q, c]
    assert channels == inputs * op.groups
    return y


@pytest.mark.parametrize(
    ("op", "weights", "out_hw"),
    [
        (Conv2D(), (3, 3, 2, 4), (3, 5)),
        (Conv2D(strides=(2, 1), padding=Padding2D(1, 2, 0, 1)), (3, 3, 2, 4), (3, 6)),
        (Conv2D(dilations=(2, 3)), (3, 2, 2, 4), (3, 3)),
        (Conv2D(groups=2, padding=Padding2D(1, 1, 1, 1)), (6, 3, 3, 2), (5, 6)),
        (Conv2D(groups=4), (4, 2, 2, 1), (4, 5)),
        (Conv2D(groups=4, strides=(1, 2)), (8, 2, 2, 1), (4, 3)),
    ],
)
def test_convolutions(op, weights, out_hw):
    w, bias = RNG.normal(size=weights).astype(np.float32), RNG.normal(size=weights[0]).astype(np.float32)
    made = run(op, [IMAGE], (2, *out_hw, weights[0]), constants=[w, bias])
    np.testing.assert_allclose(made, convolution_loops(IMAGE, w, bias, op, out_hw), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "op",
    [
        TransposeConv2D(),
        TransposeConv2D(strides=(2, 3), padding=Padding2D(1, 0, 2, 1)),
        TransposeConv2D(strides=(1, 2), dilations=(2, 1), groups=2),
    ],
)
def test_transposed_convolution_is_the_convolutions_adjoint(op):
    """<conv(y), x> = <y, transposed(x)> for all x, y: what "transposed" means."""
    weights = RNG.normal(size=(6, 3, 2, 4 // op.groups)).astype(np.float32)
    out_hw = tuple(
        (n - 1) * s + (k - 1) * d + 1 - before - after
        for n, s, k, d, before, after in zip(
            IMAGE.shape[1:3],
            op.strides,
            (3, 2),
            op.dilations,
            (op.padding.top, op.padding.left),
            (op.padding.bottom, op.padding.right),
            strict=True,
        )
    )
    made = run(op, [IMAGE], (2, *out_hw, 6), constants=[weights])
    y = RNG.normal(size=made.shape)
    groups = weights.reshape(op.groups, 6 // op.groups, 3, 2, -1)
    adjoint = np.concatenate(list(groups.transpose(0, 4, 2, 3, 1)), axis=0)
    forward = Conv2D(op.strides, op.dilations, op.padding, op.groups)
    image = convolution_loops(y, adjoint, np.zeros(4), forward, IMAGE.shape[1:3])
    assert np.sum(made * y) == pytest.approx(np.sum(image * IMAGE))


def test_matrix_products():
    x, w, bias = RNG.normal(size=(3, 4)), RNG.normal(size=(5, 4)).astype(np.float32), np.ones(5, np.float32)
    np.testing.assert_allclose(run(FullyConnected(), [x], (3, 5), constants=[w, bias]), x @ w.T + 1)
    a, b = RNG.normal(size=(2, 1, 4, 3)), RNG.normal(size=(5, 6, 4))
    made = run(MatMul(transpose_a=True, transpose_b=True), [a, b], (2, 5, 3, 6))
    np.testing.assert_allclose(made, np.swapaxes(a, -1, -2) @ np.swapaxes(b, -1, -2))


def test_activations_clamp_the_result():
    w = np.full((2, 1, 1, 4), 3, np.float32)
    capped = Activation(0.0, (1.0, 2.0))
    made = run(Conv2D(activation=capped), [IMAGE], (2, 5, 6, 2), constants=[w])
    total = 3 * IMAGE.sum(axis=3, keepdims=True)
    np.testing.assert_allclose(made, np.clip(np.concatenate([total, total], 3), 0, [1, 2]), rtol=1e-5)
    assert run(Add(RELU6), [IMAGE * 9, IMAGE], IMAGE.shape).max() == 6


ELEMENTWISE = {
    Add(): np.add,
    Subtract(): np.subtract,
    Multiply(): np.multiply,
    Minimum(): np.minimum,
    Maximum(): np.maximum,
}


@pytest.mark.parametrize("op", ELEMENTWISE, ids=lambda op: op.name)
def test_two_operands_broadcast(op):
    row = IMAGE[0, 0, 0]
    np.testing.assert_array_equal(run(op, [IMAGE, row], IMAGE.shape), ELEMENTWISE[op](IMAGE.astype(float), row))


UNARY = {
    Clip(RELU6): lambda v: np.clip(v, 0, 6),
    LeakyRelu(0.25): lambda v: np.where(v < 0, v / 4, v),
    HardSwish(): lambda v: v * np.clip(v + 3, 0, 6) / 6,
    HardSigmoid(): lambda v: np.clip(0.2 * v + 0.5, 0, 1),
    Logistic(): lambda v: 1 / (1 + np.exp(-v)),
    Tanh(): np.tanh,
    Requantize(): lambda v: v,
    Softmax(): lambda v: np.exp(v) / np.exp(v).sum(-1, keepdims=True),
    Softmax(axis=1, beta=0.5): lambda v: np.exp(v / 2) / np.exp(v / 2).sum(1, keepdims=True),
    MaxPool2D((5, 6)): lambda v: v.max((1, 2), keepdims=True),
    AveragePool2D((5, 6)): lambda v: v.mean((1, 2), keepdims=True),
    GlobalAveragePool2D(): lambda v: v.mean((1, 2), keepdims=True),
    Mean((1, 3), keep_dims=False): lambda v: v.mean((1, 3)),
    Reshape(): lambda v: v.reshape(2, 120),
    Transpose((0, 3, 1, 2)): lambda v: v.transpose(0, 3, 1, 2),
    Slice((0, 4, 1, 0), (1, -2, 1, 3)): lambda v: v[:, 4::-2, 1:6, 0::3],
    Pad((0, 1, -1, 0), (0, 0, 2, 0), 7.0): lambda v: np.pad(
        v[:, :, 1:], ((0, 0), (1, 0), (0, 2), (0, 0)), constant_values=7
    ),
    Pad((0, 2, 0, 0), (0, 1, 0, 0), mode="reflect"): lambda v: np.pad(
        v, ((0, 0), (2, 1), (0, 0), (0, 0)), mode="reflect"
    ),
    ResizeNearest(CoordinateMode.ASYMMETRIC, NearestRounding.FLOOR): lambda v: v.repeat(2, 1).repeat(3, 2),
    ArgMax(3): lambda v: v.argmax(3)[..., None],
    ArgMax(1, minimum=True): lambda v: v.argmin(1)[:, None],
}
SHAPES = {ResizeNearest: (2, 10, 18, 4)}


@pytest.mark.parametrize("op", UNARY, ids=lambda op: op.name)
def test_one_operand(op):
    exact = UNARY[op](IMAGE.astype(float))
    element = ElementType.INT32 if isinstance(op, ArgMax) else None
    made = run(op, [IMAGE], SHAPES.get(type(op), exact.shape), element=element)
    np.testing.assert_allclose(made, exact, rtol=1e-12, atol=1e-12)


def test_pooling_at_the_border():
    """Padding never wins a maximum and counts in an average only when asked."""
    ones = -np.ones((1, 2, 2, 1), np.float32)
    padding = Padding2D(1, 1, 1, 1)
    assert (run(MaxPool2D((2, 2), padding=padding), [ones], (1, 3, 3, 1)) == -1).all()
    assert (run(AveragePool2D((2, 2), padding=padding), [ones], (1, 3, 3, 1)) == -1).all()
    counted = run(AveragePool2D((2, 2), padding=padding, count_include_pad=True), [ones], (1, 3, 3, 1))
    assert counted[0, :, :, 0].tolist() == [[-0.25, -0.5, -0.25], [-0.5, -1, -0.5], [-0.25, -0.5, -0.25]]


def test_last_of_equal_maxima():
    x = np.array([[3.0, 1.0, 3.0, 2.0]])
    made = [run(ArgMax(1, select_last=last), [x], (1, 1), element=ElementType.INT64) for last in (False, True)]
    assert [int(m[0, 0]) for m in made] == [0, 2]


def test_space_and_depth_are_inverse():
    image = np.arange(2 * 4 * 6 * 3.0).reshape(2, 4, 6, 3)
    deep = run(SpaceToDepth(2), [image], (2, 2, 3, 12))
    assert deep[0, 0, 0].tolist() == [*image[0, 0, 0], *image[0, 0, 1], *image[0, 1, 0], *image[0, 1, 1]]
    np.testing.assert_array_equal(run(DepthToSpace(2), [deep], (2, 4, 6, 3)), image)
    columns = deep.reshape(2, 2, 3, 4, 3).swapaxes(3, 4).reshape(2, 2, 3, 12)
    np.testing.assert_array_equal(run(DepthToSpace(2, column_row_depth=True), [columns], (2, 4, 6, 3)), image)


def test_batch_normalization():
    gamma, beta, mean, variance = (np.float32(v) for v in ([1, 2, 3, 4], [0, 1, 0, -1], [5, 0, 1, 2], [1, 4, 9, 0]))
    made = run(BatchNorm(1e-3), [IMAGE], IMAGE.shape, constants=[gamma, beta, mean, variance])
    np.testing.assert_allclose(
        made, gamma * (IMAGE.astype(float) - mean) / np.sqrt(variance + 1e-3) + beta, rtol=1e-6, atol=1e-6
    )


def test_prelu_slopes_broadcast():
    slope = np.float32([0.5, -1, 2, 0])
    made = run(PRelu(), [IMAGE], IMAGE.shape, constants=[slope])
    np.testing.assert_allclose(made, np.where(IMAGE < 0, slope * IMAGE, IMAGE))


def test_concatenation():
    made = run(Concat(2), [IMAGE, IMAGE[:, :, :3]], (2, 5, 9, 4))
    np.testing.assert_array_equal(made, np.concatenate([IMAGE, IMAGE[:, :, :3]], axis=2))


def test_bilinear_resizing_of_a_ramp_is_a_ramp():
    """Linear functions are interpolated exactly away from the clamped border."""
    ramp = np.arange(4.0)[None, :, None, None] * np.ones((1, 4, 4, 1))
    made = run(ResizeBilinear(CoordinateMode.ALIGN_CORNERS), [ramp], (1, 7, 4, 1))
    np.testing.assert_allclose(made[0, :, 0, 0], np.arange(7) / 2)


def test_the_result_has_the_type_asked_for():
    for dtype in (np.float32, np.float64):
        assert run(Logistic(), [IMAGE], IMAGE.shape, dtype).dtype == dtype


def test_extreme_reals_do_not_warn():
    huge = np.float32([[3e38, -3e38, 0, 1e-38]])
    for op in (Logistic(), Tanh(), Softmax(), HardSwish(), LeakyRelu(0.1)):
        assert np.isfinite(run(op, [huge], huge.shape, np.float32)[0, 2:]).all()


def test_every_operator_that_may_be_integer_has_both_evaluators():
    assert {*INTEGER_OPERATORS} | {BatchNorm} == {*REAL_OPERATORS}
    assert not {*MOVEMENTS} & {*REAL_OPERATORS}


def test_samples_are_evaluated_one_by_one():
    graph = single(Softmax(axis=0), [activation("x", (2, 3))], activation("y", (2, 3)))
    x = RNG.normal(size=(6, 3)).astype(np.float32)
    together = evaluate_float(graph, {"x": x})["y"]
    apart = [evaluate_float(graph, {"x": x[i : i + 2]})["y"] for i in (0, 2, 4)]
    np.testing.assert_array_equal(together, np.concatenate(apart))


@pytest.mark.parametrize("inputs", [{}, {"x": np.zeros((3, 3))}, {"x": np.zeros((2, 4))}, {"x": np.zeros(6)}])
def test_wrong_inputs_are_named(inputs):
    graph = single(Tanh(), [activation("x", (2, 3))], activation("y", (2, 3)))
    with pytest.raises(InputError, match="x"):
        evaluate_float(graph, inputs)


def quantized_layer():
    """Conv2D of per-channel weights with bias, both as a file holds them."""
    x, y = int8(2.0**-4, 10), int8(2.0**-3, -20)
    w = QuantParams.per_channel([2.0**-5, 2.0**-6], axis=0)
    weights = RNG.integers(-127, 128, (2, 1, 1, 3)).astype(np.int8)
    bias = np.int32([300, -7])
    op = Conv2D(activation=RELU6)
    graph = single(
        op,
        [activation("x", (1, 3, 3, 3), x), constant("w", weights, w), constant("b", bias)],
        activation("y", (1, 3, 3, 2), y),
    )
    return graph, weights, bias


def test_fake_quant_is_figure_4b():
    """Dequantized weights and bias, the float operator with its activation, a quantizer behind."""
    graph, weights, bias = quantized_layer()
    codes = RNG.integers(-128, 128, (1, 3, 3, 3)).astype(np.int8)
    made = evaluate_fake_quant(graph, {"x": codes}, np.float64)
    real_x = (codes - 10.0) / 16
    np.testing.assert_array_equal(made["x"], real_x)
    scale = np.array([2.0**-5, 2.0**-6])
    total = real_x @ (weights[:, 0, 0, :] * scale[:, None]).T + bias * scale / 16
    expected = np.clip(np.rint(np.clip(total, 0, 6) * 8), -108, 147) / 8
    np.testing.assert_array_equal(made["y"], expected)


def test_float_of_an_integer_graph_quantizes_nothing():
    graph, *_ = quantized_layer()
    reals = RNG.normal(size=(1, 3, 3, 3)).astype(np.float32)
    smooth, quantized = evaluate_float(graph, {"x": reals}), evaluate_fake_quant(graph, {"x": reals})
    np.testing.assert_array_equal(smooth["x"], reals)
    assert len(np.unique(quantized["x"] * 16 % 1)) == 1
    assert 0 < np.abs(smooth["y"] - quantized["y"]).max() < 0.5


def test_fake_quantizing_codes_is_the_identity():
    graph, *_ = quantized_layer()
    codes = np.arange(-128, -101).astype(np.int8).reshape(1, 3, 3, 3)
    assert np.array_equal(evaluate_fake_quant(graph, {"x": codes})["x"] * 16 + 10, codes)


def test_raw_accumulators_stay_integers():
    """A convolution without output grid gives accumulators, which an explicit shift then scales."""
    x, w = int8(0.3, 5), constant("w", np.int8([[[[2, -3]]]]), QuantParams.per_tensor(0.7))
    y = activation("y", (1, 1, 1, 1), element=ElementType.INT32)
    graph = single(Conv2D(), [activation("x", (1, 1, 1, 2), x), w], y)
    codes = np.int8([[[[105, 15]]]])
    assert evaluate_fake_quant(graph, {"x": codes})["y"].ravel() == [170]
    shifted = single(
        RequantShift((3,), (4,), 3),
        [activation("a", (1, 2), element=ElementType.INT32)],
        activation("b", (1, 2), element=ElementType.INT8),
    )
    made = evaluate_fake_quant(shifted, {"a": np.int32([[170, -9]])})["b"]
    assert made.tolist() == [[64, -3]]
