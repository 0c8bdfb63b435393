"""A user's mistake: exit 2, one message on stderr, nothing on stdout, no traceback, no half-written file."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from test_cli_commands import files, graph, invoke  # noqa: F401 - fixtures

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'kernels'}"}


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path


def digits(shape=(2, 1, 8, 8), dtype=np.float32):
    return np.zeros(shape, dtype)


WRONG_INPUTS = {
    "wrong name": {"picture": digits()},
    "no array": {},
    "wrong rank": {"image": digits((2, 8, 8))},
    "wrong shape": {"image": digits((2, 1, 8, 9))},
    "no samples": {"image": digits((0, 1, 8, 8))},
    "wrong integer type": {"image": digits(dtype=np.int32)},
    "bool": {"image": digits(dtype=bool)},
    "complex": {"image": digits(dtype=np.complex64)},
    "text": {"image": np.full((2, 1, 8, 8), "x")},
    "nan": {"image": digits() + np.nan},
    "infinite": {"image": digits() - np.inf},
    "one too many": {"image": digits(), "labels": np.zeros(2)},
}


@pytest.mark.parametrize("command", ["run", "compare", "overflow"])
@pytest.mark.parametrize("kind", WRONG_INPUTS)
def test_wrong_inputs(capsys, files, tmp_path, command, kind):  # noqa: F811 - a fixture
    inputs = npz(tmp_path / "x.npz", **WRONG_INPUTS[kind])
    report = tmp_path / "r.json"
    expect_one_message(capsys, report, command, files / "q.onnx", "--inputs", inputs, "--json", report)


MODELS = {
    "missing": None,
    "empty": b"",
    "text": b"hello, I am a model",
    "zip": b"PK\x03\x04" + bytes(100),
    "zeros": bytes(4096),
    "tflite header only": b"\x1c\x00\x00\x00TFL3" + bytes(20),
}


@pytest.mark.parametrize("command", ["run", "compare", "overflow", "inspect"])
@pytest.mark.parametrize("kind", [*MODELS, "directory"])
def test_what_is_no_model(capsys, tmp_path, command, kind):
    path = tmp_path / "model.tflite"
    if kind == "directory":
        path.mkdir()
    elif MODELS[kind] is not None:
        path.write_bytes(MODELS[kind])
    report = tmp_path / "r.json"
    message = expect_one_message(capsys, report, command, path, "--json", report)
    assert "model" in message


OPTIONS = {
    "unknown hardware": ("--hw", "nope"),
    "unknown key": ("--set", "grid.rwos=3"),
    "impossible value": ("--set", "grid.rows=0"),
    "no assignment": ("--set", "grid.rows"),
    "tile that fits nowhere": ("--set", "memory.weight_sram_bytes=16"),
    "unknown profile": ("--profile", "nope"),
    "unknown level": ("--level", "nope"),
    "no threads": ("--threads", "0"),
    "negative seed": ("--seed", "-1"),
    "missing inputs": ("--inputs", "nowhere.npz"),
    "output folder missing": ("--output", "nowhere/o.npz"),
    "unknown option": ("--nope",),
}


@pytest.mark.parametrize("kind", OPTIONS)
def test_wrong_options(capsys, files, tmp_path, monkeypatch, kind):  # noqa: F811 - a fixture
    monkeypatch.chdir(tmp_path)
    report = tmp_path / "r.json"
    expect_one_message(capsys, report, "run", files / "q.onnx", "--json", report, *OPTIONS[kind])


@pytest.mark.parametrize("command", ["run", "compare", "overflow"])
def test_a_float_network_must_be_quantized_first(capsys, files, tmp_path, command):  # noqa: F811 - a fixture
    report = tmp_path / "r.json"
    message = expect_one_message(capsys, report, command, files / "float.onnx", "--json", report)
    assert "quantize" in message


QUANTIZE = {
    "integer network": ("q.onnx", "calibration.npz", ()),
    "unknown recipe": ("float.onnx", "calibration.npz", ("--recipe", "nope")),
    "missing recipe file": ("float.onnx", "calibration.npz", ("--recipe", "nope.toml")),
    "missing calibration": ("float.onnx", "nope.npz", ()),
    "model as calibration": ("float.onnx", "float.onnx", ()),
}


@pytest.mark.parametrize("kind", QUANTIZE)
def test_what_cannot_be_quantized(capsys, files, tmp_path, kind):  # noqa: F811 - a fixture
    model, calibration, options = QUANTIZE[kind]
    output = tmp_path / "o.onnx"
    arguments = (files / model, "--calibration", files / calibration, "--output", output, *options)
    expect_one_message(capsys, output, "quantize", *arguments)


@pytest.mark.parametrize("array", [np.zeros((0, 1, 8, 8), np.float32), np.full((3, 1, 8, 8), np.nan, np.float32)])
def test_calibration_without_numbers(capsys, files, tmp_path, array):  # noqa: F811 - a fixture
    calibration, output = npz(tmp_path / "c.npz", image=array), tmp_path / "o.onnx"
    arguments = (files / "float.onnx", "--calibration", calibration, "--output", output)
    expect_one_message(capsys, output, "quantize", *arguments)


def expect_one_message(capsys, product, *arguments):
    """Run, and check everything that holds of every user error; the message."""
    before = sorted(p.name for p in product.parent.iterdir())
    code, out, err = invoke(capsys, *arguments)
    assert code == 2, err
    assert out == ""
    assert err.strip()
    assert "Traceback" not in err
    assert "internal error" not in err
    assert err.lower().count("error:") == 1
    assert sorted(p.name for p in product.parent.iterdir()) == before
    return err


def command_line(*arguments, **options):
    return python_process("-m", "accel_sim", *map(str, arguments), **options)


def python(script, **options):
    return python_process("-c", script, **options)


def python_process(*arguments, **options):
    command = [sys.executable, *arguments]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit it ignored
    try:
        return subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, **options)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and pipes")
def test_a_reader_that_goes_away_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    process = command_line("hw", stdout=writing)
    os.close(writing)
    assert process.communicate(timeout=60)[1] == b""
    assert process.returncode == 128 + signal.SIGPIPE


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("arguments", [("hw",), ("hw", "edge-16x16", "--json", "/dev/full")])
def test_a_full_disk_is_one_message(arguments):
    with Path("/dev/full").open("wb") as full:
        process = command_line(*arguments, stdout=full if len(arguments) == 1 else subprocess.DEVNULL)
        err = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 2
    assert err.count("\n") == 1
    assert "No space left on device" in err


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(("number", "said"), [(signal.SIGINT, "interrupted\n"), (signal.SIGTERM, "")])
def test_signals_end_quietly_and_leave_nothing(files, tmp_path, number, said):  # noqa: F811 - a fixture
    pipe = tmp_path / "model.onnx"
    os.mkfifo(pipe)  # a model that never comes: the command waits in the middle of its work
    process = command_line("run", pipe, "--json", tmp_path / "r.json", stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not any(p.name.startswith(".r.json") for p in tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    err = process.communicate(timeout=60)[1].decode()
    assert process.returncode in (128 + number, -number)  # Python may end by the signal itself: a shell sees 128 + n
    assert err == said
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]


WAITING = """
import sys, threading, time
sys.argv = ["accel-sim", "hw"]
from accel_sim import cli
threading.Thread(target=threading.Event().wait).start()  # a worker that nobody wakes
def command(_):
    print("ready", flush=True)
    try:
        time.sleep(60)
    except {caught}:
        pass
    time.sleep(60)
import accel_sim.cli.application
accel_sim.cli.application.execute = command
cli.main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(
    ("number", "caught"),
    [(n, caught) for n in (signal.SIGINT, signal.SIGTERM) for caught in ("OSError", "BaseException")],
    ids=["interrupted", "interrupted and lost", "terminated", "terminated and lost"],
)
def test_signals_end_a_process_whose_threads_wait_for_ever(number, caught):
    process = python(WAITING.format(caught=caught), stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    try:
        process.communicate(timeout=30)
        assert process.returncode == 128 + number
    finally:
        process.kill()


def test_signals_are_as_they_were_after_a_command(capsys):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert invoke(capsys, "hw")[0] == 0
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


IMPORTING = """
import sys
class Finder:
    def find_spec(self, name, *_):
        if name == "accel_sim.cli.boundary":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Finder())
sys.argv = ["accel-sim", "hw"]
from accel_sim.cli import main
main()
"""


def test_an_interrupt_while_the_command_line_is_imported_is_one_word():
    process = python(IMPORTING, stdout=subprocess.PIPE)
    assert process.communicate(timeout=60) == (b"", b"interrupted\n")
    assert process.returncode == 130
