"""The commands as a person meets them: what they print, write and return."""

import json
from pathlib import Path

import click
import numpy as np
import pytest

import accel_sim
from accel_sim import demo_data
from accel_sim.cli import application as application_module
from accel_sim.cli import run as run_cli
from accel_sim.cli.overflow import parse_accumulators
from accel_sim.errors import InputError
from accel_sim.ir import Graph


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with the bundled network, float and quantized, its digits and its calibration set."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "float.onnx").write_bytes(demo_data.network_bytes())
    images, _ = demo_data.heldout()
    np.savez(folder / "digits.npz", image=images[:5])
    np.savez(folder / "calibration.npz", image=demo_data.calibration())
    graph = accel_sim.quantize(accel_sim.load(folder / "float.onnx"), demo_data.calibration())
    accel_sim.write_onnx(graph, folder / "q.onnx")
    return folder


@pytest.fixture(scope="module")
def graph(files) -> Graph:
    return accel_sim.load(files / "q.onnx")


def invoke(capsys, *arguments):
    """Exit code, stdout, stderr of one command line; that kernels are being compiled depends on earlier runs."""
    code = run_cli([str(a) for a in arguments])
    captured = capsys.readouterr()
    errors = [line for line in captured.err.splitlines(keepends=True) if "compiling kernels" not in line]
    return code, captured.out, "".join(errors)


def test_one_array_needs_no_archive(capsys, files, tmp_path):
    images, labels = np.load(files / "digits.npz")["image"], np.arange(5)
    np.save(tmp_path / "x.npy", images)
    np.save(tmp_path / "y.npy", labels)
    np.savez(tmp_path / "y.npz", labels=labels)
    reports = []
    for inputs, classes in ((files / "digits.npz", tmp_path / "y.npz"), (tmp_path / "x.npy", tmp_path / "y.npy")):
        report = tmp_path / "r.json"
        arguments = ("--inputs", inputs, "--labels", classes, "--json", report)
        assert invoke(capsys, "compare", files / "q.onnx", *arguments)[0] in (0, 1)
        reports.append(report.read_text().replace(inputs.name, "inputs"))
    assert reports[0] == reports[1]


def test_run_writes_codes_and_report(capsys, files, tmp_path, graph):
    outputs, report = tmp_path / "o.npz", tmp_path / "r.json"
    code, out, err = invoke(
        capsys, "run", files / "q.onnx", "--inputs", files / "digits.npz", "--output", outputs, "--json", report
    )
    assert (code, err) == (0, "")
    assert "5 samples of digits.npz" in out
    with np.load(files / "digits.npz") as digits, np.load(outputs) as made:
        expected = accel_sim.run(accel_sim.compile(graph), dict(digits))
        np.testing.assert_array_equal(made["logits"], expected.outputs["logits"])
        assert made["logits"].shape == (5, 10)
    document = json.loads(report.read_text())
    assert document["schema"] == "accel-sim/run/1"
    assert document["model"]["sha256"] == graph.sha256
    assert document["cycles"] == expected.cycles > 0
    assert [layer["name"] for layer in document["layers"]] == [layer.name for layer in expected.layers]
    assert f"{expected.cycles:,} per sample" in out


def test_without_inputs_seeded_random_codes_are_used_and_named(capsys, files, tmp_path):
    texts = []
    for seed in (0, 0, 1):
        path = tmp_path / f"{len(texts)}.npz"
        code, out, _ = invoke(
            capsys, "run", files / "q.onnx", "--seed", seed, "--output", path, "--level", "functional"
        )
        assert code == 0
        assert f"random codes (seed {seed}): no --inputs given" in out
        texts.append(path.read_bytes())
    assert texts[0] == texts[1] != texts[2]


