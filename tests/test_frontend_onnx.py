"""ONNX files become graphs: real networks, what ONNX Runtime fuses, and the oddities of exporters."""

from importlib.resources import files

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

pytest.importorskip("onnxruntime")

from oracles.onnx_builder import UINT8, Grid, ModelBuilder
from oracles.onnx_models import QDQ, QOPERATOR, case, run_ort

from accel_sim.frontend.onnx import list_onnx, load_onnx, supported_onnx
from accel_sim.ir import (
    Activation,
    Clip,
    Concat,
    Conv2D,
    ElementType,
    FullyConnected,
    GlobalAveragePool2D,
    MaxPool2D,
    Mean,
    ModelFormat,
    Pad,
    QuantParams,
    Requantize,
    RequantShift,
    Reshape,
    Slice,
)
from accel_sim.numerics.profiles import get_profile
from accel_sim.reference import evaluate_float, evaluate_integer

F = np.float32
GRID = Grid(F(0.05), 3, UINT8)
NETWORKS = {
    "cifar_resnet20_fp32": (False, {Conv2D: 19, Clip: 19, Slice: 4, Pad: 2, Mean: 1, FullyConnected: 1}),
    "cifar_resnet20_bn_fp32": (False, {Conv2D: 19}),
    "cifar_resnet20_qop_s8s8_perchannel": (True, {Conv2D: 19, Slice: 4, Pad: 2, Mean: 1, FullyConnected: 1}),
    "cifar_resnet20_qdq_u8s8_pertensor": (True, {Conv2D: 19, Slice: 4, Pad: 2, Clip: 0}),
    "mobilenetv2_tfslim_fp32": (False, {Conv2D: 52, Clip: 35, GlobalAveragePool2D: 1}),
    "squeezenet1.1_qop_u8u8_pertensor": (True, {Conv2D: 26, MaxPool2D: 3, Concat: 8}),
}


def operators(graph):
    return [type(n.op) for n in graph.nodes]


def codes(graph, inputs):
    stored = {n: graph.tensors[n].from_file_layout(a) for n, a in inputs.items()}
    made = evaluate_integer(graph, stored, get_profile("onnxruntime"))
    return {n: graph.tensors[n].to_file_layout(np.asarray(made[n])) for n in graph.outputs}


def assert_as_onnx_runtime(model: ModelBuilder):
    data = model.serialize()
    graph = load_onnx(data, "case")
    expected = run_ort(data, model.inputs)
    for name, array in codes(graph, model.inputs).items():
        wanted = expected[name]
        if name in model.output_grids:
            wanted = model.output_grids[name].codes_of(wanted)
        np.testing.assert_array_equal(array, wanted, err_msg=name)
    return graph


