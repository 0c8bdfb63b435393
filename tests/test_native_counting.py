"""Overflow counted by native steps in accumulators of any stages, against the kernel of arrays, count for count."""

from contextlib import ExitStack
from dataclasses import replace
from unittest import mock

import networks
import numpy as np
import pytest
from native_cases import convolution
from one_command import HARDWARE, random_cases

import accel_sim
from accel_sim.hardware import Dataflow
from accel_sim.ir import ElementType
from accel_sim.numerics.accumulators import AccumulatorStructure, OverflowPolicy, Stage, plain
from accel_sim.program import Tiling
from accel_sim.sim.counting import count
from accel_sim.sim.native import matrices
from accel_sim.sim.native.runner import available
from accel_sim.sim.prepared import prepared
from accel_sim.sim.result import Level

pytestmark = pytest.mark.skipif(not available(), reason="steps are compiled code")

WRAP, SATURATE = OverflowPolicy
THREE = AccumulatorStructure(
    "three", (Stage(18, SATURATE, 3), Stage(20, WRAP, 2), Stage(22, SATURATE)), raw_codes=True, spacing=5
)
FULL = AccumulatorStructure("full", (Stage(17, WRAP, 4), Stage(32, SATURATE)))
STRUCTURES = (
    *(plain(bits, policy) for bits, policy in ((17, WRAP), (18, SATURATE), (24, WRAP), (30, SATURATE))),
    *(accel_sim.resolve_structure(name) for name in ("x86-vpmaddubsw", "gemmini")),
    THREE,
    FULL,
)


def counted(program, inputs, structure, *, steps, threads=1):
    """(counts, outputs, whether a step counted) by the steps named, and otherwise by the kernel of arrays."""
    with ExitStack() as stack:
        for name in ("counted_convolution", "staged_convolution"):
            if name not in steps:
                stack.enter_context(mock.patch.object(matrices, name, lambda job, engine: None))
        run = count(program, inputs, structure, threads=threads)
    ready = prepared(program, program.hardware, Level.FUNCTIONAL, structure)
    return run.commands, run.outputs, bool(ready.native and ready.native.counted)


def assert_same(made, expected):
    for a, b in zip(made[0], expected[0], strict=True):
        assert (a.proved, a.first_sample) == (b.proved, b.first_sample)
        for one, other in ((a.events, b.events), (a.affected, b.affected), (a.persistent, b.persistent)):
            np.testing.assert_array_equal(one, other)
    for name, outputs in made[1].items():
        np.testing.assert_array_equal(outputs, expected[1][name])


@random_cases(120)
def test_layers(rng):
    """Dense, grouped and depthwise, all structures, systolic arrays and adder trees, symmetric and other weights."""
    case, _ = convolution(rng, None, depthwise=bool(rng.integers(2)))
    structure, dataflow = STRUCTURES[rng.integers(len(STRUCTURES))], list(Dataflow)[rng.integers(len(Dataflow))]
    hardware = replace(HARDWARE, grid=replace(HARDWARE.grid, dataflow=dataflow))
    depth = int(np.prod(case.command.weights.shape[1:]))
    command = replace(case.command, tiling=Tiling(1, int(rng.integers(1, min(depth, 9) + 1)), 1))
    programs = [case.layout.program(command, outputs=[command.output_to], hardware=hardware) for _ in range(2)]
    inputs, threads = case.layout.inputs, int(rng.integers(1, 4))
    made = counted(programs[0], inputs, structure, steps=("staged_convolution",), threads=threads)
    expected = counted(programs[1], inputs, structure, steps=())
    assert not expected[2]
    assert_same(made, expected)


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda s: s.name)
@pytest.mark.parametrize("codes", [ElementType.INT8, ElementType.UINT8])
def test_networks(structure, codes):
    builder = networks._Builder("n", 9, 5, codes, same=False)
    x = builder.convolve(builder.convolve("x", 20, 3, 2), 20, 3, depthwise=True)
    graph = builder.classify(builder.convolve(x, 17, 1, relu=False), 10)
    inputs = accel_sim.random_inputs(graph)
    every = ("counted_convolution", "staged_convolution")
    made = counted(accel_sim.compile(graph), inputs, structure, steps=every)
    expected = counted(accel_sim.compile(graph), inputs, structure, steps=())
    assert made[2] or all(c.proved for c in made[0])
    assert_same(made, expected)
