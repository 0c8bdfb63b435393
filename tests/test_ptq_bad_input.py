"""Bad input of quantization: one message that says where and why, or a network that is right all the same."""

import numpy as np
import pytest
from float_graphs import FloatGraph
from ptq_networks import data, inverted_residual

import accel_sim
from accel_sim import demo_data
from accel_sim.cli import run
from accel_sim.errors import QuantizationError
from accel_sim.ir import RELU, Clip, Conv2D, Graph, Multiply
from accel_sim.quantization import get_recipe, quantize, quantize_with_report
from accel_sim.reference import evaluate_fake_quant, evaluate_float

IMAGE = (1, 5, 5, 3)
RECIPES = ["minmax", "fast", "standard"]
OVERRIDES = ("equalization.when=always", "weights.per_channel=false", "rounding.iterations=20")


def two_layers(first: np.ndarray, bias: np.ndarray) -> Graph:
    g = FloatGraph()
    x = g.op(Conv2D(activation=RELU), g.input("x", IMAGE), g.constant(first), g.constant(bias), shape=(1, 5, 5, 4))
    return g.graph(g.op(Conv2D(), x, g.normal(2, 1, 1, 4), g.normal(2), shape=(1, 5, 5, 2), name="y"))


def images(count: int = 8) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 1, (count, 3, 5, 5)).astype(np.float32)


def decibels(graph: Graph, quantized: Graph, inputs: np.ndarray) -> float:
    stored = {"x": graph.tensors["x"].from_file_layout(inputs)}
    exact, got = evaluate_float(graph, stored)["y"], evaluate_fake_quant(quantized, stored)["y"]
    return float(10 * np.log10(np.square(exact).sum() / max(np.square(got - exact).sum(), 1e-30)))


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("kind", ["zeros", "tiny", "constant", "equal", "all zeros"])
def test_a_constant_or_empty_channel_is_quantized_as_well_as_any(kind: str, recipe: str, *, per_channel: bool) -> None:
    weights, bias = np.random.default_rng(0).normal(0, 1, (4, 1, 1, 3)), np.array([0.3, -0.2, 0.1, 0.5])
    weights[1] = {"zeros": 0.0, "tiny": 2e-20, "constant": 0.0, "equal": 0.25, "all zeros": 0.0}[kind]
    bias[1] = 4.0 if kind == "constant" else bias[1]
    if kind == "all zeros":
        weights[:] = 0.0
    graph = two_layers(weights, bias)
    overrides = ("equalization.when=always", f"weights.per_channel={str(per_channel).lower()}")
    overrides += ("rounding.iterations=20",) if recipe == "standard" else ()
    made = quantize(graph, images(), get_recipe(recipe, overrides))
    assert decibels(graph, made, images()) > 30


def test_a_constant_activation_gets_a_grid() -> None:
    graph = two_layers(np.zeros((4, 1, 1, 3)), np.full(4, 1.5))
    made = quantize(graph, np.zeros((4, 3, 5, 5), np.float32), get_recipe("fast", OVERRIDES[:2]))
    assert decibels(graph, made, images(1)) > 30


@pytest.mark.parametrize("recipe", ["minmax", "fast", "standard"])
@pytest.mark.parametrize("kind", ["infinite", "nan"])
def test_infinite_and_nan_activations_are_named(kind: str, recipe: str) -> None:
    g = FloatGraph()
    x = g.op(Multiply(), g.input("x", IMAGE), g.constant([3e38]), shape=IMAGE, name="huge")
    if kind == "nan":  # 0 * inf
        x = g.op(Multiply(), x, g.constant([3e38]), shape=IMAGE, name="infinite")
        x = g.op(Multiply(), x, g.constant([0.0]), shape=IMAGE, name="nothing")
    y = g.op(Conv2D(), x, g.normal(2, 1, 1, 3, scale=10.0), shape=(1, 5, 5, 2), name="y")
    inputs = np.full((4, 3, 5, 5), 2.0, np.float32)
    with np.errstate(all="ignore"), pytest.raises(QuantizationError, match="activations are finite") as caught:
        quantize(g.graph(y), inputs, get_recipe(recipe, OVERRIDES[2:]))
    assert "'huge'" in str(caught.value) or kind == "nan"
    assert str(caught.value).count("on the calibration data") == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_inputs_that_are_not_finite_are_named_with_their_batch(value: float) -> None:
    inputs = images().astype(np.float64)
    inputs[3, 1, 2, 2] = value
    with pytest.raises(
        QuantizationError, match=r"calibration 'x': 1 of \d+ values, the first \S+ at \[3, 1, 2, 2\]"
    ) as caught:
        quantize(two_layers(np.ones((4, 1, 1, 3)), np.ones(4)), inputs, "fast")
    assert len(caught.value.faults) == 1


