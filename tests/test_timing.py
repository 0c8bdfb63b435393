"""The cycle model against published figures, slow event-by-event models, and its own laws."""

import csv
import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matrix_commands import activation, constant, convolve, multiply, transpose_convolve

from accel_sim.hardware import Dataflow, load_hardware
from accel_sim.numerics import FixedPointRequantization, Rounding, SumRequantization
from accel_sim.program import Fill, Lookup, Move, PoolMaximum, Reduce, Window
from accel_sim.program.geometry import matrix_shape, multiply_accumulates
from accel_sim.sim.timing.commands import time_command
from accel_sim.sim.timing.energy import multiply_pj, sram_access_pj
from accel_sim.sim.timing.transfers import elapsed
from accel_sim.sim.timing.types import TRAFFIC

EDGE = load_hardware("edge-16x16")
SCALESIM = {"os": "output_stationary", "ws": "weight_stationary", "is": "input_stationary"}
SCALESIM_RUNS = [
    ("alexnet", 32, "is"),
    ("alexnet", 32, "os"),
    ("alexnet", 32, "ws"),
    ("resnet18", 128, "os"),
    ("resnet18", 128, "ws"),
]


def changed(hardware, **parts):
    """The configuration with fields of its parts replaced: changed(EDGE, memory={"double_buffered": False})."""
    return dataclasses.replace(
        hardware, **{part: dataclasses.replace(getattr(hardware, part), **values) for part, values in parts.items()}
    )


def rows(path):
    with path.open() as file:
        table = list(csv.reader(file))
    return [[cell.strip() for cell in row] for row in table[1:] if row and row[0].strip()]


def scalesim_layer(hardware, row):
    """A row of a topology: image, filter, channels, filters, stride; SCALE-Sim rounds partial output pixels up."""
    height, width, kernel_height, kernel_width, depth, channels, stride = map(int, row[1:8])
    out = (math.ceil((height - kernel_height + stride) / stride), math.ceil((width - kernel_width + stride) / stride))
    return convolve(
        hardware, (1, height, width, depth), (kernel_height, kernel_width), channels, stride=stride, output=out
    )


@pytest.mark.parametrize(("network", "size", "dataflow"), SCALESIM_RUNS)
def test_scalesim_layers_cycle_for_cycle(data, network, size, dataflow):
    hardware = load_hardware(
        "scalesim-32x32", [f"grid.rows={size}", f"grid.columns={size}", f"grid.dataflow={SCALESIM[dataflow]}"]
    )
    topology = rows(data / f"cycles/scalesim_{network}_topology.csv")
    published = [int(row[2]) for row in rows(data / f"cycles/scalesim_{network}_{size}x{size}_{dataflow}.csv")]
    timings = [time_command(scalesim_layer(hardware, row), hardware) for row in topology]
    assert [t.cycles - 1 for t in timings] == published  # "Total Cycles" is the last cycle's number, from 0
    assert not any(t.stall_cycles for t in timings)


@pytest.mark.parametrize("dataflow", SCALESIM)
def test_scalesim_compute_cycles_under_limited_bandwidth(data, dataflow):
    hardware = load_hardware("scalesim-32x32", [f"grid.dataflow={SCALESIM[dataflow]}"])
    (row,) = rows(data / f"cycles/scalesim_gemm_256x128x256_32x32_bw10_{dataflow}.csv")
    total, stall = int(row[2]), int(row[3])
    assert time_command(multiply(hardware, 256, 256, 128), hardware).cycles - 1 == total - stall


@given(
    st.sampled_from(sorted(SCALESIM.values())),
    st.tuples(*[st.integers(1, 70)] * 3),
    st.tuples(*[st.integers(1, 20)] * 2),
)
def test_closed_forms_without_shadow_registers(dataflow, shape, size):
    (m, n, k), (r, c) = shape, size
    hardware = load_hardware("scalesim-32x32", [f"grid.rows={r}", f"grid.columns={c}", f"grid.dataflow={dataflow}"])
    up = lambda a, b: math.ceil(a / b)  # noqa: E731
    closed = {
        "output_stationary": up(m, r) * up(n, c) * (r + c + k - 2),
        "weight_stationary": up(k, r) * up(n, c) * (2 * r + c + m - 2),
        "input_stationary": up(k, r) * up(m, c) * (2 * r + c + n - 2),
    }
    assert time_command(multiply(hardware, m, k, n), hardware).cycles == closed[dataflow]


