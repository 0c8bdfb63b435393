"""The tiles of a matrix command in time: `timing/matrix` and `timing/transfers` drawn out.

Results of the tile before are stored first, then weights, then inputs of the next tile arrive; post-processing ends
with its tile; the grid fills after the first load and drains before the last store.

What memories hold: weights from their arrival to the last tile that uses them, image rows to the last block that does,
sums from a tile's start to the end of its reduction.
"""

from functools import cached_property

import numpy as np

from accel_sim.hardware import AcceleratorConfig
from accel_sim.program.geometry import MatrixCommand, blocks_input_bytes
from accel_sim.records import dataclass
from accel_sim.sim.timing.grid import GridTime, grid_time
from accel_sim.sim.timing.matrix import TileWalk, accumulator_bytes
from accel_sim.sim.timing.spans import Cycles, Floats, Schedule, Span, Unit, whole_cycles
from accel_sim.sim.timing.transfers import in_bursts


@dataclass(frozen=True)
class TileSchedule:
    """The tiles t of a matrix command; times in cycles, arrays [tiles].

    Attributes:
        walk: the tiles. grid: their grid cycles.
        loads: when the transfer of a tile's operands begins. starts: when its computation does.
        stores: when the transfer of its results begins. ends: when its operands' buffers are free.
        drained: when the grid has drained.
    """

    walk: TileWalk
    grid: GridTime
    loads: Floats
    starts: Floats
    stores: Floats
    ends: Floats
    drained: float

    @classmethod
    def of(cls, command: MatrixCommand, hardware: AcceleratorConfig) -> "TileSchedule":
        """The schedule of a command with elements."""
        walk = TileWalk(command, hardware)
        grid = grid_time(hardware.grid, walk.m, walk.k, walk.n, walk.finished)
        memory = hardware.memory
        sizes = walk.load_bytes, walk.store_bytes
        load, store = (in_bursts(memory, size) / memory.transfer_bytes_per_cycle for size in sizes)
        busy = walk.busy_cycles(grid).astype(np.float64)
        arrange = cls._beside if memory.double_buffered else cls._in_turn
        return arrange(walk, grid, load, busy, store)

    @classmethod
    def _beside(cls, walk: TileWalk, grid: GridTime, load: Floats, busy: Floats, store: Floats) -> "TileSchedule":
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
    def _in_turn(cls, walk: TileWalk, grid: GridTime, load: Floats, busy: Floats, store: Floats) -> "TileSchedule":
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
        return self.walk.weight_bytes()

    @cached_property
    def inputs(self) -> Floats:
        """Bytes of inputs that each tile loads."""
        return self.walk.load_bytes - self.weights

    def _taken(self, sizes: Floats) -> Floats:
        """Cycles of transfers."""
        memory = self.walk.hardware.memory
        return in_bursts(memory, sizes) / memory.transfer_bytes_per_cycle

    @property
    def _inputs_arrived(self) -> Floats:
        return self.loads + self._taken(self.walk.load_bytes)

    @property
    def _weights_arrived(self) -> Floats:
        return self.loads + np.minimum(self._taken(self.weights), self._taken(self.walk.load_bytes))

    def _dma(self) -> list[Span]:
        """Transfers in the order of time: before tile t's operands come the results that go while they arrive."""
        stored = self.stores + self._taken(self.walk.store_bytes)
        parts = [
            ("weights", self.weights, self.loads, self._weights_arrived),
            ("inputs", self.inputs, self._weights_arrived, self._inputs_arrived),
            ("results", self.walk.store_bytes, self.stores, stored),
        ]
        rows = []
        for rank, (kind, sizes, begin, end) in enumerate(parts):
            table = zip(whole_cycles(begin).tolist(), whole_cycles(end).tolist(), _portions(sizes), strict=True)
            order = -1 if kind == "results" else rank
            rows += [(start, stop, order, t, kind, size) for t, (start, stop, size) in enumerate(table) if size]
        rows.sort()
        return [Span(Unit.DMA, f"{kind} {t}", start, stop, size) for start, stop, _, t, kind, size in rows]

    def _grid_spans(self) -> list[Span]:
        starts = whole_cycles(self.starts).tolist()
        spans = [
            Span(Unit.GRID, f"tile {t}", start, start + busy)
            for t, (start, busy) in enumerate(zip(starts, self.grid.tiles.tolist(), strict=True))
        ]
        if self.grid.before:
            spans.insert(0, Span(Unit.GRID, "fill", starts[0] - self.grid.before, starts[0]))
        if self.grid.after:
            end = int(whole_cycles(self.drained))
            spans.append(Span(Unit.GRID, "drain", end - self.grid.after, end))
        return spans

    def _post_processing(self) -> list[Span]:
        work = self.walk.post_processing_cycles
        ends = whole_cycles(self.starts) + np.maximum(work, self.grid.tiles)
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
        starts, ends = whole_cycles(self.starts[first]), whole_cycles(self._sums_left())
        sizes = self._sum_bytes(first)
        table = zip(last.tolist(), starts.tolist(), ends.tolist(), sizes.tolist(), strict=True)
        return [Span(Unit.ACCUMULATOR_SRAM, f"sums {t}", start, end, size) for t, start, end, size in table]

    def _sum_bytes(self, tiles: Cycles) -> Cycles:
        walk = self.walk
        return walk.m[tiles] * walk.n[tiles] * accumulator_bytes(walk.command, walk.hardware)

    def _weights_held(self, cycles: int) -> tuple[tuple[int, int], ...]:
        walk, tiles = self.walk, np.arange(self.ends.size)
        batch = self.ends.size // walk.counts[0]
        block = batch // walk.counts[1]
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
        held, new = (np.tile(np.array(sizes, np.float64), walk.counts[0]) for sizes in blocks)
        tiles = walk.counts[2] * walk.counts[3]
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
    times = whole_cycles(np.concatenate([at for at, _ in changes]))
    order = np.argsort(times, kind="stable")
    levels = np.round(np.cumsum(np.concatenate([size for _, size in changes])[order])).astype(np.int64)
    times = times[order]
    latest = np.append(times[1:] != times[:-1], True)
    points = dict(zip(times[latest].tolist(), levels[latest].tolist(), strict=True))
    points[cycles] = 0
    return tuple(points.items())
