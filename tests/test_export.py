"""QDQ ONNX files: every operator in ONNX Runtime, byte for byte what the arithmetic profile `onnxruntime` computes."""

import collections
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from float_graphs import NCHW, FloatGraph
from quantizable_graphs import CASES, IMAGE, calibration_for

from accel_sim import demo_data
from accel_sim.errors import UnsupportedModelError
from accel_sim.frontend import load
from accel_sim.frontend.export import WeightStorage, write_qdq_onnx
from accel_sim.frontend.export.layout import moves_nothing, ordered, permutation
from accel_sim.ir import (
    NO_ACTIVATION,
    Activation,
    Clip,
    Conv2D,
    ElementType,
    FullyConnected,
    Graph,
    MatMul,
    ModelFormat,
    Pad,
    QuantParams,
    RequantShift,
    ResizeNearest,
    Softmax,
    Tensor,
    TransposeConv2D,
)
from accel_sim.numerics.profiles import ONNXRUNTIME
from accel_sim.quantization import ActivationRecipe, Recipe, WeightRecipe, quantize
from accel_sim.reference import evaluate_float, evaluate_integer
from accel_sim.transforms import run_passes

Arrays = dict[str, np.ndarray]


def session(content: bytes, optimized: Path | None = None) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.x64quantprecision", "1")  # exact sums on processors without VNNI
    if optimized is not None:
        options.optimized_model_filepath = str(optimized)
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def run(runtime: onnxruntime.InferenceSession, inputs: Arrays) -> Arrays:
    names = [o.name for o in runtime.get_outputs()]
    return dict(zip(names, runtime.run(names, inputs), strict=True))


def samples(graph: Graph, count: int, seed: int) -> list[Arrays]:
    """Normal inputs in the file's layout, the last one three times as large: it saturates."""
    arrays = calibration_for(graph, count, seed)
    return [
        {n: np.split(a, count)[i] * np.float32(3 if i == count - 1 else 1) for n, a in arrays.items()}
        for i in range(count)
    ]


def golden(graph: Graph, inputs: Arrays) -> Arrays:
    """The outputs' codes in the file's layout, by the reference."""
    stored = {n: graph.tensors[n].from_file_layout(a) for n, a in inputs.items()}
    values = evaluate_integer(graph, stored, ONNXRUNTIME)
    return {n: graph.tensors[n].to_file_layout(values[n]) for n in graph.outputs}


def codes(tensor: Tensor, reals: np.ndarray) -> np.ndarray:
    """Codes behind the final DequantizeLinear."""
    if tensor.quant is None:
        return reals
    return np.rint(reals / tensor.quant.scale[0]).astype(np.int64) + tensor.quant.zero_point[0]


def assert_runtime_agrees(graph: Graph, content: bytes, inputs: list[Arrays]) -> None:
    runtime = session(content)
    for sample in inputs:
        expected, got = golden(graph, sample), run(runtime, sample)
        for name in graph.outputs:
            np.testing.assert_array_equal(codes(graph.tensors[name], got[name]), expected[name], err_msg=name)


RECIPES = {
    "w8a8": Recipe(),
    "w4a8": Recipe(weights=WeightRecipe(4)),
    "a6": Recipe(activations=ActivationRecipe(6)),
    "per_tensor_asymmetric": Recipe(weights=WeightRecipe(per_channel=False, symmetric=False)),
}


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


# --- weights and biases -----------------------------------------------------------------------------------------


def initializers(content: bytes) -> Arrays:
    return {i.name: onnx.numpy_helper.to_array(i) for i in onnx.load_from_string(content).graph.initializer}


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


# --- axes and batches -------------------------------------------------------------------------------------------


def test_orders_and_permutations() -> None:
    file_shape = ordered((1, 6, 8, 4), NCHW)
    assert file_shape == (1, 4, 6, 8)
    array = np.arange(192).reshape(file_shape)
    back = array.transpose(permutation(NCHW, (0, 1, 2, 3)))
    np.testing.assert_array_equal(back, array.transpose(NCHW))
    assert moves_nothing((0, 2, 3, 1), (5, 7, 1, 1))
    assert not moves_nothing((0, 2, 3, 1), (5, 7, 2, 1))


