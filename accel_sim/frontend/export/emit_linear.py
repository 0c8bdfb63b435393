"""Convolutions and matrix products as QDQ ONNX.

The bias is int32 at f32(s_x * s_w), the accumulator's grid. A result without grid is the raw accumulator: ConvInteger
or MatMulInteger on the codes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_sim.frontend.encodings.names import is_turned
from accel_sim.frontend.export.layout import IOHW, NCHW, OIHW, Order, stored_order
from accel_sim.frontend.export.values import InexpressibleError, Values
from accel_sim.ir import Conv2D, ElementType, FullyConnected, MatMul, Node, QuantParams, Tensor, TransposeConv2D

_INT32 = np.iinfo(np.int32)


def emit_convolution(values: Values, node: Node, op: Conv2D) -> None:
    """Conv, or ConvInteger."""
    x, w, y = values.graph.operand(node, 0), values.graph.operand(node, 1), values.graph.result(node)
    attributes = window_attributes(op, w)
    if y.quant is None and not values.is_float:
        _emit_accumulators(values, node, "ConvInteger", (NCHW, OIHW, NCHW), **attributes)
        return
    operands = [values.read(x, NCHW), _read_weights(values, node, OIHW), *_bias(values, node)]
    values.write(y, values.operator(node, "Conv", operands, **attributes), NCHW, op.activation)


def emit_transposed_convolution(values: Values, node: Node, op: TransposeConv2D) -> None:
    """ConvTranspose; `pads` and `output_padding` together say the output's size."""
    x, w, y = values.graph.operand(node, 0), values.graph.operand(node, 1), values.graph.result(node)
    begin = (op.padding.top, op.padding.left)
    end, extra = [], []
    for axis in (0, 1):
        full = (x.shape[1 + axis] - 1) * op.strides[axis] + (w.shape[1 + axis] - 1) * op.dilations[axis] + 1
        dropped = full - begin[axis] - y.shape[1 + axis]
        end.append(max(0, dropped))
        extra.append(max(0, -dropped))
    attributes = window_attributes(op, w) | {"pads": [*begin, *end], "output_padding": extra}
    operands = [values.read(x, NCHW), _read_weights(values, node, IOHW, op.groups), *_bias(values, node)]
    result = values.operator(node, "ConvTranspose", operands, **attributes)
    values.write(y, result, NCHW, op.activation)


def emit_fully_connected(values: Values, node: Node, op: FullyConnected) -> None:
    """Gemm of rows of K, reshaped to the result's shape."""
    w, y = values.graph.operand(node, 1), values.graph.result(node)
    if y.quant is None and not values.is_float:
        raise InexpressibleError(node, "a raw accumulator", "a fully connected layer's result has a grid")
    rows = _rows(values, values.graph.operand(node, 0), w.shape[1])
    turned = values.is_float and is_turned(w)  # as its file has it
    operands = [rows, _read_weights(values, node, (1, 0) if turned else stored_order(2)), *_bias(values, node)]
    result = values.operator(node, "Gemm", operands, transB=int(not turned))
    if len(y.shape) == 2:
        values.write(y, result, stored_order(2), op.activation)
        return
    rows_of_y = values.requantized(result, y, f"{y.name}.rows")
    result = values.builder.node("Reshape", [rows_of_y, values.shape(y.shape)], wish=f"{y.name}.reshaped")
    values.write(y, result, stored_order(len(y.shape)), op.activation)


def emit_matmul(values: Values, node: Node, op: MatMul) -> None:
    """MatMul or MatMulInteger; transposed operands are transposed before."""
    a, b, y = values.graph.operand(node, 0), values.graph.operand(node, 1), values.graph.result(node)
    orders = tuple(
        matrix_order(len(t.shape), transposed=flag) for t, flag in ((a, op.transpose_a), (b, op.transpose_b))
    )
    plain = stored_order(len(y.shape))
    if y.quant is None and not values.is_float:
        _emit_accumulators(values, node, "MatMulInteger", (*orders, plain))
        return
    operands = [values.read(a, orders[0]), values.read(b, orders[1])]
    values.write(y, values.operator(node, "MatMul", operands), plain)


def matrix_order(rank: int, *, transposed: bool) -> Order:
    """The order of a matrix that an operator reads as it is, or transposed."""
    order = stored_order(rank)
    return (*order[:-2], order[-1], order[-2]) if transposed else order


