"""Layers whose overflow native steps count; as a program, what they count in the tier that the environment chooses.

    python counting_cases.py CASES

Prints the tier, then a digest of the counts and outputs of that many cases.
"""

import hashlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from native_cases import convolution
from one_command import HARDWARE

from accel_kernels.native.tier import tier
from accel_sim.hardware import Dataflow, resolve_structure
from accel_sim.numerics.accumulators import AccumulatorStructure, OverflowPolicy, Stage, plain
from accel_sim.program import Program, Tiling
from accel_sim.sim.counting import count
from accel_sim.sim.prepared import prepared
from accel_sim.sim.result import Level

WRAP, SATURATE = OverflowPolicy
THREE = AccumulatorStructure(
    "three", (Stage(18, SATURATE, 3), Stage(20, WRAP, 2), Stage(22, SATURATE)), raw_codes=True, spacing=5
)
FULL = AccumulatorStructure("full", (Stage(17, WRAP, 4), Stage(32, SATURATE)))
STRUCTURES = (
    *(plain(bits, policy) for bits, policy in ((17, WRAP), (18, SATURATE), (24, WRAP), (30, SATURATE))),
    *(resolve_structure(name) for name in ("x86-vpmaddubsw", "gemmini")),
    THREE,
    FULL,
)


def draw(rng: np.random.Generator) -> tuple[AccumulatorStructure, Callable[[], Program], Mapping[str, np.ndarray]]:
    """Dense, grouped or depthwise, any structure, systolic array or adder tree, symmetric weights or not.

    A structure, what makes a program of one layer, and its inputs.
    """
    case, _ = convolution(rng, None, depthwise=bool(rng.integers(2)))
    structure, dataflow = STRUCTURES[rng.integers(len(STRUCTURES))], list(Dataflow)[rng.integers(len(Dataflow))]
    hardware = replace(HARDWARE, grid=replace(HARDWARE.grid, dataflow=dataflow))
    depth = int(np.prod(case.command.weights.shape[1:]))
    command = replace(case.command, tiling=Tiling(1, int(rng.integers(1, min(depth, 9) + 1)), 1))
    made = case.layout.program
    return structure, lambda: made(command, outputs=[command.output_to], hardware=hardware), case.layout.inputs


def main(cases: int) -> None:
    """Count that many."""
    digest, done, seed = hashlib.sha256(), 0, 0
    while done < cases:
        structure, make, inputs = draw(np.random.default_rng(seed))
        seed, program = seed + 1, make()
        ready = prepared(program, program.hardware, Level.FUNCTIONAL, structure)
        if not (ready.native and ready.native.counted):
            continue
        run = count(program, inputs, structure, threads=1)
        for c in run.commands:
            digest.update(np.stack([c.events, c.affected, c.persistent]).astype(np.int64).tobytes())
        digest.update(b"".join(outputs.tobytes() for outputs in run.outputs.values()))
        done += 1
    sys.stdout.write(f"{tier().name}\n{seed} {digest.hexdigest()}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
