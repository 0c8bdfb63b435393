"""Where a graph can be rescaled channel by channel (eq 20-21), and where it cannot, with the reason.

A *link* leads from a linear layer to the only layer that reads its channels, through operators f with f(s x) = s f(x)
for every channel: clamps at 0 and at a cap (which scales along) where they are fused into the first layer, PReLU, leaky
ReLU, pooling, padding with 0, transposes, and reshapes that flatten a sample. A link ends, and says so, at a branch, at
a result of the network, and at any other operator: also at a clamp with a lower bound other than 0 and at a cap behind
another operator, for which the machine has no bound per channel.

Flattened maps: where the channels are not last, as in a file that flattens NCHW, each stands for a run of `inner`
neighbouring columns of the second layer's weights: column k belongs to channel (k // inner) mod C.
"""

import math
from dataclasses import replace

from accel_sim.ir import (
    Activation,
    AveragePool2D,
    Clip,
    FullyConnected,
    GlobalAveragePool2D,
    Graph,
    LeakyRelu,
    MaxPool2D,
    Mean,
    Node,
    Pad,
    PRelu,
    Reshape,
    Transpose,
)
from accel_sim.quantization.layers import LINEAR
from accel_sim.records import dataclass
from accel_sim.transforms.rewriting import Uses


@dataclass(frozen=True)
class Link:
    """Two layers whose common channels can be rescaled: names of their nodes, and of those between.

    Attributes:
        first: makes the channels.
        through: lie between.
        second: reads them.
        inner: columns of the second layer's weights in a row that read one channel.
    """

    first: str
    through: tuple[str, ...]
    second: str
    inner: int = 1


@dataclass(frozen=True)
class Stop:
    """A layer whose channels cannot be rescaled, and why."""

    layer: str
    reason: str


def scaling_links(graph: Graph) -> tuple[list[Link], list[Stop]]:
    """All links of a graph, in its order, and the layers where none begins."""
    uses = Uses.of(graph)
    found = [_link(graph, uses, n, n.op.activation) for n in graph.nodes if isinstance(n.op, LINEAR)]
    return [f for f in found if isinstance(f, Link)], [f for f in found if isinstance(f, Stop)]


def chains(links: list[Link]) -> list[list[Link]]:
    """Links joined where one begins at the layer in which another ends."""
    following = {link.first: link for link in links}
    ends = {link.second for link in links}
    joined = []
    for link in links:
        if link.first not in ends:
            chain = [link]
            while chain[-1].second in following:
                chain.append(following[chain[-1].second])
            joined.append(chain)
    return joined


def _link(graph: Graph, uses: Uses, node: Node, activation: Activation) -> Link | Stop:
    through: list[str] = []
    if not is_scalable(activation, capped=True):
        return Stop(node.name, f"its activation has the lower bound {activation.low}")
    place = Place(graph.operand(node, 1).shape[0], len(graph.result(node).shape) - 1)
    at = node
    while True:
        tensor = at.outputs[0]
        reader = uses.sole_reader(tensor)
        if reader is None:
            return Stop(node.name, _branch(uses, tensor))
        if place.is_read_by(graph, reader) and reader.inputs[0] == tensor:
            return Link(node.name, tuple(through), reader.name, place.inner)
        moved = _passed(graph, reader, place) if reader.inputs[0] == tensor else None
        if moved is None:
            return Stop(node.name, f"{reader.op.name} {reader.name!r} cannot be scaled channel by channel")
        place = moved
        through.append(reader.name)
        at = reader


@dataclass(frozen=True)
class Place:
    """Where the channels of a layer are in a tensor behind it.

    Attributes:
        channels: how many.
        axis: that they lie on.
        inner: neighbouring elements of that axis that belong to one channel.
    """

    channels: int
    axis: int
    inner: int = 1

    def is_last(self, graph: Graph, tensor: str) -> bool:
        """Whether the last axis counts channels, and nothing inside them."""
        return self.inner == 1 and self.axis == len(graph.tensors[tensor].shape) - 1

    def is_read_by(self, graph: Graph, reader: Node) -> bool:
        """Whether `reader` is a layer that multiplies the channels by weights."""
        last = self.axis == len(graph.tensors[reader.inputs[0]].shape) - 1
        return last and isinstance(reader.op, LINEAR) and (self.inner == 1 or isinstance(reader.op, FullyConnected))


def _branch(uses: Uses, tensor: str) -> str:
    if tensor in uses.outputs:
        return "it makes a result of the network"
    readers = uses.readers.get(tensor, ())
    return f"a branch: {len(readers)} operators read it ({', '.join(repr(n.name) for n in readers)})"


def is_scalable(activation: Activation, *, capped: bool) -> bool:
    """Whether a clamp scales: at 0 or nowhere below, nowhere above or (with `capped`) at a bound that scales along."""
    unbounded = isinstance(activation.high, float | int) and activation.high == float("inf")
    return activation.low in (0.0, -float("inf")) and (capped or unbounded)


def _passed(graph: Graph, node: Node, place: Place) -> Place | None:
    """Where the channels are behind an operator that lets factors pass; None for any other."""
    op = node.op
    if isinstance(op, Transpose):
        return replace(place, axis=op.permutation.index(place.axis))
    if isinstance(op, Reshape):
        return _reshaped(graph.operand(node, 0).shape, graph.result(node).shape, place)
    if isinstance(op, LeakyRelu):
        return place
    if not (place.is_last(graph, node.inputs[0]) and _passes(graph, node)):
        return None
    return Place(place.channels, len(graph.result(node).shape) - 1)


def _reshaped(before: tuple[int, ...], after: tuple[int, ...], place: Place) -> Place | None:
    """Samples stay; what is flattened keeps its order, so that channel c becomes runs of `inner` elements."""
    if not before or not after or before[0] != after[0] or place.axis == 0:
        return None
    inner = place.inner * math.prod(before[place.axis + 1 :])
    if len(after) == 2:
        return Place(place.channels, 1, inner)
    return Place(place.channels, len(after) - 1) if inner == 1 and after[-1] % place.channels == 0 else None


def _passes(graph: Graph, node: Node) -> bool:
    op = node.op
    if isinstance(op, MaxPool2D | AveragePool2D | Clip):
        return is_scalable(op.activation, capped=False)
    if isinstance(op, Mean):
        rank = len(graph.operand(node, 0).shape)
        return all(axis % rank != rank - 1 for axis in op.axes)
    if isinstance(op, Pad):
        return (op.mode != "constant" or op.value == 0.0) and op.before[-1] == op.after[-1] == 0
    return isinstance(op, GlobalAveragePool2D | PRelu)
