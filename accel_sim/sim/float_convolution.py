"""TransposeConvolve in float32, as ONNX Runtime computes what it has no integer kernel for."""

from math import prod

import numpy as np
from numpy.typing import NDArray

from accel_kernels import transpose_float32
from accel_sim.numerics.float_convolution import FloatConvolution
from accel_sim.program import TransposeConvolve
from accel_sim.sim.geometry import window_geometry
from accel_sim.sim.memory import Memory, Scratch
from accel_sim.sim.preparation import Context, Operation, Record, Run


def prepare_float_transposed(command: TransposeConvolve, recipe: FloatConvolution, context: Context) -> Operation:
    """The operation of a transposed convolution between dequantization and quantization."""
    weights, bias = real_weights(command, recipe, context), real_bias(command, recipe, context)
    x, y = command.input, command.output_to
    geometry = window_geometry(x, y, command.window)
    limits = np.float32(recipe.low - recipe.zero_point), np.float32(recipe.high - recipe.zero_point)
    clip = np.float32(recipe.clip_low), np.float32(recipe.clip_high)
    input_scale, scale = np.float32(recipe.input_scale), np.float32(recipe.scale)
    pixels, channels = prod(y.shape[:3]), y.shape[3]

    def bind(memory: Memory, record: Record) -> Run:
        codes = memory.view(x).reshape(-1, x.shape[3])
        target = memory.view(y).reshape(pixels, channels)
        real = memory.scratch(Scratch.LEFT, codes.shape, np.float32)
        sums = memory.scratch(Scratch.ACCUMULATORS, (pixels, channels), np.float32)

        def run() -> None:
            real[:] = codes.astype(np.int64) - recipe.input_zero_point
            np.multiply(real, input_scale, out=real)
            transpose_float32.transpose_convolve_float32(real, weights, geometry, command.groups, sums)
            transpose_float32.quantize_float32(sums, bias, *clip, scale, recipe.zero_point, *limits, target)

        return run

    return Operation(bind, {Scratch.LEFT: x.size * 4, Scratch.ACCUMULATORS: y.size * 4})


def real_weights(command: TransposeConvolve, recipe: FloatConvolution, context: Context) -> NDArray[np.float32]:
    """float32 [Co, taps, Ci / groups]."""
    codes = context.constant(command.weights, "weights").astype(np.int64)
    zero_points = np.array(recipe.weight_zero_point, np.int64).reshape(-1, 1, 1, 1)
    scales = np.array(recipe.weight_scale, np.float32).reshape(-1, 1, 1, 1)
    real = (codes - zero_points).astype(np.float32) * scales
    return np.ascontiguousarray(real.reshape(len(codes), -1, codes.shape[3]))


def real_bias(command: TransposeConvolve, recipe: FloatConvolution, context: Context) -> NDArray[np.float32]:
    """float32 [Co]; -0.0 where there is no bias: the addition then changes no sum, not even a zero's sign."""
    if command.bias is None:
        return np.full(command.output_to.shape[3], -0.0, np.float32)
    codes = context.constant(command.bias, "bias").astype(np.float32)
    return np.ascontiguousarray(codes * np.array(recipe.bias_scale, np.float32))
