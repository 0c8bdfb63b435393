"""The bundled network and digits are what their README says, and the held-out digits were held out."""

import importlib.util
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from accel_sim import demo_data

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    return onnx.load_from_string(demo_data.network_bytes())


@pytest.fixture(scope="module")
def training_script() -> ModuleType:
    path = REPOSITORY / "benchmarks" / "train_digits.py"
    spec = importlib.util.spec_from_file_location("train_digits", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["train_digits"] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


def stored_pixels(images: np.ndarray) -> set[bytes]:
    """The digits as a set of raw uint8 images, from preprocessed ones."""
    return {(image * 16).astype(np.uint8).tobytes() for image in images}


def attributes(model: onnx.ModelProto, op_type: str) -> list[dict[str, object]]:
    nodes = [node for node in model.graph.node if node.op_type == op_type]
    return [{a.name: helper.get_attribute_value(a) for a in node.attribute} for node in nodes]


def test_files_are_small_enough_to_bundle() -> None:
    assert len(demo_data.network_bytes()) < 300_000
    assert (demo_data.network_path().parent / demo_data.DIGITS).stat().st_size < 50_000


def test_path_and_bytes_are_the_same_network() -> None:
    assert demo_data.network_path().read_bytes() == demo_data.network_bytes()


def test_calibration_is_float32_nchw_in_sixteenths() -> None:
    images = demo_data.calibration()
    assert images.shape == (128, 1, 8, 8)
    assert images.dtype == np.float32
    assert images.min() == 0
    assert images.max() == 1
    assert np.array_equal(images * 16, np.round(images * 16))


def test_heldout_holds_36_of_each_digit() -> None:
    images, labels = demo_data.heldout()
    assert images.shape == (360, 1, 8, 8)
    assert images.dtype == np.float32
    assert labels.dtype == np.int64
    assert np.array_equal(np.bincount(labels), np.full(10, 36))


def test_network_is_valid_onnx_with_the_documented_interface(model: onnx.ModelProto) -> None:
    onnx.checker.check_model(model, full_check=True)
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in [*model.graph.input, *model.graph.output]
    }
    assert shapes == {"image": ["N", 1, 8, 8], "logits": ["N", 10]}
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]


def test_network_has_one_of_each_kind_of_layer(model: onnx.ModelProto) -> None:
    assert Counter(node.op_type for node in model.graph.node) == {
        "Conv": 5, "BatchNormalization": 5, "Relu": 3, "Clip": 2, "Add": 1, "Concat": 1,
        "MaxPool": 1, "AveragePool": 1, "Flatten": 1, "Gemm": 1,
    }  # fmt: skip
    convolutions = attributes(model, "Conv")
    kinds = Counter((tuple(a["kernel_shape"]), tuple(a["strides"]), a["group"]) for a in convolutions)
    assert kinds == {((3, 3), (1, 1), 1): 1, ((3, 3), (1, 1), 16): 1, ((3, 3), (2, 2), 1): 1, ((1, 1), (1, 1), 1): 2}


def test_clips_are_relu6(model: onnx.ModelProto) -> None:
    values = {value.name: numpy_helper.to_array(value) for value in model.graph.initializer}
    clips = [node for node in model.graph.node if node.op_type == "Clip"]
    assert [(values[low], values[high]) for _, low, high in (node.input for node in clips)] == [(0, 6), (0, 6)]


def test_batch_norms_are_not_identities(model: onnx.ModelProto) -> None:
    values = {value.name: numpy_helper.to_array(value) for value in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "BatchNormalization":
            gamma, beta, mean, variance = (values[name] for name in node.input[1:])
            assert np.all(variance > 0)
            assert not np.allclose(gamma / np.sqrt(variance), 1, atol=0.1)
            assert not np.allclose(beta - mean * gamma / np.sqrt(variance), 0, atol=0.1)


def test_attribution_stands_in_both_files_and_the_readme(model: onnx.ModelProto) -> None:
    folder = demo_data.network_path().parent
    with np.load(folder / demo_data.DIGITS) as arrays:
        in_digits = str(arrays["attribution"])
    in_metadata = {entry.key: entry.value for entry in model.metadata_props}["attribution"]
    for text in (in_digits, in_metadata, model.doc_string, (folder / "README.md").read_text()):
        for credit in ("Alpaydin", "Kaynak", "UCI Machine Learning Repository", "10.24432/C50P49", "CC BY 4.0"):
            assert credit in text


def test_calibration_and_heldout_share_no_digit() -> None:
    heldout, _ = demo_data.heldout()
    assert stored_pixels(demo_data.calibration()).isdisjoint(stored_pixels(heldout))


def test_bundled_digits_are_the_training_scripts_split(training_script: ModuleType) -> None:
    pytest.importorskip("sklearn")
    split = training_script.split_digits()
    images, labels = demo_data.heldout()
    assert np.array_equal(images, demo_data.preprocess(split.heldout_images))
    assert np.array_equal(labels, split.heldout_labels)
    assert np.array_equal(demo_data.calibration(), demo_data.preprocess(split.calibration))


def test_training_never_saw_a_heldout_digit(training_script: ModuleType) -> None:
    pytest.importorskip("sklearn")
    split = training_script.split_digits()
    heldout, _ = demo_data.heldout()
    trained = stored_pixels(demo_data.preprocess(split.train_images))
    assert len(trained) == 1797 - 360
    assert trained.isdisjoint(stored_pixels(heldout))
    assert stored_pixels(demo_data.calibration()) <= trained


def test_bundled_network_is_the_training_scripts_graph(training_script: ModuleType, model: onnx.ModelProto) -> None:
    graph = training_script.build_graph()
    assert [node.SerializeToString() for node in graph.nodes] == [node.SerializeToString() for node in model.graph.node]
    shapes = {value.name: tuple(value.dims) for value in model.graph.initializer}
    assert shapes == {name: value.shape for name, value in graph.parameters.items()}


def test_onnxruntime_reads_359_of_360_heldout_digits() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    images, labels = demo_data.heldout()
    session = onnxruntime.InferenceSession(demo_data.network_bytes(), providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"image": images})
    assert logits.shape == (360, 10)
    assert np.count_nonzero(logits.argmax(axis=1) == labels) == 359
