"""Convolutions whose overflow is counted in accumulators of several stages, behind adder trees, or depthwise."""

from math import prod

import numpy as np
from numpy.typing import NDArray

from accel_kernels.count_structure import ABSENT
from accel_kernels.native.packing import aligned_copy
from accel_kernels.native.stages import Place
from accel_kernels.native.tables import Field
from accel_kernels.native.tier import tier
from accel_sim.numerics.accumulators import OverflowPolicy, Stage
from accel_sim.sim.memory import Array, aligned_size
from accel_sim.sim.multiply_accumulate import code_span
from accel_sim.sim.native.convolution_job import ConvolutionJob
from accel_sim.sim.native.step import NativeStep, pinned
from accel_sim.sim.structured import StructureEngine

_PANEL_BYTES = 1 << 17
_BLOCK_ROWS, _VECTORS = 2, 2
_SLACK = 64
_WIDEST, _FULL = 30, 32
"""Widths that lanes of 32 bits track: up to the former, and the latter."""
_LANE = Stage(_FULL)
_ROOM = 1 << 30
"""What a term may reach in magnitude."""


def staged_convolution(job: ConvolutionJob, engine: StructureEngine) -> NativeStep | None:
    """The step of a convolution; None for what `accel_kernels.count_structure` is to count."""
    form = _form(engine)
    if form is None or not _fits(job, engine):
        return None
    is_depthwise = job.command.groups > 1 and job.weights.shape[3] == 1
    return _depthwise(job, engine, form) if is_depthwise else _dense(job, engine, form)


def _form(engine: StructureEngine) -> str | None:
    """As `accel_kernels.native.stages` spells it; None where it has none."""
    stages = engine.structure.stages
    if any(s.bits > _WIDEST for s in stages[:-1]) or not (stages[-1].bits <= _WIDEST or stages[-1].bits == _FULL):
        return None
    letters = ["s" if s.policy is OverflowPolicy.SATURATE else "w" for s in stages]
    if stages[-1].bits == _FULL:
        letters[-1] = letters[-1].upper()
    return "t" * (engine.products_per_term > 1) + "".join(letters)


def _fits(job: ConvolutionJob, engine: StructureEngine) -> bool:
    """Whether lanes of 32 bits hold what is added, and counts of one sample."""
    if engine.zeros.any():
        return False
    flat = job.weights.reshape(job.channels, -1).astype(np.int64)
    low, high = (code + engine.offset for code in code_span(job.command.input.dtype, job.command.input_zero_point))
    starts, ends = _starts(job, engine), (flat * low, flat * high)
    least, most = starts + np.minimum(*ends).sum(axis=1), starts + np.maximum(*ends).sum(axis=1)
    term = engine.products_per_term * int(np.abs(ends).max())
    outputs = prod(job.command.output_to.shape[:3])
    additions = outputs * (2 + len(engine.structure.stages) * len(engine.order()))
    held = all(_LANE.holds(int(sums.min())) and _LANE.holds(int(sums.max())) for sums in (starts, least, most))
    return held and term < _ROOM and _LANE.holds(additions)


def _starts(job: ConvolutionJob, engine: StructureEngine) -> NDArray[np.int64]:
    """What the last stage starts with: the bias, less what raw codes add too much."""
    sums: NDArray[np.int64] = job.weights.reshape(job.channels, -1).sum(axis=1, dtype=np.int64)
    return job.bias - engine.offset * sums


def _zero_point(job: ConvolutionJob, engine: StructureEngine) -> int:
    """What codes are relative to."""
    return job.command.input_zero_point - engine.offset


