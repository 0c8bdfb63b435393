"""`accel-sim quantize`: recipes, overrides, data in every form, and what it prints."""

import json

import numpy as np
import pytest

import accel_sim
from accel_sim import demo_data
from accel_sim.cli import run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("quantize")
    (path / "float.onnx").write_bytes(demo_data.network_bytes())
    np.savez(path / "digits.npz", image=demo_data.calibration()[:32])
    (path / "digits").mkdir()
    np.save(path / "digits" / "0.npy", demo_data.calibration()[:32])
    return path


def invoke(capsys, folder, *arguments) -> tuple[int, str, str]:
    arguments = ["quantize", folder / "float.onnx", *arguments]
    code = run([str(a) for a in arguments])
    return code, *capsys.readouterr()


def test_the_report_is_printed_and_written(capsys, folder, tmp_path):
    made, report = tmp_path / "q.onnx", tmp_path / "report.json"
    options = ["--recipe", "fast", "--set", "weights.per_channel=false", "--set", "weights.bits=6", "--json", report]
    code, out, _ = invoke(capsys, folder, "--calibration", folder / "digits.npz", "--output", made, *options)
    assert code == 0
    text = " ".join(out.split())  # lines are folded to the terminal
    for part in ("cross-layer equalization", "bias correction", "6 bits symmetric per tensor", "stem_conv", "q.onnx"):
        assert part in text
    document = json.loads(report.read_text())
    assert document["schema"] == "accel-sim/quantize/1"
    assert [len(layer["signal_to_noise_db"]) for layer in document["layers"]] == [3] * 6
    assert accel_sim.load(made).is_integer


def test_a_folder_and_an_archive_give_the_same_network(capsys, folder, tmp_path):
    for data in ("digits.npz", "digits"):
        options = ["--recipe", "minmax", "--output", tmp_path / f"{data}.onnx"]
        assert invoke(capsys, folder, "--calibration", folder / data, *options)[0] == 0
    assert (tmp_path / "digits.npz.onnx").read_bytes() == (tmp_path / "digits.onnx").read_bytes()


def test_no_data_is_needed_where_the_recipe_needs_none(capsys, folder, tmp_path):
    options = ["--recipe", "data-free", "--set", "activations.input_range=[0, 1]", "--output", tmp_path / "q.onnx"]
    code, out, _ = invoke(capsys, folder, *options)
    assert (code, "analytic" in out, "no calibration data" in out) == (0, True, True)


@pytest.mark.parametrize("options", [[], ["--recipe", "data-free"], ["--recipe", "best"], ["--set", "weights.bits=99"]])
def test_what_is_missing_or_wrong_is_one_message_and_leaves_no_file(capsys, folder, tmp_path, options):
    code, out, err = invoke(capsys, folder, *options, "--output", tmp_path / "q.onnx")
    assert (code, out, err.count("error:")) == (2, "", 1)
    assert list(tmp_path.iterdir()) == []
