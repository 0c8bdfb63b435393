"""The layers of a float graph that have weights, as the methods of section 3 see and change them."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from accel_sim.ir import Activation, Conv2D, ElementType, FullyConnected, Graph, MatMul, Node, Tensor, TransposeConv2D
from accel_sim.quantization.affine_grid import F64
from accel_sim.records import dataclass
from accel_sim.transforms.rewriting import Uses, fresh_tensor_name, rebuilt

LINEAR = (Conv2D, TransposeConv2D, FullyConnected)
"""Layers whose first weight axis holds their output channels, and that may have a bias and an activation."""


@dataclass(frozen=True, eq=False)
class Layer:
    """One node of kind `LINEAR` with constant weights.

    Attributes:
        node: in the graph.
        weight: float64; [Co, kh, kw, Ci / groups] or [Co, K].
        bias: float64 [Co], or None.
    """

    node: Node
    weight: F64
    bias: F64 | None

    @classmethod
    def of(cls, graph: Graph, node: Node) -> "Layer":
        """The layer of a node."""
        bias = graph.optional(node, 2)
        return cls(
            node,
            graph.operand(node, 1).constant.astype(np.float64),
            None if bias is None else bias.constant.astype(np.float64),
        )

    @property
    def name(self) -> str:
        """The node's name."""
        return self.node.name

    @property
    def groups(self) -> int:
        """Of a convolution; 1 for a fully connected layer."""
        return int(getattr(self.node.op, "groups", 1))

    @property
    def activation(self) -> Activation:
        """The fused clamp."""
        op = self.node.op
        assert isinstance(op, LINEAR)
        return op.activation

    @property
    def bounds(self) -> tuple[float, F64 | float]:
        """The clamp as a number and a number or [Co]."""
        low, high = self.activation.low, self.activation.high
        return low, high if isinstance(high, float | int) else np.array(high)


@dataclass(frozen=True, eq=False)
class Change:
    """What a layer becomes; None: stays.

    Attributes:
        weight: of the same shape.
        bias: [Co]; a layer without gets one.
        activation: the new clamp.
    """

    weight: F64 | None = None
    bias: F64 | None = None
    activation: Activation | None = None


def layers_of(graph: Graph) -> dict[str, Layer]:
    """The layers of a graph by node name, in order."""
    return {n.name: Layer.of(graph, n) for n in graph.nodes if isinstance(n.op, LINEAR)}


def weighted_nodes(graph: Graph) -> list[Node]:
    """All nodes that multiply by constant weights: `LINEAR`, and products with a constant matrix."""
    return [n for n in graph.nodes if has_weights(graph, n)]


def has_weights(graph: Graph, node: Node) -> bool:
    """Whether operand 1 of a node is constant weights."""
    return isinstance(node.op, LINEAR) or (isinstance(node.op, MatMul) and graph.operand(node, 1).is_constant)


def channel_axis(node: Node, rank: int) -> int:
    """The axis of the output channels: the first of a layer's weights, N of a matrix [..., K, N] of `rank` axes."""
    if isinstance(node.op, MatMul):
        return rank - (2 if node.op.transpose_b else 1)
    return 0


def activation_of(low: float, high: float | F64) -> Activation:
    """A clamp with one upper bound where all channels have the same."""
    if isinstance(high, float | int):
        return Activation(low, float(high))
    distinct = {float(h) for h in high}
    return Activation(low, distinct.pop()) if len(distinct) == 1 else Activation(low, tuple(map(float, high)))


def changed(graph: Graph, changes: Mapping[str, Change]) -> Graph:
    """The graph with other constants and clamps in the nodes named; float32, as all constants.

    A constant that another node reads as well is not overwritten: the changed node gets one of its own.
    """
    uses = Uses.of(graph)
    nodes, added = [], []
    for node in graph.nodes:
        change = changes.get(node.name)
        if change is None:
            nodes.append(node)
            continue
        inputs = [*node.inputs, ""][:3] if len(node.inputs) < 3 else list(node.inputs)
        for index, values in ((1, change.weight), (2, change.bias)):
            if values is not None:
                tensor = _constant(graph, uses, node, index, values)
                inputs[index] = tensor.name
                added.append(tensor)
        op = node.op if change.activation is None else replace(node.op, activation=change.activation)  # type: ignore[call-arg]
        nodes.append(replace(node, op=op, inputs=tuple(inputs[: 3 if inputs[2] else 2])))
    return rebuilt(graph, nodes, added)


def _constant(graph: Graph, uses: Uses, node: Node, index: int, values: F64) -> Tensor:
    data = values.astype(np.float32)
    old = graph.optional(node, index)
    if old is None:
        return Tensor(fresh_tensor_name(graph, f"{node.name}.bias"), data.shape, ElementType.FLOAT32, None, data)
    name = old.name if len(uses.readers[old.name]) == 1 else fresh_tensor_name(graph, f"{old.name}@{node.name}")
    return replace(old, name=name, data=data)
