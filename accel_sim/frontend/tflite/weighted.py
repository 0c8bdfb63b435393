"""Weights, biases and their grids: what convolutions and fully connected layers share."""

from dataclasses import replace

import numpy as np

from accel_sim.frontend.tflite.constraints import grid_text, type_name
from accel_sim.frontend.tflite.rules import Call, Constraint, Lowered, ruled
from accel_sim.ir import ElementType, QuantParams, Tensor

_PAIRS = (("float32", "float32"), ("int8", "int8"), ("int8", "int4"), ("uint8", "uint8"), ("int16", "int8"))
_INT32 = 2  # TensorType.INT32, the value of QuantizedBiasType


def weight_types(x: int, w: int, *, int4: bool = True) -> Constraint:
    """Types of activations and weights at the given operands."""
    pairs = tuple(p for p in _PAIRS if int4 or p[1] != "int4")

    @ruled(f"Activations x weights are {', '.join(f'{a} x {b}' for a, b in pairs)}, and the result has x's type.")
    def check(call: Call) -> str | None:
        found = type_name(call.operand(x)), type_name(call.operand(w))
        if found in pairs and type_name(call.y) == found[0]:
            return None
        return f"{found[0]} x {found[1]} -> {type_name(call.y)}"

    return check


def weight_grid(w: int, axis: int, *, asymmetric_int8: bool = False) -> Constraint:
    """The grid of integer weights at operand `w`."""
    zero = "uint8 and per-tensor int8" if asymmetric_int8 else "uint8"

    @ruled(
        f"Integer weights have scales, one per tensor or (signed) per index of axis {axis}; zero points are for {zero}."
    )
    def check(call: Call) -> str | None:
        tensor = call.operand(w)
        q = tensor.quant
        if tensor.element.is_float:
            return None
        if q is None:
            return grid_text(tensor)
        if q.is_per_channel and (q.axis != axis or not q.signed):
            return f"{tensor.name!r} {type_name(tensor)} per channel of axis {q.axis}"
        shifted = not q.is_symmetric and (q.is_per_channel or (q.signed and not asymmetric_int8))
        return f"{tensor.name!r} with zero points" if shifted else None

    return check


def bias_type(x: int, b: int, *, wide: tuple[str, ...] = ("int64", "int32")) -> Constraint:
    """The type of the bias at operand `b`, for activations at operand `x`."""

    @ruled(f"A bias is float32 for float32 activations, int32 for 8-bit ones and {' or '.join(wide)} for int16.")
    def check(call: Call) -> str | None:
        bias, kind = call.optional(b), type_name(call.operand(x))
        allowed = {"float32": ("float32",), "int16": wide}.get(kind, ("int32",))
        if bias is None or type_name(bias) in allowed:
            return None
        return f"{type_name(bias)} with {kind} activations"

    return check


def bias_size(w: int, b: int, axis: int = 0) -> Constraint:
    """The size of the bias at operand `b`, for weights at operand `w`."""

    @ruled("A bias has one value per output channel.")
    def check(call: Call) -> str | None:
        bias, weights = call.optional(b), call.operand(w)
        if bias is None or bias.size == weights.shape[axis]:
            return None
        return f"{bias.size} values for {weights.shape[axis]} channels"

    return check


def add_bias(call: Call, lowered: Lowered, weights: Tensor, x: Tensor, b: int) -> str:
    """Put the bias, shaped [channels] on the grid s_x * s_w, into `lowered`; return its name, "" without one.

    16-bit activations accumulate in 32 bits where the file says so (QuantizedBiasType INT32), and then an absent bias
    becomes zeros of that width: the type of the bias is what tells the widths apart in a Graph.
    """
    bias = call.optional(b)
    if bias is None:
        if x.element is not ElementType.INT16 or call.options.values.get("QuantizedBiasType") != _INT32:
            return ""
        name, data = f"{call.name}/bias", np.zeros(weights.shape[0], np.int32)
        bias = Tensor(name, data.shape, ElementType.INT32, None, data)
    flat = Tensor(bias.name, (bias.size,), bias.element, _bias_grid(x, weights), bias.constant.reshape(-1))
    lowered.tensors.append(flat)
    return flat.name


def _bias_grid(x: Tensor, weights: Tensor) -> QuantParams | None:
    if x.quant is None or weights.quant is None:
        return None
    scales = tuple(x.quant.scale[0] * s for s in weights.quant.scale)
    axis = 0 if weights.quant.is_per_channel else None
    return QuantParams(scales, (0,) * len(scales), 32, axis=axis)


def depthwise_weights(weights: Tensor) -> Tensor:
    """[1, kh, kw, Co] of the file as OHWI [Co, kh, kw, 1]."""
    order = (3, 1, 2, 0)
    quant = weights.quant
    if quant is not None and quant.is_per_channel:
        quant = replace(quant, axis=0)
    data = np.ascontiguousarray(weights.constant.transpose(order))
    return Tensor(weights.name, data.shape, weights.element, quant, data, order)
