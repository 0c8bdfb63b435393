"""Every operator, lowered to commands and executed by their docstrings, against the golden evaluator of the graph."""

import zlib

import numpy as np
import pytest
from integer_graphs import CASES, Draw
from program_interpreter import interpret

from accel_sim.compiler import compile_graph
from accel_sim.compiler.legalize import RULES
from accel_sim.errors import AccelSimError
from accel_sim.hardware import load_hardware
from accel_sim.numerics import PROFILES
from accel_sim.reference import evaluate_integer

EDGE = load_hardware("edge-16x16")
SEEDS = 12


def inputs_of(graph, seed):
    draw = Draw(seed + 1_000_000)
    given = {}
    for name in graph.inputs:
        tensor = graph.tensors[name]
        if tensor.quant is None or tensor.quant.bits == 32:
            given[name] = draw.rng.integers(-40_000, 40_000, tensor.shape).astype(tensor.element.dtype)
        else:
            given[name] = draw.codes(tensor.shape, tensor.quant)
    return given


def compiled(graph, profile):
    try:
        return compile_graph(graph, EDGE, profile)
    except AccelSimError:
        return None


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
@pytest.mark.parametrize("case", CASES)
def test_a_lowered_operator_gives_the_bytes_of_the_graph(case, profile):
    done = 0
    for index in range(SEEDS):
        seed = zlib.crc32(case.encode()) + index
        graph = CASES[case](Draw(seed))
        program = compiled(graph, profile)
        if program is None:  # what the profile cannot express, the evaluator refuses as well
            with pytest.raises(AccelSimError):
                evaluate_integer(graph, inputs_of(graph, seed), profile)
            continue
        given = inputs_of(graph, seed)
        found, expected = interpret(program, given)["y"], evaluate_integer(graph, given, profile)["y"]
        np.testing.assert_array_equal(found.reshape(expected.shape), expected, err_msg=f"seed {seed}: {graph.nodes[0]}")
        done += 1
    assert done or profile.name == "power_of_two"


def test_every_rule_has_a_case():
    drawn = {type(build(Draw(seed)).nodes[0].op) for build in CASES.values() for seed in range(3)}
    assert drawn == set(RULES)