def _rows(values: Values, x: Tensor, length: int) -> str:
    if len(x.shape) == 2 and x.shape[1] == length:
        return values.read(x, stored_order(2))
    return values.read_flat(x, (x.size // max(1, length), length))


def window_attributes(op: Conv2D | TransposeConv2D, w: Tensor) -> dict[str, Any]:
    """The attributes of a convolution."""
    pad = op.padding
    return {
        "kernel_shape": list(w.shape[1:3]),
        "strides": list(op.strides),
        "dilations": list(op.dilations),
        "pads": [pad.top, pad.left, pad.bottom, pad.right],
        "group": op.groups,
    }


def _read_weights(values: Values, node: Node, order: Order, groups: int = 1) -> str:
    """The weights in an order; ConvTranspose's [Ci, Co/groups, kh, kw] when there are groups."""
    w = values.graph.operand(node, 1)
    if order != IOHW or groups == 1 or not w.is_constant:
        return values.read(w, order)
    return values.dequantized_constant(_grouped(node, w, groups), stored_order(4))


def _grouped(node: Node, w: Tensor, groups: int) -> Tensor:
    """Weights [Co,kh,kw,Ci/groups] as [Ci, Co/groups, kh, kw]; a per-channel grid must repeat from group to group."""
    outputs, height, width, inputs = w.shape
    data = w.constant.reshape(groups, outputs // groups, height, width, inputs).transpose(0, 4, 1, 2, 3)
    grid = w.quant
    if grid is not None and grid.axis is not None:
        size = outputs // groups
        if any(v != v[:size] * groups for v in (grid.scale, grid.zero_point)):
            raise InexpressibleError(
                node, f"{groups} groups", "weight scales of a grouped transposed convolution repeat in every group"
            )
        grid = QuantParams(grid.scale[:size], grid.zero_point[:size], grid.bits, grid.signed, 1)
    shape = (groups * inputs, outputs // groups, height, width)
    return Tensor(w.name, shape, w.element, grid, np.ascontiguousarray(data).reshape(shape))


def bias_codes(values: Values, node: Node) -> NDArray[np.int32] | None:
    """The bias as the file holds it, or None."""
    bias = values.graph.optional(node, 2)
    if bias is None:
        return None
    x, w = values.graph.operand(node, 0), values.graph.operand(node, 1)
    if not bias.is_constant or x.quant is None or w.quant is None:
        raise InexpressibleError(node, f"bias {bias.name!r}", "a bias is constant and its layer quantized")
    codes = bias.constant.astype(np.int64)
    if codes.size and (codes.min() < _INT32.min or codes.max() > _INT32.max):
        raise InexpressibleError(node, f"bias {bias.name!r}", "the codes of a bias fit in 32 bits")
    return codes.astype(np.int32)


def _bias(values: Values, node: Node) -> list[str]:
    """The bias as an operand list of length 0 or 1."""
    bias = values.graph.optional(node, 2)
    if values.is_float:
        return [] if bias is None else [values.read(bias)]
    codes = bias_codes(values, node)
    if codes is None or bias is None:
        return []
    x, w = values.graph.operand(node, 0).quant, values.graph.operand(node, 1).quant
    assert x is not None
    assert w is not None
    products = np.float32(x.scale[0]) * w.scales.astype(np.float32)
    axis = 0 if w.is_per_channel else None
    grid = QuantParams(tuple(map(float, products)), (0,) * products.size, 32, signed=True, axis=axis)
    stored = Tensor(bias.name, bias.shape, ElementType.INT32, grid, codes)
    return [values.dequantized_constant(stored, stored_order(1))]


def _emit_accumulators(values: Values, node: Node, operator: str, orders: tuple[Order, ...], **attributes: Any) -> None:
    """An integer operator on codes and zero points: its result is the accumulator itself."""
    x, w, y = values.graph.operand(node, 0), values.graph.operand(node, 1), values.graph.result(node)
    if values.graph.optional(node, 2) is not None:
        raise InexpressibleError(node, "a bias", f"{operator} has no bias")
    operands = [values.read_codes(x, orders[0]), values.read_codes(w, orders[1])]
    for tensor in (x, w):
        grid = tensor.quant
        if grid is None or grid.bits > 8:
            raise InexpressibleError(node, f"operand {tensor.name!r}", f"{operator} reads 8-bit codes")
        if len(set(grid.zero_point)) > 1:
            raise InexpressibleError(node, f"operand {tensor.name!r}", f"{operator} has one zero point per operand")
        zero = np.array(grid.zero_point[0], tensor.element.dtype)
        operands.append(values.builder.constant(zero, "zero_point"))
    values.write(y, values.operator(node, operator, operands, **attributes), orders[2])
