"""Samples at a network's inputs: how many there are, batches of them, random ones."""

from collections.abc import Iterator, Mapping
from math import prod

import numpy as np
from numpy.typing import NDArray

from accel_sim.analysis.choices import check_graph
from accel_sim.arguments import number_faults
from accel_sim.errors import Fault, InputError
from accel_sim.ir import Graph, Tensor
from accel_sim.program.free_memory import memory_faults

Array = NDArray[np.generic]


def file_shape(tensor: Tensor) -> tuple[int, ...]:
    """A tensor's shape in its file's axis order."""
    if not tensor.file_axes:
        return tensor.shape
    return tuple(tensor.shape[stored] for stored in np.argsort(tensor.file_axes))


def stored(graph: Graph, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Inputs in the file's axis order as the graph stores them."""
    return {name: graph.tensors[name].from_file_layout(inputs[name]) for name in graph.inputs}


def sample_count(graph: Graph, inputs: Mapping[str, Array]) -> int:
    """How many times the network's own batch the arrays hold.

    Raises:
        InputError: inputs that disagree about it, or an array whose first axis is no multiple of the network's.
    """
    counts = {name: _count(graph.tensors[name], array) for name, array in inputs.items() if name in graph.inputs}
    if len(set(counts.values())) > 1:
        given = ", ".join(f"{name}: {n}" for name, n in counts.items())
        raise InputError("inputs", [Fault("samples", given, "every input holds equally many")])
    return next(iter(counts.values()), 1)


def _count(tensor: Tensor, array: Array) -> int:
    shape = file_shape(tensor)
    if not shape or not array.ndim:
        return 1
    count, rest = divmod(array.shape[0], shape[0]) if shape[0] else (1, 0)
    if rest:
        rule = f"the first axis is a multiple of the network's, {shape[0]}"
        raise InputError(f"input {tensor.name!r}", [Fault("shape", str(list(array.shape)), rule)])
    return count


def batches(graph: Graph, inputs: Mapping[str, Array], size: int) -> Iterator[dict[str, Array]]:
    """The inputs in batches of at most `size` samples; at least one batch, and names that are no input unchanged."""
    total = sample_count(graph, inputs)
    known = {name: graph.tensors[name] for name in graph.inputs}
    for start in range(0, max(total, 1), size):
        stop = min(start + size, total)
        yield {n: _part(known[n], a, start, stop) if n in known else a for n, a in inputs.items()}


def _part(tensor: Tensor, array: Array, start: int, stop: int) -> Array:
    shape = file_shape(tensor)
    return array[start * shape[0] : stop * shape[0]] if shape and array.ndim else array


def random_inputs(graph: Graph, samples: int = 1, seed: int = 0) -> dict[str, Array]:
    """Uniformly random codes for every input of an integer graph, in the file's layout: the same for the same seed.

    Raises:
        InputError: more of them than fit in the memory that is free; no samples, a negative seed.
        TypeError: no Graph.
    """
    check_graph(graph)
    wrong = number_faults({"samples": (samples, 1, None), "seed": (seed, 0, None)})
    if wrong:
        raise InputError("random inputs", wrong)
    tensors = [graph.tensors[name] for name in graph.inputs]
    needed = samples * sum(prod(tensor.shape) * tensor.element.dtype.itemsize for tensor in tensors)
    faults = memory_faults("random inputs", needed, "a smaller image or batch needs less")
    if faults:
        raise InputError(f"inputs of {graph.name!r}", faults)
    generator = np.random.default_rng(seed)
    return {name: _random(graph.tensors[name], samples, generator) for name in graph.inputs}


def _random(tensor: Tensor, samples: int, generator: np.random.Generator) -> Array:
    shape = file_shape(tensor)
    shape = (shape[0] * samples, *shape[1:]) if shape else shape
    if tensor.element.is_float:
        return generator.standard_normal(shape).astype(np.float32)
    info = np.iinfo(tensor.element.dtype.name)
    low, high = (tensor.quant.low, tensor.quant.high) if tensor.quant else (info.min, info.max)
    return generator.integers(low, high, shape, dtype=tensor.element.dtype, endpoint=True)
