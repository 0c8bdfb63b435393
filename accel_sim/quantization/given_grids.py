"""A float graph on grids that somebody else chose: no calibration, no method of section 3.

1. Canonical form, as for every quantization: batch norms folded, activations fused.
2. Weights rounded to nearest on their grids; a scale grows where its layer's bias would not fit (`weights`, rule 3).
3. Activations on their grids. One without takes that of its operand where its operator makes no new values, or the one
   that its operator is known to need (`activation_grids`, rules 2 and 3).
4. A constant that is not weights and has no grid gets that of its range. Biases lie on s_x * s_w.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from accel_sim.errors import Fault, GraphError, QuantizationError
from accel_sim.ir import Graph, Node, QuantParams
from accel_sim.quantization.activation_grids import assign_grids, observed_tensors
from accel_sim.quantization.adjusted import adjusted_graph
from accel_sim.quantization.affine_grid import AffineGrid
from accel_sim.quantization.checks import graph_faults
from accel_sim.quantization.integer_graph import IntegerForm
from accel_sim.quantization.layers import channel_axis, weighted_nodes
from accel_sim.quantization.quantization_report import LayerQuality, QuantizationReport, Quantized, Step, grid_text
from accel_sim.quantization.recipe import Recipe
from accel_sim.quantization.weights import QuantizedWeights
from accel_sim.transforms import run_passes


def canonical_form(graph: Graph) -> Graph:
    """Step 1.

    Raises:
        QuantizationError: listing everything that keeps the graph from being quantized.
    """
    faults = list(graph_faults(graph))
    try:
        canonical = run_passes(graph)
    except GraphError as error:
        faults += [f for f in error.faults if f not in faults]
    if faults:
        raise QuantizationError(f"graph {graph.name!r}", faults)
    return canonical


def weight_axes(graph: Graph) -> dict[str, int]:
    """By name of a constant that is weights, the stored axis of its output channels."""
    weights = [(node, graph.operand(node, 1)) for node in weighted_nodes(graph)]
    return {w.name: channel_axis(node, len(w.shape)) for node, w in weights}


def quantize_on_grids(graph: Graph, grids: Mapping[str, QuantParams], label: str, notes: tuple[str, ...]) -> Quantized:
    """Steps 2 to 4.

    Args:
        graph: float, from `canonical_form`.
        grids: by tensor name, of activations, weights and other constants.
        label: where the grids come from; takes the place of the recipe's name.
        notes: more lines for the report.

    Raises:
        QuantizationError: listing every tensor that needs a grid and has none.
    """
    faults = list(_missing(graph, grids))
    if faults:
        raise QuantizationError(f"graph {graph.name!r} on the grids of {label}", faults)
    recipe = Recipe(label)
    weights = {node.name: _on_grid(graph, node, grids) for node in weighted_nodes(graph)}
    activations = {t.name: grids[t.name] for t in graph.activations() if t.name in grids}
    constants = {n: grid for n, grid in grids.items() if n not in activations}
    made = IntegerForm(graph, constants | assign_grids(graph, activations, recipe), weights, recipe).integer_graph()
    made = replace(made, metadata=dict(graph.metadata) | {"accel_sim.grids": label})
    grown = tuple(_grown(made, weights))
    summary = f"{len(activations)} activations, {len(constants)} constants"
    step = Step(label, summary, notes + grown)
    layers = tuple(
        LayerQuality(node.name, node.op.name, grid_text(made, node), (), 1.0, 0.0) for node in weighted_nodes(made)
    )
    report = QuantizationReport(label, (step,), (), 0, layers, graph.name)
    return Quantized(made, report, graph, adjusted_graph(graph, made))


def _missing(graph: Graph, grids: Mapping[str, QuantParams]) -> Iterator[Fault]:
    needed = observed_tensors(graph)
    for tensor in graph.activations():
        if tensor.name in needed and tensor.name not in grids:
            yield Fault(
                f"tensor {tensor.name!r}", "no grid", "every activation whose operator makes new values has one"
            )
    for name in dict.fromkeys(node.inputs[1] for node in weighted_nodes(graph)):
        if name not in grids:
            yield Fault(f"weights {name!r}", "no grid", "all weights have one")


def _on_grid(graph: Graph, node: Node, grids: Mapping[str, QuantParams]) -> QuantizedWeights:
    weights = graph.operand(node, 1)
    params = grids[weights.name]
    grid = AffineGrid.of(params)
    return QuantizedWeights(grid, params.axis, grid.codes(weights.constant.astype(np.float64), params.axis))


def _grown(made: Graph, weights: Mapping[str, QuantizedWeights]) -> Iterator[str]:
    for node in weighted_nodes(made):
        grid = made.operand(node, 1).quant
        if grid is not None and grid.scale != tuple(weights[node.name].grid.scale):
            count = sum(a != b for a, b in zip(grid.scale, weights[node.name].grid.scale, strict=True))
            yield f"{node.name}: {count} scales of weights grown, for the bias would not fit the accumulator"