def test_figure_1_takes_one_cycle_for_a_vector_and_a_tile():
    paper = changed(load_hardware("paper-4x4"), memory={"dram_bytes_per_cycle": math.inf, "dram_latency_cycles": 0})
    assert time_command(multiply(paper, 1, 4, 4), paper).cycles == 1
    assert time_command(multiply(paper, 5, 4, 4), paper).cycles == 5
    assert time_command(multiply(paper, 5, 9, 6), paper).cycles == 5 * 3 * 2


def unlimited(**grid):
    memory = {"dram_bytes_per_cycle": math.inf, "dram_latency_cycles": 0}
    return changed(EDGE, memory=memory, grid=grid)


@pytest.mark.parametrize(
    ("dataflow", "shape", "cycles"),
    [
        # load R, a fold every max(stream, R) cycles, nothing after the last fold, drain R + C - 2
        ("weight_stationary", (100, 32, 48), 16 + 6 * 100 + 30),
        ("weight_stationary", (3, 32, 48), 16 + 5 * 16 + 3 + 30),
        ("input_stationary", (100, 32, 48), 16 + 14 * 48 + 30),
        ("output_stationary", (100, 32, 48), 21 * 32 + 30),
        ("output_stationary", (100, 5, 48), 20 * 16 + 5 + 30),
        ("adder_tree", (100, 32, 48), 6 * 100),
    ],
)
def test_closed_forms_with_shadow_registers(dataflow, shape, cycles):
    hardware = unlimited(dataflow=Dataflow(dataflow))
    assert time_command(multiply(hardware, *shape), hardware).cycles == cycles


@pytest.mark.parametrize("dataflow", Dataflow)
def test_every_addition_has_a_cycle(dataflow):
    hardware = unlimited(dataflow=dataflow)
    timing = time_command(convolve(hardware, (1, 14, 14, 64), (3, 3), 32, pad=1), hardware)
    assert timing.macs == 14 * 14 * 9 * 64 * 32
    assert timing.cycles * hardware.grid.size >= timing.macs
    assert timing.utilization == pytest.approx(timing.macs / (timing.cycles * 256))
    assert 0.5 < timing.utilization <= 1


def test_a_depthwise_convolution_uses_one_column_at_a_time():
    hardware = unlimited()
    depthwise = time_command(convolve(hardware, (1, 16, 16, 32), (3, 3), 32, groups=32, pad=1), hardware)
    assert depthwise.utilization < 1 / 16
    assert depthwise.cycles == 16 + 32 * 256 + 30  # a fold of 256 pixels for each group


def test_asymmetric_weights_cost_a_column_of_ones_and_a_second_scaling():
    hardware = unlimited()
    full = [multiply(hardware, 256, 16, 32, weight_zero_point=zero) for zero in (0, 7)]
    room = [multiply(hardware, 256, 16, 31, weight_zero_point=zero) for zero in (0, 7)]
    assert [time_command(c, hardware).cycles for c in full] == [16 + 2 * 256 + 30, 16 + 3 * 256 + 30 + 2 * 256]
    assert [time_command(c, hardware).cycles for c in room] == [16 + 2 * 256 + 30, 16 + 2 * 512 - 32 + 30]


def test_a_batch_of_products_shares_a_broadcast_operand():
    own = time_command(multiply(EDGE, 16, 16, 16, (4,)), EDGE)
    shared = time_command(multiply(EDGE, 16, 16, 16, (4,), shared=True), EDGE)
    assert own.traffic["dram_read"] == 4 * 512
    assert shared.traffic["dram_read"] == 4 * 256 + 256


def test_traffic_of_a_layer_that_fits_is_each_byte_once():
    command = convolve(EDGE, (1, 32, 32, 16), (3, 3), 32, pad=1)
    assert command.tiling.rows < 32 * 32  # several blocks: the accumulators hold 256 rows
    traffic = time_command(command, EDGE).traffic
    assert set(traffic) == set(TRAFFIC)
    assert traffic["dram_read"] == 32 * 32 * 16 + 9 * 16 * 32 + 4 * 32
    assert traffic["dram_write"] == 32 * 32 * 32


def test_weights_that_do_not_fit_are_read_again_for_each_block():
    small = changed(EDGE, memory={"weight_sram_bytes": 1024})
    command = convolve(small, (1, 32, 32, 16), (3, 3), 32, pad=1)
    blocks = math.ceil(32 * 32 / command.tiling.rows)
    assert blocks > 1
    assert time_command(command, small).traffic["dram_read"] == 32 * 32 * 16 + blocks * (9 * 16 * 32 + 4 * 32)


