"""Batches of any size: a graph is evaluated on its own batch, sample by sample."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from accel_sim.errors import Fault, InputError
from accel_sim.ir import Graph

Array = NDArray[np.generic]
Arrays = dict[str, Array]


def by_samples(graph: Graph, inputs: Mapping[str, Array], evaluate: Callable[[Arrays], Arrays]) -> Arrays:
    """`evaluate` on every sample, results concatenated along the first axis.

    A sample is what the graph takes at once: inputs whose first axis is k times the graph's are k samples.

    Raises:
        InputError: a missing input, or a shape that is no multiple of the graph's.
    """
    count = _sample_count(graph, inputs)
    if count == 1:
        return evaluate({name: np.asarray(inputs[name]) for name in graph.inputs})
    parts = {name: np.split(np.asarray(inputs[name]), count) for name in graph.inputs}
    results = [evaluate({name: arrays[i] for name, arrays in parts.items()}) for i in range(count)]
    return {name: np.concatenate([np.atleast_1d(r[name]) for r in results]) for name in results[0]}


def _sample_count(graph: Graph, inputs: Mapping[str, Array]) -> int:
    counts = {}
    for name in graph.inputs:
        shape = graph.tensors[name].shape
        if name not in inputs:
            raise InputError("inputs", [Fault(name, "missing", "every input of the graph is given")])
        given = np.shape(inputs[name])
        multiple = given[0] // shape[0] if shape and given and shape[0] else 1
        if given != (shape[0] * multiple, *shape[1:]) if shape else given != ():
            rule = f"the shape is {list(shape)}, or a multiple of its first axis"
            raise InputError("inputs", [Fault(name, str(list(given)), rule)])
        counts[name] = multiple
    if len(set(counts.values())) > 1:
        raise InputError("inputs", [Fault("samples", str(counts), "every input has the same number of samples")])
    return next(iter(counts.values()), 1)
