"""Overlap between layers and DRAM bursts."""

import dataclasses

import pytest
from matrix_commands import activation, convolve, multiply

from accel_sim.errors import HardwareError
from accel_sim.hardware import TimingConfig, TimingModel, load_hardware
from accel_sim.program import Move
from accel_sim.sim.timing.commands import time_command, time_commands

PLAIN = load_hardware("edge-16x16", ["memory.dram_latency_cycles=20", "memory.dram_bytes_per_cycle=1"])
OVERLAP = dataclasses.replace(PLAIN, timing=TimingConfig(layer_overlap=True))


def busy_and_next():
    """A layer that computes far longer than it transfers, and one whose first weights are a tile of 256 bytes."""
    busy = convolve(PLAIN, (1, 32, 32, 16), (7, 7), 16, pad=3)
    return busy, convolve(PLAIN, (1, 32, 32, 16), (1, 1), 32)


def test_the_first_weights_hide_in_the_layer_before():
    commands = busy_and_next()
    alone, together = time_commands(commands, PLAIN), time_commands(commands, OVERLAP)
    assert together[0] == alone[0]  # nothing comes before it
    saved = alone[1].cycles - together[1].cycles
    assert saved == alone[1].prefetchable_cycles == 256 + 4 * 16  # weights of the first tile, and their bias
    assert together[1].stall_cycles == alone[1].stall_cycles - saved
    assert sum(together[1].stalls.values()) == together[1].stall_cycles
    assert together[1].utilization > alone[1].utilization
    assert together[1].traffic == alone[1].traffic


def test_a_layer_that_keeps_dram_busy_hides_little():
    copy = Move("c", "Concat", activation("x", (64, 64)), activation("y", (64, 64)), (64, 64), 0, (64, 1), 0, (64, 1))
    commands = (copy, busy_and_next()[1])
    alone, together = time_commands(commands, PLAIN), time_commands(commands, OVERLAP)
    assert alone[1].cycles - together[1].cycles == 20  # the copy's latency is all that DRAM is idle


def test_computed_weights_and_single_buffers_cannot_be_fetched_ahead():
    assert time_command(multiply(PLAIN, 16, 16, 16), PLAIN).prefetchable_cycles == 0
    single = dataclasses.replace(PLAIN, memory=dataclasses.replace(PLAIN.memory, double_buffered=False))
    assert time_command(convolve(single, (1, 8, 8, 16), (1, 1), 16), single).prefetchable_cycles == 0


def test_overlap_is_for_the_grid_model():
    with pytest.raises(HardwareError, match=r"layer_overlap: true: is only for model grid"):
        TimingConfig(TimingModel.NVDLA, layer_overlap=True)
    with pytest.raises(HardwareError) as caught:
        TimingConfig(TimingModel.GEMMINI, winograd=True, layer_overlap=True)
    assert len(caught.value.faults) == 2


def test_transfers_take_whole_bursts():
    burst = load_hardware("edge-16x16", ["memory.dram_latency_cycles=0", "memory.dram_bytes_per_cycle=1"])
    whole = dataclasses.replace(burst, memory=dataclasses.replace(burst.memory, dram_burst_bytes=64))
    command = multiply(burst, 3, 5, 7)  # one tile: 15 + 35 bytes in, 21 out
    timings = [time_command(command, hardware) for hardware in (burst, whole)]
    assert [t.stalls for t in timings] == [{"load": 50, "store": 21}, {"load": 64, "store": 64}]
    assert timings[0].traffic == timings[1].traffic
    copy = Move("c", "Concat", activation("x", (10, 10)), activation("y", (10, 10)), (100,), 0, (1,), 0, (1,))
    assert [time_command(copy, hardware).cycles for hardware in (burst, whole)] == [200, 256]
