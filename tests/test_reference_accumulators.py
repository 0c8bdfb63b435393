"""The machine on accumulators of any structure, at both levels, gives the golden evaluator's bytes."""

from dataclasses import replace

import numpy as np
import pytest
from one_command import random_cases
from random_layers import random_codes, random_layer
from structure_cases import random_structure

import accel_sim
from accel_sim.errors import HardwareError, ProgramError
from accel_sim.hardware import AccumulatorConfig, load_hardware
from accel_sim.ir import TransposeConv2D
from accel_sim.numerics import get_profile
from accel_sim.reference.integer import evaluate_integer
from accel_sim.sim.result import Level


@random_cases(25)
def test_machine_and_golden_evaluator_agree_on_any_structure(rng):
    graph, structure = random_layer(rng), random_structure(rng)
    if isinstance(graph.nodes[0].op, TransposeConv2D) and len(structure.stages) > 1:
        return
    x = random_codes(rng, graph, 2)
    golden = evaluate_integer(graph, {"x": x}, get_profile("paper"), structure)["y"]
    counts = accel_sim.count_overflow(graph, {"x": x}, [structure], profile="paper", outputs=True, threads=1)
    np.testing.assert_array_equal(counts.structures[0].outputs["y"], golden)


@pytest.mark.parametrize("name", ["x86-vpmaddubsw", "neon-smull-smlal", "gemmini", "int32", "17:saturate", "40:wrap"])
def test_hardware_with_a_structure_computes_its_bytes_at_every_level_that_has_it(name):
    rng = np.random.default_rng(7)
    hardware = load_hardware("edge-16x16", [f"accumulator.structure={name}"])
    for _ in range(4):
        graph = random_layer(rng)
        if isinstance(graph.nodes[0].op, TransposeConv2D):
            continue
        x = random_codes(rng, graph, 1)
        golden = evaluate_integer(graph, {"x": x}, get_profile("paper"), hardware.accumulator.stages(16))["y"]
        program = accel_sim.compile(graph, hardware, "paper")
        for level in Level:
            try:
                np.testing.assert_array_equal(accel_sim.run(program, {"x": x}, level).outputs["y"], golden)
            except ProgramError as error:
                if level is not Level.STEPPED or "of one stage" not in str(error):
                    raise


def test_a_structure_excludes_a_width_beside_it_and_must_exist():
    with pytest.raises(HardwareError, match="give one or the other"):
        load_hardware("edge-16x16", ["accumulator.structure=gemmini", "accumulator.bits=20"])
    with pytest.raises(HardwareError, match="a preset"):
        AccumulatorConfig(structure="nothing")
    with pytest.raises(HardwareError, match="8 to 64 bits"):
        replace(AccumulatorConfig(), structure="7")
