"""Random TFLite networks of several operators: every tensor inside as LiteRT's reference kernels give it."""

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert")

from conformance.harness import SEED, differences, lower, run_levels
from conformance.test_tflite_operators import as_in_file
from oracles import tflite_models, tflite_networks
from oracles.tflite_draw import Case

import accel_sim
from accel_sim.errors import AccelSimError
from accel_sim.program import written_by

_MOST_REFUSED = 0.01
_EVERY_LEVEL = 5  # one network in so many also runs at the cycle level and in the integer reference


def compared(case: Case, *, every_level: bool) -> str | None:
    """What differs; "" if nothing does, None if scales have grown beyond what the kernels define."""
    outputs, inside = tflite_models.run_reference_tensors(case.model, case.inputs)
    try:
        graph, program = lower(case.model, "litert")
    except AccelSimError:
        return None
    kept = sorted({written_by(command).name for command in program.commands} & inside.keys() - set(graph.outputs))
    result = (
        run_levels(graph, program, case.inputs, keep=kept)
        if every_level
        else accel_sim.run(program, case.inputs, "functional", keep=kept)
    )
    wrong = differences({str(i): e for i, e in enumerate(outputs)}, as_in_file(result, outputs))
    shaped = {name: result.tensors[name].reshape(inside[name].shape) for name in kept}
    return wrong or differences({name: inside[name] for name in kept}, shaped)


def campaign(count: int) -> None:
    failures, refused = [], 0
    for index in range(count):
        case = tflite_networks.network(np.random.default_rng([SEED, index]))
        wrong = compared(case, every_level=index % _EVERY_LEVEL == 0)
        refused += wrong is None
        if wrong:
            failures.append(f"network {index} ({case.note}): {wrong}")
    assert not failures, f"{len(failures)} of {count} networks differ\n" + "\n".join(failures[:8])
    assert refused <= _MOST_REFUSED * count


def test_every_tensor_is_the_reference_kernels(models):
    campaign(2 * models)


def test_a_step_that_no_sum_reaches():
    """All sums of one operand are the lowest or the highest code: its line has a bound on one side or on none."""
    case = tflite_networks.network(np.random.default_rng([SEED, 429]))
    assert compared(case, every_level=True) == ""


@pytest.mark.slow
def test_many_networks():
    campaign(5000)
