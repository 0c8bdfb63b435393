"""Operators that only move, copy or compare elements: the same on codes and on real numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_sim.arithmetic import nearest_indices
from accel_sim.ir import (
    ArgMax,
    DepthToSpace,
    Graph,
    Node,
    Pad,
    Reshape,
    ResizeNearest,
    Slice,
    SpaceToDepth,
    Tensor,
    Transpose,
)

Array = NDArray[Any]


def reshape(op: Reshape, x: Array, y: Tensor) -> Array:
    """Row-major elements in y's shape."""
    return x.reshape(y.shape)


def transpose(op: Transpose, x: Array, y: Tensor) -> Array:
    """Axis i of y is axis permutation[i] of x."""
    return x.transpose(op.permutation)


def slice_(op: Slice, x: Array, y: Tensor) -> Array:
    """y[i] = x[begin + i * stride] on every axis."""
    axes = zip(op.begin, op.strides, y.shape, strict=True)
    return x[np.ix_(*(begin + np.arange(extent) * stride for begin, stride, extent in axes))]


def resize_nearest(op: ResizeNearest, x: Array, y: Tensor) -> Array:
    """y[n,i,j,c] = x[n, rows[i], columns[j], c]."""
    rows, columns = nearest_indices(op, (x.shape[1], x.shape[2]), (y.shape[1], y.shape[2]))
    return x[:, list(rows)][:, :, list(columns)]


def space_to_depth(op: SpaceToDepth, x: Array, y: Tensor) -> Array:
    """Blocks of pixels become channels, (row, column, channel)."""
    n, height, width, channels = x.shape
    blocks = x.reshape(n, height // op.block, op.block, width // op.block, op.block, channels)
    return blocks.transpose(0, 1, 3, 2, 4, 5).reshape(y.shape)


def depth_to_space(op: DepthToSpace, x: Array, y: Tensor) -> Array:
    """Channels become blocks of pixels: (row, column, channel), or (channel, row, column)."""
    n, height, width, channels = x.shape
    b, deep = op.block, channels // op.block**2
    if op.column_row_depth:
        blocks = x.reshape(n, height, width, deep, b, b).transpose(0, 1, 4, 2, 5, 3)
    else:
        blocks = x.reshape(n, height, width, b, b, deep).transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(y.shape)


def arg_max(op: ArgMax, x: Array, y: Tensor) -> Array:
    """The index of the largest (smallest) element; ties to the first, or the last with select_last."""
    choose = np.argmin if op.minimum else np.argmax
    if op.select_last:
        x = np.flip(x, op.axis)
    index: Array = choose(x, axis=op.axis)
    return (x.shape[op.axis] - 1 - index if op.select_last else index).reshape(y.shape)


def pad(op: Pad, x: Array, value: Any) -> Array:
    """Elements added before and after each axis, or cropped where negative; `value` fills in mode "constant"."""
    crop = tuple(
        slice(max(0, -before), size - max(0, -after))
        for before, after, size in zip(op.before, op.after, x.shape, strict=True)
    )
    widths = [(max(0, before), max(0, after)) for before, after in zip(op.before, op.after, strict=True)]
    if op.mode == "constant":
        return np.pad(x[crop], widths, constant_values=value)
    mode: Any = op.mode
    return np.pad(x[crop], widths, mode=mode)


Movement = Callable[[Any, Array, Tensor], Array]
MOVEMENTS: dict[type, Movement] = {
    ArgMax: arg_max,
    DepthToSpace: depth_to_space,
    Reshape: reshape,
    ResizeNearest: resize_nearest,
    Slice: slice_,
    SpaceToDepth: space_to_depth,
    Transpose: transpose,
}
"""Operators of one operand that need no arithmetic: (op, x, result tensor) -> y."""


def move(graph: Graph, node: Node, x: Array) -> Array:
    """The node's movement of its operand."""
    return MOVEMENTS[type(node.op)](node.op, x, graph.result(node))
