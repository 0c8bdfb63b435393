"""The pipeline on whole graphs: what each step promises, checked with the reference evaluator."""

import math
from dataclasses import replace

import numpy as np
import pytest
from float_graphs import FloatGraph
from quantizable_graphs import CASES, calibration_for

from accel_sim import demo_data
from accel_sim.errors import QuantizationError
from accel_sim.frontend import load
from accel_sim.ir import (
    RELU,
    RELU6,
    Activation,
    Add,
    Clip,
    Concat,
    Conv2D,
    FullyConnected,
    GlobalAveragePool2D,
    Graph,
    LeakyRelu,
    MaxPool2D,
    Padding2D,
    PRelu,
    Reshape,
    Transpose,
)
from accel_sim.quantization import (
    Recipe,
    RoundingRecipe,
    WeightRecipe,
    get_recipe,
    parse_recipe,
    quantize,
    quantize_with_report,
)
from accel_sim.quantization.absorb_graph import absorb_graph
from accel_sim.quantization.equalize_graph import equalize_graph
from accel_sim.quantization.integer_graph import nearest_weights
from accel_sim.quantization.layer_fitting import LayerFitter
from accel_sim.quantization.layers import Change, Layer, changed, layers_of
from accel_sim.quantization.recipe import Cap
from accel_sim.quantization.scaling_links import scaling_links
from accel_sim.reference import evaluate_fake_quant, evaluate_float
from accel_sim.transforms import run_passes

SAME, NO_PADDING = Padding2D(1, 1, 1, 1), Padding2D()


def inverted_residual(activation: Activation = RELU6, seed: int = 0) -> Graph:
    """Expansion, depthwise, projection (a triple), weights whose channels differ a thousandfold, and a head."""
    g = FloatGraph(seed)
    spread = np.exp(np.random.default_rng(seed).uniform(-3.5, 3.5, 12)).reshape(12, 1, 1, 1)
    x = g.input("x", (1, 6, 6, 4))
    names = []
    for weights, groups, padding in (((12, 1, 1, 4), 1, Padding2D()), ((12, 3, 3, 1), 12, SAME)):
        w = g.constant(np.random.default_rng(seed + groups).normal(0, 1, weights) * spread)
        y = g.op(Conv2D(padding=padding, groups=groups), x, w, g.normal(12), shape=(1, 6, 6, 12))
        x = g.op(Clip(activation), y, shape=(1, 6, 6, 12))
        names.append(x)
    x = g.op(Conv2D(), x, g.normal(5, 1, 1, 12), g.normal(5), shape=(1, 6, 6, 5))
    x = g.op(GlobalAveragePool2D(), x, shape=(1, 1, 1, 5))
    x = g.op(Reshape(), x, shape=(1, 5))
    return run_passes(g.graph(g.op(FullyConnected(), x, g.normal(3, 5), g.normal(3), shape=(1, 3), name="y")))


def data(count: int = 20, seed: int = 3) -> np.ndarray:
    """For `inverted_residual`, in the file's layout."""
    return np.random.default_rng(seed).normal(0, 2, (count, 4, 6, 6)).astype(np.float32)


def outputs(graph: Graph, inputs: np.ndarray) -> np.ndarray:
    return evaluate_float(graph, {"x": graph.tensors["x"].from_file_layout(inputs)}, np.float64)[graph.outputs[0]]


def convolutions(graph: Graph) -> list[Layer]:
    return [layer for layer in layers_of(graph).values() if isinstance(layer.node.op, Conv2D)]


# --- cross-layer equalization -----------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", [RELU6, RELU, Activation(), Activation(0.0, 0.3)])
def test_equalization_keeps_the_function_with_its_caps(activation: Activation) -> None:
    graph = inverted_residual(activation)
    made = equalize_graph(graph)
    assert len(made.links) == 3
    assert made.uncapped == ()
    np.testing.assert_allclose(outputs(made.graph, data()), outputs(graph, data()), rtol=2e-5, atol=2e-5)


def test_a_relu6_becomes_a_cap_per_channel() -> None:
    made = equalize_graph(inverted_residual())
    first = convolutions(made.graph)[0]
    np.testing.assert_allclose(first.activation.high, 6.0 / made.factors[first.name], rtol=1e-12)


