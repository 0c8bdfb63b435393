"""The grids of activations, by the recipe's range setting method (3.1): the last step of figure 8."""

from collections.abc import Mapping

import numpy as np

from accel_sim.errors import Fault, QuantizationError
from accel_sim.ir import Graph, QuantParams
from accel_sim.quantization.activation_grids import activation_scheme, grid_of, observed_tensors
from accel_sim.quantization.layers import LINEAR
from accel_sim.quantization.moment_propagation import TensorMoments
from accel_sim.quantization.observation import (
    ExtremesObserver,
    HistogramObserver,
    LogitsObserver,
    MinMax,
    Observer,
)
from accel_sim.quantization.range_batchnorm import batchnorm_range
from accel_sim.quantization.recipe import ActivationRange, ActivationRecipe, LogitsRange, Recipe
from accel_sim.transforms.rewriting import Uses


def make_observers(graph: Graph, recipe: Recipe) -> dict[str, Observer]:
    """By tensor, what the recipe's methods need to see of it; in data-free recipes at most the network's inputs."""
    given = recipe.activations.input_range != (0.0, 0.0)
    data_free = recipe.activations.range is ActivationRange.BATCHNORM
    logits = _logits(graph) if recipe.activations.logits is LogitsRange.CROSS_ENTROPY else frozenset()
    observers: dict[str, Observer] = {}
    for name in sorted(observed_tensors(graph)):
        if name in logits:
            observers[name] = LogitsObserver()
        elif name in graph.inputs and (given or data_free):
            observers |= {} if given else {name: ExtremesObserver()}
        elif not data_free:
            observers[name] = _observer(recipe.activations)
    return observers


def _observer(recipe: ActivationRecipe) -> Observer:
    if recipe.range is ActivationRange.MINMAX:
        return ExtremesObserver()
    return HistogramObserver(recipe.percent if recipe.range is ActivationRange.PERCENTILE else None)


def _logits(graph: Graph) -> frozenset[str]:
    """Results [samples, classes] of linear layers that nothing but softmax follows."""
    uses = Uses.of(graph)
    found = set()
    for node in graph.nodes:
        name = node.outputs[0]
        shape = graph.result(node).shape
        is_last = all(n.op.name == "Softmax" for n in uses.readers.get(name, ()))
        if isinstance(node.op, LINEAR) and is_last and len(shape) == 2 and shape[1] > 1:
            found.add(name)
    return frozenset(found)


def observed_grids(graph: Graph, observers: Mapping[str, Observer], recipe: Recipe) -> dict[str, QuantParams]:
    """The grids of what was observed, and of inputs whose range the recipe gives."""
    makers = Uses.of(graph).producer
    grids = {}
    for name, observer in observers.items():
        rule = recipe.activations_of(makers[name].name if name in makers else name)
        assert observer.range is not None
        scheme = activation_scheme(rule, has_negative=observer.range.low < 0)
        grids[name] = observer.grid(scheme).params()
    if recipe.activations.input_range != (0.0, 0.0):
        given = MinMax(*recipe.activations.input_range)
        floats = [n for n in graph.inputs if graph.tensors[n].element.is_float]
        grids |= {name: grid_of(given, recipe.activations_of(name)) for name in floats}
    return grids


def batchnorm_grids(graph: Graph, moments: Mapping[str, TensorMoments], recipe: Recipe) -> dict[str, QuantParams]:
    """eq 18-19 for every computed tensor that needs a range.

    Raises:
        QuantizationError: listing the tensors that no statistics reach.
    """
    makers = Uses.of(graph).producer
    names = sorted(n for n in observed_tensors(graph) if n in makers)
    faults = [
        Fault(
            f"tensor {n!r}",
            "unknown moments",
            "a batch norm or a propagated mean and variance says its range",
            'set activations.range = "mse" and give calibration data',
        )
        for n in names
        if n not in moments
    ]
    if faults:
        raise QuantizationError(f"graph {graph.name!r} without data", faults)
    return {n: _batchnorm_grid(moments[n], recipe.activations_of(makers[n].name)) for n in names}


def _batchnorm_grid(moments: TensorMoments, rule: ActivationRecipe) -> QuantParams:
    mean, deviation = moments.before.mean, moments.before.deviation
    high = np.broadcast_to(np.asarray(moments.activation.high, np.float64), mean.shape)
    low, top = batchnorm_range(mean.ravel(), deviation.ravel(), low=moments.activation.low, high=high.ravel())
    return grid_of(MinMax(min(low, 0.0), max(top, 0.0)), rule)
