"""Pooling, means, resizing and space / depth rearrangement as QDQ ONNX."""

from math import floor
from typing import Any

import numpy as np

from accel_sim.frontend.export.layout import NCHW, moves_nothing, ordered, permutation, stored_order
from accel_sim.frontend.export.values import Values
from accel_sim.ir import (
    AveragePool2D,
    CoordinateMode,
    DepthToSpace,
    GlobalAveragePool2D,
    MaxPool2D,
    Mean,
    NearestRounding,
    Node,
    ResizeBilinear,
    ResizeNearest,
    SpaceToDepth,
    Tensor,
)

_COORDINATES = {
    CoordinateMode.ASYMMETRIC: "asymmetric",
    CoordinateMode.HALF_PIXEL: "half_pixel",
    CoordinateMode.PYTORCH_HALF_PIXEL: "pytorch_half_pixel",
    CoordinateMode.ALIGN_CORNERS: "align_corners",
}
_ROUNDING = {
    NearestRounding.FLOOR: "floor",
    NearestRounding.CEIL: "ceil",
    NearestRounding.ROUND_PREFER_FLOOR: "round_prefer_floor",
    NearestRounding.ROUND_PREFER_CEIL: "round_prefer_ceil",
}


def emit_max_pool(values: Values, node: Node, op: MaxPool2D) -> None:
    """MaxPool."""
    _emit_pool(values, node, op, "MaxPool", dilations=list(op.dilations))


def emit_average_pool(values: Values, node: Node, op: AveragePool2D) -> None:
    """AveragePool."""
    _emit_pool(values, node, op, "AveragePool", count_include_pad=int(op.count_include_pad))


def _emit_pool(values: Values, node: Node, op: MaxPool2D | AveragePool2D, operator: str, **more: Any) -> None:
    source = values.read(values.graph.operand(node, 0), NCHW)
    result = values.operator(node, operator, [source], **pool_attributes(op), **more)
    values.write(values.graph.result(node), result, NCHW, op.activation)


def pool_attributes(op: MaxPool2D | AveragePool2D) -> dict[str, Any]:
    """The attributes that both kinds of pooling have."""
    pad = op.padding
    return {
        "kernel_shape": list(op.kernel),
        "strides": list(op.strides),
        "pads": [pad.top, pad.left, pad.bottom, pad.right],
    }


def emit_global_average_pool(values: Values, node: Node, op: GlobalAveragePool2D) -> None:
    """GlobalAveragePool."""
    _emit_image_operator(values, node, "GlobalAveragePool")


def emit_space_to_depth(values: Values, node: Node, op: SpaceToDepth) -> None:
    """SpaceToDepth."""
    _emit_image_operator(values, node, "SpaceToDepth", blocksize=op.block)


def emit_depth_to_space(values: Values, node: Node, op: DepthToSpace) -> None:
    """DepthToSpace, mode CRD or DCR."""
    _emit_image_operator(values, node, "DepthToSpace", blocksize=op.block, mode="CRD" if op.column_row_depth else "DCR")


def _emit_image_operator(values: Values, node: Node, operator: str, **attributes: Any) -> None:
    y = values.graph.result(node)
    source = values.read(values.graph.operand(node, 0), NCHW)
    values.write(y, values.operator(node, operator, [source], **attributes), NCHW)


def emit_mean(values: Values, node: Node, op: Mean) -> None:
    """ReduceMean, on the axes of the operand's own order where what remains keeps the stored order."""
    x, y = values.graph.operand(node, 0), values.graph.result(node)
    order = values.order(x)
    if not op.keep_dims and not _remaining_in_order(x, op.axes, order):
        order = stored_order(len(x.shape))
    axes = sorted(order[axis] for axis in op.axes)
    keep = int(op.keep_dims)
    if values.builder.opset >= 18:
        operands = [values.read(x, order), values.builder.integers(axes, "axes")]
        result = values.operator(node, "ReduceMean", operands, keepdims=keep)
    else:
        result = values.operator(node, "ReduceMean", [values.read(x, order)], axes=axes, keepdims=keep)
    values.write(y, result, order if op.keep_dims else stored_order(len(y.shape)))


def _remaining_in_order(x: Tensor, axes: tuple[int, ...], order: tuple[int, ...]) -> bool:
    """Whether the kept elements lie in the row-major order of the stored axes: reduced axes do not matter."""
    shape = tuple(1 if axis in axes else n for axis, n in enumerate(x.shape))
    kept = [order[axis] for axis in range(len(shape)) if axis not in axes]
    plain = stored_order(len(shape))
    return kept == sorted(kept) and moves_nothing(permutation(order, plain), ordered(shape, order))


def emit_resize_nearest(values: Values, node: Node, op: ResizeNearest) -> None:
    """Resize, mode nearest."""
    _emit_resize(values, node, op, mode="nearest", nearest_mode=_ROUNDING[op.rounding])


def emit_resize_bilinear(values: Values, node: Node, op: ResizeBilinear) -> None:
    """Resize, mode linear."""
    _emit_resize(values, node, op, mode="linear")


def _emit_resize(values: Values, node: Node, op: ResizeNearest | ResizeBilinear, **attributes: Any) -> None:
    x, y = values.graph.operand(node, 0), values.graph.result(node)
    scales = resize_scales(op, x, y)
    if scales is None:
        size = values.builder.integers((y.shape[0], y.shape[3], y.shape[1], y.shape[2]), "sizes")
        operands = [values.read(x, NCHW), "", "", size]
    else:
        factors = values.builder.constant(np.array([1, 1, *scales], np.float32), "scales")
        operands = [values.read(x, NCHW), "", factors]
    attributes["coordinate_transformation_mode"] = _COORDINATES[op.coordinates]
    values.write(y, values.operator(node, "Resize", operands, **attributes), NCHW)


def resize_scales(op: ResizeNearest | ResizeBilinear, x: Tensor, y: Tensor) -> tuple[np.float32, np.float32] | None:
    """The factors with which ONNX arrives at y's size; None where it would not.

    The size is floor(size * f32(factor)): ONNX Runtime multiplies in float32, ONNX's shape inference does not.
    """
    stated = (op.scale_y, op.scale_x)
    factors = []
    for axis in (1, 2):
        source, target = np.float32(x.shape[axis]), np.float32(y.shape[axis])
        factor = np.float32(stated[axis - 1]) if stated[axis - 1] else target / source
        if {floor(source * factor), floor(float(source) * float(factor))} != {y.shape[axis]}:
            return None
        factors.append(factor)
    return factors[0], factors[1]
