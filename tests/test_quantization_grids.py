"""The quantization pipeline: grids of activations and weights, and whole networks."""

import itertools

import numpy as np
import pytest
from float_graphs import FloatGraph, operators
from quantizable_graphs import CASES, IMAGE, calibration_for
from quantization_calls import grids, images, quantize, small_graph

from accel_sim import demo_data
from accel_sim.ir import (
    Add,
    AveragePool2D,
    Concat,
    Conv2D,
    ElementType,
    FullyConnected,
    MatMul,
    MaxPool2D,
    ModelFormat,
    Tensor,
)
from accel_sim.quantization import (
    ActivationRecipe,
    BiasRecipe,
    Recipe,
    WeightRecipe,
)
from accel_sim.quantization.float_kernels import convolution
from accel_sim.quantization.weights import quantize_linear
from accel_sim.reference import evaluate_float

# --- grids ----------------------------------------------------------------------------------------


def test_grids_are_shared_where_no_value_is_new() -> None:
    quantized = quantize(CASES["network"](), calibration_for(CASES["network"]()))
    for node in quantized.nodes:
        same = quantized.operand(node, 0).quant == quantized.result(node).quant
        if isinstance(node.op, MaxPool2D | AveragePool2D) or node.op.name in ("Reshape", "Transpose"):
            assert same, node
        if isinstance(node.op, Add | Concat | Conv2D | FullyConnected):
            assert quantized.result(node).quant is not None


def test_rectified_tensors_start_at_zero() -> None:
    grid = quantize(small_graph(), images()).tensors["y"].quant
    assert (grid.zero_point, grid.signed) == ((0,), False)
    signed = quantize(small_graph(), images(), Recipe(activations=ActivationRecipe(signed=True))).tensors["y"].quant
    assert (signed.zero_point, signed.signed) == ((-128,), True)


def test_concatenated_and_added_branches_keep_their_grids() -> None:
    g = FloatGraph()
    a, b = g.input("a", (1, 3)), g.input("b", (1, 3))
    total = g.op(Add(), a, b, shape=(1, 3))
    graph = g.graph(total, g.op(Concat(1), a, b, shape=(1, 6), name="y"))
    quantized = quantize(graph, {"a": np.array([[-1, 0, 3.0]]), "b": np.array([[0.0, -10, 1]])})
    assert len({quantized.tensors[n].quant for n in ("a", "b", total, "y")}) == 4


KNOWN = [("logistic", 1 / 256, 0), ("softmax", 1 / 256, 0), ("tanh", 1 / 128, 128)]


@pytest.mark.parametrize(("name", "scale", "zero_point"), KNOWN)
def test_known_ranges_need_no_data(name: str, scale: float, zero_point: int) -> None:
    graph = CASES[name]()
    grid = quantize(graph, calibration_for(graph)).tensors["y"].quant
    assert (grid.scale, grid.zero_point) == ((scale,), (zero_point,))
    signed = Recipe(activations=ActivationRecipe(signed=True))
    assert quantize(graph, calibration_for(graph), signed).tensors["y"].quant.zero_point == (zero_point - 128,)
    symmetric = Recipe(activations=ActivationRecipe(bits=6, symmetric=True))
    grid = quantize(graph, calibration_for(graph), symmetric).tensors["y"].quant
    assert (grid.scale[0] * 64, grid.zero_point, grid.signed) == (2 if name == "tanh" else 1, (0,), name == "tanh")


def test_hard_sigmoid_reaches_one() -> None:
    graph = CASES["hard_sigmoid"]()
    grid = quantize(graph, calibration_for(graph)).tensors["y"].quant
    assert grid.scale[0] * 255 == pytest.approx(1, rel=1e-7)


def test_symmetric_activations_are_unsigned_where_nothing_is_negative() -> None:
    quantized = quantize(small_graph(), images(), Recipe(activations=ActivationRecipe(symmetric=True)))
    x, y = (quantized.tensors[n].quant for n in ("x", "y"))
    assert (x.signed, x.zero_point, y.signed, y.zero_point) == (True, (0,), False, (0,))


