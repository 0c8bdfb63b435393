"""Interval arithmetic on codes: what each tensor of an integer graph can hold, for every input of the network.

An interval is a pair of codes for each index of a tensor's last axis. No formula is approximated: each operator is
evaluated by its golden specification.

| operators | the interval of the result |
| --- | --- |
| of one operand by table | extremes of the table over the operand's interval: exact |
| of two operands, 8-bit codes | extremes of the recipe over all pairs: exact for independent operands |
| that move, pool or interpolate | the operator at both ends of the interval: each is monotonic in every operand |
| convolutions and products | exact range of the accumulators, each end requantized: monotonic where no register wraps |
| all others, 16-bit pairs, requantizers that could wrap | the range of the type |

Operands are taken as independent, so intervals are wider than what occurs, never narrower. They hold for machines whose
accumulators do not overflow in the layers before.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_sim.analysis.overflow.bounds import InputKind, prove
from accel_sim.analysis.overflow.dot_products import dot_products_of
from accel_sim.analysis.overflow.intervals import Ends, Interval, Intervals, image, image_of_pairs, input_range
from accel_sim.arithmetic import (
    TABLE_OPERATORS,
    AccumulatorKind,
    derive_elementwise,
    derive_float_dot_products,
    derive_float_transpose_convolution,
    derive_requantization,
    derive_shift,
    derive_table,
    is_wide_accumulator,
    needs_equal_grids,
)
from accel_sim.ir import (
    NO_ACTIVATION,
    Activation,
    Add,
    ArgMax,
    AveragePool2D,
    Concat,
    Conv2D,
    FullyConnected,
    GlobalAveragePool2D,
    Graph,
    MatMul,
    Maximum,
    MaxPool2D,
    Mean,
    Minimum,
    Multiply,
    Node,
    Operator,
    Pad,
    PRelu,
    QuantParams,
    Requantize,
    RequantShift,
    ResizeBilinear,
    Subtract,
    Tensor,
    TransposeConv2D,
)
from accel_sim.numerics import BinaryKind, Profile
from accel_sim.numerics.integers import unbounded
from accel_sim.reference import integer_elementwise, integer_pooling
from accel_sim.reference.integer_context import Site
from accel_sim.reference.movement import MOVEMENTS, move

_NO_WRAP = 1 << 30  # scaled accumulators below this leave no 32-bit register
_LARGEST_MEAN_GAIN = 1 << 8
_KINDS: dict[type[Operator], BinaryKind] = {
    Add: BinaryKind.ADD,
    Subtract: BinaryKind.SUBTRACT,
    Multiply: BinaryKind.MULTIPLY,
    Minimum: BinaryKind.MINIMUM,
    Maximum: BinaryKind.MAXIMUM,
}
_MONOTONIC: dict[type[Operator], Callable[[Site, Any], NDArray[Any]]] = {
    MaxPool2D: integer_pooling.max_pool_2d,
    AveragePool2D: integer_pooling.average_pool_2d,
    GlobalAveragePool2D: integer_pooling.global_average_pool_2d,
    Mean: integer_pooling.mean,
    Concat: integer_elementwise.concat,
    Pad: integer_elementwise.pad,
    ResizeBilinear: integer_elementwise.resize_bilinear,
}


def propagate(graph: Graph, profile: Profile, inputs: Intervals | None = None) -> dict[str, Interval]:
    """The interval of every input and computed tensor of an integer graph.

    Args:
        graph: no float activations.
        profile: the arithmetic.
        inputs: of the network's inputs; those not given hold every code of their grid.
    """
    known = {name: Interval.of_type(graph.tensors[name]) for name in graph.inputs} | dict(inputs or {})
    for node in graph.nodes:
        result = graph.result(node)
        interval = _transfer(graph, node, profile, known)
        known[result.name] = interval if interval is not None else Interval.of_type(result)
    return known


def _transfer(graph: Graph, node: Node, profile: Profile, known: Intervals) -> Interval | None:
    """The interval of a node's result; None where nothing is known but its type."""
    op = node.op
    if isinstance(op, Conv2D | FullyConnected | TransposeConv2D | MatMul):
        return _accumulated(graph, node, profile, known)
    if type(op) in _KINDS:
        return _binary(graph, node, profile, known)
    if isinstance(op, RequantShift):
        return _shifted(graph, node, op, known)
    if type(op) in MOVEMENTS and not isinstance(op, ArgMax):
        return _at_both_ends(graph, node, profile, known, _moved)
    if type(op) in _MONOTONIC and not _may_wrap(graph, node):
        return _at_both_ends(graph, node, profile, known, lambda site: _MONOTONIC[type(op)](site, op))
    if type(op) in TABLE_OPERATORS and not isinstance(op, PRelu):
        return _by_table(graph, node, profile, known)
    return None


