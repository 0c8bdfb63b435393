"""The pipeline on whole graphs: ranges, recipes without data, and what the report tells."""

from dataclasses import replace

import numpy as np
import pytest
from float_graphs import FloatGraph
from ptq_networks import data, inverted_residual, outputs
from quantizable_graphs import CASES, calibration_for

from accel_sim import demo_data
from accel_sim.errors import QuantizationError
from accel_sim.frontend import load
from accel_sim.ir import (
    Add,
    Concat,
    Conv2D,
    MaxPool2D,
    Padding2D,
)
from accel_sim.quantization import (
    get_recipe,
    parse_recipe,
    quantize,
    quantize_with_report,
)
from accel_sim.quantization.integer_graph import nearest_weights
from accel_sim.quantization.layers import Change, changed, layers_of
from accel_sim.reference import evaluate_fake_quant

# --- ranges ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["minmax", "mse", "percentile"])
def test_every_range_of_activations_on_a_heavy_tail(method: str) -> None:
    g = FloatGraph()
    graph = g.graph(g.op(Add(), g.input("x", (1, 1000)), g.constant([0.0]), shape=(1, 1000), name="y"))
    values = np.random.default_rng(0).standard_t(2, (16, 1000)).astype(np.float32)
    grid = quantize(graph, values, parse_recipe(f'[activations]\nbits = 4\nrange = "{method}"')).tensors["x"].quant
    top = grid.scale[0] * (15 - grid.zero_point[0])
    codes = np.clip(np.rint(values / grid.scale[0]), -grid.zero_point[0], 15 - grid.zero_point[0])
    error = float(np.square(codes * grid.scale[0] - values).mean())
    covering = float(np.square(values - np.rint(values / (np.ptp(values) / 15)) * (np.ptp(values) / 15)).mean())
    if method == "minmax":
        assert top == pytest.approx(values.max(), abs=grid.scale[0])
    elif method == "percentile":
        assert top == pytest.approx(np.percentile(values, 99.99), rel=0.2)
    else:
        assert error < covering
        assert top < values.max()


@pytest.mark.parametrize("bits", [2, 3, 4, 7, 8, 12, 16])
@pytest.mark.parametrize("kind", ["symmetric = true", "symmetric = false", "symmetric = true\npower_of_two = true"])
def test_widths_and_families(bits: int, kind: str) -> None:
    text = f'[weights]\nbits = {bits}\n{kind}\nrange = "mse"\n[activations]\nbits = {bits}\n{kind}\nrange = "mse"'
    quantized = quantize(inverted_residual(), data(4), parse_recipe(text))
    for tensor in quantized.tensors.values():
        if tensor.quant.bits != 32:
            assert tensor.quant.bits == bits
            assert tensor.quant.is_symmetric or "symmetric = false" in kind
            assert tensor.quant.is_power_of_two or "power" not in kind


def test_layers_may_differ_in_width_and_granularity() -> None:
    graph = inverted_residual()
    names = list(layers_of(graph))
    text = f'[weights]\nbits = 4\n[layers."{names[0]}"]\nweight_bits = 8\nper_channel = false\nactivation_bits = 16\n'
    quantized = quantize(graph, data(4), parse_recipe(text))
    grids = [quantized.operand(n, 1).quant for n in quantized.nodes if n.name in names]
    assert [(q.bits, q.is_per_channel) for q in grids] == [(8, False), *[(4, True)] * 3]
    assert quantized.result(quantized.nodes[0]).quant.bits == 16


@pytest.mark.parametrize("tie", ["none", "concat", "concat_and_add"])
def test_operands_may_share_their_results_grid(tie: str) -> None:
    g = FloatGraph()
    a, b = g.input("a", (1, 2, 2, 3)), g.input("b", (1, 2, 2, 3))
    pooled = g.op(MaxPool2D((2, 2), padding=Padding2D(0, 1, 0, 1)), b, shape=(1, 2, 2, 3))
    both = g.op(Concat(3), a, pooled, shape=(1, 2, 2, 6))
    total = g.op(Add(), a, b, shape=(1, 2, 2, 3), name="total")
    graph = g.graph(both, total)
    inputs = {n: np.random.default_rng(i).normal(0, 10.0**i, (4, 3, 2, 2)) for i, n in enumerate("ab")}
    made = quantize_with_report(graph, inputs, parse_recipe(f'[activations]\ntie = "{tie}"'))
    distinct = {made.graph.tensors[n].quant for n in ("a", "b", pooled, both)}
    assert len(distinct) == (3 if tie == "none" else 1)
    assert (made.graph.tensors["total"].quant in distinct) == (tie == "concat_and_add")
    assert (made.report.stages[-1] == "shared grids") == (tie != "none")
    if tie == "none":
        return
    step = made.report.steps[-1]
    assert (
        step.summary
        == {"concat": "1 group of tensors, 2", "concat_and_add": "1 group of tensors, 4"}[tie]
        + " operands less to requantize"
    )
    own = quantize(graph, inputs, "minmax")
    coarser = {n: made.graph.tensors[n].quant.scale[0] / own.tensors[n].quant.scale[0] for n in "ab"}
    assert all(f"{n} {factor:.3g}" in step.notes[0] for n, factor in coarser.items())


