"""Transposed convolutions in float32 as native steps, phase by phase (`accel_kernels.native.transposed_real`)."""

from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray

from accel_kernels.native.tables import Field, epilogue_table
from accel_kernels.native.tier import tier
from accel_kernels.native.transposed_fields import FIELDS, Phase
from accel_sim.numerics.float_convolution import FloatConvolution
from accel_sim.program import TransposeConvolve
from accel_sim.sim.float_convolution import real_bias, real_weights
from accel_sim.sim.memory import Array, aligned_size
from accel_sim.sim.native.step import CODES, NativeStep, Source, pinned, target
from accel_sim.sim.native.transposed_axes import AxisPhase, axis_phases
from accel_sim.sim.preparation import Context

Float32s = NDArray[np.float32]

_PANEL_BYTES = 1 << 17
_SLACK = 128
_LARGEST = 1 << 21


def real_step(command: TransposeConvolve, recipe: FloatConvolution, context: Context) -> NativeStep | None:
    """The step; None for a single input pixel, whose products are added in another order."""
    x, y = command.input, command.output_to
    low, high = recipe.low - recipe.zero_point, recipe.high - recipe.zero_point
    if x.dtype not in CODES or y.dtype not in CODES or not x.size or not y.size or x.shape[1] * x.shape[2] == 1:
        return None
    if max(abs(low), abs(high)) > _LARGEST:
        return None
    weights, channels, groups = real_weights(command, recipe, context), y.shape[3], command.groups
    columns = channels + tier().columns
    values = {name: getattr(recipe, name) for name in ("clip_low", "clip_high", "scale", "zero_point")}
    numbers = {**values, "low": low, "high": high}
    table = pinned(epilogue_table("real", real_bias(command, recipe, context), numbers, columns))
    source, scale = Source.of(x, context), pinned(np.array([recipe.input_scale], np.float32))
    padding = pinned(np.full(weights.shape[2], recipe.input_zero_point, x.dtype))
    phases = [_phase(command, weights, table, *both) for both in product(*axis_phases(command, ascending=True))]
    rows = pinned(np.array([row for row, _ in phases], np.int64))
    panel = aligned_size(max(int(row[Phase.PANEL_ROWS] * row[Phase.STEPS]) for row, _ in phases) * 4 + _SLACK)
    results = max(int(row[Phase.PANEL_ROWS]) for row, _ in phases) * channels // groups
    arguments = {
        **source.fields(),
        **target(y),
        Field.IMAGES: y.shape[0],
        Field.HEIGHT: x.shape[1],
        Field.WIDTH: x.shape[2],
        Field.DEPTH: x.shape[3],
        Field.OUT_HEIGHT: y.shape[1],
        Field.OUT_WIDTH: y.shape[2],
        Field.OUT_DEPTH: channels,
        Field.STRIDE_HEIGHT: command.window.strides[0],
        Field.STRIDE_WIDTH: command.window.strides[1],
        Field.ZERO_POINT: recipe.input_zero_point,
        Field.TABLE_STRIDE: 8 * columns,
        Field.PADDING: padding.ctypes.data,
        Field.CHANNELS: weights.shape[2],
        Field.OUT_CHANNELS: channels // groups,
        Field.GROUPS: groups,
        Field.EXTRA: rows.ctypes.data,
        Field.EXTRA_2: len(phases),
        Field.EXTRA_3: scale.ctypes.data,
        Field.SIZE: panel,
    }
    kept = (table, scale, padding, rows, *source.kept, *(array for _, arrays in phases for array in arrays))
    return NativeStep(f"transposed:real-{CODES[x.dtype]}:real:8", arguments, panel + results + _SLACK, kept)


def _phase(
    command: TransposeConvolve, weights: Float32s, table: Array, rows: AxisPhase, columns: AxisPhase
) -> tuple[NDArray[np.int64], tuple[Array, ...]]:
    """The row of arguments of a phase, and what it points to."""
    width, groups, size = command.window.kernel[1], command.groups, len(weights) // command.groups
    taps = [ky * width + kx for ky, kx in product(rows.taps, columns.taps)]
    part = weights[:, taps].reshape(len(weights), len(taps) * weights.shape[2])
    packed = [_packed(part[g * size : (g + 1) * size]) for g in range(groups)]
    resting = pinned(np.concatenate(packed))
    distances = pinned(np.array(list(product(rows.distances, columns.distances)), np.int64).reshape(-1, 2))
    steps, block = part.shape[1], tier().rows[0]
    pixels = command.output_to.shape[0] * rows.count * columns.count
    values = {
        Phase.ROWS: rows.count,
        Phase.COLUMNS: columns.count,
        Phase.OUTPUT_ROW: rows.first,
        Phase.OUTPUT_COLUMN: columns.first,
        Phase.INPUT_ROW: rows.start,
        Phase.INPUT_COLUMN: columns.start,
        Phase.TAP_COUNT: len(taps),
        Phase.TAPS: distances.ctypes.data,
        Phase.STEPS: steps,
        Phase.WEIGHTS: resting.ctypes.data,
        Phase.GROUP_WEIGHTS: packed[0].nbytes,
        Phase.TABLE: table.ctypes.data,
        Phase.PANEL_ROWS: min(max(_PANEL_BYTES // max(4 * steps, 1) // block, 1) * block, pixels),
    }
    row = np.zeros(FIELDS, np.int64)
    for place, value in values.items():
        row[place] = value
    return row, (distances, resting)


def _packed(weights: Float32s) -> Float32s:
    """[N, K] as tiles of columns, number after number, the columns side by side; what does not exist is 0."""
    count, depth = weights.shape
    lanes, columns = tier().lanes, tier().columns
    tiles = []
    for n in range(0, count, columns):
        part = np.zeros((depth, lanes if count - n <= lanes else columns), np.float32)
        part[:, : min(count - n, columns)] = weights[n : n + columns].T
        tiles.append(part.reshape(prod(part.shape)))
    return np.concatenate(tiles)
