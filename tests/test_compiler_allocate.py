"""Addresses: nothing that lives at the same time shares a byte, in drawn lifetimes and in real networks."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from integer_graphs import CASES, Draw

from accel_sim.compiler import compile_graph
from accel_sim.compiler.allocate import ALIGNMENT, Lifetime, place
from accel_sim.hardware import load_hardware
from accel_sim.numerics import PAPER
from accel_sim.program import Region, read_by, written_by

EDGE = load_hardware("edge-16x16")
NETWORKS = (
    "kws_ref_model",
    "pretrainedResnet_quant",
    "vww_96_int8",
    "ad01_int8",
    "mobilenet_v1_0.25_128_quant",
)

lives = st.dictionaries(
    st.text(max_size=3),
    st.tuples(st.integers(-1, 12), st.integers(0, 6), st.integers(0, 500)).map(
        lambda t: Lifetime(t[0], t[0] + t[1], t[2])
    ),
    max_size=12,
)


@given(lives)
def test_what_lives_together_lies_apart(memories):
    addresses = place(memories)
    for name, life in memories.items():
        assert addresses[name] % ALIGNMENT == 0
        for other, neighbour in memories.items():
            together = max(life.first, neighbour.first) <= min(life.last, neighbour.last)
            if other != name and together and life.size_bytes and neighbour.size_bytes:
                begin = max(addresses[name], addresses[other])
                end = min(addresses[name] + life.size_bytes, addresses[other] + neighbour.size_bytes)
                assert begin >= end


@given(lives)
def test_memory_is_reused(memories):
    addresses = place(memories)
    used = max((addresses[n] + life.size_bytes for n, life in memories.items()), default=0)
    rounded = {n: -(-life.size_bytes // ALIGNMENT) * ALIGNMENT for n, life in memories.items()}
    assert used <= sum(rounded.values())
    if not any(a.overlaps(b) for m, a in memories.items() for n, b in memories.items() if m != n):
        assert used == max((life.size_bytes for life in memories.values()), default=0)


def test_halves_of_tensors_lie_in_the_same_halves_of_memory():
    """A chain, with a tensor beside it, as a residual block has it."""
    lives = {"a": Lifetime(0, 1, 4096), "b": Lifetime(1, 3, 2048), "c": Lifetime(2, 3, 1024), "d": Lifetime(4, 5, 512)}
    assert place(lives) == {"a": 0, "b": 4096, "c": 1536, "d": 1792}


def test_tensors_lie_elsewhere_where_that_takes_less_memory():
    lives = {"a": Lifetime(0, 1, 1024), "b": Lifetime(2, 4, 512), "c": Lifetime(2, 4, 512)}
    assert place(lives) == {"a": 0, "b": 0, "c": 512}


def intervals(program):
    """(address, end) -> commands during which those bytes hold a value someone still needs, from the program alone.

    A value is born where it is written and lives to the last read before the next value is born over it.
    """
    births, reads = defaultdict(list), defaultdict(list)
    for port in program.inputs:
        births[place_of(port.operand)].append((-1, port.name))
    for at, command in enumerate(program.commands):
        for operand in read_by(command):
            if operand.region is Region.ACTIVATIONS:
                reads[place_of(operand)].append(at)
        target = written_by(command)
        if births[place_of(target)][-1:] != [(at, target.name)] and not any(
            name == target.name for _, name in births[place_of(target)]
        ):
            births[place_of(target)].append((at, target.name))
    for port in program.outputs:
        if port.operand.region is Region.ACTIVATIONS:
            reads[place_of(port.operand)].append(len(program.commands))
    lived = []
    for cells, born in births.items():
        for index, (at, _) in enumerate(born):
            until = born[index + 1][0] if index + 1 < len(born) else len(program.commands) + 1
            last = max([r for r in reads[cells] if at <= r < until or (r == until and at < 0)], default=at)
            lived.append((cells, at, last))
    return lived


def place_of(operand):
    return operand.address, operand.address + operand.size_bytes


@pytest.mark.parametrize("name", NETWORKS)
def test_no_live_tensors_of_a_real_network_overlap(data, name):
    load_tflite = pytest.importorskip("accel_sim.frontend.tflite").load_tflite
    graph = load_tflite((data / f"tflite/{name}.tflite").read_bytes(), name)
    program = compile_graph(graph, EDGE)
    lived = intervals(program)
    assert len(lived) >= len(program.commands)
    for index, ((begin, end), first, last) in enumerate(lived):
        assert end <= program.activation_bytes
        for (other_begin, other_end), other_first, other_last in lived[index + 1 :]:
            together = max(first, other_first) <= min(last, other_last)
            assert not (together and max(begin, other_begin) < min(end, other_end))


def test_equal_constants_are_stored_once_and_unused_ones_not_at_all():
    program = compile_graph(CASES["matmul_by_constant"](Draw(3)), EDGE, PAPER)
    tensors = {o.name: o for c in program.commands for o in read_by(c) if o.region is Region.CONSTANTS}
    assert len(program.constants) == sum(o.size_bytes for o in tensors.values())


@pytest.mark.parametrize("case", ["concat", "pad", "softmax", "depth_to_space"])
def test_addresses_are_aligned(case):
    for seed in range(5):
        program = compile_graph(CASES[case](Draw(seed)), EDGE, PAPER)
        for command in program.commands:
            assert all(o.address % ALIGNMENT == 0 for o in (*read_by(command), written_by(command)))