def test_inputs_that_do_not_fit_are_read_by_each_tile():
    small = changed(EDGE, memory={"activation_sram_bytes": 8192})
    command = multiply(small, 64, 4096, 32)
    read = time_command(command, small).traffic["dram_read"]
    assert read == 2 * 64 * 4096 + 4096 * 32


def slow_schedule(memory, load, busy, store):
    """The same rule as an event simulation: one transfer channel, two buffers, step by step."""
    clock = memory.dram_latency_cycles * bool(sum(load)) + load[0] / memory.dram_bytes_per_cycle
    for t in range(len(busy)):
        following = load[t + 1] if t + 1 < len(busy) else 0
        finished = store[t - 1] if t else 0
        clock += max(busy[t], (following + finished) / memory.dram_bytes_per_cycle)
    return clock + store[-1] / memory.dram_bytes_per_cycle


sizes = st.lists(st.integers(0, 500), min_size=1, max_size=8)


@given(sizes, st.sampled_from((0.5, 3.0, 8.0)), st.integers(0, 50), st.randoms(use_true_random=False))
def test_double_buffering_against_an_event_simulation(busy, bandwidth, latency, random):
    memory = dataclasses.replace(EDGE.memory, dram_bytes_per_cycle=bandwidth, dram_latency_cycles=latency)
    load, store = ([random.randrange(800) for _ in busy] for _ in range(2))
    found = elapsed(memory, np.array(load, float), np.array(busy), np.array(store, float))
    assert found.cycles == math.ceil(round(slow_schedule(memory, load, busy, store), 6))
    assert found.stall_cycles == found.cycles - sum(busy)


@given(sizes, st.randoms(use_true_random=False))
def test_hiding_transfers_never_costs_time_and_never_beats_either(busy, random):
    load, store = ([random.randrange(800) for _ in busy] for _ in range(2))
    serial_memory = dataclasses.replace(EDGE.memory, double_buffered=False)
    arrays = np.array(load, float), np.array(busy), np.array(store, float)
    hidden, serial = elapsed(EDGE.memory, *arrays), elapsed(serial_memory, *arrays)
    moving = sum(load + store) / EDGE.memory.dram_bytes_per_cycle
    assert max(sum(busy), moving) <= hidden.cycles
    assert hidden.stall_cycles >= 0
    latencies = EDGE.memory.dram_latency_cycles * sum(1 for size in load if size)
    assert serial.cycles == math.ceil(latencies + sum(busy) + moving)
    assert hidden.cycles <= serial.cycles


COMMANDS = st.one_of(
    st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40)).map(lambda s: ("multiply", s)),
    st.tuples(st.integers(3, 20), st.sampled_from((1, 3)), st.integers(1, 40), st.sampled_from((1, 2))).map(
        lambda s: ("convolve", s)
    ),
    st.tuples(st.integers(1, 9), st.sampled_from((1, 2, 3)), st.integers(1, 20)).map(lambda s: ("transpose", s)),
)


def drawn(hardware, kind, size):
    if kind == "multiply":
        return multiply(hardware, *size)
    if kind == "convolve":
        extent, kernel, channels, stride = size
        return convolve(hardware, (1, extent, extent, 8), (kernel, kernel), channels, stride=stride)
    extent, kernel, channels = size
    return transpose_convolve(hardware, (1, extent, extent, 8), (kernel, kernel), channels)


@given(COMMANDS, st.sampled_from(Dataflow), st.booleans(), st.booleans())
def test_less_bandwidth_never_takes_less_time(drawing, dataflow, shadow, double):
    grid = {"rows": 4, "columns": 8, "dataflow": dataflow, "shadow_registers": shadow}
    found = []
    for bandwidth in (math.inf, 16.0, 4.0, 0.5):
        memory = {"dram_bytes_per_cycle": bandwidth, "double_buffered": double}
        hardware = changed(EDGE, grid=grid, memory=memory)
        found.append(time_command(drawn(hardware, *drawing), hardware))
    assert [t.cycles for t in found] == sorted(t.cycles for t in found)
    assert len({t.compute_cycles for t in found}) == 1
    assert all(0 <= t.stall_cycles <= t.cycles and t.energy_pj > 0 for t in found)
    assert all(t.cycles * 32 >= t.macs for t in found)


