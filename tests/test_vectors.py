"""Golden vectors: files that a test bench reads, and that a script of its own replays to the same bytes."""

import json

import numpy as np
import pytest
from integer_graphs import CASES, Draw
from vector_replay import accumulated, read, requantized

import accel_sim
from accel_sim import demo_data
from accel_sim.cli import run as run_cli
from accel_sim.errors import InputError
from accel_sim.report.vectors.words import Words

MATRIX_CASES = (
    "convolution",
    "convolution_16_bits",
    "raw_accumulators",
    "transposed_convolution",
    "fully_connected",
    "matmul_of_activations",
    "matmul_by_constant",
)
SMALL_ACCUMULATORS = [f"accumulator.{key}" for key in ("bits=12", "overflow=saturate")]


def written(folder, vectors):
    folder.mkdir(parents=True)
    for name, content in vectors.files().items():
        (folder / name).write_bytes(content)
    return folder


def assert_replays(folder):
    manifest, vectors = read(folder)
    acc = accumulated(manifest, vectors)
    assert (acc == vectors["accumulators"]).all()
    assert (requantized(manifest, vectors, acc) == vectors["result"]).all()
    return manifest, vectors


@pytest.fixture(scope="module")
def digits():
    """The bundled network, quantized, as a graph that came from an ONNX file."""
    graph = accel_sim.quantize(accel_sim.load(demo_data.network_bytes()), demo_data.calibration(), "minmax")
    return accel_sim.load(accel_sim.write_onnx(graph))


@pytest.fixture(scope="module")
def model(digits, tmp_path_factory):
    path = tmp_path_factory.mktemp("vectors") / "q.onnx"
    accel_sim.write_onnx(digits, path)
    return path


@pytest.mark.parametrize("layer", ["functional_1/activation/Relu", "activation_3/Relu", "dense/BiasAdd"])
def test_a_layer_of_a_tflite_network_replays(data, tmp_path, layer):
    """A convolution, a depthwise one, a fully connected layer: fixed point; the results are those of a whole run."""
    graph = accel_sim.load(data / "tflite/kws_ref_model.tflite")
    program, inputs = accel_sim.compile(graph), accel_sim.random_inputs(graph)
    vectors = accel_sim.golden_vectors(program, inputs, layer)
    manifest, arrays = assert_replays(written(tmp_path / "v", vectors))
    assert manifest["requantization"]["kind"] == "FixedPointRequantization"
    name = next(c.output_to.name for c in program.commands if c.layer == manifest["layer"])
    run = accel_sim.run(program, inputs, keep=[name])
    assert (arrays["result"].ravel() == run.tensors[name].ravel()).all()
    figures = next(line for line in run.layers if line.name == manifest["layer"])
    assert figures.accumulator_min <= arrays["accumulators"].min()
    assert figures.accumulator_max >= arrays["accumulators"].max()


def test_every_layer_of_an_onnx_network_replays_in_floating_point(digits, tmp_path):
    program = accel_sim.compile(digits)
    inputs = {digits.inputs[0]: demo_data.heldout()[0][:2]}
    layers = [c.layer for c in program.commands if hasattr(c, "weights")]
    assert len(layers) > 2
    for index, layer in enumerate(layers):
        vectors = accel_sim.golden_vectors(program, inputs, layer)
        manifest, arrays = assert_replays(written(tmp_path / str(index), vectors))
        assert manifest["requantization"]["kind"] == "FloatRequantization"
        assert arrays["result"].shape[0] == manifest["samples"] == 2


@pytest.mark.parametrize("case", MATRIX_CASES)
@pytest.mark.parametrize("profile", ["tflite", "litert", "single_round", "onnxruntime", "tosa", "paper"])
def test_every_kind_of_layer_replays(tmp_path, case, profile):
    replayed = 0
    for seed in range(4):
        graph = CASES[case](Draw(seed))
        try:
            program = accel_sim.compile(graph, profile=profile)
            vectors = accel_sim.golden_vectors(program, accel_sim.random_inputs(graph, seed=seed), "node")
        except (accel_sim.CompileError, InputError):  # not every profile has every type; some compute in float
            continue
        assert_replays(written(tmp_path / str(seed), vectors))
        replayed += 1
    if not replayed:
        pytest.skip(f"profile {profile} has no integer arithmetic for {case}")


def test_narrow_saturating_accumulators_replay_addition_by_addition(digits, tmp_path):
    hardware = accel_sim.load_hardware("edge-16x16", SMALL_ACCUMULATORS)
    program = accel_sim.compile(digits, hardware)
    layer = [c.layer for c in program.commands if hasattr(c, "weights")][1]
    vectors = accel_sim.golden_vectors(program, {digits.inputs[0]: demo_data.heldout()[0][:1]}, layer)
    _, arrays = assert_replays(written(tmp_path / "v", vectors))
    assert arrays["accumulators"].max() == 2047  # otherwise nothing was saturated


def test_constants_wider_than_64_bits():
    words = Words.of_integers((1 << 70, -1, 5))
    assert words.bits == 72
    assert words.to_hex().split() == ["40" + "0" * 16, "f" * 18, f"{5:018x}"]
    assert [int.from_bytes(row.tobytes(), "little", signed=True) for row in words.to_array()] == [1 << 70, -1, 5]


def invoke(capsys, *arguments):
    code = run_cli([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_command_writes_equal_folders(capsys, model, tmp_path):
    layer = accel_sim.compile(accel_sim.load(model)).commands[0].layer
    folders = [tmp_path / "a", tmp_path / "b"]
    folders[1].mkdir()  # an empty folder is taken
    for folder in folders:
        code, out, err = invoke(capsys, "vectors", model, "--layer", layer, "-o", folder)
        assert (code, err) == (0, "")
        assert "accumulators" in out
        assert_replays(folder)
    contents = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders]
    assert contents[0] == contents[1]
    manifest = json.loads(contents[0]["manifest.json"])
    assert manifest["schema"] == "accel-sim/vectors/1"
    assert manifest["hardware"]["name"] == "edge-16x16"
    assert set(contents[0]) == {a["file"] for a in manifest["arrays"].values()} | {"manifest.json", "vectors.npz"}
    _, arrays = read(folders[0])
    with np.load(folders[0] / "vectors.npz") as archive:
        assert set(archive.files) == set(arrays)
        for name in arrays:
            np.testing.assert_array_equal(archive[name], arrays[name].astype(archive[name].dtype))


@pytest.mark.parametrize(
    ("layer", "said"),
    [("cnov1", "nearest: "), ("zzzz", "there are: "), ("", "is a layer"), ("MaxPool", "only those have accumulators")],
)
def test_wrong_layers_are_one_message(capsys, model, tmp_path, layer, said):
    graph = accel_sim.load(model)
    layer = next(n.name for n in graph.nodes if n.op.name == "MaxPool2D") if layer == "MaxPool" else layer
    code, out, err = invoke(capsys, "vectors", model, "--layer", layer, "-o", tmp_path / "v")
    assert (code, out) == (2, "")
    assert said in err
    assert err.startswith("error: ")
    assert list(tmp_path.iterdir()) == []


def test_folders_that_cannot_be_written_are_one_message(capsys, model, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    for place, said in (("full", "not empty"), ("full/file", "is not a folder"), ("no/such", "No such file")):
        code, out, err = invoke(capsys, "vectors", model, "--layer", "x", "-o", tmp_path / place)
        assert (code, out) == (2, "")
        assert said in err
    assert [path.name for path in tmp_path.iterdir()] == ["full"]
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["file"]
