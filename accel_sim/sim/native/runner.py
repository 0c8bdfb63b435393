"""Running native steps: the interpreter on one thread, or on several that share each step's work."""

import ctypes
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_kernels.count_structure import COUNTS
from accel_kernels.native import compiled, objects
from accel_kernels.native.tables import FIELDS, INTERPRETER_ARGUMENTS, MOST_SHARES, Field
from accel_kernels.native.tier import tier
from accel_sim.sim.memory import Memory, aligned, aligned_size
from accel_sim.sim.native.crew import Jobs, crew
from accel_sim.sim.native.step import NativeStep

_SLACK = 256  # copies in whole vectors end before the records
_RECORD_BYTES = 16 * tier().lanes
_LIMITS = np.iinfo(np.int64)
_FIRST_ALONE = 2
_NEWEST = 0.25  # weight of the newest run in a running mean
_MOST_PATIENCE = 64
_TOLERATED = 1.1

_Shared = tuple[NDArray[np.int64], Jobs]
"""What threads need that share a run of steps: how far they are, and their jobs."""


def available() -> bool:
    """Whether steps may be used: kernels are compiled, and need not check every index."""
    return compiled()


class NativeProgram:
    """The native steps of a program, at the places of their commands.

    Attributes:
        rows, addresses: arguments and code of each command's step.
        watched: the commands that keep a record; the records follow, from byte `records` on, in scratch memory.
        counted: the commands that count overflow -> (where in scratch memory their counts begin, columns, channels).
        scratch: bytes of scratch memory that each thread needs.
        packed: bytes of constants as the steps need them.
        ends: for each command, the end of the run of native steps that it begins.
        sharing: of one sample by several threads.
    """

    def __init__(self, steps: Mapping[int, NativeStep], commands: int) -> None:
        self._kept = [step.kept for step in steps.values()]
        self.rows = np.zeros((commands, FIELDS), np.int64)
        self.addresses = np.zeros(commands, np.int64)
        for index, step in steps.items():
            self.rows[index] = step.row
            self.addresses[index] = objects.address(step.name)
        self.watched = tuple(index for index, step in steps.items() if step.watched)
        self.records = aligned_size(max((step.scratch for step in steps.values()), default=0) + _SLACK)
        self.counted: dict[int, tuple[int, int, int]] = {}
        end = self.records + len(self.watched) * _RECORD_BYTES
        for index, step in steps.items():
            if step.counted:
                self.counted[index] = end, step.columns, step.counted
                self.rows[index, Field.RECORD] = end
                end = aligned_size(end + COUNTS * 4 * step.columns)
        self.scratch = end
        for place, index in enumerate(self.watched):
            self.rows[index, Field.RECORD] = self.records + place * _RECORD_BYTES
        self.packed = sum(array.nbytes for arrays in self._kept for array in arrays)
        self.ends = _ends(steps, commands)
        self.sharing = Sharing()


def _ends(steps: Mapping[int, NativeStep], commands: int) -> list[int]:
    """For each command, the end of the run of native steps that it begins; its own index where it is not native."""
    ends = list(range(commands + 1))
    for index in range(commands - 1, -1, -1):
        if index in steps:
            ends[index] = ends[index + 1] if index + 1 in steps else index + 1
    return ends


class Sharing:
    """Whether to use several threads for one sample: as long as that has lately not been slower than one.

    Where other work keeps a core busy, threads wait for each other and for the system to let them run. So the first
    runs are alone; then running means of both ways decide, which a single disturbance does not turn, nor a small
    difference: the means are of different times. While one thread is quicker, sharing is tried again now and then, each
    time after twice as many runs.
    """

    def __init__(self) -> None:
        self._alone, self._shared = _Mean(), _Mean()
        self._waiting, self._patience = 0, 1

    def together(self) -> bool:
        """Whether the next run is shared."""
        if self._alone.runs < _FIRST_ALONE:
            return False
        if not self._shared.runs or self._worthwhile():
            return True
        self._waiting -= 1
        return self._waiting <= 0

    def record(self, seconds: float, *, shared: bool) -> None:
        """How long the run took."""
        if not shared:
            self._alone.add(seconds)
            return
        self._shared.add(seconds)
        self._patience = 1 if self._worthwhile() else min(2 * self._patience, _MOST_PATIENCE)
        self._waiting = self._patience

    def _worthwhile(self) -> bool:
        return self._shared.seconds <= self._alone.seconds * _TOLERATED


