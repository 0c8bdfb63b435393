"""Element-wise operators, activation functions, softmax and argmax as QDQ ONNX."""

import math
from typing import Any

from accel_sim.frontend.export.values import InexpressibleError, Values
from accel_sim.ir import (
    Add,
    ArgMax,
    Clip,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Logistic,
    Maximum,
    Minimum,
    Multiply,
    Node,
    Operator,
    PRelu,
    Requantize,
    Softmax,
    Subtract,
    Tanh,
)
from accel_sim.ir.operators import NO_ACTIVATION

_BINARY = {Add: "Add", Subtract: "Sub", Multiply: "Mul", Minimum: "Min", Maximum: "Max", PRelu: "PRelu"}


def emit_binary(values: Values, node: Node, op: Operator) -> None:
    """Add, Sub, Mul, Min, Max, PRelu: operands broadcast in the result's order."""
    y = values.graph.result(node)
    rank, order = len(y.shape), values.order(y)
    operands = [values.read_broadcast(values.graph.operand(node, i), rank, order) for i in (0, 1)]
    result = values.operator(node, _BINARY[type(op)], operands)
    values.write(y, result, order, getattr(op, "activation", NO_ACTIVATION))


def emit_clip(values: Values, node: Node, op: Clip) -> None:
    """Relu or Clip; with a cap per channel the operand is requantized and clamped as codes."""
    act = op.activation
    if isinstance(act.high, tuple):
        _emit_requantized(values, node, op)
    elif (act.low, act.high) == (0.0, math.inf):
        _emit_unary(values, node, "Relu")
    else:
        low = values.scalar(act.low, "low") if math.isfinite(act.low) else ""
        high = [values.scalar(act.high, "high")] if math.isfinite(act.high) else []
        _emit_unary(values, node, "Clip", [low, *high] if low or high else [])


def emit_requantize(values: Values, node: Node, op: Requantize) -> None:
    """DequantizeLinear of the operand into QuantizeLinear of the result, with a Concat of one operand between."""
    _emit_requantized(values, node, op)


def _emit_requantized(values: Values, node: Node, op: Requantize | Clip) -> None:
    """Two pairs of QuantizeLinear and DequantizeLinear in a row ONNX Runtime makes one of, on a grid of its own."""
    x, y = values.graph.operand(node, 0), values.graph.result(node)
    between = values.operator(node, "Concat", [values.read(x)], axis=0) if x.shape else values.read(x)
    values.write(y, between, values.order(x), getattr(op, "activation", NO_ACTIVATION))


def emit_leaky_relu(values: Values, node: Node, op: LeakyRelu) -> None:
    """LeakyRelu."""
    _emit_unary(values, node, "LeakyRelu", alpha=op.alpha)


def emit_hard_sigmoid(values: Values, node: Node, op: HardSigmoid) -> None:
    """HardSigmoid."""
    _emit_unary(values, node, "HardSigmoid", alpha=op.alpha, beta=op.beta)


def emit_hard_swish(values: Values, node: Node, op: HardSwish) -> None:
    """HardSwish (opset 14)."""
    _emit_unary(values, node, "HardSwish")


def emit_logistic(values: Values, node: Node, op: Logistic) -> None:
    """Sigmoid."""
    _emit_unary(values, node, "Sigmoid")


def emit_tanh(values: Values, node: Node, op: Tanh) -> None:
    """Tanh."""
    _emit_unary(values, node, "Tanh")


def emit_softmax(values: Values, node: Node, op: Softmax) -> None:
    """Softmax; ONNX has no beta."""
    if op.beta != 1.0:
        raise InexpressibleError(node, f"beta {op.beta}", "ONNX's Softmax has beta 1")
    x = values.graph.operand(node, 0)
    _emit_unary(values, node, "Softmax", axis=values.order(x)[op.axis % len(x.shape)])


def _emit_unary(values: Values, node: Node, operator: str, more: list[str] | None = None, **attributes: Any) -> None:
    """An operator that works in any axis order: it keeps its operand's."""
    x, y = values.graph.operand(node, 0), values.graph.result(node)
    operands = [values.read(x), *(more or [])]
    result = values.operator(node, operator, operands, **attributes)
    values.write(y, result, values.order(x))


def emit_arg_max(values: Values, node: Node, op: ArgMax) -> None:
    """ArgMax or ArgMin; the indices are int64, as ONNX has them."""
    x, y = values.graph.operand(node, 0), values.graph.result(node)
    axis = op.axis % len(x.shape)
    order = values.order(x)
    if not op.keep_dims and len(x.shape) > 1:
        kept = [order[a] for a in range(len(x.shape)) if a != axis]
        if kept != sorted(kept):
            order = tuple(range(len(x.shape)))
    attributes: dict[str, Any] = {
        "axis": order[axis],
        "keepdims": int(op.keep_dims),
        "select_last_index": int(op.select_last),
    }
    operator = "ArgMin" if op.minimum else "ArgMax"
    result = values.operator(node, operator, [values.read(x, order)], **attributes)
    values.write(y, result, order if op.keep_dims else tuple(range(len(y.shape))))
