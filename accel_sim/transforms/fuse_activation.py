"""Activation fusing (2.3.2): a clamp after an arithmetic operator is done by its requantizer.

1. A Clip that alone reads the result of a convolution, a fully connected layer, an addition, subtraction,
   multiplication or concatenation becomes that operator's `activation`.
2. A Clip that alone reads another Clip becomes one Clip.
3. A minimum with a constant is a clamp: with one number for all, or, behind a layer with weights, one per channel.
4. Two clamps in a row are one: [low2, high2] after [low1, high1] is [clamp2(low1), clamp2(high1)].

Only float tensors are touched: on integer grids the tensor between the two operators is rounded, and fusing would skip
that rounding. Pooling is not fused: its result lies on its input's grid (2.3.3), and a Clip of its own lets the clamped
tensor have a finer one.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from accel_sim.ir import (
    Activation,
    Add,
    Clip,
    Concat,
    Conv2D,
    FullyConnected,
    Graph,
    Minimum,
    Multiply,
    Node,
    Operator,
    Subtract,
    TransposeConv2D,
)
from accel_sim.transforms.rewriting import Uses, replaced

_LINEAR = (Conv2D, TransposeConv2D, FullyConnected)
_FUSING = (*_LINEAR, Add, Subtract, Multiply, Concat)
_FLOAT32_MAX = 3.4028234663852886e38


def fuse_activation(graph: Graph) -> Graph:
    """The same float function with every clamp in the operator that feeds it, where the rules allow."""
    for name in [n.name for n in graph.nodes if isinstance(n.op, Clip | Minimum)]:
        graph = _fuse(graph, name)
    return graph


def _fuse(graph: Graph, name: str) -> Graph:
    node = next(n for n in graph.nodes if n.name == name)
    uses = Uses.of(graph)
    maker = uses.producer.get(node.inputs[0])
    clamp = _clamp_of(graph, node)
    if clamp is None or maker is None or uses.sole_reader(node.inputs[0]) is None:
        return graph
    if not graph.operand(node, 0).element.is_float:
        return graph
    op = _clamped(maker.op, clamp)
    if op is None:
        return graph
    fused = Node(maker.name, op, maker.inputs, node.outputs)
    return replaced(graph, {maker.name: (fused,), node.name: ()})


def _clamp_of(graph: Graph, node: Node) -> Activation | None:
    """What a node clamps its first operand to; None if it does anything else."""
    if isinstance(node.op, Clip):
        return node.op.activation
    bound = graph.operand(node, 1)
    if not isinstance(node.op, Minimum) or not bound.is_constant or not bound.element.is_float:
        return None
    channels = graph.result(node).shape[-1]
    if graph.operand(node, 0).shape != graph.result(node).shape or bound.size not in (1, channels):
        return None
    if bound.size > 1 and bound.shape[-1] != channels:
        return None
    if np.isnan(bound.constant).any():
        return None
    highs = tuple(_bound(float(v)) for v in bound.constant.reshape(-1))
    return Activation(high=highs[0] if len(set(highs)) == 1 else highs)


def _clamped(op: Operator, then: Activation) -> Operator | None:
    """The operator with a clamp behind it, or None where it cannot clamp."""
    if isinstance(op, Clip):  # rule 2
        both = compose(op.activation, then)
        return Clip(both) if both else None
    if isinstance(op, _FUSING if isinstance(then.high, float) else _LINEAR):  # rules 1 and 3
        both = compose(op.activation, then)
        return replace(op, activation=both) if both else None
    return None


def compose(first: Activation, then: Activation) -> Activation | None:
    """Rule 4: the clamp that equals `first` and `then` one after the other.

    None where the channels would need different lower bounds (a cap of `then` below the lower bound of `first`).
    """
    highs = [_channels(a.high) for a in (first, then)]
    count = max(map(len, highs))
    first_high, then_high = (h * count if len(h) == 1 else h for h in highs)
    lows = {_clamp(first.low, then.low, h) for h in then_high}
    if len(lows) > 1:
        return None
    high = tuple(_bound(_clamp(h1, then.low, h2)) for h1, h2 in zip(first_high, then_high, strict=True))
    return Activation(_bound(lows.pop()), high[0] if count == 1 else high)


def _channels(high: float | Sequence[float]) -> tuple[float, ...]:
    return (high,) if isinstance(high, float | int) else tuple(high)


def _clamp(x: float, low: float, high: float) -> float:
    return min(max(x, low), high)


def _bound(value: float) -> float:
    """A bound that no float32 exceeds is no bound (exporters write the largest float32 for "none")."""
    return math.copysign(math.inf, value) if abs(value) >= _FLOAT32_MAX else float(value)