def _moved(site: Site) -> NDArray[Any]:
    return move(site.graph, site.node, site.codes(0) if site.result.quant is None else site.on_result_grid(0))


def _may_wrap(graph: Graph, node: Node) -> bool:
    """Whether a mean's scaled sum could leave a 32-bit register."""
    if not isinstance(node.op, Mean | GlobalAveragePool2D):
        return False
    x, y = graph.operand(node, 0).quant, graph.result(node).quant
    return x is None or y is None or x.bits > 16 or x.scale[0] / y.scale[0] > _LARGEST_MEAN_GAIN


def _at_both_ends(
    graph: Graph, node: Node, profile: Profile, known: Intervals, evaluate: Callable[[Site], NDArray[Any]]
) -> Interval | None:
    """The operator at the low and at the high end of its operands."""
    tensors = [t for t in graph.inputs_of(node) if t is not None]
    if graph.result(node).quant is None and any(t.quant is not None and t.quant.bits > 16 for t in tensors):
        return None
    ends = []
    for end in ("low", "high"):
        values = {t.name: _spread(getattr(known[t.name], end), t) for t in tensors if not t.is_constant}
        ends.append(np.asarray(evaluate(Site(graph, node, profile, values))))
    return Interval.of_codes(*ends)


def _spread(ends: Ends, tensor: Tensor) -> NDArray[np.int64]:
    return np.broadcast_to(ends if tensor.shape else ends[0], tensor.shape)


def _by_table(graph: Graph, node: Node, profile: Profile, known: Intervals) -> Interval | None:
    x, y = graph.operand(node, 0).quant, graph.result(node).quant
    if x is None or y is None or x.bits > 16:
        return None
    return image(derive_table(profile, node.op, x, y), x, known[node.inputs[0]])


def _operand(graph: Graph, node: Node, index: int, known: Intervals) -> Interval:
    tensor = graph.operand(node, index)
    return Interval.of_codes(tensor.constant, tensor.constant) if tensor.is_constant else known[tensor.name]


def _binary(graph: Graph, node: Node, profile: Profile, known: Intervals) -> Interval | None:
    tensors = [graph.operand(node, i) for i in (0, 1)]
    grids, y = [t.quant for t in tensors], graph.result(node).quant
    a, b = grids
    if a is None or b is None or y is None or max(a.bits, b.bits) > 8:
        return None
    sides = [_operand(graph, node, i, known) for i in (0, 1)]
    if needs_equal_grids(profile, node.op):
        sides = [_on_grid(profile, side, q, y) for side, q in zip(sides, (a, b), strict=True)]
        a = b = y
        if y.bits > 8:
            return None
    activation = node.op.activation if isinstance(node.op, Add | Subtract | Multiply) else NO_ACTIVATION
    recipe = derive_elementwise(profile, _KINDS[type(node.op)], a, b, y, activation)
    codes_a, codes_b = (np.arange(q.low, q.high + 1, dtype=np.int64) for q in (a, b))
    table = np.asarray(recipe.apply(codes_a[:, np.newaxis], codes_b[np.newaxis]))
    channels = graph.result(node).shape[-1] if graph.result(node).shape else 1
    ends = [np.broadcast_to(e, channels) for side in sides for e in (side.low, side.high)]
    return image_of_pairs(table, a, b, np.stack(ends))


