"""`accel-sim quantize`: recipes, overrides, data in every form, and what it prints."""

import json

import numpy as np
import onnx
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
    assert [len(layer["signal_to_noise_db"]) for layer in document["layers"]] == [4] * 6
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


def test_the_page_has_the_steps_and_every_layer(capsys, folder, tmp_path):
    encodings, page = tmp_path / "e.json", tmp_path / "r.html"
    options = ["--output", tmp_path / "q.onnx", "--report", page]
    recipe = ["--recipe", "fast", "--calibration", folder / "digits.npz", "--export-encodings", encodings]
    assert invoke(capsys, folder, *options, *recipe)[0] == 0
    text = page.read_text().replace("<wbr>", "")
    for part in ("Error of each layer", "bias correction", "depthwise_conv", "median of the layers"):
        assert part in text
    assert invoke(capsys, folder, *options, "--encodings", encodings)[0] == 0
    text = page.read_text().replace("<wbr>", "")
    assert "errors not measured: no data" in text
    assert "Error of each layer" not in text
    assert "depthwise_conv" in text


def test_integer_operators_instead_of_quantizers(capsys, folder, tmp_path):
    options = ["--recipe", "minmax", "--calibration", folder / "digits.npz"]
    forms = {"qdq": "QuantizeLinear", "qoperator": "QLinearConv"}
    for form, operator in forms.items():
        made = tmp_path / f"{form}.onnx"
        assert invoke(capsys, folder, *options, "--format", form, "--output", made)[0] == 0
        operators = {node.op_type for node in onnx.load(made).graph.node}
        assert operator in operators
        assert ("Conv" in operators) == (form == "qdq")
    images = demo_data.heldout()[0][:20]
    first, second = (outputs(tmp_path / f"{form}.onnx", images) for form in forms)
    np.testing.assert_array_equal(first, second)


def outputs(path, images) -> np.ndarray:
    made = accel_sim.run(accel_sim.compile(accel_sim.load(path)), images, level="functional").outputs
    return next(iter(made.values()))


@pytest.mark.parametrize("version", ["0.6.1", "1.0.0", "2.0.0", "2.1.0"])
@pytest.mark.parametrize(
    "recipe",
    [
        ["fast"],
        ["fast", "--set", "weights.per_channel=false"],
        ["standard", "--set", "rounding.iterations=20", "--set", "weights.bits=4"],
    ],
)
def test_a_float_network_and_its_encodings_are_the_whole_network(capsys, folder, tmp_path, recipe, version):
    made, floating, encodings, again = (tmp_path / n for n in ("q.onnx", "f.onnx", "e.json", "again.onnx"))
    options = ["--recipe", *recipe, "--calibration", folder / "digits.npz", "--output", made]
    options += ["--export-encodings", encodings, "--encodings-version", version, "--export-float", floating]
    code, out, _ = invoke(capsys, folder, *options)
    assert code == 0
    assert ("does not say the channel axis" in " ".join(out.split())) == (
        version < "2" and "per_channel" not in str(recipe)
    )
    options = ["quantize", floating, "--encodings", encodings, "--output", again, "--export-encodings", tmp_path / "e2"]
    assert run([str(o) for o in options]) == 0
    assert json.loads(encodings.read_text())["version"] == version
    first, second = (entries(path) for path in (encodings, tmp_path / "e2"))
    assert {name: second[name] for name in first} == first  # and biases that folding made, which the file now has
    images = demo_data.heldout()[0][:20]
    np.testing.assert_array_equal(outputs(made, images), outputs(again, images))
    for first, second in zip(constants(made), constants(again), strict=True):
        np.testing.assert_array_equal(first, second)


def entries(path) -> dict[str, tuple[object, ...]]:
    found = accel_sim.load_encodings(path).entries
    return {e.name: (e.bits, e.scale, e.offset, e.signed, e.axis, e.per_channel) for e in found}


def constants(path) -> list[np.ndarray]:
    graph = accel_sim.load(path)
    return [t.constant for node in graph.nodes for t in graph.inputs_of(node) if t is not None and t.is_constant]


def test_encodings_without_their_network_say_what_they_do_not_say(capsys, folder, tmp_path):
    options = ["--recipe", "fast", "--calibration", folder / "digits.npz", "--output", tmp_path / "q.onnx"]
    _, out, _ = invoke(capsys, folder, *options, "--export-encodings", tmp_path / "e.json")
    text = " ".join(out.split())
    assert "does not say what bias correction did" in text
    assert "--export-float" in text


def test_encodings_of_the_file_itself(capsys, folder, tmp_path):
    encodings, made, again = tmp_path / "e.json", tmp_path / "q.onnx", tmp_path / "again.onnx"
    options = ["--recipe", "minmax", "--calibration", folder / "digits.npz", "--output", made]
    _, out, _ = invoke(capsys, folder, *options, "--export-encodings", encodings)
    assert "does not say" not in out
    assert invoke(capsys, folder, "--encodings", encodings, "--output", again)[0] == 0
    for first, second in zip(constants(made), constants(again), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("content", ["", "{}", '{"version": "9"}', "nowhere", "absent"])
def test_encodings_that_do_not_fit_are_one_message_and_leave_no_file(capsys, folder, tmp_path, content):
    graph = accel_sim.quantize(accel_sim.load(folder / "float.onnx"), demo_data.calibration()[:8], "minmax")
    text = accel_sim.write_encodings(graph)[0]
    if content == "nowhere":
        text = text.replace('"name": "', '"name": "nowhere/', 1)
    file = tmp_path / "e.json"
    if content != "absent":
        file.write_text(text if content == "nowhere" else content)
    options = ["--encodings", file, "--output", tmp_path / "q.onnx", "--export-float", tmp_path / "f.onnx"]
    code, out, err = invoke(capsys, folder, *options)
    assert (code, out, err.count("error:")) == (2, "", 1)
    assert [f.name for f in tmp_path.iterdir()] == (["e.json"] if content != "absent" else [])
    if content == "nowhere":
        assert "no such tensor" in err


@pytest.mark.parametrize(
    "options",
    [
        ["--encodings", "e.json", "--calibration", "x.npz"],
        ["--encodings", "e.json", "--recipe", "fast"],
        ["--encodings", "e.json", "--set", "weights.bits=4"],
        ["--encodings-version", "1.0.0"],
        ["--format", "float"],
        ["--export-float", "q.onnx"],
    ],
)
def test_contradictions_are_usage_errors(capsys, folder, tmp_path, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    code, out, err = invoke(capsys, folder, *options, "--output", "q.onnx")
    assert (code, out) == (2, "")
    assert err
    assert list(tmp_path.iterdir()) == []
