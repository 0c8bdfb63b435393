"""AIMET itself, in an environment of its own, reads and writes the same encodings."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from encoding_documents import ORACLE, assert_same_network

import accel_sim
from accel_sim import api
from accel_sim.frontend.encodings import VERSIONS, encodings_of, parse_encodings
from accel_sim.quantization import quantize
from accel_sim.reference import evaluate_fake_quant, evaluate_float


@pytest.fixture(scope="module")
def aimet() -> str:
    """The interpreter of an environment with aimet-onnx."""
    python = os.environ.get("ACCEL_SIM_AIMET_PYTHON")
    if not python:
        pytest.skip("ACCEL_SIM_AIMET_PYTHON names no interpreter with aimet-onnx")
    return python


def call(python: str, *arguments: object) -> None:
    subprocess.run([python, str(ORACLE), *map(str, arguments)], check=True, timeout=600, capture_output=True)


@pytest.mark.slow
def test_aimet_reads_the_grids_that_we_write(aimet: str, tmp_path: Path, data) -> None:
    source = data / "onnx/cifar_resnet20_fp32.onnx"
    with np.load(data / "inputs/cifar10_jpeg200.npz") as arrays:
        images = (arrays["images"][:16] / 127.5 - 1).astype(np.float32).transpose(0, 3, 1, 2)
    quantized = quantize(api.load(source), images, "minmax")
    ours = {e.name: e for e in encodings_of(quantized).entries}
    files = [tmp_path / f"{version}.json" for version in VERSIONS]
    for version, file in zip(VERSIONS, files, strict=True):
        file.write_text(api.write_encodings(quantized, version)[0])
    call(aimet, "read", source, *files, tmp_path / "read.json")
    theirs = json.loads((tmp_path / "read.json").read_text())
    for file in files:
        assert theirs[str(file)].keys() == ours.keys()
        for name, (scales, zeros, kind, axis) in theirs[str(file)].items():
            entry = ours[name]
            expected = f"{'' if entry.signed else 'u'}int{entry.bits}"
            assert (tuple(scales), tuple(zeros), kind) == (entry.scale, entry.zero_point, expected)
            assert axis == entry.axis


@pytest.mark.slow
def test_what_aimet_writes_gives_one_network_in_all_versions(aimet: str, tmp_path: Path, data) -> None:
    source = data / "onnx/cifar_resnet20_fp32.onnx"
    with np.load(data / "inputs/cifar10_jpeg200.npz") as arrays:
        pixels, labels = arrays["images"], arrays["labels"]
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    images = ((pixels / 255 - mean) / deviation).astype(np.float32).transpose(0, 3, 1, 2)
    graph = api.load(source)
    np.savez(tmp_path / "x.npz", **{graph.inputs[0]: images[:16]})
    call(aimet, "export", source, tmp_path / "x.npz", tmp_path)
    networks = [api.apply_encodings(source, tmp_path / f"{v}.encodings").graph for v in ("0.6.1", "1.0.0", "2.0.0")]
    for other in networks[1:]:
        assert_same_network(networks[0], other)
    result = accel_sim.run(accel_sim.compile(networks[0]), images, level="functional")
    hits = int((result.outputs[graph.outputs[0]].reshape(200, -1).argmax(1) == labels).sum())
    assert hits >= 157  # float: 160 of 200
    for version in ("0.6.1", "1.0.0", "2.0.0"):
        encodings = api.load_encodings(tmp_path / f"{version}.encodings")
        written = api.write_encodings(encodings, version)[0]
        theirs, ours = json.loads((tmp_path / f"{version}.encodings").read_text()), json.loads(written)
        assert ours.keys() == theirs.keys()
        assert {e.name: (e.scale, e.offset) for e in parse_encodings(written).entries} == {
            e.name: (e.scale, e.offset) for e in encodings.entries
        }


@pytest.mark.slow
def test_aimet_simulates_the_float_network_that_we_write_on_our_encodings(aimet: str, tmp_path: Path, data) -> None:
    """Equalized, biases corrected: the two files together are the network, for others as well."""
    with np.load(data / "inputs/cifar10_jpeg200.npz") as arrays:
        images = (arrays["images"][:20] / 127.5 - 1).astype(np.float32).transpose(0, 3, 1, 2)
    graph = api.load(data / "onnx/cifar_resnet20_bn_fp32.onnx")
    overrides = ("weights.per_channel=false", "weights.bits=4")
    made = api.quantize_with_report(graph, images[:16], "fast", overrides=overrides)
    (name,), (output,) = graph.inputs, graph.outputs
    api.write_onnx(made.adjusted, tmp_path / "f.onnx", form="float")
    np.savez(tmp_path / "x.npz", **{name: images[16:]})
    files = [tmp_path / f"{version}.json" for version in ("0.6.1", "1.0.0", "2.0.0")]
    for file in files:
        file.write_text(api.write_encodings(made.graph, file.stem)[0])
    call(aimet, "simulate", tmp_path / "f.onnx", tmp_path / "x.npz", *files, tmp_path / "y.npz")
    stored = {name: graph.tensors[name].from_file_layout(images[16:])}
    ours, exact = evaluate_fake_quant(made.graph, stored)[output], evaluate_float(graph, stored)[output]
    with np.load(tmp_path / "y.npz") as theirs:
        for results in theirs.values():  # AIMET sums in float32 and rounds no bias
            assert np.square(results - ours).mean() < 0.01 * np.square(ours - exact).mean()
