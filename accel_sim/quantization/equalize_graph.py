"""Cross-layer equalization of a network (3.2): every chain of layers that `scaling_links` finds is equalized.

The network computes the same function, to float accuracy. A ReLU6 becomes a cap of 6 / s per channel, or, where that
is asked for, a ReLU first.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from accel_sim.ir import Graph
from accel_sim.quantization.affine_grid import F64
from accel_sim.quantization.equalization import ChainLayer, equalize
from accel_sim.quantization.layers import Change, Layer, activation_of, changed, layers_of
from accel_sim.quantization.recipe import Cap
from accel_sim.quantization.scaling_links import Link, Stop, chains, scaling_links
from accel_sim.records import dataclass


@dataclass(frozen=True, eq=False)
class EqualizedGraph:
    """A network after equalization.

    Attributes:
        graph: the network.
        links: the pairs of layers that were equalized.
        stops: the layers whose channels stay as they were, and why.
        factors: by layer, s: its channels are now 1 / s of what they were; [Co].
        dead: by layer, how many channels were left alone because they have next to no weights.
        uncapped: layers that lost an upper bound.
        sweeps: the most passes over a chain until no factor moved.
    """

    graph: Graph
    links: tuple[Link, ...]
    stops: tuple[Stop, ...]
    factors: Mapping[str, F64]
    dead: Mapping[str, int]
    uncapped: tuple[str, ...]
    sweeps: int


def equalize_graph(graph: Graph, relu6: Cap = Cap.KEEP) -> EqualizedGraph:
    """Equalize all chains of a float graph in canonical form.

    Args:
        graph: batch norms folded, activations fused.
        relu6: what becomes of upper bounds between equalized layers.
    """
    links, stops = scaling_links(graph)
    layers = layers_of(graph)
    uncapped = [link.first for link in links if relu6 is Cap.REMOVE and _is_capped(layers[link.first])]
    layers |= {name: _without_cap(layers[name]) for name in uncapped}
    changes: dict[str, Change] = {}
    factors: dict[str, F64] = {}
    dead: dict[str, int] = {}
    sweeps = 0
    for chain in chains(links):
        names = [chain[0].first, *(link.second for link in chain)]
        inner = [1, *(link.inner for link in chain)]
        result = equalize([_chain_layer(layers[n], k) for n, k in zip(names, inner, strict=True)])
        sweeps = max(sweeps, result.sweeps)
        changes |= {n: _change(made, k) for n, made, k in zip(names, result.layers, inner, strict=True)}
        for name, s, spared in zip(names, result.factors, result.dead, strict=False):  # the last layer has none
            factors[name] = s
            dead |= {name: int(np.count_nonzero(spared))} if spared.any() else {}
    return EqualizedGraph(changed(graph, changes), tuple(links), tuple(stops), factors, dead, tuple(uncapped), sweeps)


def _is_capped(layer: Layer) -> bool:
    return layer.activation.high != math.inf


def _without_cap(layer: Layer) -> Layer:
    op = replace(layer.node.op, activation=replace(layer.activation, high=math.inf))  # type: ignore[call-arg]
    return replace(layer, node=replace(layer.node, op=op))


def _chain_layer(layer: Layer, inner: int) -> ChainLayer:
    low, high = layer.bounds
    return ChainLayer(layer.name, _turned(layer.weight, inner), layer.bias, layer.groups, low, high)


def _change(layer: ChainLayer, inner: int) -> Change:
    assert isinstance(layer.low, float)  # links have lower bounds of 0 or none, which do not scale
    weight = _turned(layer.weight, layer.weight.shape[-1] // inner)
    return Change(weight, layer.bias, activation_of(layer.low, layer.high))


def _turned(weight: F64, inner: int) -> F64:
    """Columns [channels, inner] of a flattened map as [inner, channels], channels last, or back."""
    if inner == 1 or weight.ndim != 2:
        return weight
    return weight.reshape(weight.shape[0], -1, inner).swapaxes(1, 2).reshape(weight.shape)
