"""What a message says: where, which value, what to do; and what tables do with little room."""

import numpy as np
import pytest
from test_cli_commands import files, graph, invoke  # noqa: F401 - fixtures

from accel_sim.cli.application import _COMMANDS
from accel_sim.errors import HardwareError, ModelError
from accel_sim.frontend import load
from accel_sim.hardware import resolve_structure


def told(capsys, *arguments) -> str:
    """The message of a command line that is refused."""
    code, out, err = invoke(capsys, *arguments)
    assert (code, out) == (2, "")
    return err


def one_nan():
    images = np.zeros((3, 1, 8, 8), np.float32)
    images[2, 0, 5, 7] = np.nan
    return images


@pytest.mark.parametrize("command", ["run", "compare", "overflow"])
def test_where_an_input_is_not_finite(capsys, files, tmp_path, command):  # noqa: F811 - a fixture
    np.savez(tmp_path / "x.npz", image=one_nan())
    message = told(capsys, command, files / "q.onnx", "--inputs", tmp_path / "x.npz")
    assert "1 of 192 values, the first nan at [2, 0, 5, 7]" in message


def test_where_calibration_is_not_finite(capsys, files, tmp_path):  # noqa: F811 - a fixture
    np.savez(tmp_path / "x.npz", image=one_nan())
    arguments = ("--calibration", tmp_path / "x.npz", "--output", tmp_path / "q.onnx")
    assert "the first nan at [2, 0, 5, 7]" in told(capsys, "quantize", files / "float.onnx", *arguments)


def test_channels_at_the_wrong_end(capsys, files, tmp_path):  # noqa: F811 - a fixture
    np.savez(tmp_path / "x.npz", image=np.zeros((3, 8, 8, 1), np.float32))
    assert "transpose(0, 3, 1, 2)" in told(capsys, "run", files / "q.onnx", "--inputs", tmp_path / "x.npz")


LABELS = {
    "too few": ([1, 2, 3, 4], "4 for 5 samples"),
    "too many": ([1] * 6, "6 for 5 samples"),
    "no class": ([1, 2, 3, 10, 11], "10 of sample 3, and 1 more: a label is one of the network's 10 classes: 0 to 9"),
    "negative": ([1, -1, 3, 4, 5], "-1 of sample 1"),
    "real": ([1.0, 2.0, 3.0, 4.0, 5.0], "float64"),
}


@pytest.mark.parametrize("command", ["compare", "overflow"])
@pytest.mark.parametrize("kind", LABELS)
def test_labels(capsys, files, tmp_path, command, kind):  # noqa: F811 - a fixture
    labels, expected = LABELS[kind]
    np.savez(tmp_path / "y.npz", labels=labels)
    arguments = ("--inputs", files / "digits.npz", "--labels", tmp_path / "y.npz")
    assert expected in told(capsys, command, files / "q.onnx", *arguments)


@pytest.mark.parametrize("spec", ["20:sat", "32..14", "7", "nope"])
def test_what_an_accumulator_may_be(capsys, files, spec):  # noqa: F811 - a fixture
    message = told(capsys, "overflow", files / "q.onnx", "--accumulator", spec)
    assert spec in message
    assert message.count("is a width from 8 to 64 bits, 20:wrap, 20:saturate, a range of widths such as 14..32") == 1


def test_an_accumulator_that_is_no_file_may_be_what_the_function_takes():
    with pytest.raises(HardwareError, match="is a width from 8 to 64 bits, 20:wrap, 20:saturate, a preset") as caught:
        resolve_structure("nope")
    assert "range" not in str(caught.value)


