"""Tiles in time: the cycle model drawn out must add up to it."""

import dataclasses
import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matrix_commands import activation, convolve, multiply, transpose_convolve

from accel_sim.hardware import Dataflow, load_hardware
from accel_sim.program import Fill, Lookup, Move, PoolMaximum, Window
from accel_sim.sim.timing.commands import time_command, time_commands
from accel_sim.sim.timing.schedule import Unit, schedule_commands

EDGE = load_hardware("edge-16x16")


@st.composite
def machines(draw):
    grid = dataclasses.replace(
        EDGE.grid, rows=4, columns=8, dataflow=draw(st.sampled_from(Dataflow)), shadow_registers=draw(st.booleans())
    )
    memory = dataclasses.replace(
        EDGE.memory,
        dram_bytes_per_cycle=draw(st.sampled_from((0.3, 3.0, 10.24, 64.0, math.inf))),
        dram_latency_cycles=draw(st.sampled_from((0, 7, 100))),
        weight_sram_bytes=draw(st.sampled_from((256, 4096))),
        activation_sram_bytes=draw(st.sampled_from((256, 4096))),
        accumulator_sram_bytes=draw(st.sampled_from((1024, 8192))),
        double_buffered=draw(st.booleans()),
        dram_burst_bytes=draw(st.sampled_from((1, 1, 64))),
    )
    return dataclasses.replace(EDGE, grid=grid, memory=memory)


@st.composite
def commands(draw, hardware):
    kind = draw(st.sampled_from(("multiply", "convolve", "transpose")))
    extent, kernel = draw(st.integers(3, 12)), draw(st.sampled_from((1, 3)))
    if kind == "multiply":
        m, k, n = (draw(st.integers(1, 40)) for _ in range(3))
        return multiply(hardware, m, k, n, (draw(st.integers(1, 3)),), shared=draw(st.booleans()))
    image, channels = (1, extent, extent, 8), draw(st.sampled_from((8, 24)))
    if kind == "transpose":
        return transpose_convolve(hardware, image, (kernel, kernel), channels)
    zero, groups = draw(st.sampled_from((0, 3))), draw(st.sampled_from((1, 8)))
    return convolve(hardware, image, (kernel, kernel), channels, groups=groups, weight_zero_point=zero)


@st.composite
def tiled(draw):
    hardware = draw(machines())
    return hardware, draw(commands(hardware))


def by_unit(schedule):
    spans = {unit: [] for unit in Unit}
    for span in schedule.spans:
        spans[span.unit].append(span)
    return spans


def busy_cycles(spans):
    """Cycles in which at least one of the spans is going on."""
    return len({cycle for span in spans for cycle in range(span.start, span.end)})


def assert_in_order(schedule):
    for spans in by_unit(schedule).values():
        for before, after in itertools.pairwise(spans):
            assert before.end <= after.start
        assert all(0 <= span.start <= span.end <= schedule.cycles for span in spans)


@given(tiled())
def test_the_spans_of_a_matrix_command_are_its_timing(drawn):
    hardware, command = drawn
    timing, (schedule,) = time_command(command, hardware), schedule_commands([command], hardware)
    assert_in_order(schedule)
    spans = by_unit(schedule)
    assert schedule.cycles == timing.cycles == max(span.end for span in schedule.spans)
    assert sum(span.end - span.start for span in spans[Unit.GRID]) == timing.grid_cycles
    assert busy_cycles(spans[Unit.GRID] + spans[Unit.POST_PROCESSING]) == timing.compute_cycles
    moved = {kind: sum(s.size_bytes for s in spans[Unit.DMA] if s.name.startswith(kind)) for kind in "wir"}
    assert moved["w"] + moved["i"] == timing.traffic["dram_read"]
    assert moved["r"] == timing.traffic["dram_write"]
    assert moved["w"] == sum(s.size_bytes for s in spans[Unit.WEIGHT_SRAM]) == timing.traffic["weight_sram_write"]


@given(tiled())
def test_no_tile_begins_before_its_operands_or_is_stored_before_its_end(drawn):
    hardware, command = drawn
    (schedule,) = schedule_commands([command], hardware)
    spans = {(span.unit, span.name): span for span in schedule.spans}
    for (unit, name), span in spans.items():
        if unit is Unit.GRID and name.startswith("tile"):
            number = name.split()[1]
            for kind in ("weights", "inputs"):
                arrival = spans.get((Unit.DMA, f"{kind} {number}"))
                assert arrival is None or arrival.end <= span.start
            stored = spans.get((Unit.DMA, f"results {number}"))
            assert stored is None or stored.start >= max(span.end, spans[Unit.POST_PROCESSING, f"results {number}"].end)


