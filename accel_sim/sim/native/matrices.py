"""Convolve as native steps: dense, grouped and depthwise convolutions, and fully connected layers."""

from enum import Enum
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_kernels.native.depthwise_shapes import shape_of
from accel_kernels.native.packing import aligned_copy, pack_weights
from accel_kernels.native.tables import Field
from accel_kernels.native.tier import tier
from accel_sim.hardware import OverflowPolicy
from accel_sim.program import Convolve
from accel_sim.sim.convolution import convolution_engine, start_bias
from accel_sim.sim.multiply_accumulate import Accumulator, Kernel, Span, code_span, sum_span
from accel_sim.sim.native.convolution_job import BITS, SIGN, ConvolutionJob, narrow_weights
from accel_sim.sim.native.counted import counted_convolution
from accel_sim.sim.native.epilogue import choose_epilogue, choose_wide_epilogue
from accel_sim.sim.native.step import CODES, OPERANDS, NativeStep, Source, lowers, pinned
from accel_sim.sim.native.watched import watched_convolution
from accel_sim.sim.preparation import Context
from accel_sim.sim.structured import Engine, StructureEngine

_PANEL_BYTES = 1 << 17


@lowers(Convolve)
def lower_convolve(command: Convolve, context: Context) -> NativeStep | None:
    """The step of a convolution of codes of 8 or 16 bits with weights of 8, in plain accumulators."""
    if command.input.dtype not in OPERANDS or command.output_to.dtype not in BITS or not command.output_to.size:
        return None
    weights = narrow_weights(command, context)
    if not weights.size or not _multipliable(command, weights):
        return None
    bias = start_bias(command, context, len(weights))
    flat = weights.reshape(len(weights), -1)
    engine = convolution_engine(command, context, flat, bias)
    is_wide = engine.accumulator.dtype != np.int32
    sums = sum_span(flat, bias, code_span(command.input.dtype, command.input_zero_point)) if is_wide else (0, 0)
    manner = _manner(command, context, engine, sums)
    bits = BITS[command.output_to.dtype]
    if manner is _Manner.WIDE:
        epilogue = choose_wide_epilogue(command.output, max(map(abs, sums)))
    else:
        epilogue = choose_epilogue(command.output, len(weights))
    if manner is None or epilogue is None or (epilogue.kind == "raw") != (bits == 32):
        return None
    source, wide = Source.of(command.input, context), manner is _Manner.WIDE
    job = ConvolutionJob(command, context, weights, bias, epilogue, bits, source, wide)
    if manner is _Manner.WATCHED:
        return watched_convolution(job)
    if isinstance(engine, StructureEngine):
        return counted_convolution(job, engine)
    is_depthwise = command.groups > 1 and weights.shape[3] == 1
    return _depthwise(job) if is_depthwise and not wide else _dense(job)


class _Manner(Enum):
    """How a step accumulates."""

    EXACT = "sums modulo 2^32"
    WIDE = "sums of 64 bits"
    WATCHED = "addition by addition, of sums that fit 32 bits"
    COUNTED = "counting overflow"


def _manner(command: Convolve, context: Context, engine: Engine, sums: Span) -> _Manner | None:
    """How the arithmetic of an engine is a step's; None where it is not."""
    centred = command.input_zero_point == 0 or command.input.dtype in CODES
    if isinstance(engine, StructureEngine):
        return _Manner.COUNTED if context.counted is not None and command.input.dtype in CODES else None
    narrow = engine.accumulator.dtype == np.int32
    fits = Accumulator(32, OverflowPolicy.WRAP).holds(sums)
    if engine.kernel is Kernel.EXACT:
        if narrow or fits:
            return _Manner.EXACT
        return _Manner.WIDE if centred and command.input.dtype not in CODES else None
    watched = engine.kernel is Kernel.EXTREMES or (engine.kernel is Kernel.LANES64 and not narrow and fits)
    return _Manner.WATCHED if watched and centred else None


def _multipliable(command: Convolve, weights: NDArray[Any]) -> bool:
    """Whether operands fit 16 bits; those that have 16 themselves are multiplied with weights of 8."""
    largest = max(-int(weights.min()), int(weights.max()))
    if command.input.dtype not in CODES:
        return largest <= SIGN
    return max(map(abs, code_span(command.input.dtype, command.input_zero_point))) < 1 << 15 and largest < 1 << 15


def _dense(job: ConvolutionJob) -> NativeStep:
    chosen, command, window = tier(), job.command, job.command.window
    groups, channels, depth = command.groups, command.input.shape[3] * job.size, job.weights.shape[3] * job.size
    reduction = prod(job.weights.shape[1:])
    quads = chosen.quads and job.size == 1 and job.weights.min() >= -SIGN and job.weights.max() < SIGN
    one_pixel = window.kernel == (1, 1) and window.strides == (1, 1)
    plain = one_pixel and groups == 1 and command.input.shape[1:3] == command.output_to.shape[1:3]
    steps = steps_of(reduction, chosen.codes if quads else 2) * (chosen.codes // 4 if quads else 1)
    direct = plain and (job.size == 2 or (quads and (job.codes == "u8" or chosen.tiles)))
    copied = plain and quads and not direct and channels == 4 * steps
    stride = channels if direct else 4 * steps
    pixels = prod(command.output_to.shape[:3])
    rows = min(max(_PANEL_BYTES // stride // chosen.rows[0], 1) * chosen.rows[0], pixels)
    size = job.channels // groups
    packed = [
        pack_weights(job.weights[g * size : (g + 1) * size].reshape(size, reduction), chosen, quads=quads)
        for g in range(groups)
    ]
    weights = packed[0] if groups == 1 else aligned_copy(np.concatenate(packed))
    raw = quads or job.size == 2
    table = job.table(job.folded_bias(flipped=not chosen.tiles) if raw else job.bias, job.channels + chosen.columns)
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
    operands = job.codes + ("w" if job.wide else "") if raw else f"w8{job.codes[0]}"
    name = f"convolve:{operands}:{job.epilogue.kind}:{job.bits}"
    return NativeStep(name, values, 0 if direct else rows * stride, (weights, table, padding, *job.source.kept))


def _depthwise(job: ConvolutionJob) -> NativeStep:
    command, window = job.command, job.command.window
    lanes = tier().lanes
    padded = -(-job.channels // lanes) * lanes
    taps = window.kernel[0] * window.kernel[1]
    codes = np.zeros((taps, padded), np.int32)
    codes[:, : job.channels] = job.weights.reshape(job.channels, taps).T
    codes &= 0xFFFF  # the other half of a pair is 0
    weights, table = aligned_copy(codes), job.table(job.folded_bias(flipped=True), padded)
    padding = pinned(np.full(1, command.input_zero_point, command.input.dtype))
    reach = (window.kernel[0] - 1) * window.dilations[0] + 1
    width = (command.output_to.shape[2] - 1) * window.strides[1] + (window.kernel[1] - 1) * window.dilations[1] + 1
    line = -(-width * job.channels * job.size // 64) * 64 + 128
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
