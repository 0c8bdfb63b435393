"""The whole path, from a file's bytes to the machine's bytes, and what is said where they differ."""

from collections.abc import Mapping, Sequence

import numpy as np

import accel_sim
from accel_sim import Graph, Level, Program, RunResult
from accel_sim.analysis.samples import stored
from accel_sim.numerics.profiles import get_profile
from accel_sim.reference import evaluate_integer

SEED = 20_210_615
"""Of every random campaign; with a larger `--models` it begins with the models of the smaller one."""


def lower(model: bytes, profile: str, hardware: str = "edge-16x16") -> tuple[Graph, Program]:
    """Bytes -> Graph -> Program."""
    graph = accel_sim.load(model)
    return graph, accel_sim.compile(graph, hardware, profile)


def run_levels(
    graph: Graph, program: Program, inputs: Mapping[str, np.ndarray], *, keep: Sequence[str] = ()
) -> RunResult:
    """A run at the functional level, after checking that the cycle level and the integer reference give its bytes."""
    functional = accel_sim.run(program, inputs, Level.FUNCTIONAL, keep=keep)
    cycle = accel_sim.run(program, inputs, Level.CYCLE, keep=keep)
    for name, codes in (functional.outputs | functional.tensors).items():
        np.testing.assert_array_equal((cycle.outputs | cycle.tensors)[name], codes, err_msg=f"cycle level, {name}")
    assert (cycle.cycles > 0) == bool(program.commands), "what is computed or moved takes time"
    reference = evaluate_integer(graph, stored(graph, inputs), get_profile(program.profile))
    for name, codes in functional.outputs.items():
        golden = graph.tensors[name].to_file_layout(np.asarray(reference[name]))
        np.testing.assert_array_equal(codes, golden.astype(codes.dtype), err_msg=f"integer reference, {name}")
    return functional


def differences(expected: Mapping[str, np.ndarray], result: Mapping[str, np.ndarray]) -> str:
    """A sentence about the first array that differs; "" where none does."""
    for name, array in expected.items():
        if name not in result:
            return f"{name}: missing, there are {sorted(result)}"
        made = result[name]
        if array.shape == () and made.shape == (1,):  # one scalar per sample
            made = made.reshape(())
        if made.shape != array.shape or made.dtype != array.dtype:
            return f"{name}: {made.dtype}{list(made.shape)}, expected {array.dtype}{list(array.shape)}"
        wrong = np.argwhere(np.atleast_1d(made != array))
        if len(wrong):
            at = tuple(int(i) for i in wrong[0])
            values = f"{np.atleast_1d(made)[at]}, expected {np.atleast_1d(array)[at]}"
            return f"{name}: {len(wrong)} of {array.size} codes differ, first at {list(at)}: {values}"
    return ""