@given(tiled())
def test_memories_hold_something_and_in_the_end_nothing(drawn):
    hardware, command = drawn
    (schedule,) = schedule_commands([command], hardware)
    assert set(schedule.occupancy) == {Unit.WEIGHT_SRAM, Unit.ACTIVATION_SRAM, Unit.ACCUMULATOR_SRAM}
    for points in schedule.occupancy.values():
        times = [time for time, _ in points]
        assert times == sorted(set(times))
        assert times[-1] == schedule.cycles
        assert points[-1][1] == 0
        assert min(held for _, held in points) == 0 < max(held for _, held in points)


def test_a_convolution_that_fits_never_holds_more_than_the_memories():
    command = convolve(EDGE, (1, 16, 16, 32), (3, 3), 64, pad=1)
    (schedule,) = schedule_commands([command], EDGE)
    most = {unit: max(held for _, held in points) for unit, points in schedule.occupancy.items()}
    assert most[Unit.WEIGHT_SRAM] == 64 * 9 * 32 + 4 * 64 <= EDGE.memory.weight_sram_bytes
    assert most[Unit.ACTIVATION_SRAM] <= EDGE.memory.activation_sram_bytes
    assert most[Unit.ACCUMULATOR_SRAM] <= EDGE.memory.accumulator_sram_bytes


def test_layers_that_overlap_start_where_their_first_weights_are_hidden():
    hardware = dataclasses.replace(EDGE, timing=dataclasses.replace(EDGE.timing, layer_overlap=True))
    listed = [convolve(hardware, (1, 16, 16, 32), (3, 3), 32, pad=1) for _ in range(3)]
    timings, schedules = time_commands(listed, hardware), schedule_commands(listed, hardware)
    assert [s.cycles for s in schedules] == [t.cycles for t in timings]
    assert schedules[1].cycles < schedules[0].cycles
    for schedule in schedules:
        assert_in_order(schedule)
        assert max(span.end for span in schedule.spans) == schedule.cycles
        assert all(points[-1] == (schedule.cycles, 0) for points in schedule.occupancy.values())


@pytest.mark.parametrize("burst", [1, 64])
@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("bandwidth", [0.3, 8.0, math.inf])
def test_commands_of_the_vector_unit_and_the_dma(double, bandwidth, burst):
    changes = {"double_buffered": double, "dram_bytes_per_cycle": bandwidth, "dram_burst_bytes": burst}
    memory = dataclasses.replace(EDGE.memory, **changes)
    hardware = dataclasses.replace(EDGE, memory=memory)
    image = activation("x", (1, 9, 9, 5))
    listed = [
        PoolMaximum("p", "MaxPool2D", image, activation("y", (1, 7, 7, 5)), Window((3, 3)), -128, 127),
        Lookup("l", "Tanh", image, activation("t", (256,)), None, activation("y", image.shape), -128),
        Move("m", "Reshape", image, activation("y", (405,)), (405,), 0, (1,), 0, (1,)),
        Fill("f", "Pad", activation("y", (100,)), 3),
    ]
    for command, schedule in zip(listed, schedule_commands(listed, hardware), strict=True):
        timing, spans = time_command(command, hardware), by_unit(schedule)
        assert_in_order(schedule)
        assert schedule.cycles == timing.cycles == max(span.end for span in schedule.spans)
        assert sum(span.end - span.start for span in spans[Unit.VECTOR]) == timing.compute_cycles
        moved = timing.traffic["dram_read"] + timing.traffic["dram_write"]
        assert sum(span.size_bytes for span in spans[Unit.DMA]) == moved


@pytest.mark.parametrize("name", ["nvdla-256", "gemmini-16x16"])
def test_accelerators_with_a_model_of_their_own_have_one_stretch_for_a_command(name):
    hardware = load_hardware(name)
    command = convolve(hardware, (1, 16, 16, 32), (3, 3), 64, pad=1)
    timing, (schedule,) = time_command(command, hardware), schedule_commands([command], hardware)
    assert_in_order(schedule)
    assert schedule.cycles == timing.cycles
    assert [s.end - s.start for s in by_unit(schedule)[Unit.GRID]] == [timing.compute_cycles]
