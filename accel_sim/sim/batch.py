"""Samples spread over threads."""

import threading
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from typing import Generic, TypeVar

from accel_sim.sim.helpers import helpers

Progress = Callable[[int, int], None]
"""(samples done, samples in all) -> None; one call at a time, from the thread that ran the sample."""
W = TypeVar("W")


class _Batch(Generic[W]):
    """Samples in order to whoever is free; the first error ends it."""

    def __init__(self, run: Callable[[int, W], None], count: int, progress: Progress | None) -> None:
        self._run, self._count, self._progress = run, count, progress
        self._samples, self._done, self._lock = iter(range(count)), 0, threading.Lock()
        self.errors: list[BaseException] = []

    def work(self, worker: W) -> None:
        """Run samples as long as there are any."""
        try:
            for sample in self._samples:
                if self.errors:
                    return
                self._run(sample, worker)
                self._tell()
        except BaseException as error:  # raised again in the thread that waits for all
            self.errors.append(error)

    def _tell(self) -> None:
        if self._progress is None:
            return
        with self._lock:
            self._done += 1
            self._progress(self._done, self._count)


def run_samples(
    run: Callable[[int, W], None], workers: Sequence[W], count: int, progress: Progress | None = None
) -> None:
    """Call run(sample, worker) for every sample, on this thread and, with several workers, on others as well.

    Raises:
        BaseException: the first that a call raised; samples after it are not run.
    """
    if len(workers) == 1:
        _run_alone(run, workers[0], count, progress)
        return
    batch = _Batch(run, count, progress)
    left: SimpleQueue[None] = SimpleQueue()

    def help_out(worker: W) -> None:
        batch.work(worker)
        left.put(None)

    others = workers[1:]
    offers = [helpers(len(others)).offer(partial(help_out, worker)) for worker in others]
    batch.work(workers[0])
    for offer in offers:
        if offer.take() is None:
            left.get()
    if batch.errors:
        raise batch.errors[0]


def _run_alone(run: Callable[[int, W], None], worker: W, count: int, progress: Progress | None) -> None:
    for sample in range(count):
        run(sample, worker)
        if progress is not None:
            progress(sample + 1, count)