def test_equalization_equalizes_ranges() -> None:
    made = equalize_graph(inverted_residual())
    expand, depthwise, project = convolutions(made.graph)
    r1 = np.abs(expand.weight).max(axis=(1, 2, 3))
    r2 = np.abs(depthwise.weight).max(axis=(1, 2, 3))
    r3 = np.abs(project.weight).max(axis=(0, 1, 2))
    np.testing.assert_allclose(r1, r2, rtol=1e-3)
    np.testing.assert_allclose(r2, r3, rtol=1e-3)
    before = np.abs(convolutions(inverted_residual())[0].weight).max(axis=(1, 2, 3))
    assert r1.max() / r1.min() < 0.1 * before.max() / before.min()


def test_removing_caps_is_another_function_and_says_so() -> None:
    graph = inverted_residual()
    made = equalize_graph(graph, Cap.REMOVE)
    assert len(made.uncapped) == 2
    assert all(layer.activation.high == math.inf for layer in convolutions(made.graph))
    assert np.abs(outputs(made.graph, data()) - outputs(graph, data())).max() > 0.1


@pytest.mark.parametrize(
    ("op", "operand"),
    [(LeakyRelu(0.2), None), (PRelu(), 8), (MaxPool2D((1, 1)), None)],
    ids=["leaky_relu", "prelu", "max_pool"],
)
def test_piecewise_linear_and_pooling_between_layers_let_scales_pass(op, operand) -> None:
    g = FloatGraph()
    x = g.input("x", (1, 5, 5, 3))
    y = g.op(Conv2D(), x, g.normal(8, 1, 1, 3), g.normal(8), shape=(1, 5, 5, 8))
    y = g.op(op, y, *([g.normal(operand)] if operand else []), shape=(1, 5, 5, 8))
    y = g.op(Conv2D(padding=SAME), y, g.normal(2, 3, 3, 8), g.normal(2), shape=(1, 5, 5, 2), name="y")
    graph = g.graph(y)
    made = equalize_graph(graph)
    assert [link.through for link in made.links] == [(graph.nodes[1].name,)]
    inputs = np.random.default_rng(0).normal(0, 1, (4, 3, 5, 5)).astype(np.float32)
    np.testing.assert_allclose(outputs(made.graph, inputs), outputs(graph, inputs), rtol=1e-5, atol=1e-5)
    assert not np.allclose(made.factors[graph.nodes[0].name], 1.0)


@pytest.mark.parametrize("order", ["channels last", "channels first", "channels in the middle"])
def test_scales_pass_through_flattened_maps(order: str) -> None:
    """Channel c is read by the columns of the fully connected layer to which a file's Flatten brings it."""
    g = FloatGraph()
    x = g.input("x", (1, 4, 3, 2))
    spread = np.logspace(-1, 1, 5)[:, None, None, None]
    weights = g.constant(g.random.normal(0, 1, (5, 1, 1, 2)) * spread)
    y = g.op(Conv2D(), x, weights, g.normal(5), shape=(1, 4, 3, 5))
    y = g.op(Clip(RELU6), y, shape=(1, 4, 3, 5))
    permutation = {"channels last": None, "channels first": (0, 3, 1, 2), "channels in the middle": (0, 2, 3, 1)}[order]
    shape = (1, 4, 3, 5)
    if permutation:
        shape = tuple(shape[axis] for axis in permutation)
        y = g.op(Transpose(permutation), y, shape=shape)
    y = g.op(Reshape(), y, shape=(1, 60))
    graph = run_passes(g.graph(g.op(FullyConnected(), y, g.normal(7, 60), g.normal(7), shape=(1, 7), name="y")))
    made = equalize_graph(graph)
    assert len(made.links) == 1
    inputs = np.random.default_rng(0).normal(0, 1, (6, 2, 4, 3)).astype(np.float32)
    np.testing.assert_allclose(outputs(made.graph, inputs), outputs(graph, inputs), rtol=2e-5, atol=2e-5)
    first, second = layers_of(made.graph).values()
    columns = np.abs(second.weight).max(axis=0).reshape(shape)
    r2 = columns.max(axis=tuple(a for a in range(4) if a != (permutation or (0, 1, 2, 3)).index(3)))
    np.testing.assert_allclose(np.abs(first.weight).max(axis=(1, 2, 3)), r2, rtol=1e-6)