def _on_grid(profile: Profile, interval: Interval, x: QuantParams, y: QuantParams) -> Interval:
    if x.same_grid(y) and (x.bits, x.signed) == (y.bits, y.signed):
        return interval
    return image(derive_table(profile, Requantize(), x, y), x, interval)


def _shifted(graph: Graph, node: Node, op: RequantShift, known: Intervals) -> Interval:
    """(x * multiplier + addend) >> shift, clamped: monotonic either way, by the multiplier's sign."""
    recipe, x = derive_shift(op, graph.result(node)), known[node.inputs[0]]
    ends = [np.asarray(recipe.apply(unbounded(e)[np.newaxis])) for e in (x.low, x.high)]
    return Interval.of_codes(np.minimum(*ends), np.maximum(*ends))


def _accumulated(graph: Graph, node: Node, profile: Profile, known: Intervals) -> Interval | None:
    """Convolutions and products: the accumulators' range, requantized."""
    products = dot_products_of(graph, node)
    if computed_in_float(graph, node, profile):
        return None
    x, w, result = products.x.quant, products.w.quant, graph.result(node)
    bias = graph.optional(node, 2) if not isinstance(node.op, MatMul) else None
    wide = x is not None and is_wide_accumulator(x, bias.element if bias else None)
    proof = prove(products, input_range(products, InputKind.INTERVAL, known))
    low, high = (np.array(end, object) for end in (proof.every_order.low, proof.every_order.high))
    limit = 1 << (63 if wide else 31)
    if min(low) < -limit or max(high) >= limit:
        return None
    channels = result.shape[-1] if result.shape else 1
    if isinstance(node.op, MatMul) or len(low) != channels:
        low, high = (np.full(channels, extreme, object) for extreme in (min(low), max(high)))
    if result.quant is None:
        return Interval(low.astype(np.int64), high.astype(np.int64))
    if x is None or w is None:
        return None
    return _requantized(node, profile, (x, w, result.quant), (low, high), wide=wide)


def computed_in_float(graph: Graph, node: Node, profile: Profile) -> bool:
    """Whether a profile adds the products of a convolution or matrix product in float32: no integer accumulates."""
    op = node.op
    if not isinstance(op, TransposeConv2D):
        return derive_float_dot_products(profile, graph, node) is not None
    x, w, y = graph.operand(node, 0).quant, graph.operand(node, 1).quant, graph.result(node).quant
    if x is None or w is None or y is None:
        return False
    bias = graph.optional(node, 2)
    return derive_float_transpose_convolution(profile, op, x, w, bias.quant if bias else None, y) is not None


def _requantized(
    node: Node,
    profile: Profile,
    grids: tuple[QuantParams, QuantParams, QuantParams],
    ends: tuple[NDArray[np.object_], NDArray[np.object_]],
    *,
    wide: bool,
) -> Interval | None:
    x, w, y = grids
    largest = max(abs(min(ends[0])), abs(max(ends[1])))
    gain = x.scale[0] * max(w.scale) / y.scale[0]
    if largest * max(gain, 2.0**-31) >= _NO_WRAP:
        return None
    kind = AccumulatorKind.MATMUL if isinstance(node.op, MatMul) else AccumulatorKind.CONVOLUTION
    if isinstance(node.op, FullyConnected):
        kind = AccumulatorKind.FULLY_CONNECTED
    activation = Activation() if isinstance(node.op, MatMul) else node.op.activation  # type: ignore[attr-defined]
    recipe = derive_requantization(profile, kind, x, w, y, activation, wide_accumulator=wide)
    if isinstance(node.op, MatMul) and len(w.scale) > 1:  # its hull may meet any channel's multiplier
        codes = [np.asarray(recipe.apply(np.full((1, len(w.scale)), e[0], object))) for e in ends]
        low, high = (np.full(len(ends[0]), f(c), np.int64) for f, c in zip((np.min, np.max), codes, strict=True))
        return Interval(low, high)
    return Interval.of_codes(*(np.asarray(recipe.apply(e[np.newaxis])).astype(np.int64) for e in ends))
