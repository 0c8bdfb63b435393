"""SCALE-Sim's memories: total and stall cycles that SCALE-Sim 3.0.0 prints."""

import numpy as np
import pytest
from matrix_commands import convolve, multiply, transpose_convolve

from accel_sim.analysis.topology import time_topology
from accel_sim.errors import HardwareError
from accel_sim.hardware import Dataflow, GridConfig, load_hardware
from accel_sim.sim.timing.commands import time_command
from accel_sim.sim.timing.scalesim import ScaleSimMemory, scalesim_time
from accel_sim.sim.timing.scalesim_commands import input_addresses

DATAFLOWS = {"os": "output_stationary", "ws": "weight_stationary", "is": "input_stationary"}
PRODUCTS = "Layer, M, N, K,\ng,40,30,70,\nh,100,64,120,\n"
CONVOLUTIONS = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
CONVOLUTIONS += "c,20,20,3,3,6,20,1,\nd,15,15,3,3,8,16,2,\n"
# SCALE-Sim 3.0.0 (pip install scalesim==3.0.0 'numpy<2'): 8x8, three SRAMs of 1 KiB, bandwidth 4, USER mode;
# python -m scalesim.scale -c CFG -t TOPOLOGY -l TOPOLOGY -p OUT -i gemm (or conv): Total Cycles, Stall Cycles
PRINTED = {
    "os": [(7655, 5976), (188013, 174078), (65549, 57186), (3775, 2572)],
    "ws": [(5601, 3370), (211208, 196569), (17472, 10207), (3533, 2256)],
    "is": [(6904, 4565), (90034, 73265), (345198, 333145), (5572, 3179)],
}


def scalesim(dataflow, size, kib, bandwidth):
    parts = ("activation", "weight", "accumulator")
    memories = [f"memory.{part}_sram_bytes={kib * 1024}" for part in parts]
    grid = [f"grid.rows={size}", f"grid.columns={size}", f"grid.dataflow={DATAFLOWS[dataflow]}"]
    settings = [*memories, *grid, f"memory.dram_bytes_per_cycle={bandwidth}", "timing.model=scalesim"]
    return load_hardware("scalesim-32x32", settings)


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_small_buffers_thrash_as_scalesim_prints(tmp_path, dataflow):
    found = []
    for name, text in (("g.csv", PRODUCTS), ("c.csv", CONVOLUTIONS)):
        (tmp_path / name).write_text(text)
        _, result = time_topology(tmp_path / name, scalesim(dataflow, 8, 1, 4))
        found += [(layer.cycles - 1, layer.stall_cycles) for layer in result.layers]  # the last cycle's number, from 0
    assert found == PRINTED[dataflow]


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_the_published_cases_at_bandwidth_10(data, dataflow):
    line = (data / f"cycles/scalesim_gemm_256x128x256_32x32_bw10_{dataflow}.csv").read_text().splitlines()[1].split(",")
    hardware = scalesim(dataflow, 32, 64, 10)
    timing = time_command(multiply(hardware, 256, 256, 128), hardware)
    assert (timing.cycles - 1, timing.stall_cycles) == (int(line[2]), int(line[3]))


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_large_buffers_leave_the_closed_forms(dataflow):
    hardware = scalesim(dataflow, 8, 1 << 16, 8)
    plain = load_hardware("scalesim-32x32", ["grid.rows=8", "grid.columns=8", f"grid.dataflow={DATAFLOWS[dataflow]}"])
    for m, k, n in ((20, 30, 10), (8, 8, 8), (1, 5, 17)):
        timing = time_command(multiply(hardware, m, k, n), hardware)
        assert timing.stall_cycles == 0
        assert timing.cycles == time_command(multiply(plain, m, k, n), plain).cycles


def test_a_full_result_buffer_makes_the_grid_wait():
    grid = GridConfig(4, 8, Dataflow.WEIGHT_STATIONARY, shadow_registers=False)
    x = np.arange(400 * 4).reshape(400, 4)
    wide, narrow = (scalesim_time(x, 8, grid, ScaleSimMemory(1 << 20, 1 << 20, 64, b)) for b in (8, 2))
    assert wide.stall_cycles == 0
    assert narrow.stall_cycles > 400  # 8 results a cycle, 2 of them leave


def test_padding_is_not_asked_for():
    hardware = load_hardware("scalesim-32x32")
    addresses = input_addresses(convolve(hardware, (1, 3, 3, 1), (3, 3), 1, pad=1))
    assert addresses[0].tolist() == [-1, -1, -1, -1, 0, 1, -1, 3, 4]
    assert addresses[4].tolist() == list(range(9))


def test_batches_and_groups_follow_one_another():
    hardware = scalesim("ws", 8, 1, 4)
    one, four = (time_command(multiply(hardware, 20, 16, 8, batch), hardware) for batch in ((), (4,)))
    assert (four.cycles, four.stall_cycles) == (4 * one.cycles, 4 * one.stall_cycles)
    assert time_command(convolve(hardware, (1, 6, 6, 4), (3, 3), 4, groups=4), hardware).cycles > 0
    assert time_command(transpose_convolve(hardware, (1, 4, 4, 4), (2, 2), 4), hardware).cycles > 0
    assert time_command(multiply(hardware, 0, 16, 8), hardware).cycles == 0


def test_every_fault_of_the_model_is_in_one_message():
    with pytest.raises(HardwareError) as caught:
        load_hardware(
            "edge-16x16", ["timing.model=scalesim", "grid.dataflow=adder_tree", "memory.dram_bytes_per_cycle=inf"]
        )
    text = str(caught.value)
    for part in ("adder_tree", "shadow_registers=false", "whole number", "timing.model"):
        assert part in text
    assert len(caught.value.faults) == 3