def test_a_cap_behind_another_operator_stops_equalization_and_says_so() -> None:
    g = FloatGraph()
    x = g.input("x", (1, 4, 4, 3))
    y = g.op(LeakyRelu(0.1), g.op(Conv2D(), x, g.normal(3, 1, 1, 3), shape=(1, 4, 4, 3)), shape=(1, 4, 4, 3))
    y = g.op(Clip(RELU6), y, shape=(1, 4, 4, 3))
    graph = g.graph(g.op(Conv2D(), y, g.normal(2, 1, 1, 3), shape=(1, 4, 4, 2), name="y"))
    links, stops = scaling_links(graph)
    assert links == []
    assert "Clip" in stops[0].reason


def test_equalization_stops_at_branches_results_and_other_operators_and_says_so() -> None:
    g = FloatGraph()
    x = g.input("x", (1, 4, 4, 3))
    a = g.op(Conv2D(), x, g.normal(3, 1, 1, 3), shape=(1, 4, 4, 3))
    total = g.op(Add(), a, x, shape=(1, 4, 4, 3))
    b = g.op(Conv2D(), total, g.normal(3, 1, 1, 3), shape=(1, 4, 4, 3))
    both = g.op(Concat(3), b, g.op(Conv2D(), b, g.normal(3, 1, 1, 3), shape=(1, 4, 4, 3)), shape=(1, 4, 4, 6))
    c = g.op(Conv2D(), both, g.normal(3, 1, 1, 6), shape=(1, 4, 4, 3))
    clipped = g.op(Clip(Activation(-1.0, 1.0)), c, shape=(1, 4, 4, 3))
    y = g.op(Conv2D(), clipped, g.normal(2, 1, 1, 3), shape=(1, 4, 4, 2), name="y")
    graph = run_passes(g.graph(y))
    links, stops = scaling_links(graph)
    assert links == []
    reasons = " | ".join(stop.reason for stop in stops)
    for part in ("Add", "a branch: 2 operators", "Concat", "lower bound -1", "result of the network"):
        assert part in reasons
    assert equalize_graph(graph).factors == {}


# --- absorption -------------------------------------------------------------------------------------------------


def high_bias_pair(second: Padding2D = NO_PADDING) -> Graph:
    g = FloatGraph()
    x = g.input("x", (1, 4, 4, 4))
    bias = g.constant(np.array([30.0, 4.0, -2.0, 11.0]))
    y = g.op(Clip(RELU), g.op(Conv2D(), x, g.normal(4, 1, 1, 4), bias, shape=(1, 4, 4, 4)), shape=(1, 4, 4, 4))
    size = 2 if second == NO_PADDING else 4
    y = g.op(Conv2D(padding=second), y, g.normal(2, 3, 3, 4), g.normal(2), shape=(1, size, size, 2), name="y")
    return run_passes(g.graph(y))


def test_absorption_is_exact_on_the_data_it_comes_from() -> None:
    graph = high_bias_pair()
    inputs = data()[:, :, :4, :4].clip(-1.5, 1.5)
    first = graph.nodes[0]
    hidden = evaluate_float(graph, {"x": inputs.transpose(0, 2, 3, 1)}, np.float64)[first.outputs[0]]
    least = hidden.reshape(-1, 4).min(axis=0)
    made = absorb_graph(graph, lambda layer: least)
    assert (made.amounts[first.name] > 0).tolist() == (least > 0).tolist()
    assert (least > 0).any()
    np.testing.assert_allclose(outputs(made.graph, inputs), outputs(graph, inputs), rtol=1e-5, atol=1e-4)
    absorbed = evaluate_float(made.graph, {"x": inputs.transpose(0, 2, 3, 1)}, np.float64)[first.outputs[0]]
    assert absorbed.max() < hidden.max()


def test_absorption_in_front_of_zero_padding_is_refused() -> None:
    made = absorb_graph(high_bias_pair(SAME), lambda layer: np.ones(4))
    assert made.amounts == {}
    assert "pads with zeros" in made.stops[0].reason


