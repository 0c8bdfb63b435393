"""`import accel_sim`: what it offers, what it costs, and that the documents tell the truth."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import accel_sim
from accel_sim import demo_data
from accel_sim.report.markdown import regenerated

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md"]


def test_every_public_name_is_there():
    for name in accel_sim.__all__:
        assert getattr(accel_sim, name) is not None
    assert set(accel_sim.__all__) <= set(dir(accel_sim))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = accel_sim.nothing


def test_importing_is_light():
    heavy = ("numpy", "numba", "onnx", "tflite", "flatbuffers", "rich", "click")
    script = f"import sys, accel_sim; print([m for m in {heavy} if m in sys.modules])"
    path = f"{ROOT}:{ROOT / 'kernels'}"
    loaded = subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": path}, capture_output=True, check=True)
    assert loaded.stdout.decode().strip() == "[]"


def test_loading_a_model_does_not_import_the_kernels():
    script = (
        "import sys, accel_sim; accel_sim.load(accel_sim.demo_data.network_bytes()); assert 'numba' not in sys.modules"
    )
    path = f"{ROOT}:{ROOT / 'kernels'}"
    script = script.replace("import sys, accel_sim", "import sys, accel_sim, accel_sim.demo_data")
    subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": path}, check=True)


def test_the_version_is_the_packages():
    assert accel_sim.__version__ == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_generated_tables_are_up_to_date(document):
    text = document.read_text("utf-8")
    assert text == regenerated(text), "run: python -m accel_sim.report.markdown README.md"
    assert text.count("<!-- generated:") == 3


@pytest.mark.parametrize("document", [*DOCUMENTS, ROOT / "accel_sim" / "README.md", ROOT / "tests" / "README.md"])
def test_documents_link_to_files_that_exist(document):
    links = re.findall(r"\]\(([^)#]+)\)", document.read_text("utf-8"))
    for link in links:
        assert (document.parent / link).exists() or link.startswith("http"), link


def test_the_reading_guide_names_files_that_exist():
    guide = (ROOT / "accel_sim" / "README.md").read_text("utf-8")
    for layer, files in re.findall(r"^\| \d+ \| `(\w+/)` \|.*\| ([^|]+) \|$", guide, re.MULTILINE):
        for name in re.findall(r"`([\w./]+)`", files):
            assert (ROOT / "accel_sim" / layer / name).exists(), f"{layer}{name}"


def test_the_readmes_python_runs(tmp_path, monkeypatch, capsys):
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    graph = accel_sim.quantize(accel_sim.load(demo_data.network_bytes()), demo_data.calibration())
    (tmp_path / "net.tflite").write_bytes(accel_sim.write_onnx(graph))  # the content decides, not the name
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {})
    cycles, highest, bits = map(int, capsys.readouterr().out.split())
    assert cycles > 0
    assert highest > 0
    assert 8 < bits <= 32


def test_the_readmes_commands_exist():
    import click

    text = (ROOT / "README.md").read_text("utf-8")
    from accel_sim.cli.application import application

    for command in re.findall(r"^accel-sim (\w+)", text, re.MULTILINE):
        assert application.get_command(click.Context(application), command)


def test_random_inputs_are_the_same_for_the_same_seed_and_cover_the_grid():
    graph = accel_sim.quantize(accel_sim.load(demo_data.network_bytes()), demo_data.calibration())
    first, again, other = (accel_sim.random_inputs(graph, samples=50, seed=s)["image"] for s in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.shape == (50, 1, 8, 8)
    assert (first.dtype, first.min(), first.max()) == (np.uint8, 0, 255)


def test_a_wrong_kind_of_argument_is_told_by_name(tmp_path):
    graph = accel_sim.load(demo_data.network_path())
    integer = accel_sim.quantize(graph, demo_data.calibration(), recipe="minmax")
    program, inputs = accel_sim.compile(integer), accel_sim.random_inputs(integer)
    wrong = {
        "source: Graph: is the path of a model file": lambda: accel_sim.load(graph),
        "graph: str: is a Graph (accel_sim.load": lambda: accel_sim.compile("net.onnx"),
        "hardware: NoneType: is a preset's name": lambda: accel_sim.compile(integer, hardware=None),
        "program: Graph: is a Program (accel_sim.compile": lambda: accel_sim.run(integer, inputs),
        "graph: Program": lambda: accel_sim.compare(program, inputs),
        "graph: PosixPath": lambda: accel_sim.overflow(tmp_path),
        "graph: bytes": lambda: accel_sim.quantize(b"", demo_data.calibration()),
        "graph: NoneType": lambda: accel_sim.write_onnx(None),
        "graph: dict": lambda: accel_sim.random_inputs({}),
    }
    for message, call in wrong.items():
        with pytest.raises(TypeError, match=re.escape(message)):
            call()


def test_numbers_that_are_none_are_refused():
    graph = accel_sim.quantize(accel_sim.load(demo_data.network_path()), demo_data.calibration(), recipe="minmax")
    program, inputs = accel_sim.compile(graph), accel_sim.random_inputs(graph)
    for threads in (0, -1, "2", 1.5):
        with pytest.raises(accel_sim.InputError, match=f"threads: {threads!r}"):
            accel_sim.run(program, inputs, threads=threads)
        with pytest.raises(accel_sim.InputError, match="threads"):
            accel_sim.compare(graph, inputs, threads=threads)
    with pytest.raises(accel_sim.InputError, match=r"samples: 0.*\n.*seed: -1"):
        accel_sim.random_inputs(graph, samples=0, seed=-1)


def test_networks_and_programs_are_one_line():
    graph = accel_sim.load(demo_data.network_path())
    integer = accel_sim.quantize(graph, demo_data.calibration(), recipe="minmax")
    assert repr(graph).startswith("<Graph 'digits_cnn'")
    for shown in (repr(graph), repr(accel_sim.compile(integer))):
        assert len(shown) < 200
        assert "\n" not in shown
