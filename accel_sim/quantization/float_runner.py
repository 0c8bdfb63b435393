"""A float graph run fast, a few samples at a time, holding only the tensors that are still needed.

Convolutions and fully connected layers, where the time goes, are matrix products in float32 (BLAS); every other
operator is the reference's own, evaluated as a graph of one node.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from accel_sim.ir import Conv2D, FullyConnected, Graph, Node
from accel_sim.quantization.float_kernels import convolution, fully_connected
from accel_sim.reference import evaluate_float

Float32 = NDArray[np.float32]

_MOST_SAMPLES = 16
_LARGEST_TENSOR_BYTES = 1 << 25


class FloatRunner:
    """Runs one float graph on many samples.

    Attributes:
        samples_at_once: how many samples one call of `tensors` should get: more than one, because small matrix products
            waste time in starting threads, and so few that no tensor is large.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._constants = {t.name: t.constant for t in graph.tensors.values() if t.is_constant}
        self._single = {n.name: _single_node_graph(graph, n) for n in graph.nodes if not _is_fast(graph, n)}
        self._dying = _last_reads(graph)
        self.samples_at_once = _samples_at_once(graph)

    def tensors(self, inputs: Mapping[str, NDArray[np.generic]]) -> Iterator[tuple[str, NDArray[np.generic]]]:
        """Every input and computed tensor in order; arrays in stored layout, which must not be written to.

        Args:
            inputs: by name; the first axis of each is the same multiple of the graph's.
        """
        live: dict[str, NDArray[np.generic]] = dict(inputs)
        yield from inputs.items()
        for node in self._graph.nodes:
            for name, values in self._run(node, live).items():
                live[name] = values
                yield name, values
            for name in self._dying[node.name]:
                live.pop(name, None)

    def _run(self, node: Node, live: Mapping[str, NDArray[np.generic]]) -> Mapping[str, NDArray[np.generic]]:
        single = self._single.get(node.name)
        if single is not None:
            results = evaluate_float(single, {n: live[n] for n in single.inputs})
            return {n: results[n] for n in node.outputs}
        x, weights = (self._operand(n, live) for n in node.inputs[:2])
        bias = self._operand(node.inputs[2], live) if len(node.inputs) > 2 and node.inputs[2] else None
        shape = self._graph.result(node).shape
        if isinstance(node.op, Conv2D):
            return {node.outputs[0]: convolution(node.op, x, weights, bias, shape)}
        assert isinstance(node.op, FullyConnected)
        return {node.outputs[0]: fully_connected(node.op, x, weights, bias, shape)}

    def _operand(self, name: str, live: Mapping[str, NDArray[np.generic]]) -> Float32:
        values = live[name] if name in live else self._constants[name]
        return values.astype(np.float32, copy=False)


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