def image(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("name", NETWORKS)
def test_network_loads(name, data):
    graph = load_onnx((data / f"onnx/{name}.onnx").read_bytes(), name)
    is_integer, counts = NETWORKS[name]
    assert graph.is_integer is is_integer
    assert graph.source is ModelFormat.ONNX
    assert {op: operators(graph).count(op) for op in counts} == counts
    assert all(graph.tensors[n].file_axes == (0, 2, 3, 1) for n in graph.inputs)
    assert graph.outputs == ("logits",)


def test_float_network_computes_what_onnx_runtime_does(data):
    content = (data / "onnx/cifar_resnet20_bn_fp32.onnx").read_bytes()
    graph = load_onnx(content, "resnet")
    x = np.random.default_rng(0).normal(size=(1, 3, 32, 32)).astype(F)
    made = evaluate_float(graph, {"input": graph.tensors["input"].from_file_layout(x)})["logits"]
    np.testing.assert_allclose(made, run_ort(content, {"input": x})["logits"], rtol=1e-3, atol=1e-4)


def test_bundled_network_is_float():
    graph = load_onnx(files("accel_sim.demo_data").joinpath("digits_cnn.onnx").read_bytes(), "digits")
    assert not graph.is_integer
    assert graph.tensors[graph.inputs[0]].element is ElementType.FLOAT32


def test_integer_dialect_of_deeploy(data):
    folder = data / "goldens/deeploy_KeywordSpotting"
    graph = load_onnx((folder / "network.onnx").read_bytes(), "kws")
    x = np.load(folder / "inputs.npz")["input_0"].astype(np.uint8)
    made = codes(graph, {"input": x})
    np.testing.assert_array_equal(made["output"], np.load(folder / "outputs.npz")["output_0"])
    shifts = [n for n in graph.nodes if isinstance(n.op, RequantShift)]
    assert len(shifts) == 10
    assert graph.operand(shifts[0], 0).element is ElementType.INT32
    assert graph.operand(shifts[0], 0).quant is None


@pytest.mark.parametrize("operator", QOPERATOR + QDQ)
def test_every_pattern_of_the_oracle_loads_as_integers(operator):
    for index in range(10):
        made = case(operator, np.random.default_rng([99, index]))
        graph = load_onnx(made.model, operator)
        assert graph.is_integer
        assert set(graph.inputs) == set(made.inputs)


# --- grids that no QuantizeLinear states -------------------------------------------------------------------------


def test_moves_between_dequantize_and_quantize_keep_the_grid():
    model = ModelBuilder(13)
    x = model.quantized_input("x", image(0, (1, 3, 6, 6)), GRID)
    for axis in (2, 3):
        x = model.node("Slice", [x, *(model.constant(np.array([v])) for v in (0, 9, axis, 2))])
    x = model.node("Pad", [x, model.constant(np.array([0, 1, 0, 0, 0, 1, 0, 0]))])
    model.quantized_output(x, Grid(F(0.04), 7, UINT8))
    graph = assert_as_onnx_runtime(model)
    assert operators(graph) == [Slice, Slice, Requantize, Pad]


def test_clamp_and_pool_behind_a_convolution_take_the_grid_from_behind():
    model = ModelBuilder(13)
    x = model.quantized_input("x", image(1, (1, 2, 6, 6)), GRID)
    weights = Grid(F(0.02), 0, np.dtype(np.int8))
    w = model.quantized_constant(np.random.default_rng(1).integers(-99, 99, (4, 2, 3, 3), np.int8), weights)
    y = model.node("Relu", [model.node("Conv", [x, w])])
    model.quantized_output(model.node("MaxPool", [y], kernel_shape=[2, 2]), Grid(F(0.3), 0, UINT8))
    graph = load_onnx(model.serialize(), "case")
    assert operators(graph) == [Conv2D, MaxPool2D]
    assert graph.nodes[0].op.activation == Activation(0.0)
    assert graph.result(graph.nodes[0]).quant == graph.tensors["y"].quant


def test_float_bias_is_quantized_as_onnx_runtime_does():
    rng = np.random.default_rng(2)
    model = ModelBuilder(13)
    x = model.quantized_input("x", image(2, (1, 2, 5, 5)), GRID)
    channels = np.linspace(0.01, 0.03, 4).astype(F)
    codes = model.constant(rng.integers(-99, 99, (4, 2, 3, 3), np.int8))
    w = model.dequantize(codes, channels, np.zeros(4, np.int8), axis=0)
    bias = model.constant(rng.normal(size=4).astype(F))
    model.quantized_output(model.node("Conv", [x, w, bias]), Grid(F(0.1), 90, UINT8))
    assert_as_onnx_runtime(model)


@pytest.mark.parametrize("rank", [2, 3])
def test_product_and_constant_sum_are_one_layer(rank):
    rng = np.random.default_rng(3)
    model = ModelBuilder(13)
    x = model.quantized_input("x", image(3, (2, 3, 4)[3 - rank :]), GRID)
    w = model.quantized_constant(rng.integers(-99, 99, (4, 5), np.int8), Grid(F(0.02), 0, np.dtype(np.int8)))
    y = model.node("Add", [model.node("MatMul", [x, w]), model.constant(rng.normal(size=5).astype(F))])
    model.quantized_output(y, Grid(F(0.1), 90, UINT8))
    graph = assert_as_onnx_runtime(model)
    assert operators(graph) == [FullyConnected]
    assert graph.operand(graph.nodes[0], 2).element is ElementType.INT32


def test_pool_over_the_whole_image_is_the_global_one():
    model = ModelBuilder(13)
    x = model.quantized_input("x", image(4, (1, 3, 4, 5)), GRID)
    y = model.node("AveragePool", [x], kernel_shape=[4, 5], strides=[1, 1])
    model.quantized_output(y, Grid(F(0.05), 4, UINT8))
    assert operators(assert_as_onnx_runtime(model)) == [GlobalAveragePool2D]


def test_codes_without_any_grid_stand_for_themselves():
    model = ModelBuilder(13)
    x = model.input("x", image(5, (1, 2, 4, 4)))
    model.output(model.node("MaxPool", [x], outputs=["y"], kernel_shape=[2, 2]), np.uint8)
    graph = assert_as_onnx_runtime(model)
    assert graph.tensors["y"].quant == QuantParams.per_tensor(1.0, 0, signed=False)


# --- names, ends, copies ------------------------------------------------------------------------------------------


def test_ends_are_stripped_and_keep_the_files_names():
    model = ModelBuilder(13, float_ends=True)
    x = model.quantized_input("picture", image(6, (1, 2, 4, 4)), GRID)
    model.quantized_output(model.node("MaxPool", [x], kernel_shape=[2, 2]), GRID, "scores")
    graph = load_onnx(model.serialize(), "case")
    assert (graph.inputs, graph.outputs) == (("picture",), ("scores",))
    assert graph.tensors["picture"].quant == QuantParams.per_tensor(float(F(0.05)), 3, signed=False)
    assert operators(graph) == [MaxPool2D]


def test_one_value_under_two_output_names_is_copied():
    model = ModelBuilder(13)
    x = model.quantized_input("x", image(7, (1, 2, 4, 4)), GRID)
    pooled = model.node("MaxPool", [x], kernel_shape=[2, 2])
    for name in ("a", "b"):
        model.quantized_output(pooled, GRID, name)
    model.quantized_output(x, GRID, "c")
    graph = assert_as_onnx_runtime(model)
    assert graph.outputs == ("a", "b", "c")
    assert operators(graph).count(Reshape) == 2


def test_initializers_that_are_also_inputs_are_constants():
    rng = np.random.default_rng(8)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2, 4, 4])
    w = helper.make_tensor_value_info("w", TensorProto.FLOAT, [3, 2, 1, 1])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    weights = numpy_helper.from_array(rng.normal(size=(3, 2, 1, 1)).astype(F), "w")
    graph = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"])], "g", [x, w], [y], [weights])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 8)], ir_version=3)
    loaded = load_onnx(proto.SerializeToString(), "old")
    assert loaded.inputs == ("x",)
    assert loaded.tensors["x"].shape == (1, 4, 4, 2)
    assert loaded.tensors["y"].shape == (1, 4, 4, 3)


