"""Post-training quantization (figure 8): a float graph, calibration data and a recipe become an integer graph.

1. Canonical form: batch norms folded (eq 9-12), their statistics kept; activations fused (2.3.2).
2. Cross-layer equalization, then absorption of high biases (3.2), if the recipe says so.
3. Weights: ranges (3.1), rounding to nearest or by AdaRound (3.4), bias correction (3.3).
4. Ranges of the activations of the network with quantized weights (3.1).
5. Everything as codes (`integer_graph`).
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from accel_sim.errors import Fault, GraphError, QuantizationError
from accel_sim.ir import Conv2D, FullyConnected, Graph, QuantParams
from accel_sim.quantization.absorb_graph import absorb_graph, absorbable
from accel_sim.quantization.absorption import amount_from_batchnorm, amount_from_data
from accel_sim.quantization.activation_grids import assign_grids
from accel_sim.quantization.activation_ranges import batchnorm_grids, make_observers, observed_grids
from accel_sim.quantization.affine_grid import F64
from accel_sim.quantization.bias_correction import analytic_shift, corrected_bias
from accel_sim.quantization.calibration import Calibration, Sample, sample_count, samples
from accel_sim.quantization.checks import graph_faults, recipe_faults
from accel_sim.quantization.equalize_graph import equalize_graph
from accel_sim.quantization.float_runner import FloatRunner
from accel_sim.quantization.integer_graph import IntegerForm, nearest_weights
from accel_sim.quantization.layer_fitting import FittedLayer, LayerFitter
from accel_sim.quantization.layers import Change, Layer, changed, weighted_nodes
from accel_sim.quantization.moment_propagation import (
    batchnorm_statistics,
    input_moments,
    propagated_moments,
    seen_means,
)
from accel_sim.quantization.normal_moments import Moments
from accel_sim.quantization.observation import Progress, groups, observe, stacked
from accel_sim.quantization.quantization_report import (
    LayerQuality,
    QuantizationReport,
    Step,
    grid_text,
    signal_to_noise,
)
from accel_sim.quantization.recipe import Absorb, ActivationRange, Cap, Correction, Recipe, RoundingMethod, Tie
from accel_sim.quantization.recipe_toml import get_recipe
from accel_sim.quantization.serial_products import serial_products
from accel_sim.quantization.tied_grids import tie_grids, tied_groups
from accel_sim.quantization.weights import QuantizedWeights
from accel_sim.transforms import CANONICAL_FLOAT, fold_batchnorm, run_passes

_REPORTED_SAMPLES = 8
"""Samples on which the errors of the report are measured."""


@dataclass(frozen=True, eq=False)
class Quantized:
    """The result of `quantize_with_report`.

    Attributes:
        graph: the integer graph.
        report: what was done.
        reference: the float graph that the integer graph approximates node by node: canonical, equalized, absorbed.
    """

    graph: Graph
    report: QuantizationReport
    reference: Graph


def quantize(
    graph: Graph,
    calibration: Calibration | None = None,
    recipe: Recipe | str | Path = "standard",
    *,
    progress: Progress | None = None,
) -> Graph:
    """The integer graph of a float one: `quantize_with_report` without its report."""
    return quantize_with_report(graph, calibration, recipe, progress=progress).graph


@serial_products()
def quantize_with_report(
    graph: Graph,
    calibration: Calibration | None = None,
    recipe: Recipe | str | Path = "standard",
    *,
    progress: Progress | None = None,
) -> Quantized:
    """The integer graph of a float one: the same inputs and outputs, now codes on grids; and what was done.

    Args:
        graph: float; its format stays the result's, and so the default arithmetic profile.
        calibration: typical inputs, float, in the file's own layout (NCHW for ONNX), first axis any multiple of the
            graph's: an array, a dictionary by input name, an iterable of either, an .npz file, a folder of .npy files.
            Streamed. None where the recipe needs no data.
        recipe: a recipe, a built-in one's name (`recipe_names`), or the path of a TOML file.
        progress: called every few samples or layers.

    Raises:
        QuantizationError: listing every fault of the recipe; or of the graph and the first batch; or of a later batch;
            or what a data-free method lacks.
    """
    chosen = get_recipe(recipe)
    faults = [*graph_faults(graph), *recipe_faults(graph, chosen, has_data=calibration is not None)]
    stream = iter(()) if calibration is None else samples(graph, calibration)
    canonical = _canonical(graph, faults)
    try:
        first = list(itertools.islice(stream, _kept_samples(chosen)))
    except QuantizationError as error:  # told together with the faults of the graph
        raise QuantizationError(f"graph {graph.name!r}", [*faults, *error.faults]) if faults else error from None
    if faults or canonical is None:
        raise QuantizationError(f"graph {graph.name!r}", faults)
    total = None if calibration is None else sample_count(graph, calibration)
    work = _Work(canonical.graph, canonical.statistics, chosen, first, progress)
    return work.quantized(itertools.chain(first, stream), total)


def _kept_samples(recipe: Recipe) -> int:
    methods = recipe.rounding.method, recipe.bias.correction, recipe.equalization.absorb
    again = RoundingMethod.ADAROUND, Correction.EMPIRICAL, Absorb.DATA
    return max(recipe.samples, _REPORTED_SAMPLES) if set(methods) & set(again) else _REPORTED_SAMPLES


@dataclass(frozen=True, eq=False)
class _Canonical:
    graph: Graph
    statistics: Mapping[str, Moments]


def _canonical(graph: Graph, faults: list[Fault]) -> _Canonical | None:
    """Step 1; the faults of batch norms join the others."""
    try:
        until = CANONICAL_FLOAT.index(fold_batchnorm) + 1
        folded = run_passes(graph, CANONICAL_FLOAT[:until])
        whole = run_passes(folded, CANONICAL_FLOAT[until:])
        return _Canonical(whole, batchnorm_statistics(graph, folded))
    except GraphError as error:
        faults += [f for f in error.faults if f not in faults]
        return None


class _Work:
    """The state of one quantization between its steps."""

    def __init__(
        self,
        graph: Graph,
        statistics: Mapping[str, Moments],
        recipe: Recipe,
        kept: list[Sample],
        progress: Progress | None,
    ) -> None:
        self._graph, self._recipe, self._kept, self._progress = graph, recipe, kept, progress
        self._statistics = dict(statistics)
        self._steps: list[Step] = []
        self._quality: dict[str, dict[str, float]] = {}

    def quantized(self, stream: Iterator[Sample], total: int | None) -> Quantized:
        """All steps after the first."""
        self._equalize()
        self._absorb()
        exact = self._graph
        reference = FloatRunner(exact)
        nearest = nearest_weights(self._graph, self._recipe)
        self._measure("weight ranges", reference, self._with_weights(nearest, {}))
        self._note_weights(nearest)
        fitted = self._fitted(nearest)
        weights = {name: layer.weights for name, layer in fitted.items()}
        biases = {name: layer.bias for name, layer in fitted.items() if layer.bias is not None}
        approximate = self._with_weights(weights, biases)
        if self._steps[-1].name != "weight ranges":
            self._measure(self._steps[-1].name, reference, approximate)
        grids = self._grids(approximate, stream, total)
        self._measure("activation ranges", reference, approximate, grids)
        self._graph = changed(self._graph, {name: Change(bias=bias) for name, bias in biases.items()})
        made = IntegerForm(self._graph, grids, weights, self._recipe).integer_graph()
        return Quantized(made, self._report(made, fitted), exact)

    def _equalize(self) -> None:
        if not self._recipe.equalizes:
            return
        made = equalize_graph(self._graph, self._recipe.equalization.relu6)
        self._graph = made.graph
        for name, s in made.factors.items():
            if name in self._statistics:
                before = self._statistics[name]
                self._statistics[name] = Moments(before.mean / s, before.variance / s**2)
        summary = f"{len(made.links)} pairs of layers, at most {made.sweeps} sweeps"
        if self._recipe.equalization.relu6 is Cap.REMOVE:
            summary += f", {len(made.uncapped)} upper bounds removed"
        notes = [f"{stop.layer}: {stop.reason}" for stop in made.stops]
        notes += [f"{name}: {count} dead channels left alone" for name, count in made.dead.items()]
        self._steps.append(Step("cross-layer equalization", summary, tuple(notes)))

    def _absorb(self) -> None:
        kind = self._recipe.equalization.absorb
        if kind is Absorb.NEVER:
            return
        least = self._least_results() if kind is Absorb.DATA else {}

        def amounts(layer: Layer) -> F64 | None:
            if kind is Absorb.DATA:
                return amount_from_data(least[layer.name], layer.bounds[1])
            found = self._statistics.get(layer.name)
            return None if found is None else amount_from_batchnorm(found.mean, found.deviation, layer.bounds[1])

        made = absorb_graph(self._graph, amounts)
        self._graph = made.graph
        for name, amount in made.amounts.items():
            if name in self._statistics:
                before = self._statistics[name]
                self._statistics[name] = Moments(before.mean - amount, before.variance)
        channels = sum(int(np.count_nonzero(amount)) for amount in made.amounts.values())
        notes = tuple(f"{stop.layer}: {stop.reason}" for stop in made.stops)
        self._steps.append(Step("bias absorption", f"{channels} channels of {len(made.amounts)} layers", notes))

    def _least_results(self) -> dict[str, F64]:
        """By absorbable layer, the least result of each channel on the kept samples."""
        wanted = {n.outputs[0]: n.name for n in self._graph.nodes if n.name in absorbable(self._graph)}
        least: dict[str, F64] = {}
        runner = FloatRunner(self._graph)
        for group in groups(self._kept, runner.samples_at_once):
            for name, values in runner.tensors(stacked(group)):
                if name in wanted:
                    low = values.reshape(-1, values.shape[-1]).min(axis=0).astype(np.float64)
                    least[wanted[name]] = np.minimum(least.get(wanted[name], low), low)
        return least

    def _note_weights(self, weights: Mapping[str, QuantizedWeights]) -> None:
        rule = self._recipe.weights
        kind = "symmetric" if rule.symmetric else "asymmetric"
        granularity = "channel" if rule.per_channel else "tensor"
        summary = f"{rule.range.value}, {rule.bits} bits {kind} per {granularity}, {len(weights)} layers"
        self._steps.append(Step("weight ranges", summary))

    def _fitted(self, nearest: Mapping[str, QuantizedWeights]) -> dict[str, FittedLayer]:
        rounding, correction = self._recipe.rounding, self._recipe.bias.correction
        ada, empirical = rounding.method is RoundingMethod.ADAROUND, correction is Correction.EMPIRICAL
        if not (ada or empirical):
            fitted = {name: FittedLayer(weights) for name, weights in nearest.items()}
            return self._analytic(fitted) if correction is Correction.ANALYTIC else fitted
        fitted = LayerFitter(self._graph, self._kept, rounding, correct=empirical).fit(nearest, self._progress)
        others = [n.name for n in weighted_nodes(self._graph) if not isinstance(n.op, Conv2D | FullyConnected)]
        notes = tuple(f"{name}: neither a convolution nor fully connected; rounded to nearest" for name in others)
        if ada:
            unsettled = max((layer.unsettled for layer in fitted.values()), default=0.0)
            summary = f"{rounding.iterations} iterations, at most {unsettled:.2%} of a layer's roundings unsettled"
            self._steps.append(Step("AdaRound", summary, notes))
        if empirical:
            self._note_correction(fitted, "empirical", () if ada else notes)
        return self._analytic(fitted) if correction is Correction.ANALYTIC else fitted

    def _analytic(self, fitted: dict[str, FittedLayer]) -> dict[str, FittedLayer]:
        """eq 28, for every layer whose input's mean is known."""
        moments = propagated_moments(self._graph, self._statistics, self._input_moments())
        notes, corrected = [], {}
        for node in weighted_nodes(self._graph):
            known = moments.get(node.inputs[0])
            if not isinstance(node.op, Conv2D | FullyConnected) or known is None:
                notes.append(f"{node.name}: the mean of its input is not known")
                continue
            layer = Layer.of(self._graph, node)
            mean = seen_means(layer, known.after.mean, self._graph.result(node).shape)
            shift = analytic_shift(layer.weight, fitted[node.name].weights.reals, mean, layer.groups)
            corrected[node.name] = replace(fitted[node.name], bias=corrected_bias(layer.bias, shift))
        self._note_correction(corrected, "analytic", tuple(notes))
        return fitted | corrected

    def _note_correction(self, fitted: Mapping[str, FittedLayer], kind: str, notes: tuple[str, ...]) -> None:
        count = sum(layer.bias is not None for layer in fitted.values())
        self._steps.append(Step("bias correction", f"{kind}, {count} layers", notes))

    def _input_moments(self) -> dict[str, Moments]:
        """Of the network's inputs, from the range that is given or was seen."""
        found = {}
        for name in self._graph.inputs:
            low, high = self._recipe.activations.input_range
            if (low, high) == (0.0, 0.0):
                low = min(float(s[name].min(initial=0.0)) for s in self._kept)
                high = max(float(s[name].max(initial=0.0)) for s in self._kept)
            found[name] = input_moments(low, high, self._graph.tensors[name].shape)
        return found

    def _with_weights(self, weights: Mapping[str, QuantizedWeights], biases: Mapping[str, F64]) -> Graph:
        """The float graph with the numbers that codes stand for."""
        return changed(self._graph, {n: Change(weight=w.reals, bias=biases.get(n)) for n, w in weights.items()})

    def _grids(self, graph: Graph, stream: Iterator[Sample], total: int | None) -> dict[str, QuantParams]:
        """Step 4."""
        rule = self._recipe.activations
        observers = make_observers(graph, self._recipe)
        if observers:
            observe(FloatRunner(graph), stream, observers, total=total, progress=self._progress)
        own = observed_grids(graph, observers, self._recipe)
        if rule.range is ActivationRange.BATCHNORM:
            moments = propagated_moments(graph, self._statistics, self._input_moments())
            own = batchnorm_grids(graph, moments, self._recipe) | own
        notes = []
        if rule.tie is not Tie.NONE:
            tied = tied_groups(graph, rule.tie)
            own = tie_grids(tied, own, rule)
            notes = [f"one grid: {', '.join(sorted(group))}" for group in tied]
        kind = "symmetric" if rule.symmetric else "asymmetric"
        summary = f"{rule.range.value}, {rule.bits} bits {kind}, {len(own)} tensors; results: {rule.logits.value}"
        self._steps.append(Step("activation ranges", summary, tuple(notes)))
        return assign_grids(graph, own, self._recipe)

    def _measure(
        self, stage: str, reference: FloatRunner, graph: Graph, grids: Mapping[str, QuantParams] | None = None
    ) -> None:
        samples_ = self._kept[:_REPORTED_SAMPLES]
        if samples_:
            nodes = weighted_nodes(self._graph)
            self._quality[stage] = signal_to_noise(reference, FloatRunner(graph, grids), samples_, nodes)

    def _report(self, made: Graph, fitted: Mapping[str, FittedLayer]) -> QuantizationReport:
        layers = tuple(
            LayerQuality(
                node.name,
                node.op.name,
                grid_text(made, node),
                tuple(values[node.name] for values in self._quality.values()),
                fitted[node.name].gain,
                fitted[node.name].unsettled,
            )
            for node in weighted_nodes(made)
        )
        count = len(self._kept[:_REPORTED_SAMPLES])
        return QuantizationReport(self._recipe.name, tuple(self._steps), tuple(self._quality), count, layers)
