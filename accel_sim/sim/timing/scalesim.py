"""SCALE-Sim 3.0's memories: total and stall cycles of a convolution or product under limited bandwidth, event by event.

The grid (no shadow registers) asks for operands line by line: one line per cycle, one request per row or column. Each
operand has a buffer of two halves; how SCALE-Sim works it, peculiarities included:

- Fetch order: the operand's elements in the order in which folds first need them; a streaming operand along the
  diagonals of its folds stacked upon each other. The buffer holds a window of that order, in sets of 1/100 of its size.
- A request outside the window moves the window on by half a buffer, round and round, until the request lies inside.
  Each move is fetched behind the move before: half / bandwidth + 1 cycles. Moves are not begun ahead of need.
- The line waits until then; in the books its wait is added twice where it is positive (`_ReadBuffer.wait`), and a move
  that was over long before counts as a negative wait for the rest of the line.
- Results fill their buffer; from half on they are drained at the bandwidth, half a buffer at a time. A drain that
  begins with an incomplete line counts its gaps as written. A full buffer makes the grid wait.
- A cycle's stall is the longest of the three waits. Filling the first halves is not counted (SCALE-Sim's "incl.
  prefetch" total contains it).

Bandwidth is per operand, in elements per cycle, a whole number. SCALE-Sim prints the number of the last cycle, counted
from 0, as total.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from accel_sim.hardware import Dataflow, GridConfig

Addresses = NDArray[np.int64]
NONE = -1
"""No request: a column that a fold does not use, or padding."""
_HIT = 1
_SETS = 100


@dataclass(frozen=True)
class ScaleSimMemory:
    """Elements that each double buffer holds, and elements per cycle that each exchanges with DRAM."""

    inputs: int
    weights: int
    outputs: int
    bandwidth: int


@dataclass(frozen=True)
class ScaleSimTime:
    """Cycles with their stalls, and the stalls."""

    cycles: int
    stall_cycles: int


@dataclass(frozen=True)
class Demand:
    """What one operand is asked for: addresses [cycles, ports], and the order [elements] in which it is fetched."""

    lines: Addresses
    fetch: Addresses


def scalesim_time(inputs: Addresses, channels: int, grid: GridConfig, memory: ScaleSimMemory) -> ScaleSimTime:
    """Cycles of a product.

    Args:
        inputs: address of each element of the left operand [rows, reduction]; NONE for padding.
        channels: columns of the right operand, of which each element has an address of its own.
        grid: size and dataflow, one of the three systolic ones.
        memory: the buffers.
    """
    weights = np.arange(inputs.shape[1] * channels).reshape(inputs.shape[1], channels)
    x, w, outputs = demands(inputs, weights, grid)
    readers = [_ReadBuffer(x, memory.inputs, memory.bandwidth), _ReadBuffer(w, memory.weights, memory.bandwidth)]
    writer = _WriteBuffer(memory.outputs, memory.bandwidth)
    stalls = 0
    for line, results in enumerate(outputs.tolist()):
        now = line + stalls
        waits = [reader.wait(line, now) for reader in readers]
        stalls += max(*waits, writer.wait(results, now))
    return ScaleSimTime(len(outputs) + stalls, stalls)


def demands(x: Addresses, w: Addresses, grid: GridConfig) -> tuple[Demand, Demand, NDArray[np.int64]]:
    """Requests for inputs and weights, and the number of results that leave the grid, in every cycle."""
    if grid.dataflow is Dataflow.OUTPUT_STATIONARY:
        return _output_stationary(x, w, grid)
    if grid.dataflow is Dataflow.INPUT_STATIONARY:
        weights, inputs, results = _resting(w.T, x.T, grid)
        return inputs, weights, results
    return _resting(x, w, grid)


def _output_stationary(x: Addresses, w: Addresses, grid: GridConfig) -> tuple[Demand, Demand, NDArray[np.int64]]:
    r, c = grid.rows, grid.columns
    rows, columns = _folds(x.T, r), _folds(w, c)
    k = x.shape[1]
    x_lines = [_skewed(_padded(fold, 0, c - 1)) for fold in rows]
    w_lines = [_skewed(_padded(fold, 0, r - 1)) for fold in columns]
    results = []
    for columns_used in _used(w.shape[1], c):
        for rows_used in _used(x.shape[0], r):
            finished = np.full((r, c), NONE)
            finished[r - rows_used :, :columns_used] = 0  # the last row leaves first, and may be unused
            results.append(_count(_skewed(_padded(finished, k - 1, 0))))
    return (
        Demand(np.concatenate(x_lines * len(columns)), _diagonals(np.concatenate(rows))),
        Demand(np.concatenate([fold for fold in w_lines for _ in rows]), _diagonals(np.concatenate(columns))),
        np.concatenate(results),
    )


def _resting(moving: Addresses, resting: Addresses, grid: GridConfig) -> tuple[Demand, Demand, NDArray[np.int64]]:
    """moving [T, K] streams past resting [K, S], of which R x C at a time lie in the grid; results leave as [T, C]."""
    r, c, t = grid.rows, grid.columns, moving.shape[0]
    parts = _folds(moving, r)
    moving_lines = np.concatenate([_skewed(_padded(part, r, c - 1)) for part in parts])
    lines, results = [], []
    columns = _folds(resting, c)
    for fold, used in zip(columns, _used(resting.shape[1], c), strict=True):
        for part in _folds(fold.T, r):
            lines.append(_padded(part.T[::-1], 0, r + c + t - 2))
            finished = np.full((t, c), NONE)
            finished[:, :used] = 0
            results.append(_count(_skewed(_padded(finished, 2 * r - 1, 0))))
    return (
        Demand(np.tile(moving_lines, (len(columns), 1)), _diagonals(np.concatenate(parts))),
        Demand(np.concatenate(lines), np.concatenate(columns).ravel()),
        np.concatenate(results),
    )


def _folds(matrix: Addresses, width: int) -> list[Addresses]:
    """A matrix cut into pieces of `width` columns, the last one filled up with NONE."""
    missing = -matrix.shape[1] % width
    filled = np.concatenate([matrix, np.full((matrix.shape[0], missing), NONE)], axis=1)
    return np.split(filled, filled.shape[1] // width, axis=1)


def _used(extent: int, size: int) -> list[int]:
    return [min(size, extent - begin) for begin in range(0, extent, size)]


def _padded(matrix: Addresses, before: int, after: int) -> Addresses:
    """Cycles without requests before and after."""
    return np.pad(matrix, ((before, after), (0, 0)), constant_values=NONE)


def _skewed(matrix: Addresses) -> Addresses:
    """Column j one cycle later than column j - 1."""
    rows, columns = matrix.shape
    skewed = np.full((rows + columns - 1, columns), NONE)
    for j in range(columns):
        skewed[j : j + rows, j] = matrix[:, j]
    return skewed


def _count(lines: Addresses) -> NDArray[np.int64]:
    requests: NDArray[np.int64] = (lines != NONE).sum(axis=1, dtype=np.int64)
    return requests


def _diagonals(matrix: Addresses) -> Addresses:
    """Elements along the anti-diagonals, each from its lowest row up."""
    rows, columns = np.indices(matrix.shape)
    order = np.lexsort((columns.ravel(), (rows + columns).ravel()))
    along: Addresses = matrix.ravel()[order]
    return along


class _ReadBuffer:
    """A window over the fetch order of one operand."""

    def __init__(self, demand: Demand, size: int, bandwidth: int) -> None:
        active = math.ceil(size / 2)
        self._lines = demand.lines
        self._fetch = demand.fetch[demand.fetch != NONE]
        self._set = math.ceil(size / _SETS)
        self._sets = self._fetch.size // self._set + 1  # the last may be empty
        self._held = min(math.ceil(active / self._set), self._sets)
        self._step = min(math.ceil((size - active) / self._set), self._sets - self._held)
        self._move_cycles = math.ceil((size - active) / bandwidth) + 1
        self._moved = -1  # the cycle in which the last move was complete
        self._begin = 0
        self._inside = np.zeros(int(max(self._fetch.max(initial=0), demand.lines.max(initial=0))) + 2, bool)
        self._mark()

    def _mark(self) -> None:
        """Marks the addresses in the window; the entry for NONE, the last, is always inside."""
        self._inside[:] = False
        end = self._begin + self._held
        self._inside[self._fetch[self._begin * self._set : end * self._set]] = True
        if end > self._sets:
            self._inside[self._fetch[: (end - self._sets) * self._set]] = True
        self._inside[NONE] = True

    def wait(self, line: int, now: int) -> int:
        """Cycles that a line of requests waits; negative where a needed move was over before."""
        requests = self._lines[line]
        if self._inside[requests].all():
            return 0
        offset = _HIT
        for address in requests.tolist():
            while not self._inside[address]:
                self._begin = (self._begin + self._step) % self._sets
                self._mark()
                self._moved += self._move_cycles
                late = self._moved - (now + offset)
                offset += late + max(late, 0)
        return offset - _HIT


@dataclass
class _WriteBuffer:
    """Results on their way to DRAM."""

    size: int
    bandwidth: int
    free: int = field(init=False)
    drained: int = field(default=0, init=False)  # the cycle in which the last drain was complete
    lines: list[int] = field(default_factory=list, init=False)  # results in each complete or closed line
    begin: int = field(default=0, init=False)
    open_line: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.free = self.size

    def wait(self, results: int, now: int) -> int:
        """Cycles that the grid waits to get rid of a line of results."""
        clock, half = now, self.size - math.ceil(self.size / 2)
        for _ in range(results):
            self._append()
            if clock < self.drained:
                if self.free <= 0:
                    clock = self.drained
            elif self.free < self.size - half:
                self._drain(clock, half)
        return clock - now

    def _append(self) -> None:
        self.open_line += 1
        self.free -= 1
        if self.open_line == self.bandwidth:
            self._close()

    def _close(self) -> None:
        if self.open_line:
            self.lines.append(self.open_line)
            self.open_line = 0

    def _drain(self, clock: int, half: int) -> None:
        self._close()
        end = min(self.begin + math.ceil(half / self.bandwidth), len(self.lines))
        count = end - self.begin
        self.free += count * self.bandwidth - (self.bandwidth - self.lines[end - 1])
        self.drained = clock + count - 1
        self.begin = end
