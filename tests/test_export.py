"""QDQ ONNX files: every operator in ONNX Runtime, byte for byte what the arithmetic profile `onnxruntime` computes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from float_graphs import FloatGraph
from quantizable_graphs import CASES, IMAGE, calibration_for
from runtime_sessions import RECIPES, assert_runtime_agrees, codes, golden, initializers, run, samples, session

from accel_sim.errors import UnsupportedModelError
from accel_sim.frontend import load
from accel_sim.frontend.export import WeightStorage, write_qdq_onnx
from accel_sim.ir import (
    NO_ACTIVATION,
    Conv2D,
    ElementType,
    Graph,
    MatMul,
    TransposeConv2D,
)
from accel_sim.quantization import ActivationRecipe, Recipe, WeightRecipe, quantize
from accel_sim.reference import evaluate_float


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("name", CASES)
def test_runtime_and_reference_agree_byte_for_byte_and_so_does_the_file_read_back(name: str, recipe: str) -> None:
    graph = CASES[name]()
    quantized = quantize(graph, calibration_for(graph), RECIPES[recipe])
    content = write_qdq_onnx(quantized)
    inputs = samples(graph, 4, seed=99)
    assert_runtime_agrees(quantized, content, inputs)
    again = load(content)
    assert (again.inputs, again.outputs) == (graph.inputs, graph.outputs)
    for sample in inputs:
        first, second = golden(quantized, sample), golden(again, sample)
        for output in graph.outputs:
            np.testing.assert_array_equal(first[output], second[output])


@pytest.mark.parametrize("name", CASES)
def test_the_file_computes_the_float_function_within_the_grid(name: str) -> None:
    graph = CASES[name]()
    quantized = quantize(graph, calibration_for(graph), "minmax")
    runtime = session(write_qdq_onnx(quantized))
    for sample in samples(graph, 3, seed=7)[:2]:
        stored = {n: graph.tensors[n].from_file_layout(a) for n, a in sample.items()}
        expected, got = evaluate_float(graph, stored), run(runtime, sample)
        for output in graph.outputs:
            tensor = quantized.tensors[output]
            wanted = tensor.to_file_layout(expected[output])
            if tensor.quant is None:
                assert (got[output] == wanted).mean() > 0.8
            else:
                assert np.abs(got[output] - wanted).max() <= 6 * tensor.quant.scale[0]


FUSED_AWAY = {
    "Conv", "Gemm", "MatMul", "Add", "Mul", "AveragePool", "GlobalAveragePool", "Concat", "Softmax", "Sigmoid",
    "LeakyRelu",
}  # fmt: skip


@pytest.mark.parametrize("name", [n for n in CASES if n != "hard_swish"])  # a product in ONNX Runtime, in float
def test_the_runtime_fuses_every_operator_that_it_has_an_integer_kernel_for(name: str, tmp_path: Path) -> None:
    graph = CASES[name]()
    session(write_qdq_onnx(quantize(graph, calibration_for(graph))), tmp_path / "optimized.onnx")
    operators = {n.op_type for n in onnx.load(tmp_path / "optimized.onnx").graph.node}
    assert not operators & FUSED_AWAY


@pytest.mark.parametrize("name", CASES)
def test_file_of_signed_activations_read_back_is_what_the_runtime_computes(name: str) -> None:
    """Average pools, sums and products included, which ONNX Runtime computes on uint8 codes."""
    graph = CASES[name]()
    quantized = quantize(graph, calibration_for(graph), Recipe(activations=ActivationRecipe(signed=True)))
    content = write_qdq_onnx(quantized)
    again = load(content)
    assert [again.tensors[n].quant for n in again.outputs] == [quantized.tensors[n].quant for n in graph.outputs]
    assert_runtime_agrees(again, content, samples(graph, 4, seed=99))


def test_signed_activations_agree_where_sums_are_integer() -> None:
    recipe = Recipe(activations=ActivationRecipe(signed=True))
    for name in ("conv_relu", "depthwise", "fully_connected", "add_relu", "concat", "global_average_pool"):
        graph = CASES[name]()
        quantized = quantize(graph, calibration_for(graph), recipe)
        assert_runtime_agrees(quantized, write_qdq_onnx(quantized), samples(graph, 4, seed=99))


def test_sixteen_bits_need_a_newer_opset_and_stay_close() -> None:
    graph = CASES["conv_relu"]()
    quantized = quantize(graph, calibration_for(graph), Recipe(activations=ActivationRecipe(16)))
    content = write_qdq_onnx(quantized)
    assert onnx.load_from_string(content).opset_import[0].version == 21
    runtime = session(content)
    for sample in samples(graph, 3, seed=7):
        expected, got = golden(quantized, sample), run(runtime, sample)
        for name in graph.outputs:
            assert np.abs(codes(quantized.tensors[name], got[name]) - expected[name]).max() <= 1


def test_opsets() -> None:
    for name, opset in (("conv", 13), ("hard_swish", 14)):
        graph = CASES[name]()
        model = onnx.load_from_string(write_qdq_onnx(quantize(graph, calibration_for(graph))))
        assert [(o.domain, o.version) for o in model.opset_import] == [("", opset)]


def test_weights_are_int8_per_channel_and_biases_int32_at_the_product_of_the_scales() -> None:
    graph = CASES["conv"]()
    quantized = quantize(graph, calibration_for(graph), "minmax")
    arrays = initializers(write_qdq_onnx(quantized))
    weights, bias = arrays["normal0.codes"], arrays["normal1.codes"]
    stored = quantized.tensors["normal0"].constant
    np.testing.assert_array_equal(weights, stored.transpose(0, 3, 1, 2))
    assert (weights.dtype, bias.dtype, arrays["normal0.scale"].shape) == (np.int8, np.int32, (5,))
    input_scale = np.float32(quantized.tensors["x"].quant.scale[0])
    np.testing.assert_array_equal(arrays["normal1.scale"], input_scale * arrays["normal0.scale"])
    assert not arrays["normal0.zero_point"].any()


@pytest.mark.parametrize("name", ["conv", "depthwise", "transpose_conv", "fully_connected", "matmul_constant"])
def test_weights_stored_unsigned_compute_the_same(name: str, tmp_path: Path) -> None:
    graph = CASES[name]()
    quantized = quantize(graph, calibration_for(graph), "minmax")
    content = write_qdq_onnx(quantized, weights=WeightStorage.UINT8)
    weights = initializers(content)["normal0.codes"]
    assert (weights.dtype, set(initializers(content)["normal0.zero_point"].flat)) == (np.uint8, {128})
    assert_runtime_agrees(quantized, content, samples(graph, 4, seed=99))
    session(content, tmp_path / "optimized.onnx")
    operators = {n.op_type for n in onnx.load(tmp_path / "optimized.onnx").graph.node}
    assert not operators & FUSED_AWAY


def grouped_transpose(scales: tuple[float, ...]) -> Graph:
    g = FloatGraph()
    op = TransposeConv2D((2, 2), groups=2)
    y = g.op(op, g.input("x", IMAGE), g.normal(6, 2, 2, 2), g.normal(6), shape=(1, 12, 16, 6), name="y")
    quantized = quantize(g.graph(y), calibration_for(g.graph(y)))
    weights, bias = (quantized.tensors[n] for n in ("normal0", "normal1"))
    input_scale = np.float32(quantized.tensors["x"].quant.scale[0])
    products = tuple(float(input_scale * np.float32(s)) for s in scales)
    changed = {
        "normal0": replace(weights, quant=replace(weights.quant, scale=scales)),
        "normal1": replace(bias, quant=replace(bias.quant, scale=products)),
    }
    return replace(quantized, tensors=dict(quantized.tensors) | changed)


def test_grouped_transposed_convolution() -> None:
    graph = grouped_transpose((0.5, 0.25, 0.125, 0.5, 0.25, 0.125))
    assert_runtime_agrees(graph, write_qdq_onnx(graph), samples(graph, 3, seed=1))
    with pytest.raises(UnsupportedModelError, match="repeat in every group"):
        write_qdq_onnx(grouped_transpose((0.5, 0.25, 0.125, 0.5, 0.25, 0.25)))


def accumulating(name: str, operator: type) -> Graph:
    """A quantized case whose layer has no bias and no output grid."""
    graph = CASES[name]()
    quantized = quantize(graph, calibration_for(graph), Recipe(weights=WeightRecipe(per_channel=False)))
    node = quantized.nodes[-1]
    y = replace(quantized.tensors["y"], element=ElementType.INT32, quant=None)
    op = replace(node.op, activation=NO_ACTIVATION) if isinstance(node.op, Conv2D) else node.op
    nodes = (*quantized.nodes[:-1], replace(node, op=op, inputs=node.inputs[:2]))
    assert isinstance(op, operator)
    return replace(quantized, nodes=nodes, tensors=dict(quantized.tensors) | {"y": y})


@pytest.mark.parametrize(("name", "operator"), [("conv_without_bias", Conv2D), ("matmul_activations", MatMul)])
def test_raw_accumulators_are_integer_operators(name: str, operator: type) -> None:
    graph = accumulating(name, operator)
    assert_runtime_agrees(graph, write_qdq_onnx(graph), samples(graph, 3, seed=1))
