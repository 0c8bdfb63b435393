"""Threads that help with steps: they wait, and work, in native code (`accel_kernels.native.crew`)."""

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


class Crew:
    """As `accel_sim.sim.helpers.Helpers`, for the jobs of native code.

    Args:
        count: of the threads.
    """

    def __init__(self, count: int) -> None:
        self._lead = objects.function("crew:lead", 3)
        self._late: list[tuple[int, object]] = []
        self._lock = threading.Lock()
        self._memory = aligned(count * Box.BYTES)
        self._boxes = [part.view(np.int64).data for part in self._memory.reshape(count, Box.BYTES)]
        serve, place = objects.function("crew:serve", 2), self._memory.ctypes.data
        for number, box in enumerate(self._boxes):
            box[Box.SLEEPING // 8], box[Box.WAKING // 8] = _files()
            arguments = serve, place + number * Box.BYTES, box
            threading.Thread(target=_serve, args=arguments, name="accel_sim", daemon=True).start()

    def run(self, jobs: NDArray[np.int64], kept: object) -> None:
        """Do the first of the jobs [parts, JOB], while helpers do the others if they come in time.

        Args:
            jobs: at most one more than there are helpers; the last argument is the same for all, and no other run's.
            kept: what has to stay in memory as long as a helper that came late holds a job.
        """
        self._lead(jobs.ctypes.data, self._memory.ctypes.data, len(jobs))
        run = int(jobs[0, -1])
        with self._lock:
            self._late = [late for late in (*self._late, (run, kept)) if self._holds(late[0])]

    @property
    def busy(self) -> bool:
        """Whether a helper has a job."""
        return any(box[Box.STATE] == TAKEN for box in self._boxes)

    def _holds(self, run: int) -> bool:
        """Whether a helper has a job of a run; a box keeps its job, and takes no other, as long as it is taken."""
        return any(box[_RUN] == run and box[Box.STATE] == TAKEN for box in self._boxes)


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
