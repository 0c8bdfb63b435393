"""TransposeConvolve phase by phase, where the order of additions depends on which taps an output pixel meets.

An adder tree sums tiles of a phase's taps (`phases`), not of all taps; for every other dataflow the taps that a pixel
does not meet are additions of 0, and `convolution` need not tell them apart.
"""

from math import prod

import numpy as np
from numpy.typing import NDArray

from accel_kernels import panels
from accel_sim.program import TransposeConvolve
from accel_sim.records import dataclass
from accel_sim.sim.geometry import window_geometry
from accel_sim.sim.memory import Array, Memory
from accel_sim.sim.phases import ABSENT, Phase, phases_of
from accel_sim.sim.preparation import Operation, Record, Run
from accel_sim.sim.requantizers import prepare_output
from accel_sim.sim.structured import Engine

Int64s = NDArray[np.int64]


@dataclass(frozen=True)
class _Part:
    """One group of one phase: packed weights, bias, first output channel."""

    phase: Phase
    group: int
    packed: Array
    bias: Int64s
    column: int


def prepare_phased(command: TransposeConvolve, engine: Engine, weights: Int64s, bias: Int64s) -> Operation:
    """The operation; `weights` are relative [Co, kh, kw, channels], taps reversed; `engine` is for a phase's taps."""
    x, y = command.input, command.output_to
    pixels, channels, inputs = prod(y.shape[:3]), y.shape[3], weights.shape[3]
    size, taps = channels // command.groups, prod(command.window.kernel)
    phases = _with_the_rest(phases_of(command), pixels)
    flat = weights.reshape(channels, taps, inputs)
    parts = [
        _Part(phase, g, engine.pack(phase.weights(flat[g * size : (g + 1) * size])), bias[g * size :][:size], g * size)
        for phase in phases
        for g in range(command.groups)
    ]
    geometries = [window_geometry(x, y, command.window, g * inputs, inputs) for g in range(command.groups)]
    requantize = prepare_output(command.output, channels, engine.accumulator.dtype, y.dtype)

    def bind(memory: Memory, record: Record) -> Run:
        image, codes = memory.view(x).reshape(-1), memory.view(y).reshape(pixels, channels)

        def run() -> None:
            accumulators = np.zeros((pixels, channels), engine.accumulator.dtype)
            whole = np.zeros((command.groups, pixels, taps * inputs), engine.operands)
            for panel, geometry in zip(whole, geometries, strict=True):
                panels.gather_transposed_panel(image, geometry, command.input_zero_point, 0, pixels, panel)
            for part in parts:
                rows = part.phase.pixels
                panel = np.zeros((len(rows), engine.panel_columns), engine.operands)
                panel[:, : engine.depth] = part.phase.panel(whole[part.group].reshape(pixels, taps, inputs))
                sums = np.zeros((len(rows), channels), engine.accumulator.dtype)
                engine.multiply(panel, len(rows), part.packed, part.bias, part.column, sums, record)
                accumulators[rows, part.column : part.column + size] = sums[:, part.column : part.column + size]
            requantize(accumulators, pixels, codes)

        return run

    return Operation(bind, watched=True, counted=engine.counted)


def _with_the_rest(phases: tuple[Phase, ...], pixels: int) -> list[Phase]:
    """Phases with the pixels that exist, and one without taps for the pixels that no phase has."""
    real = [Phase(phase.pixels[phase.pixels != ABSENT], phase.taps) for phase in phases]
    reached = np.concatenate([phase.pixels for phase in real])
    rest = np.setdiff1d(np.arange(pixels), reached)
    return [*real, Phase(rest, np.full_like(phases[0].taps, ABSENT))]
