"""The textbook functions of element-wise operators, in float32 or float64."""

from collections.abc import Callable
from typing import Any

import numpy as np

from accel_sim.arithmetic import derive_shift
from accel_sim.ir import (
    Activation,
    Add,
    BatchNorm,
    Clip,
    Concat,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Logistic,
    Maximum,
    Minimum,
    Multiply,
    Operator,
    Pad,
    PRelu,
    Requantize,
    RequantShift,
    Softmax,
    Subtract,
    Tanh,
)
from accel_sim.numerics import elementary
from accel_sim.reference.movement import pad as pad_array
from accel_sim.reference.real_context import Reals, RealSite

_FUNCTIONS: dict[type[Operator], Callable[[Reals, Reals], Reals]] = {
    Add: np.add,
    Subtract: np.subtract,
    Multiply: np.multiply,
    Minimum: np.minimum,
    Maximum: np.maximum,
}


def activated(x: Reals, activation: Activation) -> Reals:
    """The fused clamp (2.3.2); a bound per channel lies on the last axis."""
    if activation.is_identity:
        return x
    high = np.asarray(activation.high, x.dtype)
    return np.asarray(np.minimum(np.maximum(x, x.dtype.type(activation.low)), high))


def binary(site: RealSite, op: Operator) -> Reals:
    """Add, Subtract, Multiply, Minimum, Maximum, with broadcasting."""
    y = _FUNCTIONS[type(op)](site.real(0), site.real(1))
    return activated(y, op.activation) if isinstance(op, Add | Subtract | Multiply) else y


def concat(site: RealSite, op: Concat) -> Reals:
    """Operands one after the other along the axis."""
    return activated(np.concatenate(site.reals(), axis=op.axis), op.activation)


def pad(site: RealSite, op: Pad) -> Reals:
    """Elements added or cropped."""
    return pad_array(op, site.real(0), op.value)


def requantize(site: RealSite, op: Requantize) -> Reals:
    """The same real number: grids differ, values do not."""
    return site.real(0)


def requant_shift(site: RealSite, op: RequantShift) -> Reals:
    """An operator on integers: its exact result."""
    codes = derive_shift(op, site.result).apply(np.rint(site.real(0)).astype(np.int64))
    return np.asarray(codes).astype(site.dtype)


def clip(site: RealSite, op: Clip) -> Reals:
    """The clamp alone."""
    return activated(site.real(0), op.activation)


def prelu(site: RealSite, op: PRelu) -> Reals:
    """x where x >= 0, else slope * x."""
    x = site.real(0)
    return np.where(x >= 0, x, site.real(1) * x)


def leaky_relu(site: RealSite, op: LeakyRelu) -> Reals:
    """x where x >= 0, else alpha * x."""
    x = site.real(0)
    return np.where(x >= 0, x, x.dtype.type(op.alpha) * x)


def hard_swish(site: RealSite, op: HardSwish) -> Reals:
    """x * clamp(x + 3, 0, 6) / 6."""
    x = site.real(0)
    return np.asarray(x * np.clip(x + 3, 0, 6) / 6)


def hard_sigmoid(site: RealSite, op: HardSigmoid) -> Reals:
    """clamp(alpha * x + beta, 0, 1)."""
    x = site.real(0)
    return np.asarray(np.clip(x.dtype.type(op.alpha) * x + x.dtype.type(op.beta), 0, 1))


def logistic(site: RealSite, op: Logistic) -> Reals:
    """1 / (1 + exp(-x)), from the exponential that cannot overflow."""
    x = site.real(0)
    e = elementary.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def tanh(site: RealSite, op: Tanh) -> Reals:
    """The hyperbolic tangent."""
    return np.asarray(elementary.tanh(site.real(0)))


def softmax(site: RealSite, op: Softmax) -> Reals:
    """exp(beta * (x - max)) over its sum along the axis."""
    x = site.real(0)
    e = elementary.exp(x.dtype.type(op.beta) * (x - x.max(axis=op.axis, keepdims=True)))
    return np.asarray(e / e.sum(axis=op.axis, keepdims=True))


def batch_norm(site: RealSite, op: BatchNorm) -> Reals:
    """eq 9."""
    x, gamma, beta, mean, variance = site.reals()
    return np.asarray(gamma * (x - mean) / np.sqrt(variance + x.dtype.type(op.epsilon)) + beta)


ELEMENTWISE: dict[type[Operator], Callable[[RealSite, Any], Reals]] = {
    BatchNorm: batch_norm,
    Clip: clip,
    Concat: concat,
    HardSigmoid: hard_sigmoid,
    HardSwish: hard_swish,
    LeakyRelu: leaky_relu,
    Logistic: logistic,
    PRelu: prelu,
    Pad: pad,
    RequantShift: requant_shift,
    Requantize: requantize,
    Softmax: softmax,
    Tanh: tanh,
    **dict.fromkeys(_FUNCTIONS, binary),
}
