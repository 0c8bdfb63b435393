"""Where an element is computed: against a walk of the tiles in plain loops; options and messages of `compare`."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from integer_graphs import CASES, Draw

import accel_sim
from accel_sim import demo_data
from accel_sim.analysis.mismatch.place import place_of
from accel_sim.cli.compare import compare_command
from accel_sim.errors import InputError
from accel_sim.hardware import load_hardware
from accel_sim.program import Tiling


def walked(command, flat, channels):
    """The number of the tile that finishes an element, by walking all tiles."""
    pixels, tiling = np.prod(command.output_to.shape[:-1]), command.tiling
    per_group, reduction = channels // command.groups, np.prod(command.weights.shape[1:])
    asymmetric = any(command.weight_zero_point)
    number, finishing = 0, None
    for first in range(0, pixels, tiling.rows):
        for group in range(command.groups):
            for column in range(0, per_group + asymmetric, tiling.columns):
                for _ in range(0, reduction, tiling.reduction):
                    rows = range(first, min(first + tiling.rows, pixels))
                    inside = range(column, min(column + tiling.columns, per_group))
                    if flat // channels in rows and flat % channels - group * per_group in inside:
                        finishing = number
                    number += 1
    return finishing


@pytest.mark.parametrize("seed", range(6))
def test_the_finishing_tile_equals_a_plain_walk(seed):
    graph = CASES["convolution"](Draw(seed))
    program = accel_sim.compile(graph, load_hardware("edge-16x16", ("grid.rows=2", "grid.columns=2")), "tflite")
    command = replace(program.commands[0], tiling=Tiling(3, 2, 2))
    program = replace(program, commands=(command,))
    shape = graph.tensors["y"].shape
    for flat in range(0, int(np.prod(shape)), 7):
        place = place_of(program, "y", np.unravel_index(flat, shape))
        assert place.tile == walked(command, flat, shape[-1])
        assert 0 <= place.pe_row < 2
        assert place.pe_column == flat % shape[-1] % (shape[-1] // command.groups) % 2
        assert place.cycle_first == 0 < place.grid_cycle <= place.cycle_last + 1


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The quantized digits network and three images as files."""
    folder = tmp_path_factory.mktemp("digits")
    graph = accel_sim.quantize(accel_sim.load(demo_data.network_path()), demo_data.calibration(), "fast")
    accel_sim.write_onnx(graph, folder / "q.onnx")
    images, labels = demo_data.heldout()
    name = accel_sim.load(folder / "q.onnx").inputs[0]
    np.savez(folder / "x.npz", **{name: images[:3]})
    np.savez(folder / "none.npz", **{name: images[:0]})
    np.savez(folder / "labels.npz", labels=labels[:3])
    return folder


def invoke(*arguments):
    return CliRunner().invoke(compare_command, [str(a) for a in arguments], standalone_mode=False)


def test_compare_writes_causes(model):
    arguments = (model / "q.onnx", "--inputs", model / "x.npz", "--labels", model / "labels.npz", "--profile", "tflite")
    result = invoke(*arguments, "--json", model / "c.json")
    assert result.exception is None
    document = json.loads((model / "c.json").read_text())
    assert document["schema"] == "accel-sim/compare/1"
    assert document["unexplained"] == 0
    assert sum(item["count"] for item in document["causes"]) == sum(t["differing"] for t in document["layers"])
    assert document["first"]["node"] == document["first_differing"]
    assert set(document["accuracy"]) == {"machine", "simulated"}
    for text in ("double rounding", "unexplained      0", "top-1 accuracy", "first code"):
        assert text in result.output


def test_compare_profiles_writes_a_matrix(model):
    arguments = (model / "q.onnx", "--inputs", model / "x.npz", "--profiles", "tflite,onnxruntime,tosa,paper")
    result = invoke(*arguments, "--json", model / "p.json")
    assert result.exception is None
    document = json.loads((model / "p.json").read_text())
    assert document["schema"] == "accel-sim/compare-profiles/1"
    assert [(p["left"], p["right"]) for p in document["pairs"]][:3] == [
        ("tflite", "onnxruntime"),
        ("tflite", "tosa"),
        ("tflite", "paper"),
    ]
    assert all(p["unexplained"] == 0 for p in document["pairs"])
    assert all(sum(c["count"] for c in p["causes"]) == p["differing"] for p in document["pairs"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--inputs", "none.npz"], "at least one sample"),
        (["--labels", "labels.npz"], "3 for 1 sample: there is one for each sample"),
        (["--profiles", "tflite"], "at least two"),
        (["--profiles", "tflite,tflite"], "each named once"),
        (["--profiles", "tflite,fast"], "is one of"),
        (["--profiles", "tflite,paper", "--profile", "tosa"], "not given with --profiles"),
        (["--profiles", "tflite,paper", "--set", "accumulator.bits=20"], "32-bit accumulators"),
    ],
)
def test_what_cannot_be_compared_is_told(model, options, message):
    options = [str(model / o) if o.endswith(".npz") else o for o in options]
    result = invoke(model / "q.onnx", *options)
    assert isinstance(result.exception, accel_sim.AccelSimError)
    assert message in str(result.exception)


def test_labels_are_class_numbers(model):
    graph = accel_sim.load(model / "q.onnx")
    with pytest.raises(InputError, match="an integer"):
        accel_sim.compare(graph, accel_sim.random_inputs(graph), labels=np.array([0.5]))