HOSTILE = {
    "open brackets": "a = " + "[" * 20_000,
    "brackets": f"a = {'[' * 20_000}{']' * 20_000}",
    "digits": "a = " + "9" * 5000,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_toml_that_no_parser_takes(capsys, files, tmp_path, kind):  # noqa: F811 - a fixture
    path = tmp_path / "x.toml"
    path.write_text(HOSTILE[kind])
    output = tmp_path / "o.onnx"
    data = ("--calibration", files / "calibration.npz", "--output", output)
    for arguments in (
        ("run", files / "q.onnx", "--hw", path),
        ("hw", path),
        ("overflow", files / "q.onnx", "--accumulator", path),
        ("quantize", files / "float.onnx", *data, "--recipe", path),
    ):
        assert "valid TOML" in told(capsys, *arguments)
    value = HOSTILE[kind].partition("= ")[2]
    told(capsys, "run", files / "q.onnx", "--set", f"grid.rows={value}")
    told(capsys, "quantize", files / "float.onnx", *data, "--set", f"weights.bits={value}")
    assert not output.exists()


def test_labels_are_called_labels(capsys, files):  # noqa: F811 - a fixture
    assert "labels '" in told(capsys, "compare", files / "q.onnx", "--labels", files / "q.onnx")


def test_a_dash_is_no_file(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "names a file: the report itself is printed" in told(capsys, "hw", "edge-16x16", "--json", "-")
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_no_file_can_have(capsys, files):  # noqa: F811 - a fixture
    name = "a" * 300
    for option, subject in (("--json", "--json"), ("--output", "--output"), ("--inputs", "inputs")):
        message = told(capsys, "run", files / "q.onnx", option, name)
        assert f"error: {subject} '{name}': " in message
        assert "File name too long" in message


@pytest.mark.parametrize("name", [".", "nowhere/net.tflite"])
def test_a_model_that_cannot_be_read_is_called_a_model(capsys, name):
    assert told(capsys, "inspect", name).startswith(f"error: model '{name}': file: ")


def test_a_journal_is_no_report(capsys, files, tmp_path):  # noqa: F811 - a fixture
    path = tmp_path / "j.json"
    arguments = ("--calibration", files / "calibration.npz", "--journal", path, "--json", path)
    assert "neither an input nor another output" in told(capsys, "debug", files / "float.onnx", *arguments)
    assert not path.exists()


def test_limits_are_written_out(capsys):
    code, out, _ = invoke(capsys, "hw", "edge-16x16")
    assert code == 0
    assert "# 0.000001 to 1_000_000 megahertz" in out
    assert "e+" not in out


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "broken.tflite"
    path.write_bytes(b"\x1c\x00\x00\x00TFL3" + bytes(20))
    with pytest.raises(ModelError, match="'broken'"):
        load(path)


def test_help_says_of_each_command_what_it_does(capsys):
    code, out, _ = invoke(capsys, "--help")
    lines = [line.split() for line in out.partition("Commands:")[2].splitlines() if line.strip()]
    assert (code, [words[0] for words in lines]) == (0, list(_COMMANDS))
    assert "..." not in out.partition("Commands:")[2]


@pytest.mark.parametrize("columns", ["0", "-3", "wide", "", "60", "200"])
def test_columns_is_the_width_if_it_is_a_number(capsys, files, monkeypatch, columns):  # noqa: F811 - a fixture
    monkeypatch.setenv("COLUMNS", columns)
    code, out, err = invoke(capsys, "inspect", files / "q.onnx")
    assert (code, err) == (0, "")
    width = int(columns) if columns in ("60", "200") else 100
    assert max(len(line) for line in out.partition("Node")[2].splitlines()) <= width


@pytest.mark.parametrize(
    ("variable", "value", "styled"),
    [("NO_COLOR", "1", False), ("NO_COLOR", "", True), ("TERM", "dumb", False), ("TERM", "xterm", True)],
)
def test_escape_sequences_are_for_terminals_that_want_them(capsys, monkeypatch, variable, value, styled):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b" not in invoke(capsys, "hw")[1]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv(variable, value)
    assert ("\x1b" in invoke(capsys, "hw")[1]) == styled


def test_nothing_of_an_operator_is_left_out(capsys, files, monkeypatch):  # noqa: F811 - a fixture
    """Names may lose their middle; what is said of operators and grids wraps."""
    lines = {}
    for columns in ("90", "300"):
        monkeypatch.setenv("COLUMNS", columns)
        _, out, _ = invoke(capsys, "inspect", files / "q.onnx")
        lines[columns] = out.partition("─\n")[2].splitlines()
    said = {word for line in lines["300"] for word in line.split()[1:]}
    assert said <= {word for line in lines["90"] for word in line.split()}
