"""QDQ models of the operators that multiply and accumulate: Conv, ConvTranspose, MatMul, Gemm.

A Relu or Clip behind them is there only where ONNX Runtime drops it (its bounds lie outside the output grid); otherwise
it would run the whole operator in float.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from oracles.onnx_builder import Grid, ModelBuilder
from oracles.onnx_draw import Draw, Weights
from oracles.onnx_qoperator import convolution_shape, matrix_shapes, weight_dtype
from oracles.onnx_window import window

Generator = Callable[[Draw], ModelBuilder]


def weight_operands(model: ModelBuilder, weights: Weights) -> list[str]:
    """The dequantized weights and, if there is one, the bias (int32 at scale s_x * s_w)."""
    channel = {"axis": weights.axis} if weights.per_channel else {}
    names = [model.dequantize(model.constant(weights.codes), weights.scale, weights.zero, **channel)]
    if weights.bias is not None:
        channel = {"axis": 0} if weights.per_channel else {}
        zero = np.zeros(np.shape(weights.bias_scale), np.int32)
        names.append(model.dequantize(model.constant(weights.bias), weights.bias_scale, zero, **channel))
    return names


def activated(model: ModelBuilder, draw: Draw, value: str, grid: Grid) -> tuple[str, Grid]:
    """Maybe a Relu or a Clip that the output grid makes redundant."""
    kind = draw.integer(0, 3)
    if kind == 0:
        return model.node("Relu", [value]), grid._replace(zero_point=grid.low)
    if kind == 1:
        tight = Grid(np.float32(6 / 255), grid.low, grid.dtype)
        bounds = [model.constant(np.float32(v)) for v in (0.0, 6.5)]
        return model.node("Clip", [value, *bounds]), tight
    return value, grid


def begin(draw: Draw) -> tuple[ModelBuilder, Grid]:
    grid = draw.grid()
    ends = draw.float_ends(grid.dtype, "Conv")
    return ModelBuilder(draw.pick((13, 17)), float_ends=ends), grid


def conv(draw: Draw) -> ModelBuilder:
    model, grid = begin(draw)
    shape, channels, groups = convolution_shape(draw)
    attributes = window(draw, shape[2:])
    kernel = attributes["kernel_shape"]
    fan_in = channels[1] * kernel[0] * kernel[1]
    dtype = weight_dtype(draw, grid.dtype)
    weights = Weights(draw, (*channels, *kernel), 0, fan_in, grid, dtype=dtype, one_zero=True)
    x = model.quantized_input("x", draw.codes(grid, shape), grid)
    y = model.node("Conv", [x, *weight_operands(model, weights)], group=groups, **attributes)
    y, output = activated(model, draw, y, draw.grid(grid.dtype, weights.output_scale))
    model.quantized_output(y, output)
    return model


def transpose_attributes(draw: Draw, size: tuple[int, int]) -> dict[str, Any]:
    while True:
        kernel, strides = draw.integers(1, 3, 2), draw.integers(1, 3, 2)
        dilations = draw.integers(1, 2, 2) if draw.chance(0.3) else (1, 1)
        pads = draw.integers(0, 1, 4)
        extra = tuple(draw.integer(0, s - 1) for s in strides)
        extents = [
            strides[i] * (size[i] - 1) + extra[i] + dilations[i] * (kernel[i] - 1) + 1 - pads[i] - pads[i + 2]
            for i in (0, 1)
        ]
        if min(extents) > 0:
            return {
                "kernel_shape": list(kernel),
                "strides": list(strides),
                "dilations": list(dilations),
                "pads": list(pads),
                "output_padding": list(extra),
            }


def conv_transpose(draw: Draw) -> ModelBuilder:
    model, grid = begin(draw)
    groups = draw.pick((1, 1, 2))
    channels, outputs = groups * draw.integer(1, 8), draw.integer(1, 5)
    shape = draw.image(channels, 1, 6)
    attributes = transpose_attributes(draw, shape[2:])
    kernel = attributes["kernel_shape"]
    weights = Weights(draw, (channels, outputs, *kernel), 1, channels // groups * kernel[0], grid, dtype=draw.dtype())
    operands = [model.quantized_input("x", draw.codes(grid, shape), grid)]
    channel = {"axis": 1} if weights.per_channel else {}
    operands.append(model.dequantize(model.constant(weights.codes), weights.scale, weights.zero, **channel))
    if draw.chance(0.7):
        scale = np.float32(np.max(weights.bias_scale))
        bias = draw.rng.integers(-(1 << 14), 1 << 14, outputs * groups).astype(np.int32)
        operands.append(model.dequantize(model.constant(bias), scale, np.int32(0)))
    y = model.node("ConvTranspose", operands, group=groups, **attributes)
    spread = weights.output_scale if not weights.wide else float(np.max(weights.bias_scale)) * 256
    model.quantized_output(y, draw.grid(grid.dtype, spread))
    return model


def matmul(*, constant: bool) -> Generator:
    def generate(draw: Draw) -> ModelBuilder:
        model, grid = begin(draw)
        left, right = matrix_shapes(draw)
        weights = Weights(draw, right, 1, right[0], grid, dtype=weight_dtype(draw, grid.dtype))
        x = model.quantized_input("x", draw.codes(grid, left), grid)
        weights.bias = None
        if constant:
            operands = [x, *weight_operands(model, weights)]
        else:
            right_grid = draw.grid(grid.dtype)
            operands = [x, model.quantized_input("w", draw.codes(right_grid, right), right_grid)]
        y, output = activated(model, draw, model.node("MatMul", operands), draw.grid(grid.dtype, weights.output_scale))
        model.quantized_output(y, output)
        return model

    return generate


def gemm(draw: Draw) -> ModelBuilder:
    model, grid = begin(draw)
    rows, inner, columns = draw.integers(1, 9, 3)
    transposed = draw.chance(0.6)
    shape, axis = ((columns, inner), 0) if transposed else ((inner, columns), 1)
    weights = Weights(draw, shape, axis, inner, grid, dtype=weight_dtype(draw, grid.dtype))
    x = model.quantized_input("x", draw.codes(grid, (rows, inner)), grid)
    y = model.node("Gemm", [x, *weight_operands(model, weights)], transB=int(transposed))
    y, output = activated(model, draw, y, draw.grid(grid.dtype, weights.output_scale))
    model.quantized_output(y, output)
    return model


GENERATORS: dict[str, Generator] = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "MatMul": matmul(constant=True),
    "MatMul dynamic": matmul(constant=False),
    "Gemm": gemm,
}
