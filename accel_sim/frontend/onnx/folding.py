"""Constant nodes, computed with NumPy: exporters compute shapes, paddings and axes by small graphs of them."""

from collections.abc import Callable
from math import prod

import numpy as np

from accel_sim.frontend.onnx.grids import read_grid
from accel_sim.frontend.onnx.model import ELEMENTS, Array
from accel_sim.frontend.onnx.view import NodeFault, NodeView, as_integers, in_rank, in_ranks

_MAX_FOLDED_BYTES = 1 << 28
Folder = Callable[[NodeView], list[Array]]


def fold(view: NodeView) -> list[Array]:
    """The results of a node whose operands are all constant.

    Raises:
        NodeFault: the operands contradict the operator, or the result would be too large.
        KeyError: the operator is not one of FOLDABLE.
    """
    try:
        with np.errstate(all="ignore"):
            return [np.ascontiguousarray(a) if a.ndim else a for a in map(np.asarray, FOLDERS[view.node.op_type](view))]
    except (ValueError, IndexError, TypeError, ZeroDivisionError, OverflowError, MemoryError) as error:
        raise NodeFault(str(error)[:160], "a constant node can be computed") from error


def _bounded(shape: tuple[int, ...], itemsize: int = 8) -> tuple[int, ...]:
    if min(shape, default=0) < 0 or prod(shape) * itemsize > _MAX_FOLDED_BYTES:
        raise NodeFault(f"shape {list(shape)[:8]}", f"a computed constant has at most {_MAX_FOLDED_BYTES} bytes")
    return shape


def _elementwise(function: Callable[..., Array]) -> Folder:
    def folder(view: NodeView) -> list[Array]:
        arrays = [view.array(i) for i in range(len(view.node.inputs))]
        _bounded(np.broadcast_shapes(*(a.shape for a in arrays)))
        return [function(*arrays)]

    return folder


def _variadic(function: Callable[[Array, Array], Array]) -> Folder:
    def folder(view: NodeView) -> list[Array]:
        arrays = [view.array(i) for i in range(len(view.node.inputs))]
        _bounded(np.broadcast_shapes(*(a.shape for a in arrays)))
        total = arrays[0]
        for array in arrays[1:]:
            total = function(total, array)
        return [total]

    return folder


def _divide(a: Array, b: Array) -> Array:
    if a.dtype.kind in "iu":  # ONNX truncates towards zero
        return np.asarray(np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b)), a.dtype)
    return np.asarray(a / b, a.dtype)


def _constant(view: NodeView) -> list[Array]:
    if isinstance(value := view.node.attributes.get("value"), np.ndarray):
        return [value]
    if view.has("value_int"):
        return [np.array(view.integer("value_int"), np.int64)]
    if view.has("value_float"):
        return [np.array(view.real("value_float"), np.float32)]
    if view.has("value_ints"):
        return [np.array(view.integers("value_ints"), np.int64)]
    if isinstance(floats := view.node.attributes.get("value_floats"), list):
        return [np.array(floats, np.float32)]
    raise NodeFault(", ".join(view.node.attributes) or "no value", "a constant is a dense tensor or numbers")


def _gather(view: NodeView) -> list[Array]:
    data, indices = view.array(0), view.array(1)
    axis = in_rank(view.integer("axis", 0), data.ndim)
    _bounded((*data.shape[:axis], *indices.shape, *data.shape[axis + 1 :]))
    return [np.take(data, indices.astype(np.int64), axis=axis)]


def _concat(view: NodeView) -> list[Array]:
    arrays = [view.array(i) for i in range(len(view.node.inputs))]
    return [np.concatenate(arrays, axis=view.integer("axis"))]


def _cast(view: NodeView) -> list[Array]:
    target = ELEMENTS.get(view.integer("to"))
    if target is None:
        raise NodeFault(f"to={view.integer('to')}", "a cast is to an integer, a float or a bool")
    return [view.array(0).astype(target)]


def _constant_of_shape(view: NodeView) -> list[Array]:
    value = view.node.attributes.get("value")
    fill = value if isinstance(value, np.ndarray) else np.zeros(1, np.float32)
    shape = _bounded(as_integers(view.array(0), "the shape"))
    return [np.full(shape, fill.ravel()[0], fill.dtype)]


def _slice(view: NodeView) -> list[Array]:
    data = view.array(0)
    starts, ends = view.listed("starts", 1), view.listed("ends", 2)
    axes = view.listed("axes", 3, tuple(range(len(starts))))
    steps = view.listed("steps", 4, (1,) * len(starts))
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise NodeFault(f"{len(starts)} starts, {len(ends)} ends", "starts, ends, axes and steps are as many")
    index = [slice(None)] * data.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        stop = None if step < 0 and end < -data.shape[in_rank(axis, data.ndim)] else end
        index[in_rank(axis, data.ndim)] = slice(start, stop, step)
    return [data[tuple(index)]]


