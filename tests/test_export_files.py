"""QDQ ONNX files: axes, batches, what cannot be written, files that appear whole, real networks."""

import collections
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from float_graphs import NCHW, FloatGraph
from quantizable_graphs import CASES, IMAGE, calibration_for
from runtime_sessions import assert_runtime_agrees, run, samples, session

import accel_sim
from accel_sim import demo_data
from accel_sim.errors import UnsupportedModelError
from accel_sim.frontend import load
from accel_sim.frontend.export import write_qdq_onnx
from accel_sim.frontend.export.layout import moves_nothing, ordered, permutation
from accel_sim.ir import (
    Activation,
    Clip,
    ElementType,
    FullyConnected,
    Graph,
    ModelFormat,
    Pad,
    QuantParams,
    RequantShift,
    ResizeNearest,
    Softmax,
    Tensor,
)
from accel_sim.quantization import quantize
from accel_sim.reference import evaluate_float
from accel_sim.transforms import run_passes

# --- axes and batches -----------------------------------------------------------------------------


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


# --- what cannot be written, and files ------------------------------------------------------------


def test_float_tensors_of_an_integer_graph_are_named() -> None:
    graph = CASES["network"]()
    quantized = quantize(graph, calibration_for(graph), "minmax")
    (name,) = graph.inputs
    with pytest.raises(UnsupportedModelError) as caught:
        write_qdq_onnx(replace(quantized, tensors=dict(quantized.tensors) | {name: graph.tensors[name]}))
    assert [f.where for f in caught.value.faults] == [f"tensor {name!r}"]


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


def test_a_file_that_cannot_be_written_is_named_as_it_was_given(tmp_path: Path) -> None:
    graph = CASES["conv"]()
    quantized = quantize(graph, calibration_for(graph), "minmax")
    missing, folder = tmp_path / "nowhere" / "net.onnx", tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(FileNotFoundError) as caught:
        accel_sim.write_onnx(quantized, missing)
    assert caught.value.filename == str(missing)
    for form, network in (("qdq", quantized), ("qoperator", quantized), ("float", graph)):
        with pytest.raises(OSError, match=str(folder)) as refused:
            accel_sim.write_onnx(network, folder, form)
        assert (refused.value.filename, refused.value.filename2) == (str(folder), None)
    assert list(tmp_path.iterdir()) == [folder]


def test_links_are_followed_and_devices_stay(tmp_path: Path) -> None:
    graph = CASES["conv"]()
    quantized = quantize(graph, calibration_for(graph), "minmax")
    target, link = tmp_path / "net.onnx", tmp_path / "link"
    link.symlink_to(target)
    content = accel_sim.write_onnx(quantized, link)
    assert link.is_symlink()
    assert target.read_bytes() == content
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        accel_sim.write_onnx(quantized, pipe)
        assert pipe.is_fifo()
        assert content.startswith(os.read(reader, 1 << 20))
    finally:
        os.close(reader)


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


# --- real networks --------------------------------------------------------------------------------


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
