"""ONNX networks whose weights are missing: cycles only, those of the network that has them."""

import json

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import accel_sim
from accel_sim import demo_data
from accel_sim.cli import run as run_cli

LARGE = 200  # bytes of a weight that goes to a file of its own


@pytest.fixture(scope="module")
def quantized():
    """The bundled network as a QDQ file, and as it was."""
    data = demo_data.network_bytes()
    graph = accel_sim.quantize(accel_sim.load(data), demo_data.calibration(), "minmax")
    return onnx.load_from_string(accel_sim.write_onnx(graph)), onnx.load_from_string(data)


def beside(model, folder):
    """The model, its weights in a file beside it that is then lost."""
    path = folder / "net.onnx"
    onnx.save(
        model, path, save_as_external_data=True, all_tensors_to_one_file=True, location="w.bin", size_threshold=LARGE
    )
    (folder / "w.bin").unlink()
    return path


def stripped(model, folder):
    """The model, its weights without data."""
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.nbytes >= LARGE and array.dtype != np.int64:
            tensor.CopyFrom(onnx.TensorProto(name=tensor.name, dims=tensor.dims, data_type=tensor.data_type))
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def fed(model, folder):
    """The model, its weights as inputs."""
    for tensor in list(model.graph.initializer):
        array = numpy_helper.to_array(tensor)
        if array.nbytes >= LARGE and array.dtype != np.int64:
            model.graph.initializer.remove(tensor)
            model.graph.input.append(
                onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
            )
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def copied(model):
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def report(path, folder, *options):
    assert run_cli(["run", str(path), "--json", str(folder / "r.json"), *options]) == 0
    return json.loads((folder / "r.json").read_text())


@pytest.mark.parametrize("remove", [beside, stripped, fed])
@pytest.mark.parametrize("kind", ["quantized", "float"])
@pytest.mark.parametrize("hardware", ["edge-16x16", "nvdla-64"])
def test_cycles_are_those_of_the_whole_network(quantized, tmp_path, capsys, remove, kind, hardware):
    whole = tmp_path / "whole.onnx"
    onnx.save(quantized[0], whole)
    expected = report(whole, tmp_path, "--hw", hardware)
    found = report(remove(copied(quantized[kind == "float"]), tmp_path), tmp_path, "--hw", hardware)
    exact = kind == "quantized"  # a float network's grids are not known: a concatenation may requantize more, or less
    timed = ("cycles", "stall_cycles", "macs", "traffic")

    def figures(layers):
        return [[x[key] for key in timed] for x in layers if x["macs"] or exact]

    assert figures(found["layers"]) == figures(expected["layers"])
    assert found["cycles"] == pytest.approx(expected["cycles"], rel=0 if exact else 0.05)
    assert found["cycles"] > 0
    assert (found["samples"], found["outputs"]) == (0, {})
    assert "cycles only" in found["inputs"]
    assert "missing" in found["inputs"]
    assert "cycles only" in capsys.readouterr().out


def test_a_timeline_can_be_drawn(quantized, tmp_path, capsys):
    path = beside(copied(quantized[0]), tmp_path)
    assert run_cli(["run", str(path), "--trace", str(tmp_path / "t.pftrace")]) == 0
    assert (tmp_path / "t.pftrace").stat().st_size > 1000


@pytest.mark.parametrize("option", [("--output", "y.npz"), ("--vcd", "w.vcd"), ("--level", "functional")])
def test_data_cannot_be_had(quantized, tmp_path, capsys, option):
    path = beside(copied(quantized[0]), tmp_path)
    value = option[1] if option[0] == "--level" else str(tmp_path / option[1])
    assert run_cli(["run", str(path), option[0], value]) == 2
    assert f"{option[0]}: the model's weights are missing: there are cycles only" in capsys.readouterr().err
    assert not (tmp_path / option[1]).exists()


def test_other_commands_still_refuse(quantized, tmp_path, capsys):
    path = beside(copied(quantized[0]), tmp_path)
    assert run_cli(["compare", str(path)]) == 2
    assert "the file with a model's constants can be read" in capsys.readouterr().err


def test_what_else_is_wrong_is_said(quantized, tmp_path, capsys):
    model = copied(quantized[0])
    model.graph.node[0].op_type = "Unheard"
    path = beside(model, tmp_path)
    assert run_cli(["run", str(path)]) == 2
    assert "w.bin" in capsys.readouterr().err


def test_a_whole_file_lacks_nothing(quantized):
    graph, missing = accel_sim.load_without_weights(quantized[0].SerializeToString())
    assert missing == ()
    assert len(graph.nodes) == len(accel_sim.load(quantized[0].SerializeToString()).nodes)


def test_products_of_activations_are_no_weights(tmp_path):
    """A matrix product of two inputs is a network that lacks nothing: it is loaded, or refused, as it is."""
    value = onnx.helper.make_tensor_value_info
    nodes = [onnx.helper.make_node("MatMul", ["a", "b"], ["y"])]
    graph = onnx.helper.make_graph(nodes, "g", [value("a", 1, [2, 3]), value("b", 1, [3, 4])], [value("y", 1, [2, 4])])
    data = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)]).SerializeToString()
    assert accel_sim.load(data).inputs == ("a", "b")