def _reshape(view: NodeView) -> list[Array]:
    data = view.array(0)
    target = list(view.listed("shape", 1))
    if not view.flag("allowzero"):
        target = [data.shape[i] if n == 0 and i < data.ndim else n for i, n in enumerate(target)]
    return [data.reshape(target)]


def _squeeze(view: NodeView) -> list[Array]:
    data = view.array(0)
    axes = view.listed("axes", 1, tuple(i for i, n in enumerate(data.shape) if n == 1))
    return [np.squeeze(data, in_ranks(axes, data.ndim))]


def _unsqueeze(view: NodeView) -> list[Array]:
    data, axes = view.array(0), view.listed("axes", 1)
    return [np.expand_dims(data, in_ranks(axes, data.ndim + len(axes)))]


def _transpose(view: NodeView) -> list[Array]:
    data = view.array(0)
    return [data.transpose(view.integers("perm", tuple(reversed(range(data.ndim)))))]


def _expand(view: NodeView) -> list[Array]:
    data = view.array(0)
    shape = _bounded(np.broadcast_shapes(data.shape, as_integers(view.array(1), "the shape")))
    return [np.broadcast_to(data, shape)]


def _tile(view: NodeView) -> list[Array]:
    data, repeats = view.array(0), as_integers(view.array(1), "repeats")
    _bounded(tuple(n * r for n, r in zip(data.shape, repeats, strict=True)))
    return [np.tile(data, repeats)]


def _range(view: NodeView) -> list[Array]:
    start, limit, delta = (view.array(i).reshape(()) for i in range(3))
    count = max(int(np.ceil(float(limit - start) / float(delta))), 0) if delta else -1
    _bounded((count,))
    return [np.asarray(start + np.arange(count) * delta, start.dtype)]


def _reduce(function: Callable[..., Array]) -> Folder:
    def folder(view: NodeView) -> list[Array]:
        data = view.array(0)
        axes = in_ranks(view.listed("axes", 1, tuple(range(data.ndim))), data.ndim)
        return [np.asarray(function(data, axis=axes, keepdims=view.flag("keepdims", default=True)), data.dtype)]

    return folder


def _quantize(view: NodeView) -> list[Array]:
    values = view.array(0)
    return [read_grid(view, 1, 2, None, values.shape).quantize(values)]


def _dequantize(view: NodeView) -> list[Array]:
    codes = view.array(0)
    return [read_grid(view, 1, 2, codes.dtype, codes.shape).dequantize(codes)]


FOLDERS: dict[str, Folder] = {
    "Constant": _constant,
    "Identity": lambda view: [view.array(0)],
    "Shape": lambda view: [shape_slice(view, view.array(0).shape)],
    "Size": lambda view: [np.array(view.array(0).size, np.int64)],
    "Gather": _gather,
    "Concat": _concat,
    "Cast": _cast,
    "ConstantOfShape": _constant_of_shape,
    "Slice": _slice,
    "Reshape": _reshape,
    "Flatten": lambda view: [view.array(0).reshape(flat_shape(view, view.array(0).shape))],
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Expand": _expand,
    "Tile": _tile,
    "Range": _range,
    "Add": _elementwise(np.add),
    "Sub": _elementwise(np.subtract),
    "Mul": _elementwise(np.multiply),
    "Div": _elementwise(_divide),
    "Neg": _elementwise(np.negative),
    "Abs": _elementwise(np.abs),
    "Sqrt": _elementwise(np.sqrt),
    "Exp": _elementwise(np.exp),
    "Floor": _elementwise(np.floor),
    "Ceil": _elementwise(np.ceil),
    "Reciprocal": _elementwise(lambda a: np.asarray(1 / a, a.dtype)),
    "Pow": _elementwise(lambda a, b: np.asarray(np.power(a, b), a.dtype)),
    "Equal": _elementwise(np.equal),
    "Greater": _elementwise(np.greater),
    "Less": _elementwise(np.less),
    "Not": _elementwise(np.logical_not),
    "Where": _elementwise(np.where),
    "Min": _variadic(np.minimum),
    "Max": _variadic(np.maximum),
    "Sum": _variadic(np.add),
    "ReduceProd": _reduce(np.prod),
    "ReduceSum": _reduce(np.sum),
    "ReduceMin": _reduce(np.min),
    "ReduceMax": _reduce(np.max),
    "ReduceMean": _reduce(np.mean),
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
}


def shape_slice(view: NodeView, shape: tuple[int, ...]) -> Array:
    """What Shape gives for an operand of `shape`: a slice of it."""
    return np.array(shape[view.integer("start", 0) : view.integer("end", len(shape))], np.int64)


def flat_shape(view: NodeView, shape: tuple[int, ...]) -> tuple[int, int]:
    """What Flatten makes of `shape`: two axes."""
    axis = view.integer("axis", 1)
    if axis != len(shape):  # behind the last axis is allowed: everything is one row each
        axis = in_rank(axis, len(shape))
    return prod(shape[:axis]), prod(shape[axis:])
