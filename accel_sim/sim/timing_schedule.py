"""When each tile of a command is loaded, computed, post-processed and stored: the cycle model drawn out in time.

The same model as `timing_matrix`, `timing_transfers` and `timing_vector`, whose totals it reproduces to the cycle.
Where those leave an order open, this one draws: results of the tile before are stored first, then weights, then inputs
of the next tile arrive; post-processing ends with its tile; the grid fills after the first load and drains before the
last store. Times are rounded up to whole cycles, all by the same rule, so that what follows one another stays so.

Accelerators with a model of their own (`timing.model`) have no tiles here: a command is one stretch of transfers beside
one of computation.

What memories hold: weights from their arrival to the last tile that uses them, image rows to the last block that does,
sums from a tile's start to the end of its reduction.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from accel_sim.hardware import AcceleratorConfig, TimingModel
from accel_sim.program import Command, Convolve, MatrixMultiply, Operand, TransposeConvolve
from accel_sim.program.geometry import MatrixCommand, blocks_input_bytes
from accel_sim.sim.timing import CommandTiming, time_commands
from accel_sim.sim.timing_grid import GridTime, grid_time
from accel_sim.sim.timing_matrix import _accumulator_bytes, _Walk
from accel_sim.sim.timing_vector import lane_operations

Cycles = NDArray[np.int64]
Floats = NDArray[np.float64]


class Unit(Enum):
    """A part of the accelerator that is busy or idle."""

    DMA = "DMA"
    WEIGHT_SRAM = "weight SRAM"
    ACTIVATION_SRAM = "activation SRAM"
    ACCUMULATOR_SRAM = "accumulator SRAM"
    GRID = "grid"
    POST_PROCESSING = "post-processing"
    VECTOR = "vector unit"


@dataclass(frozen=True)
class Span:
    """A stretch of work, [start, end) in cycles from the command's start; `size_bytes` where it moves bytes."""

    unit: Unit
    name: str
    start: int
    end: int
    size_bytes: int = 0


@dataclass(frozen=True)
class Schedule:
    """One command in time.

    Attributes:
        cycles: from start to end, as CommandTiming has it.
        spans: per unit in order, not overlapping.
        occupancy: bytes that a memory holds from a cycle on: (cycle, bytes) in order, 0 at the end.
    """

    cycles: int
    spans: tuple[Span, ...]
    occupancy: Mapping[Unit, tuple[tuple[int, int], ...]] = field(default_factory=dict)


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
    return _cut(_TileSchedule.of(command, hardware).schedule(), timing.cycles)


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
    bandwidth = hardware.memory.dram_bytes_per_cycle
    middle = min(int(_whole_cycles(start + read / bandwidth)), end)
    last = min(int(_whole_cycles(start + (read + written) / bandwidth)) + between, end)
    spans = []
    if read:
        spans.append(Span(Unit.DMA, "operands", start, middle, read))
        spans.append(Span(Unit.ACTIVATION_SRAM, "operands", start, middle, read))
    if written:
        spans.append(Span(Unit.DMA, "results", min(middle + between, last), last, written))
    return spans


def _whole_cycles(times: Floats | float) -> Cycles:
    """Times rounded up to cycles, but for the last bits of sums of fractions; monotonic, and exact for n + time."""
    return np.ceil(np.round(np.asarray(times, np.float64), 6)).astype(np.int64)