def test_a_recipe_absorbs_from_data() -> None:
    graph, inputs = high_bias_pair(), data()[:, :, :4, :4].clip(-1.5, 1.5)
    recipe = parse_recipe('[equalization]\nabsorb = "data"')
    absorbed, plain = (quantize_with_report(graph, inputs, r) for r in (recipe, "minmax"))
    assert absorbed.report.steps[0].name == "bias absorption"
    hidden = graph.nodes[0].outputs[0]
    assert absorbed.graph.tensors[hidden].quant.scale[0] < plain.graph.tensors[hidden].quant.scale[0]


# --- bias correction --------------------------------------------------------------------------------------------


def dequantized(graph: Graph, quantized: Graph) -> Graph:
    """The float graph with the numbers that the integer graph's weights and biases stand for."""
    tensors = dict(graph.tensors)
    nodes = []
    for node, integer in zip(graph.nodes, quantized.nodes, strict=True):
        inputs = list(node.inputs)
        for index in range(1, len(integer.inputs)):
            tensor = quantized.tensors[integer.inputs[index]]
            scale, zero = tensor.quant.broadcast(len(tensor.shape))
            name = f"{node.name}.{index}"
            old = graph.tensors[node.inputs[index]]
            real = (scale * (tensor.constant.astype(np.int64) - zero)).astype(np.float32)
            tensors[name] = replace(old, name=name, data=real)
            inputs[index] = name
        nodes.append(replace(node, inputs=tuple(inputs)))
    return replace(graph, nodes=tuple(nodes), tensors=tensors)


def test_corrected_layers_have_the_means_of_the_float_network() -> None:
    graph, inputs = inverted_residual(), data(32)
    stored = {"x": inputs.transpose(0, 2, 3, 1)}
    nearest = nearest_weights(graph, Recipe(weights=WeightRecipe(4)))
    fitted = LayerFitter(graph, [stored], RoundingRecipe(), correct=True).fit(nearest)
    changes = {n: Change(f.weights.reals, f.bias, Activation()) for n, f in fitted.items()}
    capped = {n: replace(c, activation=None) for n, c in changes.items()}
    for name, layer in layers_of(graph).items():  # each before its clamp, on what the corrected layers before it make
        got = changed(graph, capped | {name: changes[name]})
        wanted = changed(graph, {name: Change(activation=Activation())})
        made, exact = (evaluate_float(g, stored, np.float64)[layer.node.outputs[0]] for g in (got, wanted))
        axes = tuple(range(exact.ndim - 1))
        np.testing.assert_allclose(made.mean(axes), exact.mean(axes), rtol=0, atol=1e-6 * np.abs(exact).max())


def test_corrected_biases_survive_as_integers() -> None:
    graph, inputs = inverted_residual(Activation()), data(32)
    text = '[weights]\nbits = 4\n[activations]\nbits = 16\n[bias]\ncorrection = "{}"\n'
    corrected, plain = (quantize(graph, inputs, parse_recipe(text.format(kind))) for kind in ("empirical", "none"))
    stored = {"x": inputs.transpose(0, 2, 3, 1)}
    wanted = evaluate_float(graph, stored, np.float64)
    got, uncorrected = (evaluate_float(dequantized(graph, q), stored, np.float64) for q in (corrected, plain))
    for layer in layers_of(graph).values():
        name = layer.node.outputs[0]
        mean = wanted[name].reshape(-1, wanted[name].shape[-1]).mean(axis=0)
        error = got[name].reshape(-1, mean.size).mean(axis=0) - mean
        before = uncorrected[name].reshape(-1, mean.size).mean(axis=0) - mean
        assert np.abs(error).max() < 0.01 * np.abs(before).max()


def test_analytic_correction_needs_no_data_and_moves_biases_towards_the_empirical_ones() -> None:
    graph, digits = load(demo_data.network_bytes()), demo_data.calibration()
    text = '[weights]\nbits = 4\nper_channel = false\n[bias]\ncorrection = "{}"\n[activations]\n'
    text += 'range = "batchnorm"\ninput_range = [0, 1]'

    def biases(kind: str, inputs) -> np.ndarray:
        made = quantize(graph, inputs, parse_recipe(text.format(kind)))
        found = [made.operand(n, 2) for n in made.nodes if isinstance(n.op, Conv2D)]
        return np.concatenate([t.constant * t.quant.scales for t in found])

    plain, analytic, empirical = biases("none", None), biases("analytic", None), biases("empirical", digits)
    away, moved = empirical - plain, analytic - plain
    assert np.abs(analytic - empirical).sum() < 0.8 * np.abs(away).sum()
    assert np.corrcoef(away, moved)[0, 1] > 0.7


