"""Equalization and absorption: the function stays, ranges become equal, and what stops them is said."""

import math

import numpy as np
import pytest
from float_graphs import FloatGraph
from ptq_networks import NO_PADDING, SAME, convolutions, data, inverted_residual, outputs

from accel_sim.ir import (
    RELU,
    RELU6,
    Activation,
    Add,
    Clip,
    Concat,
    Conv2D,
    FullyConnected,
    Graph,
    LeakyRelu,
    MaxPool2D,
    Padding2D,
    PRelu,
    Reshape,
    Transpose,
)
from accel_sim.quantization import (
    parse_recipe,
    quantize_with_report,
)
from accel_sim.quantization.absorb_graph import absorb_graph
from accel_sim.quantization.equalize_graph import equalize_graph
from accel_sim.quantization.layers import layers_of
from accel_sim.quantization.recipe import Cap
from accel_sim.quantization.scaling_links import scaling_links
from accel_sim.reference import evaluate_float
from accel_sim.transforms import run_passes

# --- cross-layer equalization ---------------------------------------------------------------------


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


# --- absorption -----------------------------------------------------------------------------------


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
