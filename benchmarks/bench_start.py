"""Cold and warm start: whole processes, from the command line's first instruction to its last.

    PYTHONPATH=.:kernels python benchmarks/bench_start.py [--times 5]

Cold: an empty cache of kernels. Warm: the cache of the run before. Python's own byte code is there in both, as an
installation leaves it. `demo` is the whole demonstration; `run` loads, compiles and runs the bundled network, quantized
and written as ONNX, on one sample, and writes the codes.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import accel_sim
from accel_sim import demo_data


def main() -> None:
    """Print medians and extremes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=5)
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "digits.onnx")
        accel_sim.write_onnx(
            accel_sim.quantize(accel_sim.load(demo_data.network_bytes()), demo_data.calibration(), "minmax"), model
        )
        commands = {
            "run, functional": ["run", str(model), "--level", "functional", "--output", str(Path(folder, "y.npz"))],
            "run, cycle": ["run", str(model), "--output", str(Path(folder, "y.npz"))],
            "demo": ["demo"],
        }
        for name, arguments in commands.items():
            _seconds(arguments, Path(folder, "before"))  # writes the byte code
            cold = [_seconds(arguments, Path(folder, f"cold-{name}-{i}")) for i in range(times)]
            warm = [_seconds(arguments, Path(folder, f"cold-{name}-0")) for _ in range(times)]
            _show(f"{name}, cold", cold)
            _show(f"{name}, warm", warm)


def _seconds(arguments: list[str], cache: Path) -> float:
    bytecode = {"PYTHONPYCACHEPREFIX": str(cache.parent / "bytecode"), "PYTHONDONTWRITEBYTECODE": ""}
    environment = {**os.environ, **bytecode, "ACCEL_KERNELS_CACHE_DIR": str(cache)}
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "accel_sim", *arguments], check=True, capture_output=True, env=environment)
    return time.perf_counter() - start


def _show(name: str, seconds: list[float]) -> None:
    print(f"{name:24s} {median(seconds):6.2f} s  [{min(seconds):.2f}, {max(seconds):.2f}]", flush=True)


if __name__ == "__main__":
    main()