@pytest.mark.parametrize("recipe", ["minmax", "fast", "standard"])
def test_that_data_are_missing_is_one_fault_that_names_what_needs_them(recipe: str) -> None:
    with pytest.raises(QuantizationError) as caught:
        quantize(inverted_residual(), None, recipe)
    (fault,) = caught.value.faults
    keys = fault.rule.partition(", for ")[2].split(", ")
    assert keys == list(get_recipe(recipe).data_steps)
    assert len(keys) == {"minmax": 2, "fast": 4, "standard": 4}[recipe]
    assert "choose recipe data-free and set activations.input_range" in fault.cure


def test_recipe_data_free_needs_the_range_of_the_inputs() -> None:
    with pytest.raises(QuantizationError) as caught:
        quantize(inverted_residual(), None, "data-free")
    (fault,) = (f for f in caught.value.faults if f.where == "calibration")
    assert fault.rule.endswith("needs calibration data, for activations.input_range")
    assert "recipe" not in fault.cure


def test_equalization_of_a_graph_without_pairs_tells_every_reason_and_changes_nothing() -> None:
    g = FloatGraph()
    x = g.op(Conv2D(), g.input("x", IMAGE), g.normal(4, 1, 1, 3), shape=(1, 5, 5, 4), name="a")
    left = g.op(Clip(RELU), x, shape=(1, 5, 5, 4))
    y = g.op(Multiply(), x, left, shape=(1, 5, 5, 4))
    graph = g.graph(g.op(Conv2D(), y, g.normal(2, 1, 1, 4), shape=(1, 5, 5, 2), name="y"))
    with_, without = (
        quantize_with_report(graph, images(), get_recipe("minmax", (f"equalization.when={when}",)))
        for when in ("always", "never")
    )
    step = with_.report.steps[0]
    assert step.summary.startswith("nothing changed")
    assert ["branch" in note or "result" in note for note in step.notes] == [True, True]
    first, second = (decibels(graph, made.graph, images()) for made in (with_, without))
    assert first == second


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "needs calibration data"),
        (["--calibration", "nan.npz"], "finite in float32"),
        (["--calibration", "none.npz"], "No such file"),
        (["--calibration", "huge.npz", "--recipe", "minmax"], "finite"),
        (["--recipe", "data-free", "--set", "activations.input_range=[0, inf]"], "finite"),
    ],
)
def test_nothing_is_half_written(capsys, tmp_path, monkeypatch, options: list[str], message: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "float.onnx").write_bytes(demo_data.network_bytes())
    digits = demo_data.calibration()[:4].copy()
    np.savez("huge.npz", image=digits * np.float32(3e38))
    digits[0, 0, 0, 0] = np.nan
    np.savez("nan.npz", image=digits)
    before = sorted(f.name for f in tmp_path.iterdir())
    outputs = {"output": "q.onnx", "export-encodings": "e.json", "export-float": "f.onnx", "json": "r.json"}
    files = [word for name, path in outputs.items() for word in (f"--{name}", path)]
    with np.errstate(all="ignore"):
        assert run(["quantize", "float.onnx", *files, "--report", "r.html", *options]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("error:")) == ("", 1)
    assert message in err
    assert sorted(f.name for f in tmp_path.iterdir()) == before


def test_encodings_of_tensors_that_do_not_exist_are_all_named() -> None:
    made = quantize(inverted_residual(), data(8), "minmax")
    text = accel_sim.write_encodings(made)[0]
    for name in ("x", "y"):
        text = text.replace(f'"name": "{name}"', f'"name": "no{name}"')
    from accel_sim.frontend.encodings import parse_encodings

    with pytest.raises(accel_sim.InputError) as caught:
        accel_sim.apply_encodings(inverted_residual(), parse_encodings(text))
    assert [f.value for f in caught.value.faults] == ["no such tensor"] * 2