def test_the_effect_of_shared_grids_on_each_layer_is_in_the_report() -> None:
    g = FloatGraph()
    x = g.input("x", (1, 4, 4, 3))
    a = g.op(Conv2D(), x, g.normal(4, 1, 1, 3), shape=(1, 4, 4, 4))
    b = g.op(Conv2D(), x, g.normal(4, 1, 1, 3, scale=50.0), shape=(1, 4, 4, 4))
    graph = g.graph(g.op(Conv2D(), g.op(Add(), a, b, shape=(1, 4, 4, 4)), g.normal(2, 1, 1, 4), shape=(1, 4, 4, 2)))
    inputs = np.random.default_rng(0).normal(0, 1, (8, 3, 4, 4))
    report = quantize_with_report(graph, inputs, parse_recipe('[activations]\ntie = "concat_and_add"')).report
    assert report.stages[-2:] == ("activation ranges", "shared grids")
    (own, tied), (own_b, tied_b), _ = (layer.signal_to_noise_db[-2:] for layer in report.layers)
    assert tied < own - 20  # a lies on the grid of b, fifty times as coarse
    assert abs(tied_b - own_b) < 3


def test_inputs_may_have_a_width_of_their_own() -> None:
    recipe = get_recipe("minmax", ("layers.x.activation_bits=12",))
    made = quantize(inverted_residual(), data(8), recipe)
    assert [made.tensors["x"].quant.bits, made.tensors["y"].quant.bits] == [12, 8]


# --- data-free ------------------------------------------------------------------------------------


def test_the_data_free_recipe_is_as_good_as_one_with_data_on_the_bundled_network() -> None:
    graph = load(demo_data.network_bytes())
    images, labels = demo_data.heldout()
    right = {}
    for name, recipe, inputs in (
        ("free", get_recipe("data-free", ("activations.input_range=[0, 1]",)), None),
        ("data", "fast", demo_data.calibration()),
    ):
        made = quantize_with_report(graph, inputs, recipe)
        stored = {made.graph.inputs[0]: images.transpose(0, 2, 3, 1)}
        got = evaluate_fake_quant(made.graph, stored, np.float32)[made.graph.outputs[0]]
        right[name] = int((got.argmax(axis=1) == labels).sum())
        assert bool(made.report.stages) == (inputs is not None)
    assert right["free"] >= 0.98 * right["data"]


def test_what_needs_data_says_so_without_it() -> None:
    with pytest.raises(QuantizationError) as caught:
        quantize(load(demo_data.network_bytes()), None, "standard")
    text = str(caught.value)
    for key in ("rounding.method", "activations.range", "activations.logits", "activations.input_range"):
        assert key in text


def test_what_needs_batch_norms_says_so_without_them() -> None:
    with pytest.raises(QuantizationError, match="no batch norms"):
        quantize(inverted_residual(), data(4), "data-free")


def test_a_pattern_that_names_no_layer_is_refused() -> None:
    with pytest.raises(QuantizationError, match="no such node"):
        quantize(inverted_residual(), data(4), parse_recipe('[layers."nobody*"]\nweight_bits = 4'))


# --- report and data ------------------------------------------------------------------------------


