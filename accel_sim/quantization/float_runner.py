"""A float graph run fast, a few samples at a time, holding only the tensors that are still needed.

Convolutions and fully connected layers, where the time goes, are matrix products in float32 (BLAS); every other
operator is the reference's own, evaluated as a graph of one node.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from accel_sim.ir import Conv2D, FullyConnected, Graph, Node, QuantParams
from accel_sim.quantization.float_kernels import convolution, fully_connected
from accel_sim.reference import evaluate_float

Float32 = NDArray[np.float32]
Live = dict[str, NDArray[np.generic]]
"""Tensors that are still needed, by name, in stored layout."""

_MOST_SAMPLES = 16
_LARGEST_TENSOR_BYTES = 1 << 25


class FloatRunner:
    """Runs one float graph on many samples, if asked for with tensors rounded to grids (figure 4b).

    Attributes:
        graph: what is run.
        samples_at_once: how many samples one call of `tensors` should get: more than one, because small matrix products
            waste time in starting threads, and so few that no tensor is large.
    """

    def __init__(self, graph: Graph, grids: Mapping[str, QuantParams] | None = None) -> None:
        """`grids`: by tensor, what its values are rounded to."""
        self.graph = graph
        self._grids = dict(grids or {})
        self._constants = {t.name: t.constant for t in graph.tensors.values() if t.is_constant}
        self._single = {n.name: _single_node_graph(graph, n) for n in graph.nodes if not _is_fast(graph, n)}
        self._dying = _last_reads(graph)
        self.samples_at_once = _samples_at_once(graph)

    def tensors(self, inputs: Mapping[str, NDArray[np.generic]]) -> Iterator[tuple[str, NDArray[np.generic]]]:
        """Every input and computed tensor in order; arrays in stored layout, which must not be written to.

        Args:
            inputs: by name; the first axis of each is the same multiple of the graph's.
        """
        live: Live = {name: self._on_grid(name, values) for name, values in inputs.items()}
        yield from live.items()
        for node in self.graph.nodes:
            results = self.results(node, live)
            live |= results
            yield from results.items()
            self.forget(node, live)

    def results(self, node: Node, live: Mapping[str, NDArray[np.generic]]) -> Live:
        """What one node makes of live tensors."""
        return {name: self._on_grid(name, values) for name, values in self._computed(node, live).items()}

    def forget(self, node: Node, live: Live) -> None:
        """Drop the tensors that nothing reads after a node."""
        for name in self._dying[node.name]:
            live.pop(name, None)

    def _computed(self, node: Node, live: Mapping[str, NDArray[np.generic]]) -> Mapping[str, NDArray[np.generic]]:
        single = self._single.get(node.name)
        if single is not None:
            results = evaluate_float(single, {n: live[n] for n in single.inputs})
            return {n: results[n] for n in node.outputs}
        bias = self._operand(node.inputs[2], live) if len(node.inputs) > 2 and node.inputs[2] else None
        x, weights = (self._operand(n, live) for n in node.inputs[:2])
        return {node.outputs[0]: linear(node, x, weights, bias, self.graph.result(node).shape)}

    def _operand(self, name: str, live: Mapping[str, NDArray[np.generic]]) -> Float32:
        values = live[name] if name in live else self._constants[name]
        return values.astype(np.float32, copy=False)

    def _on_grid(self, name: str, values: NDArray[np.generic]) -> NDArray[np.generic]:
        grid = self._grids.get(name)
        return values if grid is None else rounded_to_grid(values.astype(np.float32, copy=False), grid)


def linear(node: Node, x: Float32, weights: Float32, bias: Float32 | None, shape: tuple[int, ...]) -> Float32:
    """A convolution or fully connected node on other operands; `shape` is its result's."""
    if isinstance(node.op, Conv2D):
        return convolution(node.op, x, weights, bias, shape)
    assert isinstance(node.op, FullyConnected)
    return fully_connected(node.op, x, weights, bias, shape)


def rounded_to_grid(values: Float32, grid: QuantParams) -> Float32:
    """eq 7 for a per-tensor grid, in float32."""
    scale, zero = np.float32(grid.scale[0]), grid.zero_point[0]
    steps: Float32 = np.rint(values / scale)
    np.clip(steps, grid.low - zero, grid.high - zero, out=steps)
    steps *= scale
    return steps


def _samples_at_once(graph: Graph) -> int:
    """As many as fit the largest tensor into some memory, at most 16; 1 where a tensor has no axis for samples."""
    tensors = list(graph.activations())
    if any(not t.shape for t in tensors):
        return 1
    return max(1, min(_MOST_SAMPLES, _LARGEST_TENSOR_BYTES // max(t.size_bytes for t in tensors)))


def _is_fast(graph: Graph, node: Node) -> bool:
    return isinstance(node.op, Conv2D | FullyConnected) and graph.result(node).element.is_float


def _single_node_graph(graph: Graph, node: Node) -> Graph:
    """The node alone, with its constants; what it reads is the graph's input."""
    names = list(dict.fromkeys(filter(None, node.inputs)))
    inputs = tuple(n for n in names if not graph.tensors[n].is_constant)
    tensors = {n: graph.tensors[n] for n in (*names, *node.outputs)}
    return replace(graph, nodes=(node,), tensors=tensors, inputs=inputs, outputs=node.outputs)


def _last_reads(graph: Graph) -> dict[str, tuple[str, ...]]:
    """By node: the tensors that nothing reads after it."""
    last = {name: node.name for node in graph.nodes for name in (*node.outputs, *node.inputs)}
    dying: dict[str, list[str]] = {n.name: [] for n in graph.nodes}
    for name, reader in last.items():
        dying[reader].append(name)
    return {n: tuple(names) for n, names in dying.items()}