def test_scalar_output_and_shapes_computed_by_nodes():
    model = ModelBuilder(13)
    x = model.input("x", np.random.default_rng(9).normal(size=(1, 2, 3, 4)).astype(F))
    batch = model.node("Gather", [model.node("Shape", [x]), model.constant(np.array(0))])
    target = model.node("Concat", [model.node("Unsqueeze", [batch, model.constant(np.array([0]))]),
                                   model.constant(np.array([-1]))], axis=0)  # fmt: skip
    flat = model.node("Reshape", [x, target])
    model.output(model.node("ReduceMean", [flat], outputs=["y"], axes=[0, 1], keepdims=0), F)
    graph = load_onnx(model.serialize(), "case")
    assert graph.tensors["y"].shape == ()
    made = evaluate_float(graph, {"x": graph.tensors["x"].from_file_layout(model.inputs["x"])})["y"]
    np.testing.assert_allclose(made, model.inputs["x"].mean(), rtol=1e-5)


def test_external_weights_are_read_beside_the_file(tmp_path):
    rng = np.random.default_rng(10)
    model = ModelBuilder(13)
    x = model.input("x", rng.normal(size=(2, 64)).astype(F))
    model.output(model.node("MatMul", [x, model.constant(rng.normal(size=(64, 64)).astype(F))], outputs=["y"]), F)
    path = tmp_path / "net.onnx"
    onnx.save(model.model(), path, save_as_external_data=True, size_threshold=0, location="weights.bin")
    graph = load_onnx(path.read_bytes(), "net", tmp_path)
    np.testing.assert_allclose(
        evaluate_float(graph, model.inputs)["y"], run_ort(model.serialize(), model.inputs)["y"], rtol=1e-4, atol=1e-4
    )


def test_operators_are_listed_and_documented(data):
    listed = list_onnx((data / "onnx/squeezenet1.1_qop_u8u8_pertensor.onnx").read_bytes())
    assert [o.operator for o in listed].count("com.microsoft.QLinearConcat") == 8
    rows = {row.operator: row for row in supported_onnx()}
    assert rows["QLinearConv"].becomes == ("Conv2D",)
    assert all(sentence.endswith(".") for row in rows.values() for sentence in row.constraints)


def test_transposed_constant_keeps_its_channels():
    rng = np.random.default_rng(11)
    model = ModelBuilder(13)
    x = model.quantized_input("x", image(11, (3, 4)), GRID)
    scales = np.linspace(0.01, 0.02, 5).astype(F)
    codes = model.constant(rng.integers(-99, 99, (5, 4), np.int8))
    w = model.node("Transpose", [model.dequantize(codes, scales, np.zeros(5, np.int8), axis=0)], perm=[1, 0])
    model.quantized_output(model.node("MatMul", [x, w]), Grid(F(0.1), 90, UINT8))
    graph = assert_as_onnx_runtime(model)
    assert operators(graph) == [FullyConnected]
    assert graph.operand(graph.nodes[0], 1).quant.axis == 0


def test_quantized_weights_alone_make_a_float_network():
    rng = np.random.default_rng(12)
    model = ModelBuilder(13)
    x = model.input("x", rng.normal(size=(2, 4)).astype(F))
    codes, grid = rng.integers(-99, 99, (4, 5), np.int8), Grid(F(0.02), 0, np.dtype(np.int8))
    model.output(model.node("MatMul", [x, model.quantized_constant(codes, grid)], outputs=["y"]), F)
    graph = load_onnx(model.serialize(), "case")
    assert not graph.is_integer
    expected = model.inputs["x"] @ grid.dequantize(codes)
    np.testing.assert_allclose(evaluate_float(graph, model.inputs)["y"], expected, rtol=1e-5, atol=1e-6)
