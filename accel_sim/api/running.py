"""A network on the machine."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from accel_sim.analysis.choices import (
    Hardware,
    check_program,
    check_threads,
    resolve_hardware,
    resolve_level,
    resolve_profile,
)
from accel_sim.analysis.provenance import Provenance
from accel_sim.hardware import DEFAULT_HARDWARE
from accel_sim.ir import Graph
from accel_sim.numerics.profiles import Profile
from accel_sim.program import Program
from accel_sim.sim.result import Level, RunResult

Array = NDArray[np.generic]
Progress = Callable[[int, int], None]


def compile(graph: Graph, hardware: Hardware = DEFAULT_HARDWARE, profile: str | Profile | None = None) -> Program:
    """Lower an integer graph to the command stream of an accelerator.

    Args:
        graph: an integer graph.
        hardware: a preset's name, a TOML file or a configuration; the Program carries it.
        profile: an arithmetic profile or its name; None chooses the one of the model's format.

    Raises:
        CompileError: listing every node that cannot be lowered. HardwareError: no such accelerator.
        TypeError: a path in place of a Graph.
    """
    from accel_sim.compiler import compile_graph

    return compile_graph(graph, resolve_hardware(hardware), resolve_profile(profile, graph))


def run(
    program: Program,
    inputs: Array | Mapping[str, Array],
    level: str | Level = Level.CYCLE,
    *,
    keep: Iterable[str] = (),
    threads: int | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Run a program on the machine that it was compiled for.

    Args:
        program: from `compile`.
        inputs: one array per input, named and laid out as in the model file; the first axis may be any multiple of the
            model's. Codes of the input's type are used as they are, floats are quantized with the input's parameters.
            The array itself for a network with one input.
        level: "functional" (bytes only), "cycle" (bytes, time, traffic, accumulators) or "stepped" (the same,
            with every register of the PE grid stepped in every cycle).
        keep: names of tensors to return as well.
        threads: of the kernels; None for all cores.
        progress: called with the steps done and the steps in all.

    Raises:
        InputError: listing every wrong name, shape, type or value; no number of threads, no such level.
        TypeError: a Graph in place of a Program.
    """
    from accel_sim.sim.machine import Machine

    check_program(program)
    check_threads(threads)
    if isinstance(inputs, np.ndarray) or not isinstance(inputs, Mapping):  # asking for a Mapping first takes longer
        inputs = {program.inputs[0].name: inputs}
    machine = Machine(program.hardware)
    return machine.run(program, inputs, resolve_level(level), keep=keep, threads=threads, progress=progress)


def provenance(program: Program, inputs: str) -> Provenance:
    """What the figures of a program's run depend on; `inputs` says where the data came from."""
    return Provenance(program.name, program.model_sha256, program.profile, program.hardware, inputs)


def by_name(graph: Graph, inputs: Array | Mapping[str, Array]) -> Mapping[str, Array]:
    """Inputs by name; the array itself is the first one's."""
    return inputs if isinstance(inputs, Mapping) else {graph.inputs[0]: inputs}


def sample_text(count: int) -> str:
    """How many samples, as reports say it."""
    return f"{count:,} samples" if count != 1 else "1 sample"
