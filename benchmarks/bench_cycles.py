"""How fast cycles with stalls are counted, beside SCALE-Sim (pip install scalesim==3.0.0 'numpy<2', elsewhere).

    PYTHONPATH=.:kernels python benchmarks/bench_cycles.py [TOPOLOGY.csv]
    PYTHONPATH=.:kernels python benchmarks/bench_cycles.py [TOPOLOGY.csv] --scalesim PYTHON --config CFG

Without a topology, the layers of ResNet-50, images as large as their padding makes them. PYTHON is the interpreter of
the environment that has SCALE-Sim; CFG its configuration. Ours tiles and times all layers on `scalesim-32x32` with
64 KiB memories and 10 bytes per cycle; the best of five. All times are CPU times, so that other work on the machine
disturbs them less; ours contains reading the file.
"""

import argparse
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import networks

from accel_sim.analysis.topology import time_topology
from accel_sim.hardware import load_hardware
from accel_sim.ir import Conv2D, FullyConnected

HEADER = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,"

SETTINGS = ["memory.dram_bytes_per_cycle=10"] + [
    f"memory.{part}_sram_bytes=65536" for part in ("weight", "activation", "accumulator")
]


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The shortest of several times that the processor spent here and in processes that were started and ended here."""
    best = float("inf")
    for _ in range(repeats):
        begin = spent()
        work()
        best = min(best, spent() - begin)
    return best


def spent() -> float:
    """Seconds of processor time until now."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def resnet50(folder: Path) -> Path:
    """ResNet-50 as a topology file."""
    graph = networks.resnet50()
    rows = [HEADER]
    for node in graph.nodes:
        if isinstance(node.op, Conv2D):
            _, height, width, depth = graph.tensors[node.inputs[0]].shape
            filters, *kernel, _ = graph.tensors[node.inputs[1]].shape
            padding, stride = node.op.padding, node.op.strides[0]
            size = height + padding.top + padding.bottom, width + padding.left + padding.right
            rows.append(f"{node.name}, {size[0]}, {size[1]}, {kernel[0]}, {kernel[1]}, {depth}, {filters}, {stride},")
        elif isinstance(node.op, FullyConnected):
            filters, depth = graph.tensors[node.inputs[1]].shape
            rows.append(f"{node.name}, 1, 1, 1, 1, {depth}, {filters}, 1,")
    path = folder / "resnet50.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def run_scalesim(python: str, config: Path, topology: Path) -> None:
    """One run of SCALE-Sim's command."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [python, "-m", "scalesim.scale", "-c", config, "-t", topology, "-l", topology, "-p", folder]
        subprocess.run([*map(str, arguments), "-i", "conv"], check=True, capture_output=True, cwd=folder)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("topology", type=Path, nargs="?")
    parser.add_argument("--scalesim", metavar="PYTHON")
    parser.add_argument("--config", type=Path)
    options = parser.parse_args()
    if options.scalesim and not options.config:
        parser.error("--scalesim needs --config")
    with tempfile.TemporaryDirectory() as folder:
        compare(options.topology or resnet50(Path(folder)), options.scalesim, options.config)


def compare(topology: Path, scalesim: str | None, config: Path | None) -> None:
    """Time both, and print."""
    hardware = load_hardware("scalesim-32x32", SETTINGS)
    _, result = time_topology(topology, hardware)
    ours = seconds(lambda: time_topology(topology, hardware), 5)
    stalls = sum(layer.stall_cycles or 0 for layer in result.layers)
    print(
        f"accel_sim: {len(result.layers)} layers, {result.cycles:,} cycles, {stalls:,} stalled, in {ours * 1e3:.1f} ms"
    )
    if scalesim and config:
        theirs = seconds(lambda: run_scalesim(scalesim, config.resolve(), topology.resolve()), 1)
        print(f"SCALE-Sim: {theirs:.1f} s, {theirs / ours:,.0f} times as long")


if __name__ == "__main__":
    main()
