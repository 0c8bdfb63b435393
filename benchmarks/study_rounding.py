"""The first layer alone in few bits: figure 7 and the first column of table 5.

All other layers have 12-bit weights. A rounding of the first layer is written into the integer network as codes, so
that nothing else changes: the grids of the activations stay those of rounding to nearest.
"""

import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from study_cells import FULL, Cell, Outcome, bits, float_scores, machine_scores, outcome, quantized, task

from accel_sim.ir import Conv2D, Graph, Node
from accel_sim.quantization.affine_grid import AffineGrid
from accel_sim.quantization.convolution_rows import Window, dense_rows, patches, sample_positions
from accel_sim.quantization.float_runner import FloatRunner
from accel_sim.quantization.gram_rounding import LinearObjective
from accel_sim.quantization.layers import Change, Layer, changed, weighted_nodes
from accel_sim.quantization.loss_hessian import loss_hessian
from accel_sim.quantization.recipe import Recipe
from accel_sim.quantization.recipe_toml import get_recipe
from accel_sim.quantization.rounding import RoundingChoices
from accel_sim.quantization.rounding_study import RoundingStudy, best_rounding, study_roundings
from accel_sim.quantization.weights import weight_scheme

_HESSIAN_PICTURES = 64
_ROWS = 4096
F64 = NDArray[np.float64]


def first_layer_bits(network: str, width: int, seed: int) -> tuple[str, ...]:
    """Overrides: the first layer's weights have `width` bits, the others stand for FP32."""
    name = weighted_nodes(task(network, seed).graph)[0].name
    return *bits(FULL, 8), f'layers."{name}".weight_bits={width}'


class FirstLayer:
    """The first layer of a network: its roundings, and what the machine makes of them."""

    def __init__(self, network: str, cell: Cell, seed: int) -> None:
        """`cell`: rounding to nearest, with `first_layer_bits`."""
        self._network, self._seed, self._cell = network, seed, cell
        self._data = task(network, seed)
        made = quantized(self._data, cell, seed)
        self._graph, self._float = made.graph, made.reference
        self._layer = Layer.of(self._float, weighted_nodes(self._float)[0])
        recipe: Recipe = get_recipe(cell.recipe, cell.overrides)
        self.weight = self._layer.weight.reshape(self._layer.weight.shape[0], -1)
        held = self._graph.operand(_node(self._graph, self._layer.name), 1).quant
        assert held is not None
        scheme = weight_scheme(recipe.weights_of(self._layer.name))
        self.grid = AffineGrid(np.array(held.scale), np.array(held.zero_point), scheme)

    def scored(self, reals: F64) -> Outcome:
        """The machine's outcome with other weights [Co, K] of the grid."""
        codes = self.grid.codes(reals, 0 if self.grid.scale.size > 1 else None)
        old = self._graph.operand(_node(self._graph, self._layer.name), 1)
        data = codes.reshape(old.shape).astype(old.constant.dtype)
        graph = replace(self._graph, tensors=dict(self._graph.tensors) | {old.name: replace(old, data=data)})
        return outcome(machine_scores(graph, self._data), self._data)

    def adaround(self, objective: str) -> F64:
        """The weights [Co, K] that AdaRound chooses by one of its objectives."""
        cell = Cell("standard", (*self._cell.overrides, f"rounding.objective={objective}"))
        made = quantized(self._data, cell, self._seed).graph
        codes = made.operand(_node(made, self._layer.name), 1).constant.astype(np.int64)
        return self.grid.reals(codes.reshape(self.weight.shape), 0 if self.grid.scale.size > 1 else None)

    def objective(self) -> LinearObjective:
        """eq 31 on calibration pictures."""
        runner = FloatRunner(self._float)
        name, node = self._float.inputs[0], self._layer.node
        x = self._float.tensors[name].from_file_layout(self._data.calibration).astype(np.float32)
        live = dict(runner.tensors({name: x[: runner.samples_at_once]}))
        made = live[node.inputs[0]]
        assert isinstance(node.op, Conv2D)
        _, height, width, _ = self._float.result(node).shape
        positions = sample_positions((len(made), height, width), _ROWS, self._seed)
        rows = dense_rows(patches(made, positions, Window.of(node.op, self._layer.weight.shape)))
        return LinearObjective.of(rows, rows.astype(np.float64) @ self.weight.T)

    def hessian(self) -> F64:
        """eq 30 of the float network on calibration pictures; the same for all widths."""
        key = self._network, self._seed
        if key not in _HESSIANS:
            _HESSIANS[key] = loss_hessian(self._logits, self.weight, float(np.abs(self.weight).max()) / 256)
        return _HESSIANS[key]

    def _logits(self, weight: F64) -> F64:
        change = Change(weight=weight.reshape(self._layer.weight.shape))
        few = self._data.calibration[:_HESSIAN_PICTURES]
        data = replace(self._data, images=few, labels=np.zeros(len(few), np.int64))
        return float_scores(changed(self._float, {self._layer.name: change}), data)


_HESSIANS: dict[tuple[str, int], F64] = {}


def _node(graph: Graph, name: str) -> Node:
    return next(n for n in graph.nodes if n.name == name)


def first_layer_outcome(network: str, cell: Cell, seed: int, objective: str) -> dict[str, object]:
    """Table 5, column "first layer": one rounding of it in the network where all else is as with nearest.

    Args:
        network: of the task.
        seed: of the task.
        cell: rounding to nearest, with `first_layer_bits`.
        objective: "task" for the least eq 30 that single flips find, "layer" for eq 32, "reconstruction" for eq 35.
    """
    start = time.perf_counter()
    first = FirstLayer(network, cell, seed)
    if objective == "task":
        up = best_rounding(first.weight, first.grid, first.hessian(), seed=seed)
        reals = RoundingChoices.of(first.weight, first.grid).reals(up)
    else:
        reals = first.adaround(objective)
    return vars(replace(first.scored(reals), seconds=round(time.perf_counter() - start, 1)))


def figure7(network: str, cell: Cell, seed: int, samples: int) -> dict[str, object]:
    """100 stochastic roundings: rank correlations of accuracy and of the loss with eq 30 and eq 31."""
    first, losses = FirstLayer(network, cell, seed), []

    def score(reals: F64) -> float:
        made = first.scored(reals)
        losses.append(made.loss)
        return made.accuracy

    made = study_roundings(
        first.weight, first.grid, score, first.objective(), first.hessian(), samples=samples, seed=seed
    )
    by_loss: RoundingStudy = replace(made, scores=-np.array(losses[1:]))
    return {
        "samples": samples,
        "nearest": made.nearest[0],
        "best": float(made.scores.max()),
        "better": made.better_than_nearest,
        "accuracy_task": made.task_correlation,
        "accuracy_layer": made.layer_correlation,
        "loss_task": by_loss.task_correlation,
        "loss_layer": by_loss.layer_correlation,
    }
