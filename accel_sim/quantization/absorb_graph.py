"""Absorption of high biases in a network (3.2, eq 23-24): between a layer with a ReLU and the only one that reads it.

1. The second layer reads the first one's result itself: nothing lies between them.
2. The first layer clamps at 0 from below.
3. The second layer does not pad: beyond the border it would have to see -c, a number per channel, which no padding of
   the hardware is. It would gain nothing either: a grid that holds -c beside [0, max - c] is as wide as [0, max].
"""

from collections.abc import Callable, Mapping

import numpy as np

from accel_sim.ir import Conv2D, FullyConnected, Graph, Padding2D
from accel_sim.quantization.absorption import absorb
from accel_sim.quantization.affine_grid import F64
from accel_sim.quantization.layers import Change, Layer, activation_of, changed, layers_of
from accel_sim.quantization.scaling_links import Link, Stop, scaling_links
from accel_sim.records import dataclass

Amounts = Callable[[Layer], F64 | None]
"""c of eq 24 for a layer with bias, [Co]; None where it cannot be known."""


@dataclass(frozen=True, eq=False)
class AbsorbedGraph:
    """A network after absorption.

    Attributes:
        graph: the network.
        amounts: by layer, c: its results are now less by it, [Co]; only layers where some c is not 0.
        stops: links that were left alone, and why.
    """

    graph: Graph
    amounts: Mapping[str, F64]
    stops: tuple[Stop, ...]


def absorb_graph(graph: Graph, amounts: Amounts) -> AbsorbedGraph:
    """Move what channels always exceed into the biases of the layers that read them.

    Args:
        graph: float, in canonical form.
        amounts: how much, layer by layer; called before anything changes.
    """
    layers = layers_of(graph)
    stops: list[Stop] = []
    moved: dict[str, F64] = {}
    changes: dict[str, Change] = {}
    for link in scaling_links(graph)[0]:
        first, second = layers[link.first], layers[link.second]
        reason = _refusal(link, first, second)
        amount = None if reason else amounts(first)
        if amount is None:
            stops.append(Stop(link.first, reason or "its batch norm's statistics are not known"))
        elif amount.any():
            moved[link.first] = amount
            _absorb(changes, first, second, amount)
    return AbsorbedGraph(changed(graph, changes), moved, tuple(stops))


def absorbable(graph: Graph) -> frozenset[str]:
    """The layers whose least results absorption from data wants to know."""
    layers = layers_of(graph)
    links = scaling_links(graph)[0]
    return frozenset(k.first for k in links if not _refusal(k, layers[k.first], layers[k.second]))


def _refusal(link: Link, first: Layer, second: Layer) -> str:
    if link.through:
        return f"{link.through[0]!r} lies between it and {link.second!r}"
    if first.activation.low != 0.0 or first.bias is None:
        return "it has no bias that a clamp at 0 follows"
    if not isinstance(second.node.op, Conv2D | FullyConnected):
        return f"{link.second!r} is a transposed convolution"
    if isinstance(second.node.op, Conv2D) and second.node.op.padding != Padding2D():
        return f"{link.second!r} pads with zeros, where it would need -c; a grid that holds -c is as wide as before"
    return ""


def _absorb(changes: dict[str, Change], first: Layer, second: Layer, amount: F64) -> None:
    """A layer may be the second of one link and the first of the next: its bias then changes twice."""
    biases = {k.name: _bias(changes, k) for k in (first, second)}
    low, high = first.bounds
    made = absorb(biases[first.name], second.weight, biases[second.name], amount, groups=second.groups, cap=high)
    high_bound = made.cap if isinstance(made.cap, float) else np.asarray(made.cap)
    changes[first.name] = Change(bias=made.first_bias, activation=activation_of(low, high_bound))
    before = changes.get(second.name, Change())
    changes[second.name] = Change(bias=made.second_bias, activation=before.activation)


def _bias(changes: Mapping[str, Change], layer: Layer) -> F64:
    change = changes.get(layer.name)
    if change is not None and change.bias is not None:
        return change.bias
    return np.zeros(layer.weight.shape[0]) if layer.bias is None else layer.bias
