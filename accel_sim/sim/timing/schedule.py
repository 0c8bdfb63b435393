"""When each tile of a command is loaded, computed, post-processed and stored: the cycle model drawn out in time.

The same model as `timing`, whose totals it reproduces to the cycle; where that leaves an order open, `timing/tiles`
chooses one. Times are rounded up to whole cycles, all by the same rule, so that what follows one another stays so.

Accelerators with a model of their own (`timing.model`) have no tiles here: a command is one stretch of transfers beside
one of computation.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from accel_sim.hardware import AcceleratorConfig, TimingModel
from accel_sim.program import Command, Convolve, MatrixMultiply, Operand, TransposeConvolve
from accel_sim.sim.timing.commands import CommandTiming, time_commands
from accel_sim.sim.timing.spans import Schedule, Span, Unit, whole_cycles
from accel_sim.sim.timing.tiles import TileSchedule
from accel_sim.sim.timing.transfers import transfer_cycles
from accel_sim.sim.timing.vector import lane_operations

__all__ = ["Schedule", "Span", "Unit", "schedule_commands"]


def schedule_commands(
    commands: Sequence[Command], hardware: AcceleratorConfig, kept: Iterable[Operand] = ()
) -> tuple[Schedule, ...]:
    """The schedule of each command; they follow one another. `kept` are the tensors that leave the network."""
    timings = time_commands(commands, hardware, kept)
    return tuple(_schedule(command, timing, hardware) for command, timing in zip(commands, timings, strict=True))


def _schedule(command: Command, timing: CommandTiming, hardware: AcceleratorConfig) -> Schedule:
    if not timing.cycles:
        return Schedule(0, ())
    if not isinstance(command, Convolve | TransposeConvolve | MatrixMultiply):
        return _stream(command, timing, hardware)
    if hardware.timing.model is not TimingModel.GRID:
        return _whole(timing, hardware)
    return _cut(TileSchedule.of(command, hardware).schedule(), timing.cycles)


def _cut(schedule: Schedule, cycles: int) -> Schedule:
    """Without the beginning that runs during the command before: the first weights, where layers overlap."""
    hidden = schedule.cycles - cycles
    if not hidden:
        return schedule
    spans = (replace(s, start=max(s.start - hidden, 0), end=max(s.end - hidden, 0)) for s in schedule.spans)
    occupancy = {
        unit: tuple({max(time - hidden, 0): held for time, held in points}.items())
        for unit, points in schedule.occupancy.items()
    }
    return Schedule(cycles, tuple(spans), occupancy)


def _whole(timing: CommandTiming, hardware: AcceleratorConfig) -> Schedule:
    """A command without tiles: transfers from its start, and the grid."""
    grid = Span(Unit.GRID, "tiles", 0, timing.compute_cycles)
    return Schedule(timing.cycles, (*_transfers(timing, hardware, 0, 0, timing.cycles), grid))


def _stream(command: Command, timing: CommandTiming, hardware: AcceleratorConfig) -> Schedule:
    """A command of the vector unit or the DMA."""
    memory = hardware.memory
    busy = -(-lane_operations(command) // hardware.vector.lanes)
    moved = timing.traffic["dram_read"] + timing.traffic["dram_write"]
    start = memory.dram_latency_cycles if moved else 0
    between = 0 if memory.double_buffered else busy
    spans = _transfers(timing, hardware, start, between, timing.cycles)
    if not busy:
        return Schedule(timing.cycles, tuple(spans))
    begin = start if memory.double_buffered else next((s.end for s in spans if s.name == "operands"), start)
    return Schedule(timing.cycles, (*spans, Span(Unit.VECTOR, "lanes", begin, begin + busy)))


def _transfers(timing: CommandTiming, hardware: AcceleratorConfig, start: int, between: int, end: int) -> list[Span]:
    """Reads, then writes `between` cycles later, and the fills of the activation memory; nothing ends after `end`."""
    read, written = timing.traffic["dram_read"], timing.traffic["dram_write"]
    bandwidth = hardware.memory.transfer_bytes_per_cycle
    middle = min(int(whole_cycles(start + read / bandwidth)), end)
    last = min(start + transfer_cycles(hardware.memory, read + written) + between, end)
    spans = []
    if read:
        spans.append(Span(Unit.DMA, "operands", start, middle, read))
        spans.append(Span(Unit.ACTIVATION_SRAM, "operands", start, middle, read))
    if written:
        spans.append(Span(Unit.DMA, "results", min(middle + between, last), last, written))
    return spans