def test_a_graph_with_channels_last_inputs_keeps_them() -> None:
    graph = CASES["network"]()
    tensors = {n: replace(t, file_axes=()) for n, t in graph.tensors.items()}
    graph = replace(graph, tensors=tensors, source=ModelFormat.TFLITE)
    quantized = quantize(graph, calibration_for(graph), "minmax")
    content = write_qdq_onnx(quantized)
    shape = onnx.load_from_string(content).graph.input[0].type.tensor_type.shape
    assert [d.dim_param or d.dim_value for d in shape.dim] == ["N", 12, 12, 3]
    assert_runtime_agrees(quantized, content, samples(graph, 3, seed=5))


def test_a_free_batch_runs_many_samples_at_once() -> None:
    graph = CASES["network"]()
    content = write_qdq_onnx(quantize(graph, calibration_for(graph)))
    runtime = session(content)
    many = calibration_for(graph, 5, seed=3)
    together = run(runtime, many)
    for i in range(5):
        alone = run(runtime, {n: a[i : i + 1] for n, a in many.items()})
        for name in graph.outputs:
            np.testing.assert_array_equal(together[name][i : i + 1], alone[name])


FIXED = ["broadcast_of_lower_rank_activation", "resize_bilinear_corners"]


@pytest.mark.parametrize("name", FIXED)
def test_a_batch_that_operators_mix_or_cannot_follow_is_fixed(name: str) -> None:
    graph = CASES[name]()
    model = onnx.load_from_string(write_qdq_onnx(quantize(graph, calibration_for(graph))))
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1


def test_a_pad_along_the_batch_fixes_it() -> None:
    g = FloatGraph()
    graph = g.graph(g.op(Pad((1, 0), (0, 0)), g.input("x", (1, 3)), shape=(2, 3), name="y"))
    quantized = quantize(graph, calibration_for(graph), "minmax")
    content = write_qdq_onnx(quantized)
    assert onnx.load_from_string(content).graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1
    assert_runtime_agrees(quantized, content, samples(graph, 2, seed=5))


def test_a_size_that_no_factor_gives_is_written_as_a_size() -> None:
    g = FloatGraph()
    graph = g.graph(g.op(ResizeNearest(), g.input("x", (1, 41, 3, 2)), shape=(1, 47, 5, 2), name="y"))
    quantized = quantize(graph, calibration_for(graph), "minmax")
    assert_runtime_agrees(quantized, write_qdq_onnx(quantized), samples(graph, 2, seed=5))


# --- what cannot be written, and files --------------------------------------------------------------------------


def test_a_float_graph_is_refused_with_every_tensor_named() -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        write_qdq_onnx(CASES["conv"]())
    assert [f.where for f in caught.value.faults] == ["tensor 'x'", "tensor 'y'"]


