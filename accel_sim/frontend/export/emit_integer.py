"""Operators as QOperator ONNX: QLinearConv and its like, and what moves codes.

Each falls back to its QDQ form, real values between quantizers, where the runtime has no such integer operator: codes
of more than 8 bits, operands and results of different types, uint8 weights on int8 activations.
"""

from typing import Any

import numpy as np

from accel_sim.frontend.export import emit_elementwise, emit_linear, emit_movement, emit_window
from accel_sim.frontend.export.code_values import CodeValues
from accel_sim.frontend.export.emit_linear import bias_codes, matrix_order, window_attributes
from accel_sim.frontend.export.layout import NCHW, OIHW, Order, stored_order
from accel_sim.frontend.export.values import code_of, container
from accel_sim.ir import (
    NO_ACTIVATION,
    Activation,
    Add,
    AveragePool2D,
    Concat,
    Conv2D,
    FullyConnected,
    GlobalAveragePool2D,
    LeakyRelu,
    Logistic,
    MatMul,
    MaxPool2D,
    Multiply,
    Node,
    Pad,
    Reshape,
    Slice,
    Softmax,
    Tensor,
    Transpose,
)

_DOMAIN = "com.microsoft"


def emit_convolution(values: CodeValues, node: Node, op: Conv2D) -> None:
    """QLinearConv."""
    if not _multiplies(values, node):
        emit_linear.emit_convolution(values, node, op)
        return
    x, w, y = _operand(values, node, 0), _operand(values, node, 1), values.graph.result(node)
    operands = [values.read_codes(x, NCHW), *values.grid(x), values.read_codes(w, OIHW), *values.grid(w)]
    operands += [*values.grid(y), *_bias(values, node)]
    values.integer(node, "QLinearConv", operands, NCHW, op.activation, **window_attributes(op, w))


def emit_fully_connected(values: CodeValues, node: Node, op: FullyConnected) -> None:
    """QGemm of rows of K."""
    if not _multiplies(values, node):
        emit_linear.emit_fully_connected(values, node, op)
        return
    x, w, y = _operand(values, node, 0), _operand(values, node, 1), values.graph.result(node)
    length = w.shape[1]
    flat = len(x.shape) == 2 and x.shape[1] == length
    rows = values.read_codes(x, stored_order(2)) if flat else _rows(values, x, length)
    weights = [values.read_codes(w, stored_order(2)), *values.grid(w)]
    operands = [rows, *values.grid(x), *weights, *(_bias(values, node) or [""]), *values.grid(y)]
    order = stored_order(len(y.shape))
    reshape = len(y.shape) != 2
    values.integer(node, f"{_DOMAIN}.QGemm", operands, order, op.activation, reshape=reshape, transB=1)