class _Mean:
    """Seconds that runs take: the quickest of the first ones, which meet cold caches; then a mean of late ones."""

    def __init__(self) -> None:
        self.runs, self.seconds = 0, float("inf")

    def add(self, seconds: float) -> None:
        self.runs += 1
        if self.runs <= _FIRST_ALONE:
            self.seconds = min(self.seconds, seconds)
        else:
            self.seconds += (seconds - self.seconds) * _NEWEST


class NativeRunner:
    """Native steps bound to one memory.

    Args:
        program: the steps.
        memory: whose activations they compute in.
        threads: that may share the work of a step.
    """

    def __init__(self, program: NativeProgram, memory: Memory, threads: int) -> None:
        self._program, self._arena = program, memory.arena
        self._scratch = [aligned(program.scratch) for _ in range(threads)]
        self._shared: dict[tuple[int, int], _Shared] = {}
        self._run, self._address = _interpreter(), objects.address("interpreter")
        self.reset()
        self._tables = (program.addresses.ctypes.data, program.rows.ctypes.data, program.rows.strides[0])
        self._places = [scratch.ctypes.data for scratch in self._scratch]
        self._before = tuple(map(ctypes.c_int64, self._tables))  # which a call takes twice as fast as numbers of Python
        self._after = tuple(map(ctypes.c_int64, (self._arena, 0, self._places[0], 0, 1, 0)))

    def reset(self) -> None:
        """Make all records empty."""
        for records in self._records() if self._program.watched else ():
            records[:, 0], records[:, 1] = _LIMITS.max, _LIMITS.min

    def extremes(self, command: int) -> tuple[int, int]:
        """The smallest and the largest value of a watched command's accumulators; none: the larger comes first."""
        place = self._program.watched.index(command)
        held = [records[place] for records in self._records()]
        return min(int(record[0].min()) for record in held), max(int(record[1].max()) for record in held)

    def take_counts(self, command: int) -> NDArray[np.int64]:
        """int64 [3, channels]: what a command has counted since this was last asked."""
        begin, columns, channels = self._program.counted[command]
        total = np.zeros((COUNTS, channels), np.int64)
        for scratch in self._scratch:
            counts = scratch[begin : begin + COUNTS * 4 * columns].view(np.int32).reshape(COUNTS, columns)
            total += counts[:, :channels]
            counts[:] = 0
        return total

    def _records(self) -> list[NDArray[np.int64]]:
        """[watched commands, smallest and largest, lanes] of each thread."""
        shape = (len(self._program.watched), 2, tier().lanes)
        part = slice(self._program.records, self._program.records + len(self._program.watched) * _RECORD_BYTES)
        return [s[part].view(np.int64).reshape(shape) for s in self._scratch]

    def run(self, first: int, last: int) -> None:
        """Commands first to last - 1, all of them native."""
        sharing = self._program.sharing
        if len(self._scratch) == 1:
            self._alone(first, last)
            return
        start, shared = time.perf_counter(), sharing.together()
        if shared:
            self._together(first, last)
        else:
            self._alone(first, last)
        sharing.record(time.perf_counter() - start, shared=shared)

    def _together(self, first: int, last: int) -> None:
        if (first, last) not in self._shared:
            self._shared[first, last] = self._share(first, last)
        states, jobs = self._shared[first, last]
        states.fill(0)
        if not crew(len(self._places) - 1).run(jobs):
            del self._shared[first, last]

    def _share(self, first: int, last: int) -> _Shared:
        states = np.zeros((len(self._places), last - first, MOST_SHARES), np.int64)
        address, parts = states.ctypes.data, range(len(self._places))
        table = np.array([self._job(first, last, part, address) for part in parts], np.int64)
        return states, Jobs(table, (self._program, self._scratch, states))

    def _alone(self, first: int, last: int) -> None:
        self._run(*self._before, first, last, *self._after)

    def _job(self, first: int, last: int, part: int, states: int) -> tuple[int, ...]:
        place, parts = self._places[part], len(self._places)
        return self._address, *self._tables, first, last, self._arena, 0, place, part, parts, states


@cache
def _interpreter() -> Any:
    return objects.function("interpreter", INTERPRETER_ARGUMENTS)
