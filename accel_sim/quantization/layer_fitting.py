"""Weights and biases layer by layer, each on what the quantized layers before it deliver (3.3, 3.4).

Two networks run side by side on the same samples: the float one, and one whose layers get their quantized weights as
the walk reaches them. A layer sees x in the one and x^ in the other.

1. Its weights are rounded: to nearest, or by AdaRound on rows of x^ and the float network's outputs (eq 35), or on rows
   of x without the activation (eq 32).
2. Its bias is corrected, if asked for, by the shift of the channel means, E[W^ x^ + b] - E[W x + b] (eq 27).

Activations are not rounded here: their ranges are set last (figure 8). Memory: the tensors of all samples that are
still needed, in both networks.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from accel_sim.ir import NO_ACTIVATION, Conv2D, FullyConnected, Graph, Node
from accel_sim.quantization.adaround import adaround
from accel_sim.quantization.adaround_depthwise import adaround_depthwise
from accel_sim.quantization.adaround_relaxation import AdaRoundOptions
from accel_sim.quantization.affine_grid import F64, AffineGrid
from accel_sim.quantization.bias_correction import corrected_bias, empirical_shift
from accel_sim.quantization.calibration import Sample
from accel_sim.quantization.convolution_rows import (
    Window,
    dense_rows,
    depthwise_rows,
    grouped_rows,
    patches,
    sample_positions,
)
from accel_sim.quantization.float_kernels import Float32
from accel_sim.quantization.float_runner import FloatRunner, Live, linear
from accel_sim.quantization.layers import Layer
from accel_sim.quantization.observation import Progress, groups, stacked
from accel_sim.quantization.recipe import Objective, RoundingMethod, RoundingRecipe
from accel_sim.quantization.rounding import Rounding
from accel_sim.quantization.weights import QuantizedWeights
from accel_sim.records import dataclass

_FEWER = 4


@dataclass(frozen=True, eq=False)
class FittedLayer:
    """What became of one layer.

    Attributes:
        weights: its codes.
        bias: the corrected bias [Co], None where it was not corrected.
        gain: squared error of AdaRound's choice over that of rounding to nearest; 1 where nearest stands.
        unsettled: share of the roundings that AdaRound had not decided at the end.
    """

    weights: QuantizedWeights
    bias: F64 | None = None
    gain: float = 1.0
    unsettled: float = 0.0


class LayerFitter:
    """Walks through a network; see the module."""

    def __init__(self, graph: Graph, samples: Iterable[Sample], rounding: RoundingRecipe, *, correct: bool) -> None:
        """`correct`: also correct biases."""
        self._graph, self._rounding, self._correct = graph, rounding, correct
        self._runner = FloatRunner(graph)
        batches = [stacked(group) for group in groups(samples, self._runner.samples_at_once)]
        self._float: list[Live] = [dict(b) for b in batches]
        self._quantized: list[Live] = [dict(b) for b in batches]

    def fit(self, weights: Mapping[str, QuantizedWeights], progress: Progress | None = None) -> dict[str, FittedLayer]:
        """All layers in order.

        Args:
            weights: rounded to nearest, by node; their grids stay.
            progress: called after every node.
        """
        fitted: dict[str, FittedLayer] = {}
        for number, node in enumerate(self._graph.nodes):
            if node.name in weights and isinstance(node.op, Conv2D | FullyConnected):
                fitted[node.name] = self._fit_layer(Layer.of(self._graph, node), weights[node.name])
            else:
                self._step(node, weights.get(node.name))
                fitted |= {node.name: FittedLayer(weights[node.name])} if node.name in weights else {}
            for live in (*self._float, *self._quantized):
                self._runner.forget(node, live)
            if progress is not None:
                progress("layers", number + 1, len(self._graph.nodes))
        return fitted

    def _step(self, node: Node, weights: QuantizedWeights | None) -> None:
        """A node that is not fitted; with quantized weights where it has any."""
        runner = self._runner
        if weights is not None:
            tensor = self._graph.operand(node, 1)
            constants = {tensor.name: replace(tensor, data=weights.reals.astype(np.float32))}
            runner = FloatRunner(replace(self._graph, tensors=dict(self._graph.tensors) | constants))
        for wanted, got in zip(self._float, self._quantized, strict=True):
            wanted |= self._runner.results(node, wanted)
            got |= runner.results(node, got)

    def _fit_layer(self, layer: Layer, weights: QuantizedWeights) -> FittedLayer:
        node = layer.node
        name, made = node.inputs[0], node.outputs[0]
        targets = [self._linear(node, live[name], layer.weight, layer.bias) for live in self._float]
        fitted = FittedLayer(weights)
        if self._rounding.method is RoundingMethod.ADAROUND:
            fitted = self._rounded(layer, weights, targets)
        outputs = [self._linear(node, live[name], fitted.weights.reals, layer.bias) for live in self._quantized]
        if self._correct and all(o.size for o in outputs):
            shift = empirical_shift(_channel_means(outputs), _channel_means(targets))
            fitted = replace(fitted, bias=corrected_bias(layer.bias, shift))
            for output in outputs:
                output -= shift.astype(np.float32)
        for live, arrays in ((self._float, targets), (self._quantized, outputs)):
            for tensors, array in zip(live, arrays, strict=True):
                tensors[made] = _clamped(layer, array)
        return fitted

    def _linear(self, node: Node, x: NDArray[np.generic], weight: F64, bias: F64 | None) -> Float32:
        """The layer before its clamp."""
        bare = replace(node, op=replace(node.op, activation=NO_ACTIVATION))  # type: ignore[call-arg]
        operands = weight.astype(np.float32), None if bias is None else bias.astype(np.float32)
        return linear(bare, x.astype(np.float32, copy=False), *operands, self._graph.result(node).shape)

    def _rounded(self, layer: Layer, weights: QuantizedWeights, targets: list[Float32]) -> FittedLayer:
        taken, wanted = self._pool(layer, targets)
        if not len(wanted):
            return FittedLayer(weights)
        options = AdaRoundOptions(iterations=self._rounding.iterations, seed=self._rounding.seed)
        bounds = (-np.inf, np.inf) if self._rounding.objective is Objective.LAYER else layer.bounds
        made = _adaround(layer, weights, taken, wanted, options, bounds)
        codes = np.concatenate([r.codes for r in made]).reshape(layer.weight.shape)
        error, nearest = sum(float(r.error.sum()) for r in made), sum(float(r.nearest_error.sum()) for r in made)
        unsettled = float(np.mean([r.unsettled for r in made]))
        return FittedLayer(replace(weights, codes=codes), None, error / nearest if nearest > 0 else 1.0, unsettled)

    def _pool(self, layer: Layer, targets: list[Float32]) -> tuple[Float32, Float32]:
        """Chosen rows of x^ (eq 32: x) as patches [n, kh, kw, Ci], and the targets there [n, Co]."""
        x_name, op = layer.node.inputs[0], layer.node.op
        source = self._float if self._rounding.objective is Objective.LAYER else self._quantized
        xs = [live[x_name].astype(np.float32, copy=False) for live in source]
        if not isinstance(op, Conv2D):
            xs = [x.reshape(-1, 1, 1, layer.weight.shape[1]) for x in xs]
            targets = [t.reshape(-1, 1, 1, t.shape[-1]) for t in targets]
        window = Window.of(op, layer.weight.shape) if isinstance(op, Conv2D) else Window((1, 1))
        counts = np.cumsum([0, *(len(t) for t in targets)])
        shape = (int(counts[-1]), targets[0].shape[1], targets[0].shape[2])
        is_depthwise = layer.groups == layer.weight.shape[0] > 1  # a few weights a channel: fewer rows decide them
        count = max(1, self._rounding.rows // (_FEWER if is_depthwise else 1))
        positions = sample_positions(shape, count, self._rounding.seed)
        taken, wanted = [], []
        for k, (x, target) in enumerate(zip(xs, targets, strict=True)):
            here = positions[(positions[:, 0] >= counts[k]) & (positions[:, 0] < counts[k + 1])] - [counts[k], 0, 0]
            taken.append(patches(x, here, window))
            wanted.append(target[tuple(here.T)])
        return np.concatenate(taken), np.concatenate(wanted)


def _adaround(
    layer: Layer,
    weights: QuantizedWeights,
    taken: Float32,
    wanted: Float32,
    options: AdaRoundOptions,
    bounds: tuple[float, F64 | float],
) -> list[Rounding]:
    """One problem for all channels, or one per group of the convolution."""
    outputs, groups_ = layer.weight.shape[0], layer.groups
    matrix = layer.weight.reshape(outputs, -1)
    low, high = bounds
    if groups_ == outputs and groups_ == taken.shape[3]:
        rows = depthwise_rows(taken)
        return [adaround_depthwise(matrix, weights.grid, rows, wanted, layer.bias, options, low=low, high=high)]
    if groups_ == 1:
        return [adaround(matrix, weights.grid, dense_rows(taken), wanted, layer.bias, options, low=low, high=high)]
    made = []
    for group, rows in enumerate(grouped_rows(taken, groups_)):
        part = slice(group * (outputs // groups_), (group + 1) * (outputs // groups_))
        bias = None if layer.bias is None else layer.bias[part]
        cap = high if isinstance(high, float | int) else high[part]
        grid = _part(weights.grid, part)
        made.append(adaround(matrix[part], grid, rows, wanted[:, part], bias, options, low=low, high=cap))
    return made


def _part(grid: AffineGrid, part: slice) -> AffineGrid:
    return grid if grid.scale.size == 1 else AffineGrid(grid.scale[part], grid.zero_point[part], grid.scheme)


def _clamped(layer: Layer, values: Float32) -> Float32:
    low, high = layer.bounds
    return values if layer.activation.is_identity else np.clip(values, np.float32(low), np.asarray(high, np.float32))


def _channel_means(outputs: list[Float32]) -> F64:
    """Means over everything but the last axis."""
    count = sum(o.size // o.shape[-1] for o in outputs)
    total = sum(o.reshape(-1, o.shape[-1]).sum(axis=0, dtype=np.float64) for o in outputs)
    return np.asarray(total / count, np.float64)
