"""A network on the machine."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from accel_sim.analysis.choices import (
    Hardware,
    check_graph,
    check_program,
    check_threads,
    resolve_hardware,
    resolve_level,
    resolve_profile,
)
from accel_sim.analysis.provenance import Provenance
from accel_sim.arguments import check_texts
from accel_sim.errors import Fault, InputError
from accel_sim.hardware import DEFAULT_HARDWARE
from accel_sim.ir import Graph
from accel_sim.numerics.profiles import Profile
from accel_sim.program import Program
from accel_sim.sim.result import Level, RunResult

Array = NDArray[np.generic]
Progress = Callable[[int, int], None]
_NOTHING: tuple[str, ...] = ()


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
    keep: Iterable[str] = _NOTHING,
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
        TypeError: a Graph in place of a Program, no names to keep.
    """
    from accel_sim.sim.machine import Machine

    check_program(program)
    check_threads(threads)
    arrays = named_arrays(program.inputs[0].name, inputs)
    names = check_texts("keep", keep, '["conv1"]') if keep is not _NOTHING else keep
    machine = Machine(program.hardware)
    return machine.run(program, arrays, resolve_level(level), keep=names, threads=threads, progress=progress)


def provenance(program: Program, inputs: str) -> Provenance:
    """What the figures of a program's run depend on; `inputs` says where the data came from."""
    return Provenance(program.name, program.model_sha256, program.profile, program.hardware, inputs)


def by_name(graph: Graph, inputs: Array | Mapping[str, Array]) -> Mapping[str, Array]:
    """Inputs by name, as arrays; the array itself is the first one's. Raises as `named_arrays`."""
    check_graph(graph)
    return named_arrays(graph.inputs[0], inputs)


def named_arrays(first: str, inputs: Array | Mapping[str, Array]) -> Mapping[str, Array]:
    """Inputs by name, as arrays; the array itself is that of the `first` input.

    Raises:
        InputError: listing what is no array of numbers: rows of different lengths, Python objects.
    """
    if isinstance(inputs, np.ndarray):  # at once, since the rest takes a while beside a small network
        return {first: inputs}
    if not isinstance(inputs, Mapping):
        inputs = {first: inputs}
    if all(isinstance(array, np.ndarray) for array in inputs.values()):
        return inputs
    arrays = {name: _array(given) for name, given in inputs.items()}
    rule = "is an array of numbers, all rows equally long"
    faults = [
        Fault(f"input {name!r}", type(inputs[name]).__name__, rule) for name, array in arrays.items() if array is None
    ]
    if faults:
        raise InputError("inputs", faults)
    return {name: array for name, array in arrays.items() if array is not None}


def _array(given: object) -> Array | None:
    """What NumPy makes of it, if that holds no Python objects."""
    try:
        array: Array = np.asarray(given)
    except ValueError:  # rows of different lengths
        return None
    return None if array.dtype.hasobject else array


def sample_text(count: int) -> str:
    """How many samples, as reports say it."""
    return f"{count:,} samples" if count != 1 else "1 sample"
