"""Where a graph can be rescaled channel by channel (eq 20-21), and where it cannot, with the reason.

A *link* leads from a linear layer to the only layer that reads its channels, through operators f with f(s x) = s f(x)
for every channel: clamps at 0 and at a cap (which scales along), PReLU, leaky ReLU, pooling, padding with 0, and
reshapes that keep the channels last. A link ends, and says so, at a branch, at a result of the network, and at any
other operator.
"""

from dataclasses import dataclass

from accel_sim.ir import (
    Activation,
    AveragePool2D,
    Clip,
    GlobalAveragePool2D,
    Graph,
    LeakyRelu,
    MaxPool2D,
    Mean,
    Node,
    Pad,
    PRelu,
    Reshape,
)
from accel_sim.quantization.layers import LINEAR
from accel_sim.transforms.rewriting import Uses


@dataclass(frozen=True)
class Link:
    """Two layers whose common channels can be rescaled: names of their nodes, and of those between."""

    first: str
    through: tuple[str, ...]
    second: str


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
    channels = graph.operand(node, 1).shape[0]
    through: list[str] = []
    if not is_scalable(activation, capped=True):
        return Stop(node.name, f"its activation has the lower bound {activation.low}")
    at = node
    while True:
        tensor = at.outputs[0]
        reader = uses.sole_reader(tensor)
        if reader is None:
            return Stop(node.name, _branch(uses, tensor))
        if isinstance(reader.op, LINEAR) and reader.inputs[0] == tensor:
            return Link(node.name, tuple(through), reader.name)
        if reader.inputs[0] != tensor or not _passes(graph, reader, channels):
            return Stop(node.name, f"{reader.op.name} {reader.name!r} cannot be scaled channel by channel")
        through.append(reader.name)
        at = reader


def _branch(uses: Uses, tensor: str) -> str:
    if tensor in uses.outputs:
        return "it makes a result of the network"
    readers = uses.readers.get(tensor, ())
    return f"a branch: {len(readers)} operators read it ({', '.join(repr(n.name) for n in readers)})"


def is_scalable(activation: Activation, *, capped: bool) -> bool:
    """Whether a clamp scales: at 0 or nowhere below, nowhere above or (with `capped`) at a bound that scales along."""
    unbounded = isinstance(activation.high, float | int) and activation.high == float("inf")
    return activation.low in (0.0, -float("inf")) and (capped or unbounded)


def _passes(graph: Graph, node: Node, channels: int) -> bool:
    op = node.op
    if isinstance(op, MaxPool2D | AveragePool2D | Clip):
        return is_scalable(op.activation, capped=False)
    if isinstance(op, Mean):
        rank = len(graph.operand(node, 0).shape)
        return all(axis % rank != rank - 1 for axis in op.axes)
    if isinstance(op, Pad):
        return (op.mode != "constant" or op.value == 0.0) and op.before[-1] == op.after[-1] == 0
    if isinstance(op, Reshape):
        x, y = graph.operand(node, 0), graph.result(node)
        whole_samples = bool(x.shape and y.shape) and x.shape[0] == y.shape[0]
        return whole_samples and x.shape[-1] == channels and y.shape[-1] % channels == 0
    return isinstance(op, GlobalAveragePool2D | LeakyRelu | PRelu)