def _dense(job: ConvolutionJob, engine: StructureEngine, form: str) -> NativeStep:
    command = job.command
    groups, size, reduction = command.groups, job.channels // command.groups, prod(job.weights.shape[1:])
    tile = _VECTORS * tier().lanes
    packed = [_packed(part, tile) for part in job.groups]
    stride = aligned_size(2 * (reduction + 1))
    rows = min(max(_PANEL_BYTES // stride, 1) * _BLOCK_ROWS, prod(command.output_to.shape[:3]))
    columns = job.channels + tile
    padding = job.outside(command.window.kernel[1] * command.input.shape[3])
    weights = aligned_copy(np.concatenate(packed))
    table, extra, kept = _tables(job, engine, reduction, columns)
    values = {
        **job.geometry(),
        Field.WEIGHTS: weights.ctypes.data,
        Field.GROUP_WEIGHTS: len(packed[0]),
        Field.TABLE: table.ctypes.data,
        Field.TABLE_STRIDE: table.strides[0],
        Field.PADDING: padding.ctypes.data,
        Field.ZERO_POINT: _zero_point(job, engine),
        Field.CHANNELS: job.weights.shape[3],
        Field.OUT_CHANNELS: size,
        Field.STEPS: reduction + 1,
        Field.PANEL_STRIDE: stride,
        Field.PANEL_ROWS: rows,
        Field.GROUPS: groups,
        Field.EXTRA: extra,
    }
    name = f"count_stages:w8{job.codes[0]}:{job.epilogue.kind}:{job.bits}:{form}"
    arrays = (weights, table, padding, *kept, *job.source.kept)
    return NativeStep(name, values, rows * stride + _SLACK, arrays, counted=job.channels, columns=columns)


def _packed(weights: NDArray[np.generic], tile: int) -> NDArray[np.uint8]:
    """[N, K] as int16 [tiles, K + 1, columns of a tile], flat; the last row is 0, and what does not exist."""
    n, k = weights.shape
    tiles = -(-n // tile)
    padded = np.zeros((tiles * tile, k + 1), np.int16)
    padded[:n, :k] = weights
    ordered = np.ascontiguousarray(padded.reshape(tiles, tile, k + 1).transpose(0, 2, 1))
    return ordered.view(np.uint8).reshape(-1)


def _depthwise(job: ConvolutionJob, engine: StructureEngine, form: str) -> NativeStep:
    command, lanes = job.command, tier().lanes
    taps = prod(command.window.kernel)
    columns = -(-job.channels // lanes) * lanes
    codes = np.zeros((taps + 1, columns), np.int16)
    codes[:taps, : job.channels] = job.weights.reshape(job.channels, taps).T
    weights, places, pixel = aligned_copy(codes), 8 * (taps + 1), aligned_size(job.channels)
    repeats = job.channels // command.groups
    padding = job.outside(job.channels)
    table, extra, kept = _tables(job, engine, taps, columns)
    values = {
        **job.geometry(),
        Field.WEIGHTS: weights.ctypes.data,
        Field.GROUP_WEIGHTS: 2 * columns,
        Field.TABLE: table.ctypes.data,
        Field.TABLE_STRIDE: table.strides[0],
        Field.PADDING: padding.ctypes.data,
        Field.ZERO_POINT: _zero_point(job, engine),
        Field.OUT_CHANNELS: job.channels,
        Field.OTHER: extra,
        Field.EXTRA: repeats,
        Field.EXTRA_2: places,
        Field.EXTRA_3: pixel,
    }
    name = f"count_depthwise:{job.codes}:{job.epilogue.kind}:{job.bits}:{form}"
    scratch = places + (taps * pixel if repeats > 1 else 0) + _SLACK
    arrays = (weights, table, padding, *kept, *job.source.kept)
    return NativeStep(name, values, scratch, arrays, counted=job.channels, columns=columns)


def _tables(
    job: ConvolutionJob, engine: StructureEngine, reduction: int, columns: int
) -> tuple[Array, int, tuple[Array, ...]]:
    """The epilogue's table, the address of that of the stages, and what must stay in memory."""
    order = engine.order()
    places = pinned(np.where(order == ABSENT, reduction, order))
    starts = np.zeros(columns, np.int32)
    starts[: job.channels] = _starts(job, engine)
    held = pinned(starts)
    numbers = {
        Place.ORDER: places.ctypes.data,
        Place.PRODUCTS: len(order),
        Place.STARTS: held.ctypes.data,
        Place.RECORD_BYTES: 4 * columns,
    }
    levels = _levels(engine.structure.stages, engine.products_per_term)
    extra = pinned(np.array([*(numbers[place] for place in Place), *levels], np.int64))
    table = job.table(job.bias, columns)
    return table, extra.ctypes.data, (places, held, extra)


def _levels(stages: tuple[Stage, ...], tree: int) -> list[int]:
    """For each level, bits less than 32, and products of a term of the next level."""
    entries, products = ([0, tree], tree) if tree > 1 else ([], 1)
    for stage in stages:
        products *= stage.terms or 1
        entries += [_FULL - stage.bits, products]
    return entries