def test_equal_runs_write_equal_files_whatever_the_threads(capsys, files, tmp_path):
    written = []
    for threads in (1, 2, 2):
        paths = [tmp_path / f"{len(written)}.{kind}" for kind in ("json", "npz")]
        options = ("--inputs", files / "digits.npz", "--threads", threads, "--json", paths[0], "--output", paths[1])
        assert invoke(capsys, "run", files / "q.onnx", *options)[0] == 0
        written.append([path.read_bytes() for path in paths])
    assert written[0] == written[1] == written[2]


def test_hardware_and_profile_are_chosen_and_said(capsys, files, tmp_path):
    report = tmp_path / "r.json"
    options = ("--hw", "paper-4x4", "--set", "accumulator.bits=24", "--profile", "tosa", "--json", report)
    code, out, _ = invoke(capsys, "run", files / "q.onnx", *options)
    assert code == 0
    assert "profile tosa · hardware paper-4x4" in out
    document = json.loads(report.read_text())
    assert document["profile"] == "tosa"
    assert document["hardware"]["grid"]["rows"] == 4
    assert document["hardware"]["accumulator"]["bits"] == 24


def test_a_hardware_file_is_a_preset_with_other_numbers(capsys, files, tmp_path):
    _, toml, _ = invoke(capsys, "hw", "edge-16x16", "--set", "grid.rows=8", "--set", 'name="mine"')
    (tmp_path / "mine.toml").write_text(toml)
    code, out, _ = invoke(capsys, "run", files / "q.onnx", "--hw", tmp_path / "mine.toml")
    assert code == 0
    assert "hardware mine" in out
    assert "of 8 x 16" in out


def test_compare_exits_with_1_exactly_where_codes_differ(capsys, files, tmp_path):
    for profile in ("tflite", "paper"):
        report = tmp_path / f"{profile}.json"
        options = ("--inputs", files / "digits.npz", "--profile", profile, "--simulation", "float64", "--json", report)
        code, out, err = invoke(capsys, "compare", files / "q.onnx", *options)
        document = json.loads(report.read_text())
        assert err == ""
        assert document["simulation"] == "float64"
        assert code == (0 if document["identical"] else 1)
        assert ("every code of every layer is the same" in out) == document["identical"]
        assert document["identical"] == (sum(layer["differing"] for layer in document["layers"]) == 0)
        assert document["top1_agreement"] is not None


def test_overflow_exits_with_1_where_a_width_asked_for_is_not_proved(capsys, files, tmp_path, graph):
    safe = accel_sim.overflow(graph).safe_bits
    for widths, expected in (((), 0), ((safe,), 0), ((safe - 1,), 1), ((f"{safe}..{safe + 3}",), 0), ((8, 32), 1)):
        report = tmp_path / "r.json"
        options = [word for width in widths for word in ("--accumulator", width)]
        code, out, err = invoke(
            capsys, "overflow", files / "q.onnx", "--inputs", files / "digits.npz", *options, "--json", report
        )
        assert (code, err) == (expected, "")
        assert f"{safe} bits: no input can overflow" in out
        document = json.loads(report.read_text())
        assert document["safe_bits"] == safe
        assert document["observed_bits"] <= safe
        assert document["samples"] == 5