def test_the_report_tells_the_steps_in_order_and_their_effect() -> None:
    recipe = get_recipe("fast", ("weights.per_channel=false", "weights.bits=6"))
    report = quantize_with_report(inverted_residual(), data(16), recipe).report
    names = ["cross-layer equalization", "weight ranges", "bias correction", "activation ranges"]
    assert [step.name for step in report.steps] == names
    assert report.stages == ("before equalization", *names[1:])
    assert [layer.weights for layer in report.layers] == ["6 bits per tensor"] * 4
    assert all(len(layer.signal_to_noise_db) == 4 for layer in report.layers)
    plain, equalized, corrected, _ = np.median([layer.signal_to_noise_db for layer in report.layers], axis=0)
    assert plain + 3 < equalized < corrected
    assert any("float network's results against those before" in note for note in report.steps[0].notes)


def test_every_stage_is_measured_as_a_small_reference_measures_it() -> None:
    recipe = get_recipe("minmax", ("rounding.method=adaround", "rounding.iterations=50", "weights.bits=4"))
    graph, inputs = inverted_residual(), data(8)
    made = quantize_with_report(graph, inputs, recipe)
    assert made.report.stages == ("weight ranges", "AdaRound", "activation ranges")
    last = made.graph.nodes[-1]
    exact = outputs(graph, inputs)
    nearest = changed(graph, {n: Change(weight=w.reals) for n, w in nearest_weights(graph, recipe).items()})
    fake = evaluate_fake_quant(made.graph, {"x": inputs.transpose(0, 2, 3, 1)})["y"]
    got = [outputs(nearest, inputs), outputs(made.adjusted, inputs), fake]
    expected = [10 * np.log10(np.square(exact).sum() / np.square(g - exact).sum()) for g in got]
    (quality,) = (layer for layer in made.report.layers if layer.node == last.name)
    np.testing.assert_allclose(quality.signal_to_noise_db[:2], expected[:2], atol=0.01)
    assert quality.signal_to_noise_db[2] == pytest.approx(expected[2], abs=0.3)  # biases are rounded there too


def test_removed_caps_and_absorption_tell_how_far_the_float_results_move() -> None:
    recipe = get_recipe("minmax", ("equalization.when=always", "equalization.relu6=remove"))
    made = quantize_with_report(inverted_residual(), data(8), recipe)
    exact, other = outputs(inverted_residual(), data(8)), outputs(made.reference, data(8))
    expected = 10 * np.log10(np.square(exact).sum() / np.square(other - exact).sum())
    (note,) = (n for n in made.report.steps[0].notes if "against those before" in n)
    assert float(note.split(": ")[1].split(" ")[0]) == pytest.approx(expected, abs=0.1)


def test_where_equalization_can_do_nothing_it_says_so_and_why() -> None:
    graph = CASES["conv_relu"]()
    recipe = get_recipe("minmax", ("equalization.when=always",))
    step, *_ = quantize_with_report(graph, calibration_for(graph), recipe).report.steps
    assert step.summary.startswith("nothing changed: no layer feeds one other layer")
    assert step.notes == ("node_y: it makes a result of the network",)


def test_equalization_is_on_where_single_layers_have_one_grid_per_tensor() -> None:
    recipe = get_recipe("fast", ('layers."*".per_channel=false',))
    assert recipe.equalizes
    assert not get_recipe("fast").equalizes


def test_a_folder_of_arrays_is_calibration_data(tmp_path) -> None:
    graph, inputs = inverted_residual(), data(6)
    for i in range(3):
        np.save(tmp_path / f"{i}.npy", inputs[2 * i : 2 * i + 2])
    whole, parts = quantize(graph, inputs, "fast"), quantize(graph, tmp_path, "fast")
    assert {n: t.quant for n, t in whole.tensors.items()} == {n: t.quant for n, t in parts.tensors.items()}
    (tmp_path / "3.npy").write_bytes(b"not an array")
    with pytest.raises(QuantizationError, match=r"3\.npy"):
        quantize(graph, tmp_path, "fast")


@pytest.mark.parametrize("override", ["weights", "weights.bits=x", "weights.range=best", "weights.colour=1"])
def test_overrides_that_are_none(override: str) -> None:
    with pytest.raises(QuantizationError):
        get_recipe("fast", (override,))


def test_overrides_change_one_key() -> None:
    recipe = get_recipe("fast", ("weights.bits=4", "activations.range=minmax", "layers.head.weight_bits=8"))
    assert recipe.weights == replace(get_recipe("fast").weights, bits=4)
    assert recipe.activations.range.value == "minmax"
    assert recipe.weights_of("head").bits == 8
    assert recipe.weights_of("body").bits == 4
