"""Overflow counted by native steps in accumulators of any stages, against the kernel of arrays, count for count."""

from contextlib import ExitStack
from unittest import mock

import networks
import numpy as np
import pytest
from counting_cases import STRUCTURES, draw
from one_command import random_cases

import accel_sim
from accel_sim.ir import ElementType
from accel_sim.sim.counting import count
from accel_sim.sim.native import matrices
from accel_sim.sim.native.runner import available
from accel_sim.sim.prepared import prepared
from accel_sim.sim.result import Level

pytestmark = pytest.mark.skipif(not available(), reason="steps are compiled code")


@pytest.fixture(autouse=True)
def small_layers_as_large_ones(monkeypatch):
    """The steps for large layers count small ones, too."""
    monkeypatch.setattr(matrices, "_WORTH_COMPILING", 0)


def counted(program, inputs, structure, *, steps, threads=1):
    """(counts, outputs, whether a step counted) by the steps named, and otherwise by the kernel of arrays."""
    with ExitStack() as stack:
        for name in ("counted_convolution", "staged_convolution"):
            if name not in steps:
                stack.enter_context(mock.patch.object(matrices, name, return_value=None))
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
    structure, make, inputs = draw(rng)
    threads = int(rng.integers(1, 4))
    made = counted(make(), inputs, structure, steps=("staged_convolution",), threads=threads)
    expected = counted(make(), inputs, structure, steps=())
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
