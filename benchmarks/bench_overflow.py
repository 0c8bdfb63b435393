"""Counting overflow against the plain run of the same network, in one process, on one thread.

    python benchmarks/bench_overflow.py [--image 224] [--widths 15 16 ...] [--deviation 40]
    python benchmarks/bench_overflow.py --wide

ResNet-50's shapes with seeded random weights and inputs. For each width and policy: the time of a counting run over
that of the functional run (medians of samples that a probe brackets), and how many outputs overflow. `--wide`: 16-bit
activations on accumulators of 32 bits.
"""

import argparse
import time
from functools import partial

from networks import resnet50
from sampling import Sampler, matrix_probe

import accel_sim
from accel_sim.hardware import load_hardware, resolve_structure
from accel_sim.ir import ElementType
from accel_sim.sim.counting import count
from accel_sim.sim.machine import Machine
from accel_sim.sim.result import Level


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", type=int, default=224)
    parser.add_argument("--widths", type=int, nargs="*", default=[16, 18, 19, 20, 22, 24])
    parser.add_argument("--deviation", type=float, default=40.0, help="of weights: rates between those of two widths")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--wide", action="store_true", help="16-bit activations on int16x8-int32; no --widths")
    chosen = parser.parse_args()
    codes, profile = (ElementType.INT16, "tflite") if chosen.wide else (ElementType.UINT8, "onnxruntime")
    specs = [f"{bits}:{policy}" for bits in chosen.widths for policy in ("wrap", "saturate")]
    graph = resnet50(chosen.image, codes=codes, deviation=chosen.deviation)
    program = accel_sim.compile(graph, load_hardware(), profile)
    inputs = accel_sim.random_inputs(graph)
    machine, sampler = Machine(program.hardware), Sampler(matrix_probe(), time.thread_time)
    plain = partial(machine.run, program, inputs, Level.FUNCTIONAL, threads=1)
    print(f"{'accumulator':>16} {'ratio':>6} {'outputs with events':>20} {'events':>12} {'layers proved':>14}   times")
    for spec in ["int16x8-int32"] if chosen.wide else specs:
        structure = resolve_structure(spec)
        found = count(program, inputs, structure, threads=1)
        outputs = sum(program.commands[c.index].output_to.size for c in found.commands)
        affected = sum(int(c.affected.sum()) for c in found.commands) / outputs
        events = sum(int(c.events.sum()) for c in found.commands)
        proved = sum(c.proved for c in found.commands)
        counting = partial(machine.count, program, inputs, structure, threads=1)
        timings = sampler.compare({"plain": plain, "counting": counting}, chosen.rounds, 8.0)
        ratio = timings["counting"].median / timings["plain"].median
        print(
            f"{structure.name:>16} {ratio:6.2f} {affected:19.4%} {events:12,} {proved:>8} of {len(found.commands)}"
            f"   {timings['counting']} / {timings['plain']}",
            flush=True,
        )


if __name__ == "__main__":
    main()