def test_certificates_are_written_and_verified_and_a_false_one_exits_with_1(capsys, files, tmp_path, graph):
    path, other = tmp_path / "c.json", tmp_path / "other.json"
    code, out, err = invoke(
        capsys, "overflow", files / "q.onnx", "--inputs", files / "digits.npz", "--certificates", path
    )
    assert (code, err) == (0, "")
    document = json.loads(path.read_text())
    assert document["schema"] == "accel-sim/certificate/1"
    assert document["model"]["sha256"] == graph.sha256
    assert (document["safe_bits"], document["samples"]) == (accel_sim.overflow(graph).safe_bits, 5)
    assert document["hardware"]["name"] == "edge-16x16"
    kinds = [r["kind"] for r in document["layers"][0]["ranges"]]
    assert kinds == ["type", "interval", "calibrated"]
    code, out, err = invoke(capsys, "overflow", files / "q.onnx", "--check-certificates", path)
    assert (code, err) == (0, "")
    assert "every claim follows from the weights" in out
    document["layers"][1]["ranges"][0]["claims"][0]["maximum"][3] -= 1
    other.write_text(json.dumps(document))
    code, out, err = invoke(capsys, "overflow", files / "q.onnx", "--check-certificates", other)
    assert (code, err) == (1, "")
    assert document["layers"][1]["layer"] in out
    assert "channel 3" in out
    assert "1 claim does not hold" in out
    others = ("--accumulator", 8, "--seed", 0, "--hw", "tpu-v1", "--set", "grid.rows=8", "--threads", 1)
    code, _, err = invoke(capsys, "overflow", files / "q.onnx", "--check-certificates", path, *others)
    assert code == 2
    assert {word.strip(",:") for word in err.split() if word.startswith("--")} >= set(others[::2])


def test_a_certificate_that_is_no_json_is_the_users_fault(capsys, files, tmp_path):
    for name, content in (("text.json", "not json"), ("list.json", "[]"), ("none.json", None)):
        if content is not None:
            (tmp_path / name).write_text(content)
        code, out, err = invoke(capsys, "overflow", files / "q.onnx", "--check-certificates", tmp_path / name)
        assert (code, out) == (2, "")
        assert name in err


@pytest.mark.parametrize(
    ("specs", "widths"), [(("20",), (20,)), (("14..16", "32"), (14, 15, 16, 32)), ((" 8 ",), (8,)), ((), ())]
)
def test_accumulator_specifications(specs, widths):
    assert parse_accumulators(specs) == widths


def test_accumulators_may_be_structures(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\n[[stages]]\nbits = 18\nterms = "rows"\n[[stages]]\nbits = 30\n')
    first, second, third = parse_accumulators(("x86-vpmaddubsw", str(path), "20:saturate"), rows=4)
    assert (first.name, second.name, second.stages[0].terms) == ("x86-vpmaddubsw", "mine", 4)
    assert [s.policy.value for s in third.stages] == ["saturate"]


def test_every_bad_accumulator_is_told_at_once():
    with pytest.raises(InputError) as error:
        parse_accumulators(("7", "65", "20..10", "x", "16.5", "", "9" * 30, "20", "7:wrap"))
    assert len(error.value.faults) == 8


def test_the_overflow_of_widths_and_structures_is_counted_with_labels(capsys, files, tmp_path, graph):
    report, page = tmp_path / "r.json", tmp_path / "r.html"
    np.savez(tmp_path / "labels.npz", labels=demo_data.heldout()[1][:5])
    options = ("--labels", tmp_path / "labels.npz", "--accumulator", "12..13", "--accumulator", "gemmini")
    outputs = ("--json", report, "--report", page)
    code, out, err = invoke(capsys, "overflow", files / "q.onnx", "--inputs", files / "digits.npz", *options, *outputs)
    assert (code, err) == (1, "")
    for name in ("12-bit wrap", "12-bit saturate", "13-bit wrap", "gemmini"):
        assert name in out
    curve = json.loads(report.read_text())["curve"]
    names = [point["name"] for point in curve["accumulators"]]
    assert names == ["12-bit wrap", "12-bit saturate", "13-bit wrap", "13-bit saturate", "gemmini"]
    assert curve["accuracy"] == 1.0
    narrow, gemmini = curve["accumulators"][0], curve["accumulators"][-1]
    assert narrow["events"] > 0
    assert narrow["events"] == sum(sum(layer.get("channel_events", [])) for layer in narrow["layers"])
    assert narrow["differing"] > 0
    assert (gemmini["events"], gemmini["differing"], gemmini["agreement"]) == (0, 0, 1.0)
    assert "Accumulator width and its price" in page.read_text()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--accumulator", "7"), "8 to 64 bits"),
        (("--accumulator", "narrow.toml"), "holds one product of int8 and int8"),
        (("--labels", "four.npz"), "there is one for each sample of the inputs"),
        (("--labels", "real.npz"), "an integer"),
        (("--inputs", "none.npz"), "at least one sample"),
    ],
)
def test_what_overflow_cannot_use_is_one_message(capsys, files, tmp_path, options, told):
    (tmp_path / "narrow.toml").write_text('name = "n"\n[[stages]]\nbits = 9\nterms = 2\n[[stages]]\nbits = 32\n')
    np.savez(tmp_path / "four.npz", labels=np.arange(4))
    np.savez(tmp_path / "real.npz", labels=np.linspace(0, 1, 5))
    with np.load(files / "digits.npz") as digits:
        np.savez(tmp_path / "none.npz", image=digits["image"][:0])
    name, value = options
    given = {"--inputs": files / "digits.npz"} | {name: tmp_path / value if "." in value else value}
    words = [word for pair in given.items() for word in pair]
    code, out, err = invoke(capsys, "overflow", files / "q.onnx", *words)
    assert (code, out) == (2, "")
    assert told in err
    assert "Traceback" not in err


