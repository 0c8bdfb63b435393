"""Two threads over one: a single sample, a batch of eight, and beside one more process that keeps a core busy.

    PYTHONPATH=.:kernels:benchmarks python benchmarks/bench_threads.py [--rounds 9] [--seconds 30]

Functional level, the networks of `networks` at 224 x 224. Quiet: medians of samples in which a probe of two threads
took hardly longer than one thread alone, before and after (`sampling`), one thread and two in turns. Busy: medians and
95th percentiles of all runs. `bound` is what two runs of one thread each reach together over one alone, on this
machine: cores that share units or caches stay below 2.
"""

import argparse
import os
import time
from collections.abc import Callable

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import networks
import numpy as np
from sampling import Run, Sampler, Timing, busy_process, parallel_probe, parallel_runs

import accel_sim

_SAMPLES = (1, 8)


def main() -> None:
    """Print every ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="quiet samples of each")
    parser.add_argument("--seconds", type=float, default=30, help="at most, for each comparison")
    options = parser.parse_args()
    for build in (networks.resnet50, networks.mobilenet_v2):
        graph = build()
        program = accel_sim.compile(graph, profile="tflite")
        for samples in _SAMPLES:
            codes = np.random.default_rng(0).integers(-128, 128, (samples, 224, 224, 3)).astype(np.int8)
            name = f"{graph.name}, {samples} sample{'s' * (samples > 1)}"

            def runs(threads: int, program=program, codes=codes) -> Run:
                return lambda: accel_sim.run(program, codes, "functional", threads=threads)

            _quiet(name, runs, options)
            _busy(name, runs)


def _quiet(name: str, runs: Callable[[int], Run], options: argparse.Namespace) -> None:
    pair = parallel_runs(runs(1))
    work = {"one": runs(1), "two": runs(2), "pair": pair}
    alone = Sampler(parallel_probe(1)).best
    timings = Sampler(parallel_probe(2), best=alone).compare(work, options.rounds, options.seconds)
    one, two, both = (timings[key] for key in work)
    print(
        f"{name}: {_ratio(one, two):.2f} x (one thread {one}, two {two}), bound {2 * _ratio(one, both):.2f}", flush=True
    )


def _ratio(one: Timing, other: Timing) -> float:
    return one.median / other.median


def _busy(name: str, runs: Callable[[int], Run], times: int = 30) -> None:
    seconds: dict[int, list[float]] = {1: [], 2: []}
    with busy_process():
        for _ in range(times):
            for threads, taken in seconds.items():
                start = time.perf_counter()
                runs(threads)()
                taken.append(time.perf_counter() - start)
    one, two = (np.array(taken) for taken in seconds.values())
    print(
        f"{name}, beside a busy process: two threads take {np.median(two) / np.median(one):.2f} x the time of one"
        f" (95th percentiles: {np.quantile(two, 0.95) / np.quantile(one, 0.95):.2f} x)",
        flush=True,
    )


if __name__ == "__main__":
    main()
