"""Random models of activation functions that stand alone."""

from __future__ import annotations

import numpy as np
from oracles.tflite_builder import options
from oracles.tflite_draw import LIMITS, Case, CaseBuilder, Draw, Grid

_BYTES = {"int8": 0.75, "uint8": 0.25}
_ALL = {"int8": 0.6, "uint8": 0.2, "int16": 0.2}


def _codes(draw: Draw, dtype: str) -> np.ndarray:
    """Every byte code once in half of the cases, otherwise random codes of a random shape."""
    if dtype != "int16" and not draw.extreme and draw.chance(0.5):
        low, high = LIMITS[dtype]
        return np.arange(low, high + 1).astype(dtype).reshape(1, 16, 16)
    return draw.codes(draw.shape(draw.integer(1, 4), 1, 6), dtype)


def _unary(draw: Draw, operator: str, dtype: str, x: Grid, y: Grid, fields: object = None) -> Case:
    case = CaseBuilder(operator, draw)
    codes = _codes(draw, dtype)
    case.input(codes, dtype, x)
    case.output(codes.shape, dtype, y)
    return case.finish(dtype, fields)


def _rectifier(draw: Draw, operator: str, shares: dict[str, float] = _ALL) -> Case:
    dtype = draw.weighted(shares)
    low = -14 if dtype == "int16" else -8
    x = draw.grid(dtype, low, low + 8)
    return _unary(draw, operator, dtype, x, draw.grid_near(float(x.scale), dtype, -1, 3))


def relu(draw: Draw) -> Case:
    """RELU: requantizes; int8, uint8, int16."""
    return _rectifier(draw, "RELU")


def relu6(draw: Draw) -> Case:
    """RELU6: requantizes; int8, uint8, int16."""
    return _rectifier(draw, "RELU6")


def relu_n1_to_1(draw: Draw) -> Case:
    """RELU_N1_TO_1: requantizes; int8, uint8."""
    return _rectifier(draw, "RELU_N1_TO_1", _BYTES)


def leaky_relu(draw: Draw) -> Case:
    """LEAKY_RELU: slopes of both signs, above and below one; int8, uint8, int16."""
    dtype = draw.weighted(_ALL)
    x = draw.grid(dtype)
    y = draw.grid_near(float(x.scale), dtype)
    alpha = draw.pick([0.5, 0.25, 1.0]) if draw.extreme else float(draw.rng.uniform(-0.5, 1.2))
    return _unary(draw, "LEAKY_RELU", dtype, x, y, options("LeakyRelu", alpha=alpha))


def prelu(draw: Draw) -> Case:
    """PRELU: slopes per channel, broadcast; int8, uint8."""
    dtype = draw.weighted(_BYTES)
    x, slope = draw.grid(dtype), draw.grid(dtype)
    y = draw.grid_near(float(x.scale), dtype)
    case = CaseBuilder("PRELU", draw)
    shape = draw.shape(4, 1, 5)
    case.input(draw.codes(shape, dtype), dtype, x)
    alpha_shape = tuple(1 if draw.chance(0.6) else size for size in shape[1:3]) + shape[3:]
    alpha = draw.codes(alpha_shape, dtype)
    case.constant(alpha, dtype, slope.scale, slope.zero_point, name="alpha")
    case.output(shape, dtype, y)
    return case.finish(dtype)


def hard_swish(draw: Draw) -> Case:
    """HARD_SWISH: int8, uint8."""
    dtype = draw.weighted(_BYTES)
    x = draw.grid(dtype)
    y = draw.grid_near(float(x.scale), dtype, -1, 2)
    return _unary(draw, "HARD_SWISH", dtype, x, y, options("HardSwish"))


def logistic(draw: Draw) -> Case:
    """LOGISTIC: int8 and uint8 by table, int16 by fixed point; the result's grid is fixed."""
    dtype = draw.weighted(_ALL)
    outputs = {
        "int8": Grid(np.float32(1 / 256), -128),
        "uint8": Grid(np.float32(1 / 256), 0),
        "int16": Grid(np.float32(1 / 32768), 0),
    }
    x = draw.grid(dtype, -16, -8) if dtype == "int16" else draw.grid(dtype)
    return _unary(draw, "LOGISTIC", dtype, x, outputs[dtype])


def tanh(draw: Draw) -> Case:
    """TANH: int8 and uint8 by table, int16 by fixed point; the result's grid is fixed."""
    dtype = draw.weighted(_ALL)
    outputs = {
        "int8": Grid(np.float32(1 / 128), 0),
        "uint8": Grid(np.float32(1 / 128), 128),
        "int16": Grid(np.float32(1 / 32768), 0),
    }
    x = draw.grid(dtype, -16, -8) if dtype == "int16" else draw.grid(dtype)
    return _unary(draw, "TANH", dtype, x, outputs[dtype])


def softmax(draw: Draw) -> Case:
    """SOFTMAX over the last axis: int8, uint8, int16; beta 1 mostly; the result's grid is fixed."""
    dtype = draw.weighted(_ALL)
    outputs = {
        "int8": Grid(np.float32(1 / 256), -128),
        "uint8": Grid(np.float32(1 / 256), 0),
        "int16": Grid(np.float32(1 / 32768), 0),
    }
    x = draw.grid(dtype, -14, -7) if dtype == "int16" else draw.grid(dtype, -7, 0)
    case = CaseBuilder("SOFTMAX", draw)
    shape = (*draw.shape(draw.integer(0, 3), 1, 4), draw.integer(1, 40))
    case.input(draw.codes(shape, dtype), dtype, x)
    case.output(shape, dtype, outputs[dtype])
    beta = 1.0 if draw.chance(0.8) else float(draw.rng.uniform(0.1, 3))
    return case.finish(dtype, options("Softmax", beta=beta), version=2)