@pytest.mark.parametrize("bits", [2, 4, 8, 12, 16])
def test_widths(bits: int) -> None:
    recipe = Recipe(weights=WeightRecipe(bits), activations=ActivationRecipe(bits))
    quantized = quantize(small_graph(), images(), recipe)
    assert {quantized.tensors[n].quant.bits for n in ("x", "y", "normal0")} == {bits}
    assert np.abs(quantized.tensors["normal0"].constant).max() == (1 << (bits - 1)) - 1


def test_a_tensor_of_zeros_has_scale_one() -> None:
    quantized = quantize(small_graph(), np.zeros((1, 3, 4, 4), np.float32))
    assert (quantized.tensors["x"].quant.scale, quantized.tensors["x"].quant.zero_point) == ((1.0,), (0,))


def test_grids_are_float32_numbers() -> None:
    quantized = quantize(CASES["network"](), calibration_for(CASES["network"]()))
    for tensor in quantized.tensors.values():
        assert tensor.quant is not None
        assert all(s == float(np.float32(s)) for s in tensor.quant.scale)


# --- weights --------------------------------------------------------------------------------------


def constant(values) -> Tensor:
    data = np.array(values, np.float32)
    return Tensor("c", data.shape, ElementType.FLOAT32, None, data)


def test_symmetric_weights_are_narrow_and_reach_the_ends() -> None:
    weights = constant([[[[1.0, -2.0]]], [[[0.25, 0.5]]]])
    made = quantize_linear(weights, constant([1.0, -1.0]), 0.5, 0, WeightRecipe(), BiasRecipe())
    assert made.weights.quant.scale == tuple(float(np.float32(v / 127)) for v in (2.0, 0.5))
    np.testing.assert_array_equal(made.weights.constant.reshape(2, 2), [[64, -127], [64, 127]])
    scales = np.float32(0.5) * np.array(made.weights.quant.scale, np.float32)
    assert made.bias.quant.scale == tuple(map(float, scales))
    np.testing.assert_array_equal(made.bias.constant, np.rint([1, -1] / scales.astype(float)))


def test_asymmetric_weights_span_their_range() -> None:
    weights = constant([[-1.0, 3.0], [0.6, 1.0]])
    recipe = WeightRecipe(symmetric=False)
    made = quantize_linear(weights, None, 0.5, 0, recipe, BiasRecipe())
    assert (made.weights.quant.zero_point, made.weights.quant.signed, made.bias) == ((64, 0), False, None)
    np.testing.assert_array_equal(made.weights.constant, [[0, 255], [153, 255]])


def test_per_tensor_weights_have_one_scale() -> None:
    made = quantize_linear(
        constant([[1.0], [4.0]]), constant([1.0, 2.0]), 1.0, 0, WeightRecipe(per_channel=False), BiasRecipe()
    )
    assert made.weights.quant.scale == (float(np.float32(4 / 127)),)
    assert made.bias.quant.axis is None


def test_a_channel_of_zeros_borrows_a_scale() -> None:
    made = quantize_linear(constant([[0.0], [1.27]]), constant([0.5, 0.5]), 0.5, 0, WeightRecipe(), BiasRecipe())
    assert made.weights.quant.scale[0] == made.weights.quant.scale[1]
    assert made.bias.constant[0] == made.bias.constant[1]
    alone = quantize_linear(constant([[0.0]]), None, 0.5, 0, WeightRecipe(), BiasRecipe())
    assert alone.weights.quant.scale == (1.0,)


@pytest.mark.parametrize("magnitude", [1e-9, 2e-20, 1e-38, 1e-45])
@pytest.mark.parametrize("symmetric", [True, False])
def test_the_bias_of_a_dead_channel_survives(magnitude: float, symmetric: bool) -> None:
    weights, bias = constant([[magnitude], [1.0]]), constant([7.5, 1.0])
    made = quantize_linear(weights, bias, 0.01, 0, WeightRecipe(symmetric=symmetric), BiasRecipe())
    real = made.bias.constant * np.array(made.bias.quant.scale)
    np.testing.assert_allclose(real, [7.5, 1.0], rtol=1e-4)
    assert abs(int(made.bias.constant[0])) <= 2**30 + 128