def _rows(values: CodeValues, x: Tensor, length: int) -> str:
    return values.codes_reshaped(x, (x.size // max(1, length), length))


def emit_matmul(values: CodeValues, node: Node, op: MatMul) -> None:
    """QLinearMatMul."""
    if not _multiplies(values, node):
        emit_linear.emit_matmul(values, node, op)
        return
    a, b, y = _operand(values, node, 0), _operand(values, node, 1), values.graph.result(node)
    orders = (
        matrix_order(len(a.shape), transposed=op.transpose_a),
        matrix_order(len(b.shape), transposed=op.transpose_b),
    )
    operands = [values.read_codes(a, orders[0]), *values.grid(a), values.read_codes(b, orders[1]), *values.grid(b)]
    values.integer(node, "QLinearMatMul", [*operands, *values.grid(y)], stored_order(len(y.shape)))


def emit_binary(values: CodeValues, node: Node, op: Add | Multiply) -> None:
    """QLinearAdd, QLinearMul."""
    if not _same_type(values, node):
        emit_elementwise.emit_binary(values, node, op)
        return
    y = values.graph.result(node)
    rank, order = len(y.shape), values.order(y)
    operands: list[str] = []
    for index in (0, 1):
        operand = _operand(values, node, index)
        operands += [values.codes_broadcast(operand, rank, order), *values.grid(operand)]
    operator = "QLinearAdd" if isinstance(op, Add) else "QLinearMul"
    values.integer(node, f"{_DOMAIN}.{operator}", [*operands, *values.grid(y)], order, op.activation)


def emit_concat(values: CodeValues, node: Node, op: Concat) -> None:
    """QLinearConcat."""
    if not _same_type(values, node):
        emit_movement.emit_concat(values, node, op)
        return
    y = values.graph.result(node)
    order = values.order(y)
    operands = [*values.grid(y)]
    for index in range(len(node.inputs)):
        operand = _operand(values, node, index)
        operands += [values.read_codes(operand, order), *values.grid(operand)]
    axis = order[op.axis % len(y.shape)]
    values.integer(node, f"{_DOMAIN}.QLinearConcat", operands, order, op.activation, axis=axis)


def emit_average_pool(values: CodeValues, node: Node, op: AveragePool2D) -> None:
    """QLinearAveragePool."""
    if not _same_type(values, node):
        emit_window.emit_average_pool(values, node, op)
        return
    attributes = emit_window.pool_attributes(op) | {"count_include_pad": int(op.count_include_pad), "channels_last": 0}
    _unary(values, node, "QLinearAveragePool", NCHW, op.activation, **attributes)


def emit_global_average_pool(values: CodeValues, node: Node, op: GlobalAveragePool2D) -> None:
    """QLinearGlobalAveragePool."""
    if _same_type(values, node):
        _unary(values, node, "QLinearGlobalAveragePool", NCHW, channels_last=0)
    else:
        emit_window.emit_global_average_pool(values, node, op)


def emit_logistic(values: CodeValues, node: Node, op: Logistic) -> None:
    """QLinearSigmoid."""
    if _same_type(values, node):
        _unary(values, node, "QLinearSigmoid")
    else:
        emit_elementwise.emit_logistic(values, node, op)


def emit_leaky_relu(values: CodeValues, node: Node, op: LeakyRelu) -> None:
    """QLinearLeakyRelu."""
    if _same_type(values, node):
        _unary(values, node, "QLinearLeakyRelu", alpha=op.alpha)
    else:
        emit_elementwise.emit_leaky_relu(values, node, op)


def emit_softmax(values: CodeValues, node: Node, op: Softmax) -> None:
    """QLinearSoftmax."""
    if not _same_type(values, node) or op.beta != 1.0:
        emit_elementwise.emit_softmax(values, node, op)
        return
    x = _operand(values, node, 0)
    axis = values.order(x)[op.axis % len(x.shape)]
    _unary(values, node, "QLinearSoftmax", axis=axis, opset=values.builder.opset)


def _unary(
    values: CodeValues,
    node: Node,
    operator: str,
    order: Order | None = None,
    activation: Activation = NO_ACTIVATION,
    **attributes: Any,
) -> None:
    x, y = _operand(values, node, 0), values.graph.result(node)
    wanted = order or values.order(x)
    operands = [values.read_codes(x, wanted), *values.grid(x), *values.grid(y)]
    values.integer(node, f"{_DOMAIN}.{operator}", operands, wanted, activation, **attributes)


def emit_max_pool(values: CodeValues, node: Node, op: MaxPool2D) -> None:
    """MaxPool of codes."""
    if not _moves(values, node):
        emit_window.emit_max_pool(values, node, op)
        return
    attributes = emit_window.pool_attributes(op) | {"dilations": list(op.dilations)}
    source = values.read_codes(_operand(values, node, 0), NCHW)
    values.integer(node, "MaxPool", [source], NCHW, op.activation, **attributes)


def emit_reshape(values: CodeValues, node: Node, op: Reshape) -> None:
    """Reshape of codes."""
    if not _moves(values, node):
        emit_movement.emit_reshape(values, node, op)
        return
    y = values.graph.result(node)
    operands = [values.codes_row_major(_operand(values, node, 0)), values.shape(y.shape)]
    values.integer(node, "Reshape", operands, stored_order(len(y.shape)))


def emit_transpose(values: CodeValues, node: Node, op: Transpose) -> None:
    """Transpose of codes; the operand itself where it cancels with the file's order."""
    x, y = _operand(values, node, 0), values.graph.result(node)
    perm = emit_movement.file_permutation(values, node, op)
    if not _moves(values, node) or perm == sorted(perm):
        emit_movement.emit_transpose(values, node, op)
        return
    values.integer(node, "Transpose", [values.read_codes(x, values.order(x))], values.order(y), perm=perm)


def emit_slice(values: CodeValues, node: Node, op: Slice) -> None:
    """Slice of codes."""
    if not _moves(values, node):
        emit_movement.emit_slice(values, node, op)
        return
    x = _operand(values, node, 0)
    order = values.order(x)
    operands = [values.read_codes(x, order), *emit_movement.slice_operands(values, node, op)]
    values.integer(node, "Slice", operands, order)


def emit_pad(values: CodeValues, node: Node, op: Pad) -> None:
    """Pad of codes with the code of the fill value."""
    x = _operand(values, node, 0)
    if not _moves(values, node) or op.mode not in emit_movement.MODES:
        emit_movement.emit_pad(values, node, op)
        return
    grid, order = x.quant, values.order(x)
    assert grid is not None
    operands = [values.read_codes(x, order), emit_movement.pad_amounts(values, node, op)]
    if op.mode == "constant":
        code = min(max(code_of(op.value, grid), grid.low), grid.high)
        operands.append(values.builder.constant(np.array(code, container(grid)), "fill"))
    values.integer(node, "Pad", operands, order, mode=op.mode)


def _operand(values: CodeValues, node: Node, index: int) -> Tensor:
    return values.graph.operand(node, index)


def _bias(values: CodeValues, node: Node) -> list[str]:
    codes = bias_codes(values, node)
    return [] if codes is None else [values.builder.constant(codes, f"{node.inputs[2]}.codes")]


def _types(values: CodeValues, node: Node) -> list[str]:
    """The containers of a node's operands and its result; "" where there is no 8-bit one."""
    tensors = [*(_operand(values, node, i) for i in range(len(node.inputs[:2]))), values.graph.result(node)]
    if isinstance(node.op, Concat):
        tensors = [*(_operand(values, node, i) for i in range(len(node.inputs))), values.graph.result(node)]
    return ["" if t.quant is None or t.quant.bits > 8 else container(t.quant).name for t in tensors]


def _same_type(values: CodeValues, node: Node) -> bool:
    """Whether all are of one 8-bit type, each on one grid."""
    constants = [t for t in values.graph.inputs_of(node) if t is not None and t.is_constant]
    one_grid = all(t.quant is None or not t.quant.is_per_channel for t in constants)
    types = _types(values, node)
    return one_grid and types[0] != "" and len(set(types)) == 1


def _moves(values: CodeValues, node: Node) -> bool:
    """Whether operand and result are 8-bit codes on one grid."""
    x, y = _operand(values, node, 0), values.graph.result(node)
    return not x.is_constant and x.quant is not None and x.quant.bits <= 8 and x.quant == y.quant


def _multiplies(values: CodeValues, node: Node) -> bool:
    """Whether ONNX Runtime has the product: its result is of the activations' type, and int8 meets only int8."""
    x, w, y = _types(values, node)
    return bool(x and w) and x == y and not (x == "int8" and w == "uint8")