@dataclass(frozen=True)
class _TileSchedule:
    """The tiles t of a matrix command; times in cycles, arrays [tiles].

    Attributes:
        walk: the tiles. grid: their grid cycles.
        loads: when the transfer of a tile's operands begins. starts: when its computation does.
        stores: when the transfer of its results begins. ends: when its operands' buffers are free.
        drained: when the grid has drained.
    """

    walk: _Walk
    grid: GridTime
    loads: Floats
    starts: Floats
    stores: Floats
    ends: Floats
    drained: float

    @classmethod
    def of(cls, command: MatrixCommand, hardware: AcceleratorConfig) -> "_TileSchedule":
        """The schedule of a command with elements."""
        walk = _Walk(command, hardware)
        grid = grid_time(hardware.grid, walk.m, walk.k, walk.n, walk.finished)
        bandwidth = hardware.memory.dram_bytes_per_cycle
        load, store = walk.load_bytes / bandwidth, walk.store_bytes / bandwidth
        busy = np.maximum(grid.tiles, walk.post_processing_cycles).astype(np.float64)
        arrange = cls._beside if hardware.memory.double_buffered else cls._in_turn
        return arrange(walk, grid, load, busy, store)

    @classmethod
    def _beside(cls, walk: _Walk, grid: GridTime, load: Floats, busy: Floats, store: Floats) -> "_TileSchedule":
        """Double-buffered: tile t - 1 is stored and tile t + 1 loaded while tile t is computed."""
        latency = walk.hardware.memory.dram_latency_cycles if load.any() else 0
        stored = np.concatenate(([0.0], store[:-1]))
        step = np.maximum(busy, np.concatenate((load[1:], [0.0])) + stored)
        ends = latency + load[0] + grid.before + np.cumsum(step)
        starts = ends - step
        loads = np.concatenate(([float(latency)], (starts + stored)[:-1]))
        drained = float(ends[-1] + grid.after)
        return cls(
            walk,
            grid,
            loads,
            starts,
            np.concatenate((starts[1:], [drained])),
            ends,
            drained,
        )

    @classmethod
    def _in_turn(cls, walk: _Walk, grid: GridTime, load: Floats, busy: Floats, store: Floats) -> "_TileSchedule":
        """Single buffers: load, compute, store, one after the other."""
        latency = np.where(walk.load_bytes > 0, walk.hardware.memory.dram_latency_cycles, 0).astype(np.float64)
        fill, drain = np.zeros(load.size), np.zeros(load.size)
        fill[0], drain[-1] = grid.before, grid.after
        whole = latency + load + fill + busy + drain + store
        loads = np.cumsum(whole) - whole + latency
        starts = loads + load + fill
        stores = starts + busy + drain
        return cls(walk, grid, loads, starts, stores, stores + store, float(stores[-1]))

    def schedule(self) -> Schedule:
        """Spans and occupancy."""
        spans = [*self._dma(), *self._grid_spans(), *self._post_processing(), *self._sums()]
        filled = {"weights": Unit.WEIGHT_SRAM, "inputs": Unit.ACTIVATION_SRAM}
        cycles = max(span.end for span in spans)
        fills = [
            Span(filled[kind], s.name, s.start, s.end, s.size_bytes)
            for s in spans
            if s.unit is Unit.DMA and (kind := s.name.split()[0]) in filled
        ]
        occupancy = {
            Unit.WEIGHT_SRAM: self._weights_held(cycles),
            Unit.ACTIVATION_SRAM: self._inputs_held(cycles),
            Unit.ACCUMULATOR_SRAM: self._sums_held(cycles),
        }
        return Schedule(cycles, (*spans, *fills), occupancy)

    @cached_property
    def weights(self) -> Floats:
        """Bytes of weights and bias that each tile loads."""
        return self.walk._weight_bytes()

    @cached_property
    def inputs(self) -> Floats:
        """Bytes of inputs that each tile loads."""
        return self.walk.load_bytes - self.weights

    @property
    def _bandwidth(self) -> float:
        return self.walk.hardware.memory.dram_bytes_per_cycle

    @property
    def _weights_arrived(self) -> Floats:
        return self.loads + self.weights / self._bandwidth

    @property
    def _inputs_arrived(self) -> Floats:
        return self.loads + self.walk.load_bytes / self._bandwidth

    def _dma(self) -> list[Span]:
        """Transfers in the order of time: before tile t's operands come the results that go while they arrive."""
        stored = self.stores + self.walk.store_bytes / self._bandwidth
        parts = [
            ("weights", self.weights, self.loads, self._weights_arrived),
            ("inputs", self.inputs, self._weights_arrived, self._inputs_arrived),
            ("results", self.walk.store_bytes, self.stores, stored),
        ]
        rows = []
        for rank, (kind, sizes, begin, end) in enumerate(parts):
            table = zip(_whole_cycles(begin).tolist(), _whole_cycles(end).tolist(), _portions(sizes), strict=True)
            order = -1 if kind == "results" else rank
            rows += [(start, stop, order, t, kind, size) for t, (start, stop, size) in enumerate(table) if size]
        rows.sort()
        return [Span(Unit.DMA, f"{kind} {t}", start, stop, size) for start, stop, _, t, kind, size in rows]

    def _grid_spans(self) -> list[Span]:
        starts = _whole_cycles(self.starts).tolist()
        spans = [
            Span(Unit.GRID, f"tile {t}", start, start + busy)
            for t, (start, busy) in enumerate(zip(starts, self.grid.tiles.tolist(), strict=True))
        ]
        if self.grid.before:
            spans.insert(0, Span(Unit.GRID, "fill", starts[0] - self.grid.before, starts[0]))
        if self.grid.after:
            end = int(_whole_cycles(self.drained))
            spans.append(Span(Unit.GRID, "drain", end - self.grid.after, end))
        return spans

    def _post_processing(self) -> list[Span]:
        work = self.walk.post_processing_cycles
        ends = _whole_cycles(self.starts) + np.maximum(work, self.grid.tiles)
        return [
            Span(Unit.POST_PROCESSING, f"results {t}", end - busy, end)
            for t, (end, busy) in enumerate(zip(ends.tolist(), work.tolist(), strict=True))
            if busy
        ]

    def _reductions(self) -> tuple[Cycles, Cycles]:
        """First and last tile of each reduction."""
        last = np.flatnonzero(self.walk.finished)
        return np.concatenate(([0], last[:-1] + 1)), last

    def _sums_left(self) -> Floats:
        """When the sums of each reduction have left the accumulators; the last do when the grid has drained."""
        ends = self.ends[self._reductions()[1]]
        ends[-1] = max(ends[-1], self.drained)
        return ends

    def _sums(self) -> list[Span]:
        first, last = self._reductions()
        starts, ends = _whole_cycles(self.starts[first]), _whole_cycles(self._sums_left())
        sizes = self._sum_bytes(first)
        table = zip(last.tolist(), starts.tolist(), ends.tolist(), sizes.tolist(), strict=True)
        return [Span(Unit.ACCUMULATOR_SRAM, f"sums {t}", start, end, size) for t, start, end, size in table]

    def _sum_bytes(self, tiles: Cycles) -> Cycles:
        walk = self.walk
        return walk.m[tiles] * walk.n[tiles] * _accumulator_bytes(walk.command, walk.hardware)

    def _weights_held(self, cycles: int) -> tuple[tuple[int, int], ...]:
        walk, tiles = self.walk, np.arange(self.ends.size)
        batch = self.ends.size // walk._counts[0]
        block = batch // walk._counts[1]
        last_use = tiles
        if not self.weights[block:batch].any():  # later blocks use what the first has loaded
            reloaded = self.weights[batch:].any()
            last_use = (tiles // batch + 1) * batch - 1 if reloaded else np.full(tiles.size, tiles.size - 1)
        return _held(cycles, (self._weights_arrived, self.weights), (self.ends[last_use], -self.weights))

    def _inputs_held(self, cycles: int) -> tuple[tuple[int, int], ...]:
        walk = self.walk
        arriving = self._inputs_arrived, self.inputs
        blocks, memory = blocks_input_bytes(walk.command), walk.hardware.memory
        if max(blocks[0]) > memory.activation_sram_bytes // memory.buffers:  # tiles read what they need
            return _held(cycles, arriving, (self.ends, -self.inputs))
        held, new = (np.tile(np.array(sizes, np.float64), walk._counts[0]) for sizes in blocks)
        tiles = walk._counts[2] * walk._counts[3]
        free = held.copy()
        free[:-1] += new[1:] - held[1:]
        return _held(cycles, arriving, (self.ends[tiles - 1 :: tiles], -free))

    def _sums_held(self, cycles: int) -> tuple[tuple[int, int], ...]:
        first, _ = self._reductions()
        sizes = self._sum_bytes(first).astype(np.float64)
        return _held(cycles, (self.starts[first], sizes), (self._sums_left(), -sizes))


def _portions(sizes: Floats) -> list[int]:
    """Sizes as whole bytes that add up to the rounded sum."""
    portions: list[int] = np.diff(np.round(np.cumsum(sizes)), prepend=0).astype(np.int64).tolist()
    return portions


def _held(cycles: int, *changes: tuple[Floats, Floats]) -> tuple[tuple[int, int], ...]:
    """What a memory holds after changes (times, bytes): (cycle, bytes) where it changes, and nothing at the end."""
    times = _whole_cycles(np.concatenate([at for at, _ in changes]))
    order = np.argsort(times, kind="stable")
    levels = np.round(np.cumsum(np.concatenate([size for _, size in changes])[order])).astype(np.int64)
    times = times[order]
    latest = np.append(times[1:] != times[:-1], True)
    points = dict(zip(times[latest].tolist(), levels[latest].tolist(), strict=True))
    points[cycles] = 0
    return tuple(points.items())
