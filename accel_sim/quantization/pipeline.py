"""Post-training quantization: a float graph, calibration data and a recipe become an integer graph.

1. Canonical form: batch norms folded (eq 9-12), activations fused (2.3.2).
2. Ranges of the activations from the calibration data (3.1).
3. Grids of the activations (`activation_grids`).
4. Weights and biases as codes (`weights`); other constants on grids of their own range. A stack of matrices has one
   grid: runtimes have no integer product with a stack of per-channel ones.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from accel_sim.errors import Fault, GraphError, QuantizationError
from accel_sim.ir import (
    Conv2D,
    ElementType,
    FullyConnected,
    Graph,
    MatMul,
    Node,
    QuantParams,
    Tensor,
    TransposeConv2D,
)
from accel_sim.quantization.activation_grids import affine_grid_of, assign_grids, grid_of, observed_tensors
from accel_sim.quantization.affine_grid import AffineGrid
from accel_sim.quantization.calibration import Calibration, Sample, sample_count, samples
from accel_sim.quantization.checks import graph_faults
from accel_sim.quantization.observation import MinMax, Progress, observe_ranges
from accel_sim.quantization.recipe import Recipe, get_recipe, recipe_text
from accel_sim.quantization.weights import quantize_linear
from accel_sim.transforms import CANONICAL_FLOAT, deduplicate_constants, run_passes
from accel_sim.transforms.rewriting import Uses

_LINEAR = (Conv2D, TransposeConv2D, FullyConnected)


def quantize(
    graph: Graph,
    calibration: Calibration,
    recipe: Recipe | str | Path = "standard",
    *,
    progress: Progress | None = None,
) -> Graph:
    """The integer graph of a float one: the same inputs and outputs, now codes on grids.

    Args:
        graph: float; its format stays the result's, and so the default arithmetic profile.
        calibration: typical inputs, float, in the file's own layout (NCHW for ONNX), first axis any multiple of the
            graph's: an array, a dictionary by input name, an iterable of either, or the path of an .npz file. Streamed.
        recipe: a recipe, a built-in one's name ("standard", "minmax"), or the path of a TOML file.
        progress: called every few samples with the number done and, where known, in all.

    Raises:
        QuantizationError: listing every fault of the recipe; or of the graph and the first batch; or of a later batch.
    """
    chosen = get_recipe(recipe)
    stream = samples(graph, calibration)
    faults = list(graph_faults(graph))
    first, canonical = _first_sample(stream, faults), _canonical(graph, faults)
    if faults or first is None or canonical is None:
        raise QuantizationError(f"graph {graph.name!r}", faults)
    ranges = observe_ranges(
        canonical,
        itertools.chain([first], stream),
        observed_tensors(canonical),
        total=sample_count(graph, calibration),
        progress=progress,
    )
    return integer_graph(canonical, ranges, chosen)


def integer_graph(graph: Graph, ranges: Mapping[str, MinMax], recipe: Recipe) -> Graph:
    """Steps 3 and 4.

    Args:
        graph: float, in canonical form.
        ranges: of its `observed_tensors`.
        recipe: grids.
    """
    grids = assign_grids(graph, ranges, recipe.activations)
    constants = dict(_constants(graph, grids, recipe))
    activations = {t.name: _quantized(t, grids.get(t.name)) for t in graph.activations()}
    nodes = [replace(n, inputs=tuple(_name(constants, n, i) for i in range(len(n.inputs)))) for n in graph.nodes]
    tensors = activations | {t.name: t for t in constants.values()}
    kept = {n: graph.tensors[n] for node in nodes for n in node.inputs if n and n not in tensors}
    outputs = {n: graph.tensors[n] for n in graph.outputs if n not in tensors}
    metadata = dict(graph.metadata) | {"accel_sim.recipe": recipe_text(recipe)}
    whole = replace(graph, nodes=tuple(nodes), tensors=tensors | kept | outputs, metadata=metadata)
    return deduplicate_constants(whole)


def _first_sample(stream: Iterator[Sample], faults: list[Fault]) -> Sample | None:
    """The first sample, so that faults of the data are told together with those of the graph."""
    try:
        return next(stream)
    except QuantizationError as error:
        faults += error.faults
        return None


def _canonical(graph: Graph, faults: list[Fault]) -> Graph | None:
    """Step 1; the faults of batch norms join the others."""
    try:
        return run_passes(graph, CANONICAL_FLOAT)
    except GraphError as error:
        faults += [f for f in error.faults if f not in faults]
        return None


_Slot = tuple[str, int]
"""A node's name and the index of an operand."""


def _constants(graph: Graph, grids: Mapping[str, QuantParams], recipe: Recipe) -> Iterator[tuple[_Slot, Tensor]]:
    """Step 4: an integer constant for every operand slot that holds a float one. Equal ones are merged later."""
    readers = Uses.of(graph).readers
    for node in graph.nodes:
        for index, tensor in _slot_constants(graph, node, grids, recipe):
            unique = tensor.name if len(readers[tensor.name]) == 1 else f"{tensor.name}@{node.name}.{index}"
            yield (node.name, index), replace(tensor, name=unique)


def _slot_constants(
    graph: Graph, node: Node, grids: Mapping[str, QuantParams], recipe: Recipe
) -> Iterator[tuple[int, Tensor]]:
    operands = graph.inputs_of(node)
    if isinstance(node.op, _LINEAR) or (isinstance(node.op, MatMul) and graph.operand(node, 1).is_constant):
        yield from _linear_constants(graph, node, grids, recipe)
        operands = operands[:1]
    for index, tensor in enumerate(operands):
        if tensor is not None and tensor.is_constant and tensor.element.is_float:
            yield index, _encoded(tensor, affine_grid_of(MinMax.of(tensor.constant), recipe.activations))


def _linear_constants(
    graph: Graph, node: Node, grids: Mapping[str, QuantParams], recipe: Recipe
) -> Iterator[tuple[int, Tensor]]:
    x, weights = graph.operand(node, 0), graph.operand(node, 1)
    grid = grids[x.name] if x.name in grids else grid_of(MinMax.of(x.constant), recipe.activations)
    batched = isinstance(node.op, MatMul) and len(weights.shape) > 2
    rule = replace(recipe.weights, per_channel=False) if batched else recipe.weights
    axis = _channel_axis(node, weights)
    made = quantize_linear(weights, graph.optional(node, 2), grid.scale[0], axis, rule, recipe.bias)
    yield 1, made.weights
    if made.bias is not None:
        yield 2, made.bias


def _channel_axis(node: Node, weights: Tensor) -> int:
    """The axis of the output channels: the first of a layer's weights, N of a matrix [..., K, N]."""
    if isinstance(node.op, MatMul):
        return len(weights.shape) - (2 if node.op.transpose_b else 1)
    return 0


def _encoded(tensor: Tensor, grid: AffineGrid) -> Tensor:
    """A float constant on a per-tensor grid."""
    element = ElementType.for_grid(grid.params())
    codes = grid.codes(tensor.constant.astype(np.float64))
    return replace(tensor, element=element, quant=grid.params(), data=codes.astype(element.dtype))


def _quantized(tensor: Tensor, grid: QuantParams | None) -> Tensor:
    return tensor if grid is None else replace(tensor, element=ElementType.for_grid(grid), quant=grid)


def _name(constants: Mapping[_Slot, Tensor], node: Node, index: int) -> str:
    made = constants.get((node.name, index))
    return node.inputs[index] if made is None else made.name
