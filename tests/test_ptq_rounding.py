"""Bias correction and AdaRound on whole graphs, checked with the reference evaluator."""

from dataclasses import replace

import numpy as np
import pytest
from ptq_networks import convolutions, data, inverted_residual
from quantizable_graphs import CASES, calibration_for

from accel_sim import demo_data
from accel_sim.frontend import load
from accel_sim.ir import (
    Activation,
    Conv2D,
    Graph,
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
from accel_sim.quantization.integer_graph import nearest_weights
from accel_sim.quantization.layer_fitting import LayerFitter
from accel_sim.quantization.layers import Change, changed, layers_of
from accel_sim.reference import evaluate_fake_quant, evaluate_float

# --- bias correction ------------------------------------------------------------------------------


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


# --- AdaRound -------------------------------------------------------------------------------------


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
