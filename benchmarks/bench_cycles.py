"""How fast cycles with stalls are counted, beside SCALE-Sim (pip install scalesim==3.0.0 'numpy<2', elsewhere).

    python benchmarks/bench_cycles.py TOPOLOGY.csv
    python benchmarks/bench_cycles.py TOPOLOGY.csv --scalesim PYTHON --config CFG

PYTHON is the interpreter of the environment that has SCALE-Sim; CFG its configuration. Ours tiles and times all layers
on `scalesim-32x32` with 64 KiB memories and 10 bytes per cycle; the best of five.
"""

import argparse
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from accel_sim.analysis.topology import time_topology
from accel_sim.hardware import load_hardware

SETTINGS = ["memory.dram_bytes_per_cycle=10"] + [
    f"memory.{part}_sram_bytes=65536" for part in ("weight", "activation", "accumulator")
]


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The shortest of several times."""
    best = float("inf")
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begin)
    return best


def run_scalesim(python: str, config: Path, topology: Path) -> None:
    """One run of SCALE-Sim's command."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [python, "-m", "scalesim.scale", "-c", config, "-t", topology, "-l", topology, "-p", folder]
        subprocess.run([*map(str, arguments), "-i", "conv"], check=True, capture_output=True, cwd=folder)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("topology", type=Path)
    parser.add_argument("--scalesim", metavar="PYTHON")
    parser.add_argument("--config", type=Path)
    options = parser.parse_args()
    if options.scalesim and not options.config:
        parser.error("--scalesim needs --config")
    hardware = load_hardware("scalesim-32x32", SETTINGS)
    _, result = time_topology(options.topology, hardware)
    ours = seconds(lambda: time_topology(options.topology, hardware), 5)
    stalls = sum(layer.stall_cycles or 0 for layer in result.layers)
    print(
        f"accel_sim: {len(result.layers)} layers, {result.cycles:,} cycles, {stalls:,} stalled, in {ours * 1e3:.1f} ms"
    )
    if options.scalesim:
        run = lambda: run_scalesim(options.scalesim, options.config.resolve(), options.topology.resolve())  # noqa: E731
        theirs = seconds(run, 1)
        print(f"SCALE-Sim: {theirs:.1f} s, {theirs / ours:,.0f} times as long")


if __name__ == "__main__":
    main()
