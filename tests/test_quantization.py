"""The quantization pipeline: recipes, calibration data, grids, weights, and everything that it refuses."""

import itertools
import math
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from float_graphs import FloatGraph, operators
from quantizable_graphs import CASES, IMAGE, calibration_for

from accel_sim import demo_data
from accel_sim.errors import QuantizationError
from accel_sim.ir import (
    RELU,
    Add,
    AveragePool2D,
    Clip,
    Concat,
    Conv2D,
    ElementType,
    FullyConnected,
    Graph,
    MatMul,
    MaxPool2D,
    ModelFormat,
    QuantParams,
    RequantShift,
    Tensor,
)
from accel_sim.quantization import (
    ActivationRecipe,
    BiasRecipe,
    Recipe,
    WeightRecipe,
    get_recipe,
    parse_recipe,
    quantize_with_report,
    recipe_names,
    recipe_text,
)
from accel_sim.quantization.float_kernels import convolution
from accel_sim.quantization.weights import quantize_linear
from accel_sim.reference import evaluate_float


def quantize(graph: Graph, calibration, recipe="minmax", **options) -> Graph:
    """Ranges by minimum and maximum where a test does not say otherwise."""
    return quantize_with_report(graph, calibration, recipe, **options).graph


def small_graph() -> Graph:
    """x -> convolution with ReLU -> y, channels 3 -> 2."""
    g = FloatGraph()
    x = g.input("x", (1, 4, 4, 3))
    y = g.op(Conv2D(), x, g.normal(2, 1, 1, 3), g.normal(2), shape=(1, 4, 4, 2))
    return g.graph(g.op(Clip(RELU), y, shape=(1, 4, 4, 2), name="y"))


def images(count: int = 2, seed: int = 0) -> np.ndarray:
    """For `small_graph`, in the file's layout."""
    return np.random.default_rng(seed).normal(0, 1, (count, 3, 4, 4)).astype(np.float32)


def faults_of(*args, **options) -> str:
    with pytest.raises(QuantizationError) as caught:
        quantize(*args, **options)
    return str(caught.value)


# --- recipes ----------------------------------------------------------------------------------------------------


def test_built_in_recipes_are_eight_bits_per_channel() -> None:
    assert recipe_names() == ("data-free", "fast", "minmax", "standard")
    for name in recipe_names():
        recipe = get_recipe(name)
        assert recipe.name == name
        assert (recipe.weights.bits, recipe.weights.per_channel, recipe.activations.bits) == (8, True, 8)
    assert get_recipe("minmax") == Recipe("minmax")


def test_a_recipe_survives_its_text(tmp_path: Path) -> None:
    recipe = Recipe("mine", WeightRecipe(4, per_channel=False), ActivationRecipe(6, symmetric=True), BiasRecipe(16))
    assert parse_recipe(recipe_text(recipe)) == recipe
    file = tmp_path / "mine.toml"
    file.write_text("[weights]\nbits = 4\n")
    assert get_recipe(file) == get_recipe(str(file)) == Recipe("mine", WeightRecipe(4))


def test_every_fault_of_a_recipe_is_told_at_once() -> None:
    text = "nam = 'x'\n[weights]\nbits = 17\nper_channel = 1\n[activations]\nbits = true\n[bias]\nbits = 8\n"
    with pytest.raises(QuantizationError) as caught:
        parse_recipe(text)
    wheres = {f.where for f in caught.value.faults}
    assert wheres == {"nam", "weights.per_channel", "activations.bits", "bias.bits", "weights.bits"}


@pytest.mark.parametrize("text", ["bits = ", "weights = 3"])
def test_text_that_is_no_recipe(text: str) -> None:
    with pytest.raises(QuantizationError):
        parse_recipe(text)


@pytest.mark.parametrize("name", ["no_such_recipe", "no_such_file.toml"])
def test_a_recipe_that_does_not_exist(name: str) -> None:
    with pytest.raises(QuantizationError, match=name):
        get_recipe(name)


# --- calibration data -------------------------------------------------------------------------------------------


def grids(graph: Graph) -> dict[str, QuantParams | None]:
    return {t.name: t.quant for t in graph.tensors.values()}


def test_all_forms_of_calibration_data_give_one_result(tmp_path: Path) -> None:
    graph, data = small_graph(), images(6)
    np.savez(tmp_path / "data.npz", x=data)
    forms = [
        data,
        data.astype(np.float64),
        {"x": data},
        [data[:2], data[2:]],
        ({"x": data[i : i + 1]} for i in range(6)),
        tmp_path / "data.npz",
        str(tmp_path / "data.npz"),
    ]
    results = [grids(quantize(graph, form)) for form in forms]
    assert all(r == results[0] for r in results)


def test_data_is_in_the_layout_of_the_file() -> None:
    graph, data = small_graph(), images(1)
    quantized = quantize(graph, data)
    stored = data.transpose(0, 2, 3, 1)
    y = evaluate_float(graph, {"x": stored})["y"]
    assert quantized.tensors["y"].quant.scale[0] == pytest.approx(y.max() / 255, rel=1e-3)


