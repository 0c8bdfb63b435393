"""Convolution and matrix product in float32: which of them ONNX Runtime computes so, and in which order it adds.

ONNX Runtime has no integer kernel for codes of 16 bits; others are marked by the importer (`in_float`). What has none
stays in float32, as matrix products [M,K] @ [K,N] by MLAS: a Conv is weights times windows, M the filters of a group
and N the pixels of an image; of a Gemm or MatMul M are rows.

One product is neither: of 16-bit codes and a constant matrix [K,N] of 8 bits or less, no cutting clamp behind it,
ONNX Runtime makes a MatMulNBits (1.32.0: accuracy level 4, blocks of 32), which rounds the activations of each block to
8 bits by the largest of them. No fixed hardware does that; it is refused.
"""

from math import prod

import numpy as np

from accel_sim.ir import Activation, Conv2D, FullyConnected, Graph, MatMul, Node, QuantParams, Tensor
from accel_sim.numerics.float_dot_products import DotOrder, FloatDotProducts
from accel_sim.numerics.profiles import Arithmetic, Profile, refuse

_CODE_BITS = 8
_BLOCKS = ((64, 128), (32, 256), (16, 512))  # more columns than: terms of a chain
_LONGEST = 1024
Order = tuple[DotOrder, int]


def derive_float_dot_products(profile: Profile, graph: Graph, node: Node) -> FloatDotProducts | None:
    """The recipe of a node in float32; None where the profile computes it with integers, or where it has no grids.

    Raises:
        UnsupportedByProfileError: for what ONNX Runtime makes a MatMulNBits.
    """
    op = node.op
    if profile.requantization is not Arithmetic.FLOAT32 or not isinstance(op, Conv2D | FullyConnected | MatMul):
        return None
    a, b, result = graph.operand(node, 0), graph.operand(node, 1), graph.result(node)
    x, w, y = a.quant, b.quant, result.quant
    if x is None or w is None or y is None or not (op.in_float or _is_wide(x, w, y)):
        return None
    if _rounds_blocks(op, x, w, y):
        raise refuse(
            profile,
            f"weights [K, N] of {w.bits} bits times {x.bits}-bit codes",
            "ONNX Runtime's MatMulNBits",
            "is not modelled: it rounds activations to 8 bits in blocks; a Gemm with transB = 1 adds in float32",
        )
    bias = None if isinstance(op, MatMul) else graph.optional(node, 2)
    with np.errstate(over="ignore", under="ignore"):
        natural = np.float32(x.scale[0]) * np.array(w.scale, np.float32)
    activation = Activation() if isinstance(op, MatMul) else op.activation
    high = activation.high
    return FloatDotProducts(
        *_order(op, a, b, result),
        not isinstance(op, Conv2D),
        x.scale[0],
        x.zero_point[0],
        w.scale,
        w.zero_point,
        bias.quant.scale if bias and bias.quant else tuple(float(s) for s in natural),
        y.scale[0],
        y.zero_point[0],
        y.low,
        y.high,
        activation.low,
        max(high) if isinstance(high, tuple) else high,
    )


def _is_wide(*grids: QuantParams) -> bool:
    return any(q.bits > _CODE_BITS for q in grids)


def _rounds_blocks(op: Conv2D | FullyConnected | MatMul, x: QuantParams, w: QuantParams, y: QuantParams) -> bool:
    if not isinstance(op, FullyConnected) or op.by_rows or x.bits <= _CODE_BITS or w.bits > _CODE_BITS:
        return False
    low, high = (float(np.float32(code - y.zero_point[0]) * np.float32(y.scale[0])) for code in (y.low, y.high))
    return op.activation.spares(low, high)  # else a Clip stays between


def _order(op: Conv2D | FullyConnected | MatMul, a: Tensor, b: Tensor, result: Tensor) -> Order:
    if isinstance(op, Conv2D):
        return _of_convolution(op, a.shape, b.shape, result.shape)
    if isinstance(op, FullyConnected):
        outputs, depth = b.shape
        return product_order(a.size // max(depth, 1), outputs, by_rows=op.by_rows, columns_touch=not op.by_rows)
    rows, outputs = result.shape[-2:]
    if len(b.shape) == 2:  # then all rows are one matrix
        rows = result.size // max(outputs, 1)
    return product_order(rows, outputs, by_rows=False, columns_touch=True)


def _of_convolution(op: Conv2D, x: tuple[int, ...], w: tuple[int, ...], y: tuple[int, ...]) -> Order:
    padding = op.padding
    in_place = op.strides == (1, 1) and not any((padding.top, padding.bottom, padding.left, padding.right))
    whole_rows = w[3] == 1 and w[2] == x[2] and prod(w[1:3]) > 1 and op.dilations == (1, 1)
    by_rows = in_place and whole_rows  # windows overlap in memory, each one row of a transposed matrix
    return product_order(w[0] // op.groups, y[1] * y[2], by_rows=by_rows, columns_touch=not by_rows or x[2] == 1)


def product_order(rows: int, columns: int, *, by_rows: bool, columns_touch: bool) -> Order:
    """The order of additions of a product of [rows, K] and [K, columns].

    Args:
        rows: of the result.
        columns: of the result.
        by_rows: the right matrix is stored transposed.
        columns_touch: its elements of one column would be neighbours in memory if it had only that column.
    """
    if rows == 1:
        return (DotOrder.LANES if by_rows else DotOrder.GROUPS), 0
    if columns == 1 and columns_touch:
        return DotOrder.LANES, 0
    return DotOrder.CHAINS, next((block for least, block in _BLOCKS if columns > least), _LONGEST)
