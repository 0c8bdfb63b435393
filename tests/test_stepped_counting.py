"""Overflow that `count` finds against the events of the stepped grid, which adds where its registers are."""

from dataclasses import replace

import networks
import numpy as np
import pytest
from one_command import HARDWARE, random_cases
from stepped_cases import KINDS, draw_case, draw_grid, draw_hardware

import accel_sim
from accel_sim.hardware import AccumulatorConfig, Dataflow, OverflowPolicy
from accel_sim.ir import ElementType
from accel_sim.sim.counting import count
from accel_sim.sim.machine import Machine
from accel_sim.sim.native import matrices
from accel_sim.sim.result import Level


@pytest.fixture(autouse=True)
def small_layers_as_large_ones(monkeypatch):
    """The steps for large layers count small ones, too."""
    monkeypatch.setattr(matrices, "_WORTH_COMPILING", 0)


def structure_of(hardware):
    return hardware.accumulator.stages(hardware.grid.rows)


@pytest.mark.parametrize("dataflow", Dataflow)
@random_cases(15)
def test_random_commands(dataflow, rng):
    case = draw_case(rng, KINDS[rng.integers(len(KINDS))], draw_hardware(rng, draw_grid(rng, dataflow)))
    stepped = case.run(Level.STEPPED)
    program = case.layout.program(case.command, outputs=[case.output], hardware=case.hardware)
    run = count(program, case.layout.inputs, structure_of(case.hardware), threads=1)
    assert [int(counts.events.sum()) for counts in run.commands] == [stepped.layers[0].overflow_events]
    for name, output in stepped.outputs.items():
        np.testing.assert_array_equal(run.outputs[name], output)


@pytest.mark.parametrize("policy", OverflowPolicy)
@pytest.mark.parametrize("dataflow", Dataflow)
def test_a_network(dataflow, policy):
    builder = networks._Builder("n", 6, 5, ElementType.UINT8, same=False)
    x = builder.convolve("x", 18, 3, 2)
    graph = builder.classify(builder.convolve(builder.convolve(x, 20, 3), 17, 1, relu=False), 10)
    grid = replace(HARDWARE.grid, rows=8, columns=8, dataflow=dataflow)
    hardware = replace(HARDWARE, grid=grid, accumulator=AccumulatorConfig(16, policy))
    program, inputs = accel_sim.compile(graph, hardware), accel_sim.random_inputs(graph)
    stepped = Machine(hardware).run(program, inputs, Level.STEPPED)
    run = count(program, inputs, structure_of(hardware), threads=1)
    events = [layer.overflow_events for layer in stepped.layers if layer.overflow_events is not None]
    assert [int(counts.events.sum()) for counts in run.commands] == events
    assert sum(events) > 0
    for name, output in stepped.outputs.items():
        np.testing.assert_array_equal(run.outputs[name], output)