@given(COMMANDS, st.sampled_from(Dataflow))
def test_every_output_is_written_once_and_every_input_read(drawing, dataflow):
    hardware = changed(EDGE, grid={"dataflow": dataflow})
    command = drawn(hardware, *drawing)
    timing = time_command(command, hardware)
    shape = matrix_shape(command)
    assert timing.traffic["dram_write"] >= command.output_to.size_bytes
    assert timing.traffic["dram_read"] >= shape.reduction * shape.columns
    assert timing.macs == multiply_accumulates(command)


def test_transposed_convolution_counts_as_sub_pixel_convolutions():
    command = transpose_convolve(EDGE, (1, 8, 8, 16), (4, 4), 8, stride=2)
    shape = matrix_shape(command)
    assert (shape.batches, shape.reduction, shape.columns) == (4, 2 * 2 * 16, 8)
    assert shape.rows == 9 * 9  # of 18 x 18 outputs
    assert multiply_accumulates(command) == 8 * 8 * 16 * 8 * 16
    dilated = transpose_convolve(EDGE, (1, 8, 8, 16), (3, 3), 8, stride=2, dilation=2)
    assert matrix_shape(dilated).batches == 1  # all kernel rows meet one phase
    assert matrix_shape(dilated).reduction == 9 * 16


def test_vector_commands_by_their_documented_formulas():
    memory, lanes = EDGE.memory, EDGE.vector.lanes
    x, y = activation("x", (1, 32, 32, 16)), activation("y", (1, 16, 16, 16))
    pool = time_command(PoolMaximum("p", "MaxPool2D", x, y, Window((2, 2), (2, 2)), -128, 127), EDGE)
    moved = x.size + y.size
    work = y.size * 4 // lanes
    assert pool.cycles == memory.dram_latency_cycles + max(work, math.ceil(moved / memory.dram_bytes_per_cycle))
    assert pool.stall_cycles == pool.cycles - work
    assert (pool.macs, pool.utilization) == (0, None)
    assert (pool.traffic["dram_read"], pool.traffic["dram_write"]) == (x.size, y.size)

    lookup = time_command(Lookup("l", "Tanh", x, constant("t", (256,)), None, x, -128), EDGE)
    assert lookup.traffic["dram_read"] == x.size + 256

    recipe = SumRequantization(0, FixedPointRequantization(0, (-128,), (127,), (1 << 30,), (-8,), Rounding.DOUBLE))
    fast = changed(EDGE, memory={"dram_bytes_per_cycle": math.inf, "dram_latency_cycles": 0})
    reduce = time_command(Reduce("m", "Mean", x, activation("z", (1, 1, 1, 16)), (1, 2), recipe), fast)
    assert (reduce.cycles, reduce.stall_cycles) == ((x.size + 16) // lanes, 0)


def test_copies_are_all_transfer():
    x = activation("x", (64, 64))
    copy = Move("c", "Concat", x, activation("y", (64, 128)), (64, 64), 0, (64, 1), 0, (128, 1))
    timing = time_command(copy, EDGE)
    assert timing.cycles == timing.stall_cycles == 64 + 2 * 64 * 64 // 8
    assert (timing.traffic["dram_read"], timing.traffic["dram_write"]) == (4096, 4096)
    fill = time_command(Fill("f", "Pad", x, 0), EDGE)
    assert (fill.traffic["dram_read"], fill.traffic["dram_write"]) == (0, 4096)


def test_energy_follows_horowitz():
    energy = EDGE.energy
    assert multiply_pj(energy, 8, 8) == 0.2
    assert multiply_pj(energy, 32, 32) == pytest.approx(3.1, rel=0.04)
    assert [sram_access_pj(energy, size << 10) for size in (4, 8, 32, 1024)] == pytest.approx([10, 10, 20, 100])
    between = 20 * 4 ** (math.log(100 / 20) / math.log(1024 / 32))  # four times 32 KiB on the line to 1 MiB
    assert sram_access_pj(energy, 128 << 10) == pytest.approx(between)
    silent = changed(EDGE, energy={f.name: 0.0 for f in dataclasses.fields(energy)})
    assert time_command(multiply(silent, 16, 16, 16), silent).energy_pj == 0
    only = changed(silent, energy={"dram_pj": 8.0})
    timing = time_command(multiply(only, 16, 16, 16), only)
    assert timing.energy_pj == timing.traffic["dram_read"] + timing.traffic["dram_write"]


def test_a_tensor_without_elements_takes_no_time():
    timing = time_command(multiply(EDGE, 0, 16, 16), EDGE)
    assert (timing.cycles, timing.macs) == (0, 0)
