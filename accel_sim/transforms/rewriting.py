"""What every rewrite needs: who makes and who reads a tensor, fresh names, and a new graph without left-overs."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from accel_sim.ir import ElementType, Graph, Node, Tensor
from accel_sim.records import dataclass


@dataclass(frozen=True)
class Uses:
    """Producers and readers of every tensor of one graph, looked up in constant time.

    Attributes:
        producer: tensor name -> the node that makes it; inputs and constants are absent.
        readers: tensor name -> the nodes that read it, one entry per operand slot.
        outputs: the graph's outputs, which also read their tensors.
    """

    producer: Mapping[str, Node]
    readers: Mapping[str, tuple[Node, ...]]
    outputs: frozenset[str]

    @classmethod
    def of(cls, graph: Graph) -> "Uses":
        """The uses of a graph."""
        readers: dict[str, list[Node]] = {}
        for node in graph.nodes:
            for name in filter(None, node.inputs):
                readers.setdefault(name, []).append(node)
        return cls(
            {name: node for node in graph.nodes for name in node.outputs},
            {name: tuple(nodes) for name, nodes in readers.items()},
            frozenset(graph.outputs),
        )

    def sole_reader(self, tensor: str) -> Node | None:
        """The only node that reads a tensor through one operand; None if there are others or it is a graph output."""
        readers = self.readers.get(tensor, ())
        return readers[0] if len(readers) == 1 and tensor not in self.outputs else None


def rebuilt(graph: Graph, nodes: Iterable[Node], added: Iterable[Tensor] = ()) -> Graph:
    """The graph with these nodes and further tensors, without the tensors that nothing uses any more."""
    kept = tuple(nodes)
    tensors = dict(graph.tensors) | {t.name: t for t in added}
    used = {n for node in kept for n in (*node.inputs, *node.outputs) if n} | set(graph.inputs) | set(graph.outputs)
    return replace(graph, nodes=kept, tensors={n: t for n, t in tensors.items() if n in used})


def replaced(graph: Graph, changes: Mapping[str, tuple[Node, ...]], added: Iterable[Tensor] = ()) -> Graph:
    """The graph with each node named in `changes` replaced by those nodes (none removes it)."""
    nodes = [new for node in graph.nodes for new in changes.get(node.name, (node,))]
    return rebuilt(graph, nodes, added)


def fresh_tensor_name(graph: Graph, wish: str) -> str:
    """The wished name, or with a number behind it the first that no tensor of the graph has."""
    return _fresh(wish, graph.tensors)


def fresh_node_name(graph: Graph, wish: str) -> str:
    """The wished name, or with a number behind it the first that no node of the graph has."""
    return _fresh(wish, {n.name for n in graph.nodes})


def _fresh(wish: str, taken: Mapping[str, object] | set[str]) -> str:
    name, number = wish, 1
    while name in taken:
        name, number = f"{wish}_{number}", number + 1
    return name


def float_constant(name: str, values: NDArray[np.floating], file_axes: tuple[int, ...] = ()) -> Tensor:
    """A constant float32 tensor from values of any float type."""
    data = np.asarray(values, np.float32, order="C")
    return Tensor(name, data.shape, ElementType.FLOAT32, None, data, file_axes)
