"""TransposeConvolve as a native step: one product for each phase of the output (`accel_kernels.native.transposed`)."""

from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_kernels.native.packing import aligned_copy, pack_weights
from accel_kernels.native.tables import Field
from accel_kernels.native.tier import tier
from accel_kernels.native.transposed_fields import FIELDS, Phase
from accel_sim.program import TransposeConvolve
from accel_sim.records import dataclass
from accel_sim.sim.memory import Array, aligned_size
from accel_sim.sim.native.convolution_job import SIGN, ConvolutionJob
from accel_sim.sim.native.convolution_manner import Manner, choose_job
from accel_sim.sim.native.step import NativeStep, lowers, pinned
from accel_sim.sim.native.transposed_axes import AxisPhase, axis_phases
from accel_sim.sim.native.transposed_real import real_step
from accel_sim.sim.preparation import Context

_PANEL_BYTES = 1 << 17
_SLACK = 128


@lowers(TransposeConvolve)
def lower_transpose_convolve(command: TransposeConvolve, context: Context) -> NativeStep | None:
    """The step of a transposed convolution, in integers or in float32."""
    if command.float_accumulation is not None:
        return real_step(command, command.float_accumulation, context)
    found = choose_job(command, context)
    if found is None or found[1] in (Manner.COUNTED, Manner.WATCHED_WIDE):
        return None
    job, manner, _ = found
    watched = manner is Manner.WATCHED
    phases = [_Made.of(job, rows, columns, watched=watched) for rows, columns in product(*axis_phases(command))]
    table = pinned(np.array([phase.row for phase in phases], np.int64))
    size, groups = job.channels // command.groups, command.groups
    channels = job.weights.shape[3] * job.size
    padding = job.outside(channels)
    panel = aligned_size(max(phase.panel_bytes for phase in phases) + _SLACK)
    results = max(phase.row[Phase.PANEL_ROWS] for phase in phases) * size * job.bits // 8
    values = {
        **job.geometry(),
        Field.TABLE_STRIDE: phases[0].table.strides[0],
        Field.PADDING: padding.ctypes.data,
        Field.CHANNELS: channels,
        Field.OUT_CHANNELS: size,
        Field.GROUPS: groups,
        Field.EXTRA: table.ctypes.data,
        Field.EXTRA_2: len(phases),
        Field.SIZE: panel,
    }
    name = f"transposed:{_operands(job, watched=watched)}:{job.epilogue.kind}:{job.bits}{':watched' if watched else ''}"
    kept = (table, padding, *job.source.kept, *(array for phase in phases for array in phase.kept))
    return NativeStep(name, values, panel + results + _SLACK, kept, watched=watched)


def _operands(job: ConvolutionJob, *, watched: bool) -> str:
    return f"w8{job.codes[0]}" if watched and job.size == 1 else job.operands


@dataclass(frozen=True)
class _Made:
    """A phase: its row of arguments, what that points to, the bytes of a panel."""

    row: NDArray[np.int64]
    table: Array
    kept: tuple[Array, ...]
    panel_bytes: int

    @classmethod
    def of(cls, job: ConvolutionJob, rows: AxisPhase, columns: AxisPhase, *, watched: bool) -> "_Made":
        chosen, command = tier(), job.command
        quads, raw = job.quads and not watched, job.raw and not watched
        taps = list(product(rows.taps, columns.taps))
        weights = _weights(job, taps)
        size = job.channels // command.groups
        reduction = weights.shape[1]
        steps = job.steps(reduction) if quads else -(-reduction // 2)
        packed = [pack_weights(weights[g * size : (g + 1) * size], chosen, quads=quads) for g in range(command.groups)]
        resting = aligned_copy(np.concatenate(packed))
        table = _table(job, weights, raw=raw, watched=watched)
        distances = pinned(np.array(list(product(rows.distances, columns.distances)), np.int64).reshape(-1, 2))
        most = command.output_to.shape[0] * rows.count * columns.count
        panel_rows = min(max(_PANEL_BYTES // (4 * steps) // chosen.rows[0], 1) * chosen.rows[0], most)
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
            Phase.GROUP_WEIGHTS: len(packed[0]),
            Phase.TABLE: table.ctypes.data,
            Phase.PANEL_ROWS: panel_rows,
        }
        row = np.zeros(FIELDS, np.int64)
        for place, value in values.items():
            row[place] = value
        return cls(row, table, (distances, resting, table), panel_rows * 4 * steps)


def _weights(job: ConvolutionJob, taps: list[tuple[int, int]]) -> NDArray[Any]:
    """[Co, taps * channels] of a phase; a phase without taps has one product with 0."""
    if not taps:
        return np.zeros((job.channels, 1), job.weights.dtype)
    part = np.stack([job.weights[:, ky, kx] for ky, kx in taps], axis=1)
    return part.reshape(job.channels, prod(part.shape[1:]))


def _table(job: ConvolutionJob, weights: NDArray[Any], *, raw: bool, watched: bool) -> Array:
    """The epilogue's parameters; the bias less what the zero point adds to the sums of a phase."""
    bias, columns = job.bias, job.channels + tier().columns
    if raw:
        flipped = job.codes == "s8" and not tier().tiles
        offset = job.command.input_zero_point + (SIGN if flipped else 0)
        bias = bias - offset * weights.sum(axis=1, dtype=np.int64)
    table = job.table(bias, columns)
    if watched:
        table[0].view(np.int32)[job.channels : columns] = np.int32(job.bias[-1])
    return table
