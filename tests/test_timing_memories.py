"""Banks, ports and DMA engines in the cycle model: against figures by hand and against their own laws."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matrix_commands import activation, convolve, multiply
from one_command import random_cases
from stepped_cases import KINDS, draw_case, draw_grid, draw_hardware

from accel_sim.hardware import Dataflow, SramConfig, load_hardware
from accel_sim.program import PoolMaximum, Window
from accel_sim.sim.result import Level
from accel_sim.sim.timing.commands import time_command
from accel_sim.sim.timing.tiles import TileSchedule

MEMORIES = ("weight_sram", "activation_sram", "accumulator_sram")


def edge(*options):
    return load_hardware("edge-16x16", list(options))


def test_one_engine_moves_what_it_has_in_flight_for_each_latency():
    slow = edge("memory.dma_bytes_in_flight=256")  # 64 cycles of latency: 4 bytes per cycle, DRAM has 8
    half = edge("memory.dram_bytes_per_cycle=4")
    for command in (multiply(slow, 100, 70, 50), convolve(slow, (1, 16, 16, 16), (3, 3), 32, pad=1)):
        assert time_command(command, slow) == time_command(command, half)
        two = edge("memory.dma_bytes_in_flight=256", "memory.dma_engines=2")
        assert time_command(command, two) == time_command(command, edge())


def test_engines_add_up_to_the_bandwidth_of_dram():
    rates = [
        edge(f"memory.dma_engines={n}", "memory.dma_bytes_per_cycle=3").memory.transfer_bytes_per_cycle
        for n in (1, 2, 3, 4)
    ]
    assert rates == [3, 6, 8, 8]


def test_accumulators_wait_for_ports_by_hand():
    """One tile of 40 x 16 x 16: sums are written, and read for the next fold and for post-processing: 3 * 640 * 4."""
    hardware = edge("memory.accumulator_sram.word_bytes=4", "memory.accumulator_sram.banks=16")
    command = multiply(hardware, 40, 16, 16)
    free, found = time_command(command, edge()), time_command(command, hardware)
    assert found.stalls["sram"] == 3 * 640 // (16 * 2) - 40
    assert (found.traffic, found.energy_pj, found.compute_cycles) == (
        free.traffic,
        free.energy_pj,
        free.compute_cycles,
    )


@pytest.mark.parametrize(("ports", "waiting"), [(1, 31 + 9 + 2), (2, 0)])
def test_arriving_operands_take_ports_from_the_grid(ports, waiting):
    """Blocks of 31 and 9 pixels in two tiles of the reduction each, a word for each pixel.

    With one port the tiles take their own words and those of the next tile: 31 + 31, 31 + 9, 9 + 9, 9; the grid takes
    31, 31, 16 (it loads weights of 16 rows), 16.
    """
    options = ["memory.activation_sram.word_bytes=16", "memory.activation_sram_bytes=1000"]
    hardware = edge(*options, f"memory.activation_sram.ports={ports}", "memory.dram_bytes_per_cycle=inf")
    command = multiply(hardware, 40, 32, 16)
    assert command.tiling.rows == 31
    assert time_command(command, hardware).stalls.get("sram", 0) == waiting


def test_the_vector_unit_waits_for_the_activation_memory():
    x, y = activation("x", (1, 32, 32, 16)), activation("y", (1, 16, 16, 16))
    pool = PoolMaximum("p", "MaxPool2D", x, y, Window((2, 2), (2, 2)), -128, 127)
    hardware = edge("memory.activation_sram.word_bytes=8", "memory.dram_bytes_per_cycle=inf")
    timing = time_command(pool, hardware)
    working = 4 * y.size // 16
    assert timing.stalls["sram"] == 2 * (x.size + y.size) // 16 - working
    assert timing.cycles == 64 + 2 * (x.size + y.size) // 16


@given(
    st.sampled_from(Dataflow),
    st.tuples(*[st.integers(1, 80)] * 3),
    st.sampled_from(MEMORIES),
    st.integers(1, 64),
    st.booleans(),
)
def test_more_banks_are_never_slower_and_enough_are_none(dataflow, shape, memory, word, double):
    base = edge(f"grid.dataflow={dataflow.value}", f"memory.double_buffered={str(double).lower()}")
    command = multiply(base, *shape)
    cycles = []
    for banks in (1, 2, 3, 8, 4096):
        sram = SramConfig(banks=banks, ports=2, word_bytes=word)
        timing = time_command(command, replace(base, memory=replace(base.memory, **{memory: sram})))
        assert sum(timing.stalls.values()) == timing.stall_cycles
        cycles.append(timing.cycles)
    assert cycles == sorted(cycles, reverse=True)
    assert cycles[-1] == time_command(command, base).cycles


@given(st.tuples(*[st.integers(1, 80)] * 3), st.integers(1, 16), st.booleans())
def test_the_timeline_has_the_cycles_of_the_model(shape, word, double):
    hardware = edge(
        f"memory.accumulator_sram.word_bytes={word}",
        "memory.dma_bytes_in_flight=100",
        f"memory.double_buffered={str(double).lower()}",
    )
    command = multiply(hardware, *shape)
    assert TileSchedule.of(command, hardware).schedule().cycles == time_command(command, hardware).cycles


@random_cases(20)
def test_time_changes_no_byte_and_levels_still_agree(rng: np.random.Generator) -> None:
    hardware = draw_hardware(rng, draw_grid(rng, list(Dataflow)[rng.integers(4)]))
    case = draw_case(rng, KINDS[rng.integers(3)], hardware)
    narrow = SramConfig(ports=1, word_bytes=1)
    slow = replace(hardware, memory=replace(hardware.memory, accumulator_sram=narrow, activation_sram=narrow))
    free, cycle, step = case.run(Level.CYCLE), *(replace(case, hardware=slow).run(x) for x in list(Level)[1:])
    np.testing.assert_array_equal(cycle.outputs["y"], free.outputs["y"])
    assert step.layers == cycle.layers
    assert cycle.cycles >= free.cycles
