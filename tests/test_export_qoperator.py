"""QOperator ONNX files: in ONNX Runtime, byte for byte what the reference and the machine compute, and so read back."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from ptq_networks import data as pictures
from ptq_networks import inverted_residual
from quantizable_graphs import CASES, calibration_for
from runtime_sessions import codes, golden, initializers, samples
from runtime_sessions import run as run_session

import accel_sim
from accel_sim import demo_data
from accel_sim.errors import UnsupportedModelError
from accel_sim.frontend import load
from accel_sim.frontend.encodings import parse_encodings
from accel_sim.frontend.export import WeightStorage, write_qoperator_onnx
from accel_sim.ir import Graph
from accel_sim.quantization import ActivationRecipe, Recipe, WeightRecipe, get_recipe, quantize

RECIPES = {
    "w8a8": Recipe(),
    "signed": Recipe(activations=ActivationRecipe(signed=True)),
    "w4a6": Recipe(weights=WeightRecipe(4), activations=ActivationRecipe(6)),
    "per_tensor_asymmetric": Recipe(weights=WeightRecipe(per_channel=False, symmetric=False)),
}
SIXTEEN_BITS = Recipe(activations=ActivationRecipe(16))
WEIGHTED = (
    "conv_relu",
    "conv_caps",
    "depthwise",
    "fully_connected",
    "matmul_constant",
    "matmul_activations",
    "network",
)
FORMS = [(n, r) for r in RECIPES for n in (CASES if r in ("w8a8", "signed") else WEIGHTED)]
INTEGER = {
    "conv": "QLinearConv",
    "depthwise": "QLinearConv",
    "fully_connected": "QGemm",
    "fully_connected_rows": "QGemm",
    "matmul_constant": "QLinearMatMul",
    "matmul_activations": "QLinearMatMul",
    "add": "QLinearAdd",
    "multiply": "QLinearMul",
    "concat": "QLinearConcat",
    "average_pool": "QLinearAveragePool",
    "global_average_pool": "QLinearGlobalAveragePool",
    "softmax": "QLinearSoftmax",
    "logistic": "QLinearSigmoid",
    "leaky_relu": "QLinearLeakyRelu",
}


def session(content: bytes, *, optimized: bool = True) -> onnxruntime.InferenceSession:
    levels = onnxruntime.GraphOptimizationLevel
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimized else levels.ORT_DISABLE_ALL
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    if "int8" not in activation_types(content):
        options.add_session_config_entry("session.x64quantprecision", "1")  # exact sums on processors without VNNI
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def activation_types(content: bytes) -> set[str]:
    nodes = onnx.load_from_string(content).graph.node
    return {str(initializers(content)[n.input[2]].dtype) for n in nodes if n.op_type == "QuantizeLinear"}


def assert_runtime_agrees(graph: Graph, content: bytes, inputs: list[dict[str, np.ndarray]], **more: bool) -> None:
    runtime = session(content, **more)
    for sample in inputs:
        expected, got = golden(graph, sample), run_session(runtime, sample)
        for name in graph.outputs:
            np.testing.assert_array_equal(codes(graph.tensors[name], got[name]), expected[name], err_msg=name)


def operators(content: bytes) -> Counter[str]:
    return Counter(n.op_type for n in onnx.load_from_string(content).graph.node)


@pytest.mark.parametrize(("name", "recipe"), FORMS)
def test_runtime_and_reference_agree_byte_for_byte_and_so_does_the_file_read_back(name: str, recipe: str) -> None:
    graph = CASES[name]()
    quantized = quantize(graph, calibration_for(graph), RECIPES[recipe])
    content = write_qoperator_onnx(quantized)
    inputs = samples(graph, 4, seed=99)
    again = load(content)
    assert (again.inputs, again.outputs) == (graph.inputs, graph.outputs)
    assert_runtime_agrees(again, content, inputs)
    for sample in inputs:
        first, second = golden(quantized, sample), golden(again, sample)
        for output in graph.outputs:
            np.testing.assert_array_equal(first[output], second[output])


@pytest.mark.parametrize("name", [*WEIGHTED, "add", "softmax", "average_pool"])
def test_sixteen_bits_fall_back_to_real_operators_and_stay_close(name: str) -> None:
    graph = CASES[name]()
    quantized = quantize(graph, calibration_for(graph), SIXTEEN_BITS)
    content = write_qoperator_onnx(quantized)
    assert not any(n.startswith("QLinear") or n == "QGemm" for n in operators(content))
    session(content)


@pytest.mark.parametrize(("name", "operator"), INTEGER.items())
def test_integer_operators_stand_between_integers(name: str, operator: str) -> None:
    graph = CASES[name]()
    found = operators(write_qoperator_onnx(quantize(graph, calibration_for(graph), "minmax")))
    assert found[operator] == 1
    assert found["DequantizeLinear"] == len(graph.outputs)
    quantizers = found["QuantizeLinear"]
    assert quantizers == len(graph.inputs)


@pytest.mark.parametrize("name", ["max_pool", "reshape_flat", "transpose_rows", "slice_backwards", "pad"])
def test_values_are_moved_as_codes(name: str) -> None:
    graph = CASES[name]()
    found = operators(write_qoperator_onnx(quantize(graph, calibration_for(graph))))
    assert (found["QuantizeLinear"], found["DequantizeLinear"]) == (1, 1)


def test_a_whole_network_has_no_real_value_inside() -> None:
    graph = CASES["network"]()
    found = operators(write_qoperator_onnx(quantize(graph, calibration_for(graph))))
    assert (found["QuantizeLinear"], found["DequantizeLinear"]) == (1, 2)
    assert not {"Conv", "Gemm", "Add", "Concat"} & found.keys()


def test_weights_and_biases_are_codes_with_scales_beside_them() -> None:
    graph = CASES["conv"]()
    quantized = quantize(graph, calibration_for(graph), "minmax")
    content = write_qoperator_onnx(quantized)
    arrays = initializers(content)
    (node,) = (n for n in onnx.load_from_string(content).graph.node if n.op_type == "QLinearConv")
    x_scale, _, w, w_scale, w_zero, y_scale, _, bias = (arrays[n] for n in node.input[1:])
    np.testing.assert_array_equal(w, quantized.tensors["normal0"].constant.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(bias, quantized.tensors["normal1"].constant)
    assert (w.dtype, bias.dtype, w_scale.shape, w_zero.shape) == (np.int8, np.int32, (5,), (5,))
    assert (x_scale, y_scale) == tuple(np.float32(quantized.tensors[n].quant.scale[0]) for n in "xy")


@pytest.mark.parametrize("name", ["conv", "depthwise", "fully_connected", "matmul_constant"])
def test_weights_stored_unsigned_compute_the_same(name: str) -> None:
    graph = CASES[name]()
    quantized = quantize(graph, calibration_for(graph), "minmax")
    content = write_qoperator_onnx(quantized, weights=WeightStorage.UINT8)
    assert initializers(content)["normal0.codes"].dtype == np.uint8
    assert_runtime_agrees(quantized, content, samples(graph, 4, seed=99))


def assert_all_agree(quantized: Graph, inputs: np.ndarray) -> None:
    """ONNX Runtime, the machine on the graph, and the machine on the file."""
    content = write_qoperator_onnx(quantized)
    name, output = quantized.inputs[0], quantized.outputs[0]
    got = run_session(session(content), {name: inputs})[output]
    for graph in (quantized, accel_sim.load(content)):
        made = accel_sim.run(accel_sim.compile(graph, profile="onnxruntime"), inputs, level="functional", threads=1)
        np.testing.assert_array_equal(codes(quantized.tensors[output], got), made.outputs[output])


@pytest.mark.parametrize(
    "overrides", [(), ("weights.per_channel=false", "weights.bits=4"), ("activations.tie=concat_and_add",)]
)
def test_the_machine_computes_what_the_runtime_does(overrides: tuple[str, ...]) -> None:
    recipe = get_recipe("fast", overrides)
    assert_all_agree(quantize(inverted_residual(), pictures(16), recipe), pictures(8, seed=5))
    digits = load(demo_data.network_bytes())
    assert_all_agree(quantize(digits, demo_data.calibration()[:32], recipe), demo_data.heldout()[0][:40])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "overrides"),
    [
        ("cifar_resnet20_bn_fp32", ("weights.per_channel=false", "weights.bits=4")),
        ("cifar_resnet20_fp32", ()),
        ("mobilenetv2_tfslim_fp32", ("weights.per_channel=false", "samples=8")),
        ("mobilenetv2_tfslim_fp32", ("samples=8",)),
    ],
)
def test_real_networks_in_every_form(data, network: str, overrides: tuple[str, ...]) -> None:
    """ONNX Runtime on both forms, the machine on the graph and on both files, and from encodings: the same codes."""
    is_mobile = network.startswith("mobile")
    with np.load(data / f"inputs/{'imagenet_calib64_224' if is_mobile else 'cifar10_jpeg200'}.npz") as arrays:
        pixels = arrays["images"][:48]
    inputs = np.ascontiguousarray((pixels / 127.5 - 1).astype(np.float32).transpose(0, 3, 1, 2))
    made = accel_sim.quantize_with_report(
        accel_sim.load(data / f"onnx/{network}.onnx"), inputs[:8], "fast", overrides=overrides
    )
    some = inputs[8 : 12 if is_mobile else None]
    text = accel_sim.write_encodings(made.graph)[0]
    again = accel_sim.apply_encodings(accel_sim.write_onnx(made.adjusted, form="float"), parse_encodings(text)).graph
    (output,) = made.graph.outputs
    expected = machine_codes(made.graph, some)
    np.testing.assert_array_equal(machine_codes(again, some), expected)
    for form in ("qdq", "qoperator"):
        content = accel_sim.write_onnx(made.graph, form=form)
        got = run_session(session(content), {made.graph.inputs[0]: some})[output]
        np.testing.assert_array_equal(codes(made.graph.tensors[output], got), expected)
        np.testing.assert_array_equal(machine_codes(accel_sim.load(content), some), expected)


INTEGER_FILES = ["tflite/kws_ref_model.tflite", "tflite/pretrainedResnet_quant.tflite"]
FURTHER_FILES = [
    "tflite/ad01_int8.tflite",
    "tflite/mobilenet_v1_0.25_128_quant.tflite",
    "tflite/vww_96_int8.tflite",
    "onnx/cifar_resnet20_qdq_u8s8_pertensor.onnx",
    "onnx/cifar_resnet20_qop_s8s8_perchannel.onnx",
    "onnx/squeezenet1.1_qop_u8u8_pertensor.onnx",
]


@pytest.mark.parametrize("form", ["qdq", "qoperator"])
@pytest.mark.parametrize("file", [*INTEGER_FILES, *(pytest.param(f, marks=pytest.mark.slow) for f in FURTHER_FILES)])
def test_integer_networks_of_others_become_onnx(data, file: str, form: str) -> None:
    """Signed activations included: ONNX Runtime on the file, the machine on the file, the machine on the original."""
    graph = accel_sim.load(data / file)
    content = accel_sim.write_onnx(graph, form=form)
    (name,), (output,) = graph.inputs, graph.outputs
    grid = graph.tensors[name].quant
    stored = np.random.default_rng(0).normal(0, 60 * grid.scale[0], (1, *graph.tensors[name].shape[1:]))
    inputs = graph.tensors[name].to_file_layout(stored.astype(np.float32))
    got = codes(graph.tensors[output], run_session(session(content), {name: inputs})[output])
    np.testing.assert_array_equal(got, machine_codes(graph, inputs))
    np.testing.assert_array_equal(got, machine_codes(accel_sim.load(content), inputs))


def machine_codes(graph: Graph, inputs: np.ndarray) -> np.ndarray:
    program = accel_sim.compile(graph, profile="onnxruntime")
    return accel_sim.run(program, inputs, level="functional").outputs[graph.outputs[0]]


def test_the_file_runs_without_any_optimization(tmp_path: Path) -> None:
    graph = CASES["network"]()
    quantized = quantize(graph, calibration_for(graph))
    write_qoperator_onnx(quantized, tmp_path / "q.onnx")
    assert_runtime_agrees(quantized, (tmp_path / "q.onnx").read_bytes(), samples(graph, 3, seed=2), optimized=False)


def test_faults_name_the_form() -> None:
    graph = CASES["conv"]()
    with pytest.raises(UnsupportedModelError, match="as QOperator ONNX"):
        write_qoperator_onnx(graph)


def test_the_same_graph_gives_the_same_bytes() -> None:
    graph = CASES["network"]()
    quantized = quantize(graph, calibration_for(graph))
    assert write_qoperator_onnx(quantized) == write_qoperator_onnx(quantized)
