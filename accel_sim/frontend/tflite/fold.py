"""Operators whose results are known before a run: constants that are dequantized, and arithmetic on shapes.

Converters leave chains such as SHAPE -> STRIDED_SLICE -> PACK -> RESHAPE where a network was written for any batch;
with the batch that the file states they are constants.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from accel_sim.frontend.tflite import slicing
from accel_sim.frontend.tflite.constraints import axis_inside
from accel_sim.frontend.tflite.rules import Call
from accel_sim.ir import ElementType, Tensor

_LARGEST = 1024  # elements of a result; shapes have a few
_INDICES = (ElementType.INT32, ElementType.INT64)

Array = NDArray[np.generic]


def fold(call: Call) -> Array | None:
    """The contents of the operator's one result, or None where it has to be computed in the run."""
    if len(call.outputs) != 1 or not call.inputs:
        return None
    if call.operator == "DEQUANTIZE":
        return _dequantized(call)
    folder = _FOLDERS.get(call.operator)
    if folder is None or call.y.element not in _INDICES or call.y.quant is not None:
        return None
    values = _constants(call)
    result = folder(call, values) if values is not None else None
    if result is None or result.size > _LARGEST:
        return None
    return result.astype(call.y.element.dtype)


def _dequantized(call: Call) -> Array | None:
    """Real numbers of a constant: float32(scale * (code - zero point)), as the runtime rounds them."""
    x = call.inputs[0]
    if x is None or not x.is_constant or not call.y.element.is_float:
        return None
    if x.element.is_float:
        return x.constant
    if x.quant is None:
        return None
    scale, zero = x.quant.broadcast(len(x.shape))
    return (scale * (x.constant.astype(np.int64) - zero)).astype(np.float32)


def _constants(call: Call) -> list[NDArray[np.int64]] | None:
    """The operands' contents; for SHAPE its operand need not be constant."""
    if call.operator == "SHAPE":
        return []
    tensors = [t for t in call.inputs if t is not None]
    if len(tensors) != len(call.inputs) or not all(_is_small_index(t) for t in tensors):
        return None
    return [t.constant.astype(np.int64) for t in tensors]


def _is_small_index(t: Tensor) -> bool:
    return t.is_constant and t.element in _INDICES and t.size <= _LARGEST


def _shape(call: Call, _: list[NDArray[np.int64]]) -> Array | None:
    x = call.inputs[0]
    return None if x is None or len(call.inputs) != 1 else np.array(x.shape, np.int64)


def _strided_slice(call: Call, values: list[NDArray[np.int64]]) -> Array | None:
    if len(values) != 4 or slicing.rows_per_axis(call) or slicing.masks_are_separate(call):
        return None
    spec = slicing.resolve(call)
    if spec is None:
        return None
    index = tuple(np.arange(r.length) * r.stride + r.begin for r in spec.ranges)
    return values[0][np.ix_(*index)].reshape(spec.shape) if index else values[0]


def _pack(call: Call, values: list[NDArray[np.int64]]) -> Array | None:
    axis = call.options.integer("Axis")
    if len({v.shape for v in values}) != 1 or not axis_inside(axis, values[0].ndim + 1):
        return None
    return np.stack(values, axis)


def _concatenation(call: Call, values: list[NDArray[np.int64]]) -> Array | None:
    axis = call.options.integer("Axis")
    return np.concatenate(values) if all(v.ndim == 1 for v in values) and axis in (0, -1) else None


def _product(_: Call, values: list[NDArray[np.int64]]) -> Array | None:
    alike = len(values) == 2 and (values[0].shape == values[1].shape or 1 in (values[0].size, values[1].size))
    return values[0] * values[1] if alike else None


_FOLDERS: Mapping[str, Callable[[Call, list[NDArray[np.int64]]], Array | None]] = {
    "CONCATENATION": _concatenation,
    "MUL": _product,
    "PACK": _pack,
    "SHAPE": _shape,
    "STRIDED_SLICE": _strided_slice,
}
