"""Timing on machines that other work shares: short samples, bracketed by a probe, taken in turns.

A probe is a piece of work of known length. A sample counts only where the probes before and after it ran at nearly the
best speed ever seen; so a clock that drops, or a neighbour on the core, spoils samples and not the figure. What is
compared takes turns, so that slow drifts meet all alike. Work of one thread is best timed by that thread's own clock
(`time.thread_time`), which stops while the system runs something else.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

import numpy as np
from numpy.typing import NDArray

Run = Callable[[], object]

_QUIET = 0.93  # of the best speed of the probe
_SAMPLE_SECONDS = 0.01


@dataclass(frozen=True)
class Timing:
    """Seconds of one call: median, smallest and largest of the samples that count; those, and all that were taken."""

    median: float
    low: float
    high: float
    accepted: int
    taken: int

    def __str__(self) -> str:
        noise = "" if self.accepted >= 3 else " (noisy)"
        return f"{self.median * 1e3:.2f} ms [{self.low * 1e3:.2f}, {self.high * 1e3:.2f}]{noise}"


@dataclass
class Sampler:
    """Takes samples by a clock; `probe` is work of known length, `best` the shortest time it ever took."""

    probe: Run
    clock: Callable[[], float] = time.perf_counter
    best: float = field(default=float("inf"))

    def __post_init__(self) -> None:
        for _ in range(30):
            self._probe()

    def compare(self, runs: Mapping[str, Run], rounds: int = 9, most_seconds: float = 60.0) -> dict[str, Timing]:
        """Time several pieces of work in turns until each has `rounds` samples that count, or the time is up."""
        calls = {name: self._calls(run) for name, run in runs.items()}
        samples: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
        end = time.perf_counter() + most_seconds
        while time.perf_counter() < end:
            waiting = [name for name in runs if len(self._quiet(samples[name])) < rounds]
            if not waiting:
                break
            for name in waiting:
                samples[name].append(self._sample(runs[name], calls[name]))
        return {name: self._timing(taken) for name, taken in samples.items()}

    def _probe(self) -> float:
        start = self.clock()
        self.probe()
        spent = self.clock() - start
        self.best = min(self.best, spent)
        return spent

    def _calls(self, run: Run) -> int:
        run()
        start = time.perf_counter()
        run()
        return max(1, round(_SAMPLE_SECONDS / max(time.perf_counter() - start, 1e-7)))

    def _sample(self, run: Run, calls: int) -> tuple[float, float]:
        """(seconds of a call, the slower of the two probes)."""
        before = self._probe()
        start = self.clock()
        for _ in range(calls):
            run()
        spent = (self.clock() - start) / calls
        return spent, max(before, self._probe())

    def _quiet(self, samples: list[tuple[float, float]]) -> list[float]:
        return [spent for spent, probe in samples if self.best / probe >= _QUIET]

    def _timing(self, samples: list[tuple[float, float]]) -> Timing:
        quiet = self._quiet(samples)
        chosen = quiet if len(quiet) >= 3 else [spent for spent, _ in sorted(samples, key=lambda pair: pair[1])[:3]]
        return Timing(median(chosen), min(chosen), max(chosen), len(quiet), len(samples))


def matrix_probe() -> Run:
    """About half a millisecond of products of small float matrices, on one thread whatever the library would like."""
    a = np.ones((48, 48), np.float32)
    out = np.empty_like(a)

    def probe() -> None:
        for _ in range(250):
            np.matmul(a, a, out=out)

    return probe


def parallel_probe(threads: int) -> Run:
    """Some milliseconds of float matrix products in each of several threads at once: long beside their start.

    On cores of their own they take as long as one thread alone does.
    """
    a = np.ones((256, 256), np.float32)
    outputs = [np.empty_like(a) for _ in range(threads)]
    pool = ThreadPoolExecutor(max(threads - 1, 1))

    def products(out: NDArray[np.float32]) -> None:
        for _ in range(16):
            np.matmul(a, a, out=out)

    def probe() -> None:
        others = [pool.submit(products, out) for out in outputs[1:]]
        products(outputs[0])
        for other in others:
            other.result()

    return probe


def parallel_runs(run: Run) -> Run:
    """Two threads that each do the whole work, which needs no meeting: what the machine makes of two cores at best."""
    pool = ThreadPoolExecutor(1)

    def both() -> None:
        other = pool.submit(run)
        run()
        other.result()

    return both


@contextmanager
def busy_process() -> Iterator[None]:
    """One more process that keeps a core busy meanwhile."""
    child = os.fork()
    if child == 0:
        while os.getppid() != 1:
            sum(range(100_000))
        os._exit(0)
    try:
        yield
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def peak_memory(run: Run) -> int:
    """Bytes by which the process's resident memory grows at most while `run` runs, sampled every millisecond."""
    page = os.sysconf("SC_PAGE_SIZE")

    def resident() -> int:
        with open("/proc/self/statm") as file:  # noqa: PTH123 - thousand times a second
            return int(file.read().split()[1]) * page

    before, highest, done = resident(), 0, threading.Event()

    def watch() -> None:
        nonlocal highest
        while not done.wait(0.001):
            highest = max(highest, resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        run()
        highest = max(highest, resident())
    finally:
        done.set()
        watcher.join()
    return highest - before