def test_a_stream_is_read_batch_by_batch() -> None:
    graph, produced, done = small_graph(), [], []

    def stream():
        for i in range(5):
            produced.append(i)
            yield images(8, i)

    quantize(graph, stream(), progress=lambda stage, samples, total: done.append((samples, total, len(produced))))
    assert done == [(16, None, 2), (32, None, 4), (40, None, 5)]


def test_memory_does_not_grow_with_the_data() -> None:
    graph = small_graph()

    def peak(batches: int) -> int:
        tracemalloc.start()
        quantize(graph, (images(64, i) for i in range(batches)))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1)
    assert peak(12) < 1.5 * peak(2)


def test_progress_knows_the_total_of_arrays() -> None:
    done = []
    quantize(small_graph(), images(17), progress=lambda stage, *state: done.append(state))
    assert done == [(16, 17), (17, 17)]


def test_a_batch_of_the_graph_is_one_sample() -> None:
    g = FloatGraph()
    graph = g.graph(g.op(Add(), g.input("x", (2, 3)), g.constant([1.0]), shape=(2, 3), name="y"))
    done = []
    quantize(graph, np.ones((6, 3), np.float32), progress=lambda stage, *state: done.append(state))
    assert done == [(3, 3)]


NAN = images()
NAN[0, 0, 0, 0] = np.nan
HUGE = images().astype(np.float64)
HUGE[0, 0, 0, 0] = 1e300


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "no samples"),
        (images(0), "no samples"),
        (images().transpose(0, 2, 3, 1), r"\[1, 3, 4, 4\]"),
        (images()[0], r"\[3, 4, 4\]"),
        ({"z": images()}, "names an input"),
        ({}, "every input needs data"),
        ({"x": images(), "z": images()}, "'z'"),
        ((images() * 10).astype(np.int8), "int8"),
        (images().astype(complex), "complex"),
        ([None], "NoneType"),
        (3, "int"),
        ([[1.0, 2.0]], "list"),
        (NAN, "of .* values, the first .* all values are finite"),
        (HUGE, "of .* values, the first .* all values are finite"),
    ],
)
def test_calibration_data_that_does_not_fit(data, message: str) -> None:
    with pytest.raises(QuantizationError, match=message):
        quantize(small_graph(), data)


def test_a_fault_in_a_later_batch_is_told_with_its_number() -> None:
    assert "calibration batch 2" in faults_of(small_graph(), [images(), images(), NAN])


def test_inputs_with_different_numbers_of_samples() -> None:
    g = FloatGraph()
    graph = g.graph(g.op(Add(), g.input("a", (1, 3)), g.input("b", (1, 3)), shape=(1, 3), name="y"))
    ones = np.ones((2, 3), np.float32)
    assert "the same number of samples" in faults_of(graph, {"a": ones, "b": ones[:1]})
    assert "takes arrays by name" in faults_of(graph, ones)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not really", b"\x93NUMPY"])
def test_a_damaged_file(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.npz"
    file.write_bytes(content)
    assert "x.npz" in faults_of(small_graph(), file)
    assert "no.npz" in faults_of(small_graph(), tmp_path / "no.npz")


def test_objects_in_a_file_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.array([object()], dtype=object))
    assert "x.npz" in faults_of(small_graph(), tmp_path / "x.npz")


# --- graphs that cannot be quantized ----------------------------------------------------------------------------


def test_everything_unsupported_and_the_bad_data_are_told_at_once() -> None:
    g = FloatGraph()
    x = g.input("x", IMAGE)
    y = g.op(RequantShift((1,), (0,), 1), x, shape=IMAGE)
    z = g.op(FullyConnected(), g.constant(np.ones((1, 4))), y, shape=(1, 48))
    g.batchnorm(y, variance=np.full(4, -1.0), name="bad")
    w = g.op(Add(), y, g.constant([math.inf]), shape=IMAGE)
    graph = g.graph(z, w, "bad")
    with pytest.raises(QuantizationError) as caught:
        quantize(graph, {"wrong": images()})
    text = str(caught.value)
    for part in (
        "RequantShift",
        "weights and bias are constants",
        "NaN or infinite",
        "variance",
        "'wrong'",
        "needs data",
    ):
        assert part in text
    assert len(caught.value.faults) == 6


def test_an_integer_graph_is_refused() -> None:
    quantized = quantize(small_graph(), images())
    assert "all are integer" in faults_of(quantized, images())


def test_a_half_integer_graph_is_refused() -> None:
    graph = small_graph()
    x = replace(graph.tensors["x"], element=ElementType.INT8, quant=QuantParams.per_tensor(0.1))
    text = faults_of(replace(graph, tensors=dict(graph.tensors) | {"x": x}), images())
    assert "no tensor is quantized already" in text


def test_activations_that_overflow_are_named() -> None:
    g = FloatGraph()
    x = g.input("x", (1, 2))
    y = g.op(FullyConnected(), x, g.constant(np.full((2, 2), 3e38)), shape=(1, 2), name="y")
    graph = g.graph(y)
    with np.errstate(all="ignore"):
        assert "tensor 'y'" in faults_of(graph, np.full((1, 2), 100, np.float32))


# --- grids ------------------------------------------------------------------------------------------------------


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


# --- weights ----------------------------------------------------------------------------------------------------


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


# --- whole networks ---------------------------------------------------------------------------------------------


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
