"""Witnesses: inputs of a layer that drive an accumulator to the end of its proved range: one bit less overflows.

A witness is a statement about the layer alone: all its codes are codes of the input's grid (or of the range that was
proved for), but no input of the whole network need lead to them.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from accel_sim.analysis.overflow.bounds import InputRange, RangeProof, signed_bits
from accel_sim.analysis.overflow.dot_products import DotProducts
from accel_sim.analysis.overflow.taps import Taken
from accel_sim.ir import Conv2D, FullyConnected, Graph, TransposeConv2D
from accel_sim.records import dataclass

Codes = NDArray[np.generic]


@dataclass(frozen=True, eq=False)
class Witness:
    """An input that reaches an end of a layer's range.

    Attributes:
        channel: the output channel.
        value: what its accumulator holds after the last term.
        bits: the narrowest width that holds it.
        place: row and column of the output element.
        terms: int64 [K], the input of each term with the zero point subtracted; 0 for terms that are not there.
        codes: the layer's computed operands by name, in stored layout and element type.
    """

    channel: int
    value: int
    bits: int
    place: tuple[int, int]
    terms: NDArray[np.int64]
    codes: dict[str, Codes]


def witness(products: DotProducts, proof: RangeProof, channel: int | None = None) -> Witness | None:
    """An input that reaches the end of a channel's range which needs the most bits.

    Args:
        products: the layer.
        proof: of its range.
        channel: an output channel; None for one that needs the most bits of all.

    Returns:
        None where the range of every order is not that of the final sum: inputs cannot be 0.
    """
    if proof.final != proof.every_order:
        return None
    if not products.knows_weights:
        return _of_operands(products, proof)
    if channel is None:
        channel = int(np.argmax(proof.every_order.channel_bits))
    low, high = proof.every_order.low[channel], proof.every_order.high[channel]
    upper = signed_bits(high, high) >= signed_bits(low, low)
    least, most = _values(products, proof.inputs, channel)
    row = products.rows[channel]
    terms = np.where((row > 0) == upper, most, least)
    value, taken = _furthest(row * terms, products.taps.largest, products.bias[channel], upper=upper)
    terms = terms * taken
    place = products.taps.place_of(taken)
    codes = {products.x.name: _placed(products, terms, channel, place)}
    return Witness(channel, value, signed_bits(value, value), place, terms, codes)


def _values(products: DotProducts, inputs: InputRange, channel: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Smallest and largest input of each term."""
    group = channel // (len(products.rows) // products.groups)
    channels = products.input_channels
    single = len(inputs.low) == 1 or channels is None
    index = np.zeros(products.rows.shape[1], np.int64) if single or channels is None else channels[group]
    return np.array(inputs.low, np.int64)[index], np.array(inputs.high, np.int64)[index]


def _furthest(products: NDArray[np.int64], sets: tuple[Taken, ...], bias: int, *, upper: bool) -> tuple[int, Taken]:
    sums = [bias + int(products[taken].sum()) for taken in sets]
    best = int(np.argmax(sums) if upper else np.argmin(sums))
    return sums[best], sets[best]


def _of_operands(products: DotProducts, proof: RangeProof) -> Witness:
    """All of both operands at one corner."""
    inputs = proof.inputs
    other = inputs.other or (products.weights.low, products.weights.high)
    low, high = proof.every_order.low[0], proof.every_order.high[0]
    upper = signed_bits(high, high) >= signed_bits(low, low)
    pairs = [(a, b) for a in (min(inputs.low), max(inputs.high)) for b in other]
    choose = max if upper else min
    a, b = choose(pairs, key=lambda pair: pair[0] * pair[1])
    codes = {
        tensor.name: np.full(tensor.shape, value + (tensor.quant.zero_point[0] if tensor.quant else 0)).astype(
            tensor.element.dtype
        )
        for tensor, value in ((products.x, a), (products.w, b))
    }
    value = products.bias[0] + products.terms * a * b
    return Witness(0, value, signed_bits(value, value), (0, 0), np.full(products.terms, a, np.int64), codes)


def _placed(products: DotProducts, terms: NDArray[np.int64], channel: int, place: tuple[int, int]) -> Codes:
    """The layer's input that holds these terms; zero points elsewhere."""
    x, op = products.x, products.node.op
    centred = np.zeros(x.shape, np.int64)
    if isinstance(op, Conv2D | TransposeConv2D):
        _place_window(centred, products, terms, channel, place)
    elif isinstance(op, FullyConnected):
        centred.reshape(-1, terms.size)[:] = terms  # rows of K
    elif products.input_channels is not None:
        centred[:] = terms
    else:
        centred[:] = terms[:, np.newaxis]  # the reduced axis is the last but one
    return (centred + (x.quant.zero_point[0] if x.quant else 0)).astype(x.element.dtype)


def _place_window(
    centred: NDArray[np.int64], products: DotProducts, terms: NDArray[np.int64], channel: int, place: tuple[int, int]
) -> None:
    op, (_, height, width, per_group) = products.node.op, products.w.shape
    assert isinstance(op, Conv2D | TransposeConv2D)
    first = channel // (len(products.rows) // products.groups) * per_group
    before = op.padding.top, op.padding.left
    for taps in np.ndindex(height, width):
        at = [_position(op, i, place[i], taps[i], before[i]) for i in (0, 1)]
        if all(p is not None and 0 <= p < centred.shape[1 + i] for i, p in enumerate(at)):
            centred[0, at[0], at[1], first : first + per_group] = terms.reshape(height, width, per_group)[taps]


def _position(op: Conv2D | TransposeConv2D, axis: int, place: int, tap: int, before: int) -> int | None:
    """The input row or column that a tap reads; None where there is none."""
    if isinstance(op, Conv2D):
        return place * op.strides[axis] + tap * op.dilations[axis] - before
    at, rest = divmod(place + before - tap * op.dilations[axis], op.strides[axis])
    return None if rest else at


def layer_graph(graph: Graph, layer: str) -> Graph:
    """A graph of one layer alone: its computed operands are the inputs, in stored layout."""
    node = next(n for n in graph.nodes if n.name == layer)
    names = dict.fromkeys([*(n for n in node.inputs if n), *node.outputs])
    tensors = {name: replace(graph.tensors[name], file_axes=()) for name in names}
    inputs = tuple(dict.fromkeys(n for n in node.inputs if n and not graph.tensors[n].is_constant))
    return Graph(layer, (node,), tensors, inputs, node.outputs, graph.source)