def test_a_matrix_is_per_channel_along_its_columns_and_a_stack_has_one_grid() -> None:
    g = FloatGraph()
    product = g.op(MatMul(transpose_a=True), g.input("x", (6, 2)), g.normal(6, 5), shape=(2, 5), name="y")
    quantized = quantize(g.graph(product), np.ones((6, 2), np.float32))
    weights = quantized.operand(quantized.nodes[0], 1)
    assert (weights.quant.axis, len(weights.quant.scale)) == (1, 5)
    stack = quantize(CASES["matmul_constant"](), calibration_for(CASES["matmul_constant"]()))
    assert stack.operand(stack.nodes[0], 1).quant.axis is None


def test_weights_that_two_layers_share_get_a_bias_each() -> None:
    g = FloatGraph()
    x, weights, bias = g.input("x", (1, 4)), g.normal(4, 4), g.normal(4)
    y = g.op(FullyConnected(), x, weights, bias, shape=(1, 4))
    graph = g.graph(g.op(FullyConnected(), y, weights, bias, shape=(1, 4), name="y"))
    quantized = quantize(graph, np.ones((1, 4), np.float32))
    first, second = quantized.nodes
    assert quantized.operand(first, 1) is quantized.operand(second, 1)
    assert quantized.operand(first, 2).quant != quantized.operand(second, 2).quant


# --- whole networks -------------------------------------------------------------------------------


def test_the_result_keeps_names_order_and_origin() -> None:
    graph = CASES["network"]()
    quantized = quantize(graph, calibration_for(graph))
    assert (quantized.inputs, quantized.outputs) == (graph.inputs, graph.outputs)
    assert (quantized.source, quantized.sha256) == (ModelFormat.ONNX, "digest")
    assert quantized.is_integer
    assert quantized.tensors["x"].file_axes == graph.tensors["x"].file_axes
    assert "BatchNorm" not in operators(quantized)
    assert 'name = "minmax"' in quantized.metadata["accel_sim.recipe"]


def test_the_same_data_gives_the_same_graph() -> None:
    graph = CASES["network"]()
    first, second = (quantize(graph, calibration_for(graph)) for _ in range(2))
    assert list(first.tensors) == list(second.tensors)
    assert grids(first) == grids(second)
    for name, tensor in first.tensors.items():
        if tensor.is_constant:
            np.testing.assert_array_equal(tensor.constant, second.tensors[name].constant)


@pytest.mark.parametrize("name", [n for n in CASES if n.startswith(("conv", "depthwise"))])
def test_fast_convolution_is_the_reference_convolution(name: str) -> None:
    graph = CASES[name]()
    node = graph.nodes[0]
    x = np.random.default_rng(0).normal(0, 1, IMAGE).astype(np.float32)
    bias = graph.optional(node, 2)
    operands = (graph.operand(node, 1).constant, None if bias is None else bias.constant)
    fast = convolution(node.op, x, *operands, graph.result(node).shape)
    np.testing.assert_allclose(fast, evaluate_float(graph, {"x": x})["y"], rtol=1e-5, atol=1e-5)


def test_every_operator_can_be_quantized() -> None:
    for name, build in CASES.items():
        graph = build()
        quantized = quantize(graph, itertools.chain([calibration_for(graph)]), "minmax")
        assert quantized.is_integer, name


def test_the_bundled_network_keeps_its_convolutions() -> None:
    from accel_sim.frontend import load

    quantized = quantize(load(demo_data.network_bytes()), demo_data.calibration())
    assert operators(quantized).count("Conv2D") == 5
    assert not {"BatchNorm", "Clip"} & set(operators(quantized))
