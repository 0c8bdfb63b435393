"""Graph: nodes in topological order over named tensors. It validates itself and never changes."""

from collections.abc import Iterator, Mapping
from dataclasses import field
from enum import Enum
from types import MappingProxyType

from accel_sim.errors import Fault, GraphError
from accel_sim.ir.operators import Operator
from accel_sim.ir.tensor import Tensor
from accel_sim.records import dataclass


class ModelFormat(Enum):
    """Where a graph came from; it chooses the default arithmetic profile."""

    TFLITE = "tflite"
    ONNX = "onnx"
    BUILT = "built"


@dataclass(frozen=True)
class Node:
    """One operator applied to named tensors.

    `name` is unique in the graph; "" among the inputs is an absent operand.
    """

    name: str
    op: Operator
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def where(self) -> str:
        """The node as errors name it."""
        return f"node {self.name!r} ({self.op.name})"


@dataclass(frozen=True, eq=False)
class Graph:
    """A network.

    Attributes:
        name: for people.
        nodes: in an order in which every operand is ready.
        tensors: by name; constants, inputs and everything computed.
        inputs, outputs: tensor names, in the file's order.
        source: the file format.
        sha256: hex digest of the model file; "" for a graph built in memory.

    Raises:
        GraphError: listing every violation: duplicate or unknown names, values used before they are made, an output
            that nobody makes.
    """

    name: str
    nodes: tuple[Node, ...]
    tensors: Mapping[str, Tensor]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    source: ModelFormat = ModelFormat.BUILT
    sha256: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tensors", MappingProxyType(dict(self.tensors)))
        object.__setattr__(self, "metadata", MappingProxyType(dict(self.metadata)))
        faults = list(_faults(self))
        if faults:
            raise GraphError(f"graph {self.name!r}", faults)

    def __repr__(self) -> str:
        """In one line; `accel_sim.ir.text` writes everything out."""
        ports = f"{', '.join(self.inputs)} -> {', '.join(self.outputs)}"
        return f"<Graph {self.name!r}: {len(self.nodes)} nodes, {len(self.tensors)} tensors, {ports}>"

    def inputs_of(self, node: Node) -> list[Tensor | None]:
        """The node's operand tensors in order, None where absent."""
        return [self.tensors[n] if n else None for n in node.inputs]

    def operand(self, node: Node, index: int) -> Tensor:
        """Operand `index` of the node; GraphError where it is absent."""
        if index >= len(node.inputs) or not node.inputs[index]:
            raise GraphError(node.where, [Fault(f"input {index}", "absent", "this operand is required")])
        return self.tensors[node.inputs[index]]

    def optional(self, node: Node, index: int) -> Tensor | None:
        """Operand `index` of the node, or None where it is absent."""
        return self.tensors[node.inputs[index]] if index < len(node.inputs) and node.inputs[index] else None

    def result(self, node: Node, index: int = 0) -> Tensor:
        """Output tensor `index` of the node."""
        return self.tensors[node.outputs[index]]

    def producer(self, tensor: str) -> Node | None:
        """The node that makes a tensor; None for inputs and constants."""
        return next((n for n in self.nodes if tensor in n.outputs), None)

    def consumers(self, tensor: str) -> list[Node]:
        """The nodes that read a tensor."""
        return [n for n in self.nodes if tensor in n.inputs]

    @property
    def is_integer(self) -> bool:
        """Whether no activation is a float: the graph can run on integer hardware."""
        return not any(t.element.is_float for t in self.activations())

    def activations(self) -> Iterator[Tensor]:
        """Inputs and computed tensors, in order of appearance."""
        for name in self.inputs:
            yield self.tensors[name]
        for node in self.nodes:
            for name in node.outputs:
                yield self.tensors[name]


def _faults(graph: Graph) -> Iterator[Fault]:
    for key, tensor in graph.tensors.items():
        if key != tensor.name:
            yield Fault(f"tensor {key!r}", tensor.name, "is filed under its own name")
    yield from (Fault("inputs", n, "an input is one of the tensors") for n in graph.inputs if n not in graph.tensors)
    ready = {n for n, t in graph.tensors.items() if t.is_constant} | set(graph.inputs)
    names: set[str] = set()
    for node in graph.nodes:
        if node.name in names:
            yield Fault(node.where, node.name, "a node's name is unique")
        names.add(node.name)
        for name in node.inputs:
            if name and name not in ready:
                yield Fault(
                    node.where,
                    name,
                    "an operand is an input, a constant or made by an earlier node",
                )
        for name in node.outputs:
            if name not in graph.tensors:
                yield Fault(node.where, name, "an output is one of the tensors")
            if name in ready:
                yield Fault(node.where, name, "a tensor is made once")
            ready.add(name)
    if not graph.outputs:
        yield Fault("outputs", "none", "a graph has at least one output")
    yield from (
        Fault("outputs", n, "an output is made by a node, an input or a constant")
        for n in graph.outputs
        if n not in ready
    )