def test_everything_that_onnx_lacks_is_told_at_once(tmp_path: Path) -> None:
    graph = CASES["network"]()
    quantized = quantize(graph, calibration_for(graph), "minmax")
    ops = {
        "Softmax": Softmax(beta=2.0),
        "AveragePool2D": Pad((0, 0, 0, 0), (0, 0, 0, 0), mode="symmetric"),
    }
    nodes = tuple(replace(n, op=ops.get(n.op.name, n.op)) for n in quantized.nodes)
    with pytest.raises(UnsupportedModelError) as caught:
        write_qdq_onnx(replace(quantized, nodes=nodes), tmp_path / "x.onnx")
    assert len(caught.value.faults) == 2
    shift = tuple(replace(n, op=RequantShift((1,), (0,), 0)) if n.op.name == "Add" else n for n in quantized.nodes)
    with pytest.raises(UnsupportedModelError, match="RequantShift"):
        write_qdq_onnx(replace(quantized, nodes=shift), tmp_path / "x.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_bias_beyond_32_bits_is_refused() -> None:
    graph = CASES["fully_connected"]()
    quantized = quantize(graph, calibration_for(graph), "minmax")
    bias = quantized.tensors["normal1"]
    wide = replace(bias, element=ElementType.INT64, data=np.full(bias.shape, 1 << 40))
    with pytest.raises(UnsupportedModelError, match="fit in 32 bits"):
        write_qdq_onnx(replace(quantized, tensors=dict(quantized.tensors) | {"normal1": wide}))


def test_outputs_that_nothing_computes_are_refused() -> None:
    grid = QuantParams.per_tensor(0.5)
    tensor = Tensor("x", (1, 2), ElementType.INT8, grid)
    with pytest.raises(UnsupportedModelError, match="made by an operator"):
        write_qdq_onnx(Graph("g", (), {"x": tensor}, ("x",), ("x",)))


def test_a_file_is_replaced_whole_or_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = CASES["conv"]()
    quantized = quantize(graph, calibration_for(graph), "minmax")
    target = tmp_path / "net.onnx"
    target.write_bytes(b"old")
    assert write_qdq_onnx(quantized, target) == target.read_bytes()
    assert list(tmp_path.iterdir()) == [target]
    assert target.stat().st_mode & 0o777 == 0o666 & ~current_umask()

    def full_disk(*_: object) -> None:
        raise OSError("no space left on device")

    target.write_bytes(b"old")
    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_qdq_onnx(quantized, target)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_the_same_graph_gives_the_same_bytes() -> None:
    graph = CASES["network"]()
    quantized = quantize(graph, calibration_for(graph), "minmax")
    assert write_qdq_onnx(quantized) == write_qdq_onnx(quantized)


def test_the_recipe_is_in_the_file() -> None:
    graph = CASES["conv"]()
    model = onnx.load_from_string(write_qdq_onnx(quantize(graph, calibration_for(graph))))
    assert "bits = 8" in {p.key: p.value for p in model.metadata_props}["accel_sim.recipe"]


# --- real networks ----------------------------------------------------------------------------------------------


def test_the_bundled_network_keeps_its_accuracy_and_its_bytes() -> None:
    graph = load(demo_data.network_bytes())
    quantized = quantize(graph, demo_data.calibration())
    content = write_qdq_onnx(quantized)
    images, labels = demo_data.heldout()
    assert_runtime_agrees(quantized, content, [{"image": images[:100]}])
    exact = session(demo_data.network_bytes()).run(None, {"image": images})[0].argmax(1) == labels
    integer = session(content).run(None, {"image": images})[0].argmax(1) == labels
    assert integer.mean() >= exact.mean() - 0.01


@pytest.fixture(scope="module")
def cifar(data) -> tuple[np.ndarray, np.ndarray]:
    with np.load(data / "inputs/cifar10_jpeg200.npz") as arrays:
        pixels, labels = arrays["images"], arrays["labels"]
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    return ((pixels / 255 - mean) / deviation).astype(np.float32).transpose(0, 3, 1, 2), labels


def test_folding_resnet20_is_what_onnx_runtime_computes(data, cifar) -> None:
    file = data / "onnx/cifar_resnet20_bn_fp32.onnx"
    graph = load(file)
    folded = run_passes(graph)
    counts = [collections.Counter(n.op.name for n in g.nodes) for g in (graph, folded)]
    assert (counts[0]["BatchNorm"], counts[1]["BatchNorm"], counts[1]["Conv2D"]) == (19, 0, 19)
    images = cifar[0][:4]
    expected = session(file.read_bytes()).run(None, {graph.inputs[0]: images})[0]
    stored = {graph.inputs[0]: images.transpose(0, 2, 3, 1)}
    for candidate in (graph, folded):
        got = evaluate_float(candidate, stored)[graph.outputs[0]]
        assert np.abs(got - expected).max() <= 1e-4 * np.abs(expected).max()


def test_resnet20_keeps_its_accuracy_and_its_bytes(data, cifar) -> None:
    images, labels = cifar
    graph = load(data / "onnx/cifar_resnet20_bn_fp32.onnx")
    quantized = quantize(graph, images[:64])
    content = write_qdq_onnx(quantized)
    (name,) = graph.inputs
    assert_runtime_agrees(quantized, content, [{name: images[i : i + 1]} for i in range(4)])
    top1 = int((session(content).run(None, {name: images})[0].argmax(1) == labels).sum())
    assert top1 >= 158  # float: 160 of 200


@pytest.mark.slow
def test_mobilenetv2_keeps_its_accuracy(data) -> None:
    graph = load(data / "onnx/mobilenetv2_tfslim_fp32.onnx")
    with np.load(data / "inputs/imagenet_calib64_224.npz") as arrays:
        calibration = arrays["images"]
    with np.load(data / "inputs/imagenet_eval100_224.npz") as arrays:
        images, labels = arrays["images"], arrays["labels"]
    preprocessed = (np.float32(a) / np.float32(127.5) - 1 for a in np.split(calibration, 8))
    quantized = quantize(graph, (a.transpose(0, 3, 1, 2) for a in preprocessed))
    runtime = session(write_qdq_onnx(quantized))
    hits = 0
    for some, wanted in zip(np.split(images, 5), np.split(labels, 5), strict=True):
        pixels = (np.float32(some) / np.float32(127.5) - 1).transpose(0, 3, 1, 2)
        hits += int((runtime.run(None, {graph.inputs[0]: pixels})[0].argmax(1) == wanted + 1).sum())
    assert hits >= 78  # float: 85 of 100


def test_clips_with_caps_per_channel_are_clamped_as_codes() -> None:
    g = FloatGraph()
    y = g.op(Clip(Activation(-0.5, (0.25, 1.0, 2.0, 3.0))), g.input("x", IMAGE), shape=IMAGE, name="y")
    x = np.linspace(-4, 4, 192, dtype=np.float32).reshape(1, 4, 6, 8)
    x = np.concatenate([x, x[:, ::-1]])
    quantized = quantize(g.graph(y), x)
    runtime = session(write_qdq_onnx(quantized))
    got = run(runtime, {"x": x})["y"]
    caps = np.array([0.25, 1.0, 2.0, 3.0]).reshape(1, 4, 1, 1)
    assert np.abs(got - np.clip(x, -0.5, caps)).max() <= 2 * quantized.tensors["x"].quant.scale[0]


def test_a_fully_connected_layer_without_grid_is_refused() -> None:
    graph = CASES["fully_connected"]()
    quantized = quantize(graph, calibration_for(graph), "minmax")
    y = replace(quantized.tensors["y"], element=ElementType.INT32, quant=None)
    assert isinstance(quantized.nodes[0].op, FullyConnected)
    with pytest.raises(UnsupportedModelError, match="raw accumulator"):
        write_qdq_onnx(replace(quantized, tensors=dict(quantized.tensors) | {"y": y}))


def test_names_survive_a_round_trip() -> None:
    graph = load(demo_data.network_bytes())
    quantized = quantize(graph, demo_data.calibration())
    again = load(write_qdq_onnx(quantized))
    assert [(n.name, n.outputs) for n in again.nodes] == [(n.name, n.outputs) for n in quantized.nodes]


def test_a_file_written_twice_is_the_same_network() -> None:
    graph = CASES["network"]()
    once = write_qdq_onnx(quantize(graph, calibration_for(graph)))
    twice = write_qdq_onnx(load(once))
    operators = [[n.op_type for n in onnx.load_from_string(m).graph.node] for m in (once, twice)]
    assert operators[0] == operators[1]
    sample = calibration_for(graph, 1, seed=3)
    first, second = (run(session(m), sample) for m in (once, twice))
    for name in graph.outputs:
        np.testing.assert_array_equal(first[name], second[name])
