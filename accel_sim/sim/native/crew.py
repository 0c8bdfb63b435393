"""Threads that help with steps: they wait, and work, in native code (`accel_kernels.native.crew`)."""

import ctypes
import os
import threading
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from accel_kernels.native import objects
from accel_kernels.native.tables import JOB, TAKEN, Box
from accel_sim.sim.helpers import leave
from accel_sim.sim.memory import aligned

_RUN = Box.JOB // 8 + JOB - 1


class Jobs:
    """What the threads do that share a run of steps.

    Args:
        table: int64 [parts, JOB], the first for the thread that leads; the last argument is the same for all, and no
            other run's at the same time.
        kept: what has to stay in memory as long as somebody holds a job.
    """

    def __init__(self, table: NDArray[np.int64], kept: object) -> None:
        self.table, self._kept = table, kept
        self.parts, self.run = len(table), int(table[0, -1])
        self.address = ctypes.c_int64(table.ctypes.data)


class Crew:
    """As `accel_sim.sim.helpers.Helpers`, for the jobs of native code.

    Args:
        count: of the threads.
    """

    def __init__(self, count: int) -> None:
        self._lead = objects.function("crew:lead", 3)
        self._late: list[Jobs] = []
        self._lock = threading.Lock()
        self._memory = aligned(count * Box.BYTES)
        self._boxes = [part.view(np.int64).data for part in self._memory.reshape(count, Box.BYTES)]
        serve, place = objects.function("crew:serve", 2), self._memory.ctypes.data
        self._place = ctypes.c_int64(place)
        for number, box in enumerate(self._boxes):
            box[Box.SLEEPING // 8], box[Box.WAKING // 8] = _files()
            arguments = serve, place + number * Box.BYTES, box
            threading.Thread(target=_serve, args=arguments, name="accel_sim", daemon=True).start()

    def run(self, jobs: Jobs) -> bool:
        """Do the first of the jobs, while helpers do the others if they come in time.

        Args:
            jobs: at most one more than there are helpers.

        Returns:
            Whether no helper holds one of them any more. Else they are kept as long as one does that came late.
        """
        self._lead(jobs.address, self._place, jobs.parts)
        late = self._holds(jobs)
        if late or self._late:
            with self._lock:
                self._late = [each for each in (*self._late, jobs) if self._holds(each)]
        return not late

    @property
    def busy(self) -> bool:
        """Whether a helper has a job."""
        return any(box[Box.STATE] == TAKEN for box in self._boxes)

    def _holds(self, jobs: Jobs) -> bool:
        """Whether a helper has one of them; a box keeps its job, and takes no other, as long as it is taken."""
        return any(box[_RUN] == jobs.run and box[Box.STATE] == TAKEN for box in self._boxes)


def _files() -> tuple[int, int]:
    """To read from and to write to, eight bytes at a time."""
    if hasattr(os, "eventfd"):
        file = os.eventfd(0)
        return file, file
    return os.pipe()


def _serve(serve: Callable[[int, int], None], address: int, box: memoryview) -> None:
    while True:
        serve(address, 0)
        leave(box[Box.PROCESSOR // 8])
        serve(address, 1)


@cache
def crew(count: int) -> Crew:
    """As many threads, started once."""
    return Crew(count)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=crew.cache_clear)  # threads stay with the parent
