"""Convolve and MatrixMultiply in float32, as ONNX Runtime computes what it has no integer kernel for."""

from collections.abc import Callable
from math import prod

import numpy as np
from numpy.typing import NDArray

from accel_kernels import dot_float32, panels, transpose_float32
from accel_sim.numerics.float_dot_products import DotOrder, FloatDotProducts
from accel_sim.program import Convolve, MatrixMultiply
from accel_sim.sim.geometry import window_geometry
from accel_sim.sim.memory import Array, Memory, Scratch, matrices
from accel_sim.sim.preparation import Context, Operation, Record, Run

Float32s = NDArray[np.float32]
_PANEL_BYTES = 1 << 18
Sum = Callable[[Array, int, int, Array, int, int], None]
"""Sums of rows (count of them, of so many taps) times weights, from a column on; the first sum's number."""


def prepare_float_convolution(command: Convolve, recipe: FloatDotProducts, context: Context) -> Operation:
    """The operation of a convolution between dequantization and quantization."""
    weights, bias = _real_weights(command, recipe, context), _real_bias(command, recipe, context)
    x, y, taps = command.input, command.output_to, prod(command.window.kernel)
    inputs, depth, size = command.weights.shape[3], weights.shape[1], weights.shape[2]
    geometries = [window_geometry(x, y, command.window, g * inputs, inputs) for g in range(command.groups)]
    pixels, channels, image_pixels = prod(y.shape[:3]), y.shape[3], prod(y.shape[1:3])
    rows = max(1, min(pixels, _PANEL_BYTES // max(4 * depth, 4)))

    def bind(memory: Memory, record: Record) -> Run:
        image = memory.view(x).reshape(-1)
        codes = memory.view(y).reshape(pixels, channels)
        panel = memory.scratch(Scratch.PANEL, (rows, depth), np.int32)
        real = memory.scratch(Scratch.LEFT, (rows, depth), np.float32)
        sums = memory.scratch(Scratch.ACCUMULATORS, (rows, channels), np.float32)
        chain = memory.scratch(Scratch.RIGHT, (size,), np.float32)
        add = _adder(recipe, bias, image_pixels * size, chain, sums)
        finish = _finisher(recipe, bias)

        def run() -> None:
            for first in range(0, pixels, rows):
                count = min(rows, pixels - first)
                for group, geometry in enumerate(geometries):
                    panels.gather_panel(image, geometry, recipe.input_zero_point, first, count, panel)
                    np.multiply(panel[:count], np.float32(recipe.input_scale), out=real[:count], casting="unsafe")
                    add(real, count, taps, weights[group], group * size, first % image_pixels * size)
                finish(sums[:count], codes[first : first + count])

        return run

    scratch = {
        Scratch.PANEL: rows * depth * 4,
        Scratch.LEFT: rows * depth * 4,
        Scratch.ACCUMULATORS: rows * channels * 4,
        Scratch.RIGHT: size * 4,
    }
    return Operation(bind, scratch)


def prepare_float_product(command: MatrixMultiply, recipe: FloatDotProducts) -> Operation:
    """The operation of a product of two activations between dequantization and quantization."""
    shape = command.output_to.shape
    count, columns, depth = shape[-2], shape[-1], command.a.shape[-2 if command.transpose_a else -1]
    bias = np.full(columns, -0.0, np.float32)
    joined = len(command.b.shape) == 2  # all rows are one matrix
    numbers = prod(shape) if joined else count * columns
    zeros, scales = np.array(recipe.weight_zero_point), np.array(recipe.weight_scale, np.float32)

    def bind(memory: Memory, record: Record) -> Run:
        codes = memory.view(command.output_to)
        left = matrices(memory.view(command.a), shape[:-2], transposed=command.transpose_a)
        right = matrices(memory.view(command.b), shape[:-2], transposed=command.transpose_b)
        rows = memory.scratch(Scratch.LEFT, (count, depth), np.float32)
        weights = memory.scratch(Scratch.WEIGHTS, (depth, columns), np.float32)
        sums = memory.scratch(Scratch.ACCUMULATORS, (count, columns), np.float32)
        chain = memory.scratch(Scratch.RIGHT, (columns,), np.float32)
        add, finish = _adder(recipe, bias, numbers, chain, sums), _finisher(recipe, bias)

        def run() -> None:
            for number, index in enumerate(np.ndindex(shape[:-2])):
                rows[:] = left[index].astype(np.int64) - recipe.input_zero_point
                np.multiply(rows, np.float32(recipe.input_scale), out=rows)
                weights[:] = right[index].astype(np.int64) - zeros
                np.multiply(weights, scales, out=weights)
                add(rows, count, 1, weights, 0, number * count * columns if joined else 0)
                finish(sums, codes[index])

        return run

    scratch = {
        Scratch.LEFT: count * depth * 4,
        Scratch.WEIGHTS: depth * columns * 4,
        Scratch.ACCUMULATORS: count * columns * 4,
        Scratch.RIGHT: columns * 4,
    }
    return Operation(bind, scratch)


def _adder(recipe: FloatDotProducts, bias: Float32s, numbers: int, chain: Array, sums: Array) -> Sum:
    """The kernel of an order."""
    start = bias if recipe.bias_first else np.full_like(bias, -0.0)

    def add(rows: Array, count: int, taps: int, weights: Array, column: int, number: int) -> None:
        if recipe.order is DotOrder.CHAINS:
            dot_float32.chains_float32(rows, count, taps, weights, recipe.block, start, column, chain, sums)
        elif recipe.order is DotOrder.GROUPS:
            dot_float32.groups_float32(rows, count, taps, weights, start, column, sums)
        else:
            dot_float32.lanes_float32(rows, count, taps, weights, start, column, number, numbers, sums)

    return add


def _finisher(recipe: FloatDotProducts, bias: Float32s) -> Callable[[Array, Array], None]:
    """Bias, clamp and quantization of sums [rows, C] to codes."""
    last = np.full_like(bias, -0.0) if recipe.bias_first else bias
    limits = np.float32(recipe.low - recipe.zero_point), np.float32(recipe.high - recipe.zero_point)
    clip = np.float32(recipe.clip_low), np.float32(recipe.clip_high)
    scale = np.float32(recipe.scale)

    def finish(sums: Array, codes: Array) -> None:
        transpose_float32.quantize_float32(sums, last, *clip, scale, recipe.zero_point, *limits, codes)

    return finish


def _real_weights(command: Convolve, recipe: FloatDotProducts, context: Context) -> Float32s:
    """[groups, K, outputs of a group], K in the order channel, ky, kx."""
    codes = context.constant(command.weights, "weights").astype(np.int64)
    zeros = np.array(recipe.weight_zero_point, np.int64).reshape(-1, 1, 1, 1)
    real = (codes - zeros).astype(np.float32) * np.array(recipe.weight_scale, np.float32).reshape(-1, 1, 1, 1)
    flat = real.transpose(0, 3, 1, 2).reshape(command.groups, len(codes) // command.groups, -1)
    return np.ascontiguousarray(flat.swapaxes(1, 2))


def _real_bias(command: Convolve, recipe: FloatDotProducts, context: Context) -> Float32s:
    """[Co]; -0.0 where there is no bias: the addition then changes no sum, not even a zero's sign."""
    if command.bias is None:
        return np.full(command.output_to.shape[3], -0.0, np.float32)
    codes = context.constant(command.bias, "bias").astype(np.float32)
    return np.ascontiguousarray(codes * np.array(recipe.bias_scale, np.float32))
