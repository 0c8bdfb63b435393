"""Where the time of a network goes: every native step of ResNet-50 and MobileNetV2, one thread.

    PYTHONPATH=.:kernels:tests python benchmarks/bench_steps.py [--network mobilenet_v2] [--profile litert] [--bits 16]
        [--times 30] [--arrays]

Each step runs alone, the fastest of several times, after everything before it has run once: its weights are as far away
as in the network only where they exceed the caches. The sum beside the whole run says how much that is.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from unittest import mock

import networks
import numpy as np

import accel_sim
from accel_kernels.native.tier import tier
from accel_sim.ir import ElementType
from accel_sim.program import Convolve
from accel_sim.sim import prepared as preparing
from accel_sim.sim.prepared import prepared
from accel_sim.sim.result import Level


def main() -> None:
    """Print the steps, and their sums by kind of code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=("resnet50", "mobilenet_v2"), default="resnet50")
    parser.add_argument("--profile", choices=("onnxruntime", "litert", "tflite", "paper"), default="onnxruntime")
    parser.add_argument("--times", type=int, default=30)
    parser.add_argument("--bits", type=int, choices=(8, 16), default=8, help="of activations")
    parser.add_argument("--arrays", action="store_true", help="also run it on kernels of arrays, called from Python")
    options = parser.parse_args()
    codes = ElementType.UINT8 if options.profile == "onnxruntime" else ElementType.INT8
    codes = ElementType.INT16 if options.bits == 16 else codes
    graph = getattr(networks, options.network)(codes=codes, same=options.profile != "onnxruntime")
    program = accel_sim.compile(graph, profile=options.profile)
    made = prepared(program, program.hardware, Level.FUNCTIONAL)
    worker = made.worker()
    count = len(program.commands)
    whole = _fastest(partial(worker.execute, 0, count), options.times)
    seconds: dict[str, float] = defaultdict(float)
    for index, command in enumerate(program.commands):
        native = made.operations[index] is None
        spent = _fastest(partial(worker.execute, index, index + 1), options.times)
        kind = type(command).__name__ if native else f"{type(command).__name__} (Python)"
        speed = ""
        if isinstance(command, Convolve):
            taps = np.prod(command.weights.shape[1:])
            macs = command.output_to.size * taps
            kind += (" depthwise" if command.groups > 1 else "") + f" {command.window.kernel}"
            speed = f"{macs / 1e6:8.1f} MMAC {macs / spent / 1e9:8.1f} GMAC/s"
        seconds[kind] += spent
        print(f"{command.layer:10s} {kind:28s} {spent * 1e6:9.1f} us  {command.output_to.shape!s:22s} {speed}")
    print(f"\n{options.network}, {options.profile}, {tier().name}: {whole * 1e3:.2f} ms as a whole")
    if options.arrays:
        slow = _on_arrays(graph, options.profile)
        print(f"kernels of arrays, called from Python: {slow * 1e3:.1f} ms, {slow / whole:.1f} times as long")
    for kind, spent in sorted(seconds.items(), key=lambda pair: -pair[1]):
        print(f"{kind:28s} {spent * 1e3:8.3f} ms")
    print(f"{'sum':28s} {sum(seconds.values()) * 1e3:8.3f} ms")


def _on_arrays(graph: accel_sim.Graph, profile: str) -> float:
    """Seconds of a run in which no command is a native step."""
    program = accel_sim.compile(graph, profile=profile)
    with mock.patch.object(preparing, "available", return_value=False):
        worker = prepared(program, program.hardware, Level.FUNCTIONAL).worker()
    return _fastest(partial(worker.execute, 0, len(program.commands)), 2)


def _fastest(run: Callable[[], None], times: int) -> float:
    run()
    fastest = float("inf")
    for _ in range(times):
        start = time.thread_time()
        run()
        fastest = min(fastest, time.thread_time() - start)
    return fastest


if __name__ == "__main__":
    main()
