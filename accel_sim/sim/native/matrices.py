"""Convolve as native steps: dense, grouped and depthwise convolutions, and fully connected layers."""

from math import prod

import numpy as np

from accel_kernels.native.depthwise_shapes import shape_of
from accel_kernels.native.packing import aligned_copy, pack_weights
from accel_kernels.native.tables import Field
from accel_kernels.native.tier import MOST_TERMS, TILE_BYTES, TILE_ROWS, tier
from accel_sim.program import Convolve
from accel_sim.sim.native.convolution_job import SIGN, ConvolutionJob
from accel_sim.sim.native.convolution_manner import Manner, choose_job
from accel_sim.sim.native.counted import counted_convolution
from accel_sim.sim.native.counted_stages import staged_convolution
from accel_sim.sim.native.step import NativeStep, lowers
from accel_sim.sim.native.watched import watched_convolution
from accel_sim.sim.preparation import Context
from accel_sim.sim.structured import StructureEngine

_WORTH_COMPILING = 1 << 21
"""Products of a layer."""
_PANEL_BYTES = 1 << (19 if tier().tiles else 17)
_TILED_ROWS = 2 * TILE_ROWS
_SHARED_ROWS, _SHARED_LINES = 192, 14
"""Of a share, at least, where a thread has several: blocks are whole, few lines are read twice."""


@lowers(Convolve)
def lower_convolve(command: Convolve, context: Context) -> NativeStep | None:
    """The step of a convolution of codes of 8 or 16 bits with weights of 8, in plain accumulators."""
    found = choose_job(command, context)
    if found is None:
        return None
    job, manner, engine = found
    if manner in (Manner.WATCHED, Manner.WATCHED_WIDE):
        return watched_convolution(job)
    if isinstance(engine, StructureEngine):
        return _counted(job, engine)
    is_depthwise = command.groups > 1 and job.weights.shape[3] == 1
    job = job.packed()
    return _depthwise(job) if is_depthwise and not job.wide else _dense(job)


def _counted(job: ConvolutionJob, engine: StructureEngine) -> NativeStep | None:
    """The step that counts overflow; large layers get one that is quicker, but takes seconds to be compiled."""
    products = prod(job.command.output_to.shape) * prod(job.weights.shape[1:])
    makers = [counted_convolution, staged_convolution]
    for make in makers if products >= _WORTH_COMPILING else reversed(makers):
        step = make(job, engine)
        if step is not None:
            return step
    return None


def _dense(job: ConvolutionJob) -> NativeStep:
    chosen, command, window = tier(), job.command, job.command.window
    groups, channels, depth = command.groups, command.input.shape[3] * job.size, job.weights.shape[3] * job.size
    reduction = prod(job.weights.shape[1:])
    splits = _splits(job, reduction)
    quads, raw = job.quads or splits, job.raw
    one_pixel = window.kernel == (1, 1) and window.strides == (1, 1)
    plain = one_pixel and groups == 1 and command.input.shape[1:3] == command.output_to.shape[1:3]
    steps = -(-reduction // TILE_BYTES) * (TILE_BYTES // 4) if splits else job.steps(reduction)
    direct = plain and not splits and (job.size == 2 or (quads and (job.codes == "u8" or chosen.tiles)))
    copied = plain and job.quads and not direct and channels == 4 * steps
    stride = channels if direct else 2 * (4 * steps + TILE_BYTES) if splits else 4 * steps
    pixels = prod(command.output_to.shape[:3])
    block = TILE_ROWS if splits else _TILED_ROWS if quads and chosen.tiles else chosen.rows[0]
    rows = min(max(_PANEL_BYTES // stride // block, 1) * block, pixels)
    size = job.channels // groups
    packed = [pack_weights(part, chosen, quads=quads) for part in job.groups]
    weights = packed[0] if groups == 1 else aligned_copy(np.concatenate(packed))
    table = job.table(job.folded_bias(flipped=not chosen.tiles) if raw else job.bias, job.channels + chosen.columns)
    padding = job.outside(window.kernel[1] * channels)
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
        Field.SHARES: pixels // _SHARED_ROWS,
    }
    operands = f"s16t{'w' if job.wide else ''}" if splits else job.operands
    name = f"convolve:{operands}:{job.epilogue.kind}:{job.bits}"
    return NativeStep(name, values, 0 if direct else rows * stride, (weights, table, padding, *job.source.kept))


def _splits(job: ConvolutionJob, reduction: int) -> bool:
    """Whether codes of 16 bits are split into bytes, for tiles."""
    fits = job.weights.min() >= -SIGN and job.weights.max() < SIGN and reduction <= MOST_TERMS
    return tier().tiles and job.size == 2 and bool(fits)


def _depthwise(job: ConvolutionJob) -> NativeStep:
    command, window = job.command, job.command.window
    lanes = tier().lanes
    padded = -(-job.channels // lanes) * lanes
    taps = window.kernel[0] * window.kernel[1]
    codes = np.zeros((taps, padded), np.int32)
    codes[:, : job.channels] = job.weights.reshape(job.channels, taps).T
    codes &= 0xFFFF  # the other half of a pair is 0
    weights, table = aligned_copy(codes), job.table(job.folded_bias(flipped=True), padded)
    padding = job.outside(1)
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
        Field.SHARES: prod(command.output_to.shape[:2]) // _SHARED_LINES,
    }
    shape = shape_of(window.kernel[1], window.strides[1], window.dilations[1])
    name = f"depthwise:{job.codes}:{job.epilogue.kind}:{job.bits}:{shape}"
    return NativeStep(
        name, values, (reach + 1) * line + 8 * window.kernel[0], (weights, table, padding, *job.source.kept)
    )
