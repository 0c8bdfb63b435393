"""How time and memory grow with a network, from 10 million to 10 billion multiply-accumulates.

    PYTHONPATH=.:kernels:benchmarks python benchmarks/bench_growth.py [--most-gmac 10]

Eight equal convolutions over growing images, then ResNet-50's shape over growing images; functional level, one thread.
Time: the fastest of several runs whose probe was quiet (`sampling`), and of the native steps alone; the rest is what
every run costs: checks and copies of inputs and outputs, in Python. Memory: by how much the process grows while it
compiles and runs, sampled every millisecond, each size in a process of its own; beside it the weights plus the largest
set of activations that is alive at once.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import networks
import numpy as np
from sampling import Run, Sampler, matrix_probe, peak_memory

import accel_sim
from accel_sim.ir import Graph
from accel_sim.sim.prepared import prepared
from accel_sim.sim.result import Level

FAMILIES: dict[str, tuple[Callable[[int], Graph], tuple[int, ...]]] = {
    "plain": (networks.plain, (6, 13, 26, 58, 104, 184)),
    "resnet50": (networks.resnet50, (64, 128, 224, 350)),
}
Row = dict[str, float]


def measure(family: str, image: int) -> Row:
    """One size, in this process."""
    graph = FAMILIES[family][0](image)
    codes = np.random.default_rng(0).integers(-128, 128, (1, image, image, 3)).astype(np.int8)
    _run(networks.plain(4), codes[:, :4, :4])  # what every process needs once: imports, kernels

    def first() -> None:
        program = accel_sim.compile(graph, profile="tflite")
        accel_sim.run(program, codes, "functional", threads=1)

    grown = peak_memory(first)
    program = accel_sim.compile(graph, profile="tflite")
    worker, count = prepared(program, program.hardware, Level.FUNCTIONAL).worker(), len(program.commands)
    runs: dict[str, Run] = {
        "run": lambda: accel_sim.run(program, codes, "functional", threads=1),
        "steps": lambda: worker.execute(0, count),
    }
    timings = Sampler(matrix_probe(), time.thread_time).compare(runs, 7, 20)
    run, steps = (timings[name].low for name in runs)
    macs = networks.multiply_accumulates(graph)
    needed = networks.constant_bytes(graph) + networks.largest_live_set(graph)
    return {"macs": macs, "seconds": run, "steps": steps, "grown": grown, "needed": needed}


def _run(graph: Graph, codes: np.ndarray) -> None:
    accel_sim.run(accel_sim.compile(graph, profile="tflite"), codes, "functional", threads=1)


def main() -> None:
    """Print every size, and the spread."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--most-gmac", type=float, default=10.5, help="leave out larger networks")
    parser.add_argument("--one", nargs=2, metavar=("FAMILY", "IMAGE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one[0], int(options.one[1]))))
        return
    for family, (build, images) in FAMILIES.items():
        rows = []
        for image in images:
            if networks.multiply_accumulates(build(image)) > options.most_gmac * 1e9:
                continue
            command = [sys.executable, __file__, "--one", family, str(image)]
            rows.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
            _show(family, image, rows[-1])
        whole, steps = (_spread([row[key] / row["macs"] for row in rows]) for key in ("seconds", "steps"))
        print(f"{family}: time per MAC, slowest over fastest: {whole:.2f}, of the native steps alone {steps:.2f}")
        memory = max(row["grown"] / row["needed"] for row in rows)
        print(f"{family}: memory over weights + largest live set, at most: {memory:.2f}")


def _spread(values: list[float]) -> float:
    return max(values) / min(values)


def _show(family: str, image: int, row: Row) -> None:
    print(
        f"{family:9s} {image:4d} px {row['macs'] / 1e6:9.1f} MMAC {row['seconds'] * 1e3:9.3f} ms"
        f" {row['macs'] / row['seconds'] / 1e9:7.1f} GMAC/s (steps {row['steps'] * 1e3:9.3f} ms)  "
        f" {row['grown'] / 1e6:7.1f} MB grown, {row['needed'] / 1e6:7.1f} MB weights + live set",
        flush=True,
    )


if __name__ == "__main__":
    main()