def test_inspect_lists_operators_grids_and_units(capsys, files, tmp_path, graph):
    report = tmp_path / "r.json"
    code, out, err = invoke(capsys, "inspect", files / "q.onnx", "--json", report)
    assert (code, err) == (0, "")
    document = json.loads(report.read_text())
    assert document["supported"] is True
    assert [o["name"] for o in document["operators"]] == [node.name for node in graph.nodes]
    units = {o["runs_on"] for o in document["operators"]}
    assert "PE grid" in units
    assert any("vector unit" in unit for unit in units)
    assert graph.sha256 in out
    assert "image uint8[1,8,8,1]" in out


def test_inspect_lists_a_float_network_and_says_that_it_cannot_run(capsys, files, tmp_path):
    report = tmp_path / "r.json"
    code, out, err = invoke(capsys, "inspect", files / "float.onnx", "--json", report)
    assert code == 2
    assert err.count("\n") == 1
    assert "unsupported" in out
    document = json.loads(report.read_text())
    assert document["supported"] is False
    assert len(document["operators"]) > 10
    assert document["unsupported"]


def test_quantize_writes_a_network_that_runs(capsys, files, tmp_path):
    path = tmp_path / "q.onnx"
    code, out, err = invoke(
        capsys, "quantize", files / "float.onnx", "--calibration", files / "calibration.npz", "--output", path
    )
    assert (code, err) == (0, "")
    assert str(path) in out
    assert path.read_bytes() == (files / "q.onnx").read_bytes()


def test_hw_lists_presets_and_prints_one_as_a_file(capsys):
    code, out, _ = invoke(capsys, "hw")
    assert code == 0
    for name in accel_sim.preset_names():
        assert name in out
    _, toml, _ = invoke(capsys, "hw", "tpu-v1")
    assert accel_sim.hardware.parse_hardware(toml) == accel_sim.load_hardware("tpu-v1")


@pytest.mark.parametrize(
    "command",
    ["", "run", "compare", "overflow", "inspect", "quantize", "vectors", "hw", "demo", "debug"],
    ids=lambda c: c or "accel-sim",
)
def test_help(capsys, command):
    code, out, err = invoke(capsys, *([command] if command else []), "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: accel-sim {command}".rstrip())


def test_the_help_page_has_a_line_for_each_command(capsys):
    listed = [line.split()[0] for line in invoke(capsys, "--help")[1].partition("Commands:\n")[2].splitlines()]
    modules = Path(application_module.__file__).parent.glob("*.py")
    assert sorted(listed) == sorted(m.stem for m in modules if f"def {m.stem}_command(" in m.read_text())
    context = click.Context(application_module.application)
    assert all(application_module.application.get_command(context, name).name == name for name in listed)
