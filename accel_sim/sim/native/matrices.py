"""Convolve as native steps: dense, grouped and depthwise convolutions, and fully connected layers."""

from math import prod

import numpy as np

from accel_kernels.native.depthwise_shapes import shape_of
from accel_kernels.native.packing import aligned_copy, pack_weights
from accel_kernels.native.tables import Field
from accel_kernels.native.tier import tier
from accel_sim.program import Convolve
from accel_sim.sim.convolution import convolution_engine, start_bias
from accel_sim.sim.multiply_accumulate import Kernel, code_span
from accel_sim.sim.native.convolution_job import BITS, SIGN, ConvolutionJob, narrow_weights
from accel_sim.sim.native.counted import counted_convolution
from accel_sim.sim.native.epilogue import choose_epilogue
from accel_sim.sim.native.step import CODES, NativeStep, Source, lowers, pinned
from accel_sim.sim.native.watched import watched_convolution
from accel_sim.sim.preparation import Context
from accel_sim.sim.structured import StructureEngine

_PANEL_BYTES = 1 << 17


@lowers(Convolve)
def lower_convolve(command: Convolve, context: Context) -> NativeStep | None:
    """The step of a convolution whose operands have 8 bits and whose accumulators are plain ones of 32 bits."""
    if command.input.dtype not in CODES or command.output_to.dtype not in BITS or not command.output_to.size:
        return None
    weights = narrow_weights(command, context)
    bias = start_bias(command, context, len(weights))
    flat = weights.reshape(len(weights), -1)
    engine = convolution_engine(command, context, flat, bias)
    epilogue = choose_epilogue(command.output, len(weights))
    watched, counted = (
        engine.kernel is Kernel.EXTREMES,
        isinstance(engine, StructureEngine) and context.counted is not None,
    )
    plain = engine.kernel is Kernel.EXACT and engine.accumulator.dtype == np.int32
    bits = BITS[command.output_to.dtype]
    if (
        not (plain or watched or counted)
        or epilogue is None
        or (epilogue.kind == "raw") != (bits == 32)
        or not flat.size
    ):
        return None
    if (
        max(map(abs, code_span(command.input.dtype, command.input_zero_point))) >= 1 << 15
        or max(-int(flat.min()), int(flat.max())) >= 1 << 15
    ):
        return None
    job = ConvolutionJob(command, context, weights, bias, epilogue, bits, Source.of(command.input, context))
    if watched:
        return watched_convolution(job)
    if isinstance(engine, StructureEngine):
        return counted_convolution(job, engine)
    is_depthwise = command.groups > 1 and weights.shape[3] == 1
    return _depthwise(job) if is_depthwise else _dense(job)


def _dense(job: ConvolutionJob) -> NativeStep:
    chosen, command, window = tier(), job.command, job.command.window
    groups, channels, depth = command.groups, command.input.shape[3], job.weights.shape[3]
    reduction = prod(job.weights.shape[1:])
    quads = chosen.quads and job.weights.min() >= -SIGN and job.weights.max() < SIGN
    one_pixel = window.kernel == (1, 1) and window.strides == (1, 1)
    plain = quads and one_pixel and groups == 1 and command.input.shape[1:3] == command.output_to.shape[1:3]
    steps = steps_of(reduction, chosen.codes if quads else 2) * (chosen.codes // 4 if quads else 1)
    direct = plain and (job.codes == "u8" or chosen.tiles)
    copied = plain and not direct and channels == 4 * steps
    stride = channels if direct else 4 * steps
    pixels = prod(command.output_to.shape[:3])
    rows = min(max(_PANEL_BYTES // stride // chosen.rows[0], 1) * chosen.rows[0], pixels)
    size = job.channels // groups
    packed = [
        pack_weights(job.weights[g * size : (g + 1) * size].reshape(size, reduction), chosen, quads=quads)
        for g in range(groups)
    ]
    weights = packed[0] if groups == 1 else aligned_copy(np.concatenate(packed))
    table = job.table(job.folded_bias(flipped=not chosen.tiles) if quads else job.bias, job.channels + chosen.columns)
    padding = pinned(np.full(window.kernel[1] * channels, command.input_zero_point, command.input.dtype))
    values = {
        **job.geometry(),
        Field.WEIGHTS: weights.ctypes.data,
        Field.GROUP_WEIGHTS: len(packed[0]),
        Field.TABLE: table.ctypes.data,
        Field.TABLE_STRIDE: table.strides[0],
        Field.PADDING: padding.ctypes.data,
        Field.CHANNELS: depth,
        Field.OUT_CHANNELS: size,
        Field.STEPS: steps,
        Field.PANEL_STRIDE: stride,
        Field.PANEL_ROWS: rows,
        Field.DIRECT: 1 if direct else 2 if copied else 0,
        Field.GROUPS: groups,
    }
    operands = job.codes if quads else f"w8{job.codes[0]}"
    name = f"convolve:{operands}:{job.epilogue.kind}:{job.bits}"
    return NativeStep(name, values, 0 if direct else rows * stride, (weights, table, padding, *job.source.kept))


def _depthwise(job: ConvolutionJob) -> NativeStep:
    command, window = job.command, job.command.window
    lanes = tier().lanes
    padded = -(-job.channels // lanes) * lanes
    taps = window.kernel[0] * window.kernel[1]
    codes = np.zeros((taps, padded), np.int32)
    codes[:, : job.channels] = job.weights.reshape(job.channels, taps).T
    weights, table = aligned_copy(codes), job.table(job.folded_bias(flipped=True), padded)
    padding = pinned(np.full(1, command.input_zero_point, command.input.dtype))
    reach = (window.kernel[0] - 1) * window.dilations[0] + 1
    width = (command.output_to.shape[2] - 1) * window.strides[1] + (window.kernel[1] - 1) * window.dilations[1] + 1
    line = -(-width * job.channels // 64) * 64 + 128
    values = {
        **job.geometry(),
        Field.WEIGHTS: weights.ctypes.data,
        Field.GROUP_WEIGHTS: 4 * padded,
        Field.TABLE: table.ctypes.data,
        Field.TABLE_STRIDE: table.strides[0],
        Field.PADDING: padding.ctypes.data,
        Field.OUT_CHANNELS: job.channels,
        Field.PANEL_STRIDE: line,
        Field.EXTRA: job.channels // command.groups,
        Field.EXTRA_2: width,
    }
    shape = shape_of(window.kernel[1], window.strides[1], window.dilations[1])
    name = f"depthwise:{job.codes}:{job.epilogue.kind}:{job.bits}:{shape}"
    return NativeStep(
        name, values, (reach + 1) * line + 8 * window.kernel[0], (weights, table, padding, *job.source.kept)
    )


def steps_of(reduction: int, each: int) -> int:
    """Groups of `each` operands that hold a reduction."""
    return -(-reduction // each)
