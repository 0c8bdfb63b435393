"""Convolutions whose accumulators are watched and cannot overflow, as native steps."""

from math import prod

import numpy as np

from accel_kernels.native.packing import aligned_copy, pack_weights
from accel_kernels.native.tables import Field
from accel_kernels.native.tier import tier
from accel_sim.sim.memory import Array, aligned_size
from accel_sim.sim.native.convolution_job import ConvolutionJob
from accel_sim.sim.native.step import NativeStep

_PANEL_BYTES = 1 << 17
_BLOCK_ROWS = 4
_SLACK = 64


def watched_convolution(job: ConvolutionJob) -> NativeStep:
    """The step of a convolution that records the extremes of every partial sum."""
    is_depthwise = job.command.groups > 1 and job.weights.shape[3] == 1
    return _depthwise(job) if is_depthwise and not job.wide else _dense(job)


def _dense(job: ConvolutionJob) -> NativeStep:
    command, chosen = job.command, tier()
    groups, channels = command.groups, command.input.shape[3] * job.size
    reduction, size = prod(job.weights.shape[1:]), job.channels // command.groups
    steps = -(-reduction // 2)
    rows = min(max(_PANEL_BYTES // (4 * steps) // _BLOCK_ROWS, 1) * _BLOCK_ROWS, prod(command.output_to.shape[:3]))
    packed = [pack_weights(part, chosen, quads=False) for part in job.groups]
    weights = packed[0] if groups == 1 else aligned_copy(np.concatenate(packed))
    table = _table(job, job.channels + chosen.columns)
    padding = job.outside(command.window.kernel[1] * channels)
    values = {
        **job.geometry(),
        Field.WEIGHTS: weights.ctypes.data,
        Field.GROUP_WEIGHTS: len(packed[0]),
        Field.TABLE: table.ctypes.data,
        Field.TABLE_STRIDE: table.strides[0],
        Field.PADDING: padding.ctypes.data,
        Field.CHANNELS: job.weights.shape[3] * job.size,
        Field.OUT_CHANNELS: size,
        Field.STEPS: steps,
        Field.PANEL_STRIDE: 4 * steps,
        Field.PANEL_ROWS: rows,
        Field.GROUPS: groups,
    }
    operands = job.operands if job.size == 2 else f"w8{job.codes[0]}"
    name = f"watch:{operands}:{job.epilogue.kind}:{job.bits}"
    kept = (weights, table, padding, *job.source.kept)
    return NativeStep(name, values, rows * 4 * steps + _SLACK, kept, watched=True)


def _depthwise(job: ConvolutionJob) -> NativeStep:
    command, lanes = job.command, tier().lanes
    taps = prod(command.window.kernel)
    padded = -(-job.channels // lanes) * lanes
    codes = np.zeros((taps, padded), np.int32)
    codes[:, : job.channels] = job.weights.reshape(job.channels, taps).T
    codes &= 0xFFFF  # the other half of a pair is 0
    weights, table = aligned_copy(codes), _table(job, padded)
    repeats, places, pixel = job.channels // command.groups, 8 * taps, aligned_size(job.channels * job.size)
    padding = job.outside(job.channels)
    values = {
        **job.geometry(),
        Field.WEIGHTS: weights.ctypes.data,
        Field.GROUP_WEIGHTS: 4 * padded,
        Field.TABLE: table.ctypes.data,
        Field.TABLE_STRIDE: table.strides[0],
        Field.PADDING: padding.ctypes.data,
        Field.OUT_CHANNELS: job.channels,
        Field.EXTRA: repeats,
        Field.EXTRA_2: places,
        Field.EXTRA_3: pixel,
    }
    name = f"watch_depthwise:{job.codes}:{job.epilogue.kind}:{job.bits}"
    scratch = places + (taps * pixel if repeats > 1 else 0)
    return NativeStep(name, values, scratch, (weights, table, padding, *job.source.kept), watched=True)


def _table(job: ConvolutionJob, columns: int) -> Array:
    """The epilogue's parameters, with a bias that exists for columns that do not."""
    table = job.table(job.bias, columns)
    table[0].view(np.int64 if job.wide else np.int32)[job.channels : columns] = job.bias[-1]
    return table
