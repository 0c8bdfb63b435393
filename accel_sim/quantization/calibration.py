"""Calibration data: from what a user has (arrays, dictionaries, streams, an .npz file) to samples of the graph's size.

Samples come one at a time, so memory does not grow with the amount of data.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_sim.errors import Fault, QuantizationError
from accel_sim.ir import Graph, Tensor
from accel_sim.ir.finite import not_finite
from accel_sim.quantization.calibration_files import file_batches, file_samples

Sample = dict[str, NDArray[np.float32]]
"""One run's inputs by name: float32, stored layout, exactly the shapes of the graph."""

Batch = NDArray[Any] | Mapping[str, NDArray[Any]]
Calibration = Batch | Iterable[Batch] | str | Path
"""Float arrays in the file's own layout (NCHW for ONNX) whose first axis is any multiple of the input's: an array (for
a graph with one input), a dictionary by input name, an iterable of either, the path of an .npy file (an array) or an
.npz file, or of a folder of these, taken in the order of their names."""


def samples(graph: Graph, calibration: Calibration) -> Iterator[Sample]:
    """The data cut into runs of the graph, in order.

    Raises:
        QuantizationError: no data at all; or, at the first batch that has any, all of its faults: unknown or missing
            names, shapes, types that are not float, NaN or infinite values.
    """
    empty = True
    for where, batch in _batches(graph, calibration):
        arrays = _named(graph, batch)
        faults = [f for name, array in arrays.items() for f in _array_faults(graph, name, array)]
        faults += [Fault("calibration", n, "every input needs data") for n in graph.inputs if n not in arrays]
        if faults:
            raise QuantizationError(where, faults)
        for sample in _cut(graph, arrays, where):
            empty = False
            yield sample
    if empty:
        raise QuantizationError("quantization", [Fault("calibration", "no samples", "at least one sample is needed")])


def sample_count(graph: Graph, calibration: Calibration) -> int | None:
    """How many runs `samples` yields, None where only reading the stream could tell."""
    if isinstance(calibration, str | Path):
        return file_samples(Path(calibration), _lengths(graph))
    try:
        if isinstance(calibration, np.ndarray):
            return len(calibration) // max(1, graph.tensors[graph.inputs[0]].shape[0])
        if isinstance(calibration, Mapping):
            return min(len(a) // max(1, graph.tensors[n].shape[0]) for n, a in calibration.items() if n in graph.inputs)
    except (TypeError, IndexError, ValueError):  # a faulty batch: `samples` says what is wrong with it
        return None
    return None


def _batches(graph: Graph, calibration: Calibration) -> Iterator[tuple[str, Any]]:
    """The batches, each with where it is from, for messages."""
    if isinstance(calibration, str | Path):
        for where, batch in file_batches(Path(calibration), _lengths(graph)):
            yield f"calibration {where}", batch
    elif isinstance(calibration, np.ndarray | Mapping):
        yield "calibration", calibration
    elif isinstance(calibration, Iterable):
        yield from ((f"calibration batch {number}", batch) for number, batch in enumerate(calibration))
    else:
        rule = "is an array, a dictionary of arrays, an iterable of these, an .npz or .npy file, or a folder of these"
        raise QuantizationError("quantization", [Fault("calibration", type(calibration).__name__, rule)])


def _lengths(graph: Graph) -> dict[str, int]:
    """Rows of one sample, by input."""
    return {n: (file_shape(graph.tensors[n])[:1] or (1,))[0] for n in graph.inputs}


def _named(graph: Graph, batch: Any) -> dict[str, Any]:
    if isinstance(batch, Mapping):
        return dict(batch)
    if len(graph.inputs) == 1:
        return {graph.inputs[0]: batch}
    rule = f"a graph with {len(graph.inputs)} inputs takes arrays by name: {', '.join(graph.inputs)}"
    raise QuantizationError("quantization", [Fault("calibration", "an array without a name", rule)])


def _array_faults(graph: Graph, name: str, array: Any) -> Iterator[Fault]:
    where = f"calibration {name!r}"
    if name not in graph.inputs:
        yield Fault(where, f"not among {', '.join(map(repr, graph.inputs))}", "names an input of the graph")
        return
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
        kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        yield Fault(where, str(kind), "is an array of floats", "preprocess it as the network expects")
        return
    wanted = file_shape(graph.tensors[name])
    if not _is_multiple(array.shape, wanted):
        yield Fault(where, str(list(array.shape)), f"has the shape {list(wanted)}, or a multiple of its first axis")
    elif bad := not_finite(array, np.dtype(np.float32)):
        yield Fault(where, bad, "all values are finite in float32")


def file_shape(tensor: Tensor) -> tuple[int, ...]:
    """A tensor's shape in the file's own axis order."""
    if not tensor.file_axes:
        return tensor.shape
    return tuple(tensor.shape[tensor.file_axes.index(axis)] for axis in range(len(tensor.shape)))


def _is_multiple(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    if not wanted or not shape:
        return shape == wanted
    whole = shape[0] % wanted[0] == 0 if wanted[0] else shape[0] == 0
    return len(shape) == len(wanted) and shape[1:] == wanted[1:] and whole


def _cut(graph: Graph, arrays: Mapping[str, NDArray[Any]], where: str) -> Iterator[Sample]:
    lengths = {n: file_shape(graph.tensors[n])[:1] for n in graph.inputs}
    counts = {n: len(arrays[n]) // lengths[n][0] if lengths[n] and lengths[n][0] else 1 for n in graph.inputs}
    if len(set(counts.values())) > 1:
        fault = Fault("calibration", str(counts), "every input has the same number of samples")
        raise QuantizationError(where, [fault])
    for index in range(next(iter(counts.values()), 0)):
        yield {
            n: np.ascontiguousarray(graph.tensors[n].from_file_layout(_slice(arrays[n], lengths[n], index)), np.float32)
            for n in graph.inputs
        }


def _slice(array: NDArray[Any], length: tuple[int, ...], index: int) -> NDArray[Any]:
    return array[index * length[0] : (index + 1) * length[0]] if length else array