# --- AdaRound ---------------------------------------------------------------------------------------------------


def test_adaround_beats_nearest_where_it_counts() -> None:
    graph, inputs, held_out = inverted_residual(), data(32), data(16, seed=8)
    text = '[weights]\nbits = 4\n[rounding]\nmethod = "{}"\niterations = 300\n[activations]\nbits = 16\n'
    stored = {"x": held_out.transpose(0, 2, 3, 1)}
    wanted = evaluate_float(graph, stored, np.float64)["y"]
    error, reports = {}, {}
    for method in ("nearest", "adaround"):
        made = quantize_with_report(graph, inputs, parse_recipe(text.format(method)))
        got = evaluate_fake_quant(made.graph, stored, np.float64)["y"]
        error[method], reports[method] = float(np.square(got - wanted).mean()), made.report
    assert error["adaround"] < 0.7 * error["nearest"]
    assert all(layer.gain <= 1.0 for layer in reports["adaround"].layers)
    assert min(layer.gain for layer in reports["adaround"].layers) < 0.8
    assert "AdaRound" in [step.name for step in reports["adaround"].steps]


def test_the_objective_of_one_layer_is_its_error_on_float_inputs() -> None:
    """eq 32 against eq 35: each is the better one on what it minimizes, and not worse than nearest."""
    graph, inputs = inverted_residual(), data(32)
    text = '[weights]\nbits = 3\n[rounding]\nmethod = "{}"\niterations = 300\nobjective = "{}"\n'
    kinds = {"nearest": ("nearest", "layer"), "layer": ("adaround", "layer"), "whole": ("adaround", "reconstruction")}
    made = {k: quantize_with_report(graph, inputs, parse_recipe(text.format(*v))) for k, v in kinds.items()}
    reference = made["nearest"].reference
    layer = convolutions(reference)[2]  # the layers before it are quantized, too
    stored = {"x": inputs.transpose(0, 2, 3, 1)}
    x = evaluate_float(reference, stored, np.float64)[layer.node.inputs[0]]
    errors = {}
    for kind, quantized in made.items():
        node = next(n for n in quantized.graph.nodes if n.name == layer.name)
        held = quantized.graph.operand(node, 1)
        reals = held.constant * np.array(held.quant.scale)[:, None, None, None]
        errors[kind] = np.square(x @ (reals - layer.weight)[:, 0, 0].T).sum()
    assert errors["layer"] < 0.9 * errors["nearest"]
    assert errors["layer"] < errors["whole"]


def test_adaround_only_chooses_between_the_two_neighbours_and_follows_from_its_seed() -> None:
    graph, inputs = inverted_residual(), data(8)
    recipe = parse_recipe('[weights]\nbits = 4\n[rounding]\nmethod = "adaround"\niterations = 100\n')
    first, second, nearest = (quantize(graph, inputs, r) for r in (recipe, recipe, Recipe(weights=WeightRecipe(4))))
    moved = 0
    for a, b, c in zip(first.nodes, second.nodes, nearest.nodes, strict=True):
        if len(a.inputs) > 1:
            codes = [q.operand(n, 1).constant.astype(int) for q, n in ((first, a), (second, b), (nearest, c))]
            np.testing.assert_array_equal(codes[0], codes[1])
            assert np.abs(codes[0] - codes[2]).max() <= 1
            moved += np.count_nonzero(codes[0] != codes[2])
    assert moved > 0


@pytest.mark.parametrize("name", ["network", "matmul_constant", "transpose_conv_groups", "conv_groups", "prelu"])
def test_the_standard_recipe_takes_every_kind_of_layer(name: str) -> None:
    graph = CASES[name]() if name in CASES else CASES["network"]()
    recipe = get_recipe("standard", ("rounding.iterations=20", "weights.per_channel=false"))
    assert quantize(graph, calibration_for(graph), recipe).is_integer


# --- ranges -----------------------------------------------------------------------------------------------------


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


# --- data-free --------------------------------------------------------------------------------------------------


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


# --- report and data --------------------------------------------------------------------------------------------


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
