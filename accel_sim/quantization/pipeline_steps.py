"""The steps of the pipeline after the first, their notes, and what each did to every layer's error (see `pipeline`)."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from accel_sim.ir import Conv2D, FullyConnected, Graph, QuantParams
from accel_sim.quantization.absorb_graph import absorb_graph, absorbable
from accel_sim.quantization.absorption import amount_from_batchnorm, amount_from_data
from accel_sim.quantization.activation_grids import assign_grids
from accel_sim.quantization.activation_ranges import batchnorm_grids, make_observers, observed_grids
from accel_sim.quantization.adjusted import adjusted_graph
from accel_sim.quantization.affine_grid import F64
from accel_sim.quantization.bias_correction import analytic_shift, corrected_bias
from accel_sim.quantization.calibration import Sample
from accel_sim.quantization.equalize_graph import equalize_graph
from accel_sim.quantization.float_runner import FloatRunner
from accel_sim.quantization.integer_graph import IntegerForm, nearest_weights
from accel_sim.quantization.layer_fitting import FittedLayer, LayerFitter
from accel_sim.quantization.layers import Change, Layer, changed, weighted_nodes
from accel_sim.quantization.moment_propagation import input_moments, propagated_moments, seen_means
from accel_sim.quantization.normal_moments import Moments
from accel_sim.quantization.observation import Progress, groups, observe, stacked
from accel_sim.quantization.quantization_report import (
    LayerQuality,
    QuantizationReport,
    Quantized,
    Step,
    grid_text,
    signal_to_noise,
)
from accel_sim.quantization.recipe import Absorb, ActivationRange, Cap, Correction, Recipe, RoundingMethod, Tie
from accel_sim.quantization.tied_grids import spared_requantizations, tie_grids, tie_note, tied_groups
from accel_sim.quantization.weights import QuantizedWeights
from accel_sim.transforms.rewriting import Uses

REPORTED_SAMPLES = 8
"""Samples on which the errors of the report are measured."""


class Pipeline:
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
        if self._recipe.equalizes and self._kept:
            self._measure("before equalization", self._graph, self._with_weights(self._nearest(), {}))
        self._equalize()
        self._absorb()
        exact, nearest = self._graph, self._nearest()
        self._measure("weight ranges", exact, self._with_weights(nearest, {}))
        self._note_weights(nearest)
        fitted = self._fitted(nearest)
        weights = {name: layer.weights for name, layer in fitted.items()}
        biases = {name: layer.bias for name, layer in fitted.items() if layer.bias is not None}
        if self._recipe.rounding.method is RoundingMethod.ADAROUND:
            self._measure("AdaRound", exact, self._with_weights(weights, {}))
        approximate = self._with_weights(weights, biases)
        if self._recipe.bias.correction is not Correction.NONE:
            self._measure("bias correction", exact, approximate)
        grids = self._grids(exact, approximate, stream, total)
        self._graph = changed(self._graph, {name: Change(bias=bias) for name, bias in biases.items()})
        made = IntegerForm(self._graph, grids, weights, self._recipe).integer_graph()
        return Quantized(made, self._report(made, fitted), exact, adjusted_graph(self._graph, made))

    def _nearest(self) -> dict[str, QuantizedWeights]:
        return nearest_weights(self._graph, self._recipe)

    def _equalize(self) -> None:
        if not self._recipe.equalizes:
            return
        before = self._graph
        made = equalize_graph(before, self._recipe.equalization.relu6)
        self._graph = made.graph
        for name, s in made.factors.items():
            if name in self._statistics:
                known = self._statistics[name]
                self._statistics[name] = Moments(known.mean / s, known.variance / s**2)
        summary = f"{len(made.links)} pairs of layers, at most {made.sweeps} sweeps"
        if not made.links:
            summary = "nothing changed: no layer feeds one other layer through operators that scale channel by channel"
        if self._recipe.equalization.relu6 is Cap.REMOVE:
            summary += f", {len(made.uncapped)} upper bounds removed"
        notes = self._effect_on_results(before) if made.links else []
        notes += [f"{stop.layer}: {stop.reason}" for stop in made.stops]
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

        before = self._graph
        made = absorb_graph(before, amounts)
        self._graph = made.graph
        for name, amount in made.amounts.items():
            if name in self._statistics:
                known = self._statistics[name]
                self._statistics[name] = Moments(known.mean - amount, known.variance)
        channels = sum(int(np.count_nonzero(amount)) for amount in made.amounts.values())
        notes = self._effect_on_results(before) if channels else []
        notes += [f"{stop.layer}: {stop.reason}" for stop in made.stops]
        self._steps.append(Step("bias absorption", f"{channels} channels of {len(made.amounts)} layers", tuple(notes)))

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

    def _grids(self, exact: Graph, graph: Graph, stream: Iterator[Sample], total: int | None) -> dict[str, QuantParams]:
        """Step 4."""
        rule = self._recipe.activations
        observers = make_observers(graph, self._recipe)
        if observers:
            observe(FloatRunner(graph), stream, observers, total=total, progress=self._progress)
        own = observed_grids(graph, observers, self._recipe)
        if rule.range is ActivationRange.BATCHNORM:
            moments = propagated_moments(graph, self._statistics, self._input_moments())
            own = batchnorm_grids(graph, moments, self._recipe) | own
        kind = "symmetric" if rule.symmetric else "asymmetric"
        summary = f"{rule.range.value}, {rule.bits} bits {kind}, {len(own)} tensors; results: {rule.logits.value}"
        self._steps.append(Step("activation ranges", summary))
        grids = assign_grids(graph, own, self._recipe)
        self._measure("activation ranges", exact, graph, grids)
        return grids if rule.tie is Tie.NONE else self._tied(exact, graph, own)

    def _tied(self, exact: Graph, graph: Graph, own: Mapping[str, QuantParams]) -> dict[str, QuantParams]:
        """Grids shared where the recipe says so (2.3.3)."""
        rule = self._recipe.activations
        tied = tied_groups(graph, rule.tie)
        shared = tie_grids(tied, own, rule)
        notes = [tie_note(group, own, shared) for group in tied]
        spared = spared_requantizations(graph, rule.tie, own, shared)
        groups_ = f"{len(tied)} group{'s' * (len(tied) != 1)} of tensors"
        summary = f"{groups_}, {spared} operands less to requantize"
        self._steps.append(Step("shared grids", summary, tuple(notes)))
        grids = assign_grids(graph, shared, self._recipe)
        self._measure("shared grids", exact, graph, grids)
        return grids

    def _effect_on_results(self, before: Graph) -> list[str]:
        """How far the float network's results have moved, as a note; nothing without data."""
        makers = Uses.of(before).producer
        nodes = [makers[name] for name in before.outputs if before.tensors[name].element.is_float and name in makers]
        kept = self._kept[:REPORTED_SAMPLES]
        if not kept or not nodes:
            return []
        found = signal_to_noise(FloatRunner(before), FloatRunner(self._graph), kept, nodes)
        least = min((v for v in found.values() if not math.isnan(v)), default=math.inf)
        return [f"the float network's results against those before: {_decibels(least)}"]

    def _measure(self, stage: str, exact: Graph, graph: Graph, grids: Mapping[str, QuantParams] | None = None) -> None:
        samples_ = self._kept[:REPORTED_SAMPLES]
        if samples_:
            nodes = weighted_nodes(self._graph)
            self._quality[stage] = signal_to_noise(FloatRunner(exact), FloatRunner(graph, grids), samples_, nodes)

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
        count = len(self._kept[:REPORTED_SAMPLES])
        steps, stages = tuple(self._steps), tuple(self._quality)
        return QuantizationReport(self._recipe.name, steps, stages, count, layers, made.name)


def _decibels(ratio: float) -> str:
    return "the same to the last bit" if math.isinf(ratio) else f"{ratio:.1f} dB signal to noise"
