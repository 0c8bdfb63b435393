"""The whole table of speed in one run: our exact bytes beside ONNX Runtime and LiteRT.

    PYTHONPATH=.:kernels:tests python benchmarks/bench_table.py [--only P1 P2 P3 P4 P5 P9 P10] [--rounds 9]

Every figure is the median of samples whose probe before and after was quiet, with the smallest and the largest
(`sampling`). On one thread all are timed by the thread's own clock. P1 and P2 compare every tensor first.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import networks
import numpy as np
import peers
from onnx_networks import onnx_file
from peak import peak
from sampling import Run, Sampler, Timing, busy_process, matrix_probe, parallel_probe

import accel_sim
from accel_kernels.native.tier import target, tier
from accel_sim.ir import ElementType
from accel_sim.sim.prepared import prepared
from accel_sim.sim.result import Level

_IMAGE = (1, 3, 224, 224)
_PIXELS, _COLUMNS = 1568, 256
_NETWORKS = {"resnet50": networks.resnet50, "mobilenet_v2": networks.mobilenet_v2}


def one_thread(runs: dict[str, Run], rounds: int, seconds: float = 30.0) -> dict[str, Timing]:
    """Timings, printed."""
    timings = Sampler(matrix_probe(), time.thread_time).compare(runs, rounds, seconds)
    for name, timing in timings.items():
        print(f"    {name:28s} {timing}  of {timing.taken} samples")
    return timings


def verdict(bar: str, what: str, ratio: float, goal: float, *, least: bool = False) -> None:
    """One line of the table."""
    fits = ratio >= goal if least else ratio <= goal
    print(f"{bar:3s} {what:66s} {ratio:7.2f}  {'>=' if least else '<='} {goal}  {'yes' if fits else 'NO'}", flush=True)


def against_onnx_runtime(bar: str, name: str, goal: float, rounds: int) -> None:
    """P1 and P2."""
    graph = _NETWORKS[name](codes=ElementType.UINT8)
    model, image = onnx_file(graph), np.random.default_rng(0).integers(0, 256, _IMAGE).astype(np.uint8)
    ours = accel_sim.load(model)
    expected = {n: t for n, t in peers.onnx_tensors(model, image).items() if n in ours.tensors}
    result = accel_sim.run(accel_sim.compile(ours), image, "functional", keep=list(expected))
    different = sum(_differences(result.tensors[n], tensor) for n, tensor in expected.items())
    print(f"    {name}: {len(expected)} tensors, {different} codes differ from ONNX Runtime's")
    qdq = peers.onnx_session(accel_sim.write_onnx(graph), 1)
    reals = ((image.astype(np.float32) - 125) * np.float32(0.05)).transpose(0, 2, 3, 1).copy()
    runs = {
        "ours": peers.our_run(ours, "onnxruntime", image),
        "ONNX Runtime, QOperator": peers.onnx_run(model, image),
        "ONNX Runtime, QDQ": lambda: qdq.run(None, {"x": reals}),
    }
    timings = one_thread(runs, rounds)
    best = min(t.median for n, t in timings.items() if n != "ours")
    verdict(bar, f"{name}, one thread, over ONNX Runtime's best int8", timings["ours"].median / best, goal)


def _differences(ours: np.ndarray, theirs: np.ndarray) -> int:
    stored = theirs.transpose(0, 2, 3, 1) if theirs.ndim == 4 else theirs
    return int((ours.reshape(stored.shape) != stored).sum())


def against_litert(name: str, rounds: int) -> None:
    """P3."""
    model = peers.tflite_file(_NETWORKS[name](same=True))
    image = np.random.default_rng(0).integers(-128, 128, (1, 224, 224, 3)).astype(np.int8)
    reference = peers.litert_run(model, image, reference=True)
    ours = peers.our_run(accel_sim.load(model), "litert", image)
    different = int((reference().reshape(-1) != ours().reshape(-1)).sum())
    print(f"    {name}: {different} codes of the output differ from LiteRT's reference kernels'")
    timings = one_thread({"ours": ours, "LiteRT, XNNPACK": peers.litert_run(model, image)}, rounds)
    slow = one_thread({"LiteRT, BUILTIN_REF": reference}, 3, 6.0)["LiteRT, BUILTIN_REF"].median
    mine = timings["ours"].median
    verdict("P3", f"{name}, one thread, over LiteRT XNNPACK", mine / timings["LiteRT, XNNPACK"].median, 1.0)
    verdict("P3", f"{name}: LiteRT BUILTIN_REF over ours", slow / mine, 45, least=True)


def products(rounds: int) -> None:
    """P4: products with _PIXELS rows, requantized by ONNX Runtime's recipe and by TFLite's."""
    probe, probe_macs = peak()
    for profile, codes in (("onnxruntime", ElementType.UINT8), ("litert", ElementType.INT8)):
        for depth in (64, 256, 1024, 4096):
            run, macs = _product(depth, profile, codes)
            timings = one_thread({f"K = {depth}, {profile}": run, "probe": probe}, rounds, 5.0)
            speed, most = macs / timings[f"K = {depth}, {profile}"].median, probe_macs / timings["probe"].median
            what = f"product, K = {depth}, {profile}: {speed / 1e9:.0f} of {most / 1e9:.0f} GMAC/s"
            verdict("P4", what, speed / most, 0.75 if depth < 256 else 0.90, least=True)


def _product(depth: int, profile: str, codes: ElementType) -> tuple[Run, int]:
    graph = networks.product(_PIXELS, depth, _COLUMNS, codes)
    program = accel_sim.compile(graph, profile=profile)
    worker = prepared(program, program.hardware, Level.FUNCTIONAL).worker()
    x = worker.memory.view(program.inputs[0].operand)
    x[...] = networks.activations(np.random.default_rng(1), x.shape, codes)
    return (lambda: worker.execute(0, len(program.commands))), networks.multiply_accumulates(graph)


def threads(rounds: int) -> None:
    """P5."""
    graph = networks.resnet50()
    program = accel_sim.compile(graph, profile="tflite")
    for batch, goal in ((1, 1.85), (8, 1.95)):
        images = np.random.default_rng(0).integers(-128, 128, (batch, 224, 224, 3)).astype(np.int8)
        runs = {f"batch {batch}, {n} threads": _our_threads(program, images, n) for n in (1, 2)}
        timings = Sampler(parallel_probe(2)).compare(runs, rounds, 30.0)
        one, two = timings.values()
        print(f"    batch {batch}: one thread {one}, two {two}")
        verdict("P5", f"resnet50, batch {batch}: one thread over two", one.median / two.median, goal, least=True)
    image = np.random.default_rng(0).integers(-128, 128, (1, 224, 224, 3)).astype(np.int8)
    with busy_process():
        taken = {n: _medians(_our_threads(program, image, n)) for n in (1, 2)}
    verdict("P5", "resnet50, batch 1, beside a busy process: two threads over one", taken[2] / taken[1], 1.3)


def _our_threads(program: accel_sim.Program, images: np.ndarray, count: int) -> Run:
    return lambda: accel_sim.run(program, images, "functional", threads=count)


def _medians(run: Run, times: int = 40) -> float:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return float(np.median(taken))


def script(name: str, *arguments: str) -> None:
    """Another benchmark, which prints its own figures."""
    path = Path(__file__).parent
    search = os.pathsep.join([str(path), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": search}
    subprocess.run([sys.executable, str(path / name), *arguments], check=True, env=environment)


def main() -> None:
    """Print the table."""
    bars: dict[str, Callable[[int], None]] = {
        "P1": lambda rounds: against_onnx_runtime("P1", "resnet50", 0.85, rounds),
        "P2": lambda rounds: against_onnx_runtime("P2", "mobilenet_v2", 0.75, rounds),
        "P3": lambda rounds: [against_litert(name, rounds) for name in _NETWORKS] and None,
        "P4": products,
        "P5": threads,
        "P9": lambda rounds: script("bench_start.py", "--times", "3"),
        "P10": lambda rounds: script("bench_growth.py"),
    }
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(bars), default=list(bars), metavar="BAR")
    parser.add_argument("--rounds", type=int, default=9, help="samples that count, of each figure")
    options = parser.parse_args()
    print(f"{_processor()}, compiled for {target()[0]}, tier {tier().name}, {os.cpu_count()} CPUs")
    for bar in options.only:
        bars[bar](options.rounds)


def _processor() -> str:
    """The processor's own name and numbers."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    found = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
    return ", ".join(f"{key} {found[key]}" for key in ("model name", "cpu family", "model") if key in found)


if __name__ == "__main__":
    main()
