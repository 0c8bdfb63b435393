"""NVDLA's time against NVIDIA's public performance sheet, and the frame rates of its primer."""

import csv
import dataclasses

import pytest
from matrix_commands import RECIPE, activation, convolve, multiply, transpose_convolve

from accel_sim.errors import HardwareError
from accel_sim.hardware import TimingConfig, load_hardware
from accel_sim.program import Elementwise, PoolMaximum, Window
from accel_sim.sim.timing.commands import time_command
from accel_sim.sim.timing.nvdla import fused_layers, nvdla_layer, time_nvdla_commands

NVDLA = load_hardware("nvdla-2048")
SHEET = "cycles/nvdla_resnet50_2048mac_512k_10gbps.csv"
FRAMES = {"nvdla-1024": (153, 0.04), "nvdla-512": (93, 0.025), "nvdla-256": (46, 0.014), "nvdla-64": (7.3, 0.15)}
"""The primer's frames per second, and how far the sheet's rules are from them."""


def number(row, key):
    return int(float(row[key]))


def sheet(data):
    with (data / SHEET).open() as file:
        return list(csv.DictReader(file))


def commands_of(hardware, row):
    """A row of the sheet as a convolution and the commands that are part of its layer."""
    h, w, c, k, r, s = (number(row, key) for key in "HWCKRS")
    stride, oh, ow = (number(row, key) for key in ("stride_h", "out_h", "out_w"))
    conv = convolve(hardware, (1, h, w, c), (r, s), k, stride=stride, output=(oh, ow))
    chain = [conv]
    if "elwise" in row["attribute"]:
        other, total = activation("other", conv.output_to.shape), activation("sum", conv.output_to.shape)
        chain.append(Elementwise("add", "Add", conv.output_to, other, total, RECIPE))
    if row["pool"] == "True":
        p, last = number(row, "pool_stride_h"), chain[-1].output_to
        pooled = activation("pooled", (1, -(-oh // p), -(-ow // p), k))
        chain.append(PoolMaximum("pool", "MaxPool2D", last, pooled, Window((3, 3), (p, p)), -128, 127))
    return chain


def test_the_sheets_54_layers_cycle_for_cycle(data):
    total = 0
    for row in sheet(data):
        conv, *following = commands_of(NVDLA, row)
        layer = nvdla_layer(conv, following)
        found = layer.dram_cycles(NVDLA), layer.mac_cycles(NVDLA), layer.cycles(NVDLA)
        assert found == tuple(number(row, key) for key in ("dram_cycles", "mac_cycles", "max_cycles")), row["layer"]
        timings = time_nvdla_commands([conv, *following], NVDLA)
        assert [t.cycles for t in timings] == [layer.cycles(NVDLA)] + [0] * len(following)
        assert timings[0].stall_cycles == max(layer.dram_cycles(NVDLA) - layer.mac_cycles(NVDLA), 0)
        total += layer.cycles(NVDLA)
    assert total == 7_113_691


def frames_per_second(hardware, rows):
    cycles = sum(sum(t.cycles for t in time_nvdla_commands(commands_of(hardware, row), hardware)) for row in rows)
    return hardware.clock_mhz * 1e6 / cycles


def test_the_primers_frame_rate_at_2048_macs_and_20_gigabytes(data):
    fast = load_hardware("nvdla-2048", ["memory.dram_bytes_per_cycle=20.48"])
    assert round(frames_per_second(fast, sheet(data))) == 269


@pytest.mark.parametrize("name", FRAMES)
def test_the_primers_frame_rates_of_smaller_members(data, name):
    frames, tolerance = FRAMES[name]
    assert frames_per_second(load_hardware(name), sheet(data)) == pytest.approx(frames, rel=tolerance)


def chain():
    first = convolve(NVDLA, (1, 8, 8, 64), (1, 1), 64)
    second = dataclasses.replace(first, output_to=activation("z", first.output_to.shape))
    add = Elementwise("add", "Add", first.output_to, second.output_to, activation("sum", (1, 8, 8, 64)), RECIPE)
    pooled = activation("p", (1, 4, 4, 64))
    pool = PoolMaximum("pool", "MaxPool2D", add.output_to, pooled, Window((2, 2), (2, 2)), -128, 127)
    return [first, second, add, pool]


def test_an_addition_joins_the_last_of_its_producers_and_a_pooling_follows():
    commands = chain()
    assert fused_layers(commands) == {1: (2, 3)}
    first, second, *rest = time_nvdla_commands(commands, NVDLA)
    assert first.traffic["dram_write"] == 64 * 64
    assert second.traffic["dram_read"] == 64 * 64 + 64 * 64 + 4 * 4 * 64  # inputs, weights, the other operand
    assert second.traffic["dram_write"] == 4 * 4 * 64
    assert [t.cycles for t in rest] == [0, 0]


def test_what_others_read_or_the_network_returns_is_written():
    first, second, add, pool = chain()
    assert fused_layers([first, second, add, pool], [add.output_to]) == {1: (2,)}
    assert fused_layers([first, second, add, pool], [second.output_to]) == {0: (2, 3)}
    again = dataclasses.replace(pool, input=second.output_to, output_to=activation("q", (1, 4, 4, 64)))
    assert fused_layers([first, second, add, again]) == {0: (2,)}  # `second` has two readers
    twice = dataclasses.replace(add, b=first.output_to)
    assert fused_layers([first, twice]) == {}


def test_winograd_is_for_stride_1_3x3_only():
    plain = load_hardware("nvdla-2048", ["timing.winograd=false"])
    for kernel, stride, gain in (((3, 3), 1, 2.25), ((3, 3), 2, 1), ((5, 5), 1, 1), ((1, 3), 1, 1)):
        layer = nvdla_layer(convolve(NVDLA, (1, 26, 26, 64), kernel, 128, stride=stride))
        assert layer.mac_cycles(plain) == pytest.approx(layer.mac_cycles(NVDLA) * gain, abs=gain)


def test_inputs_are_read_again_when_neither_operand_fits():
    layer = nvdla_layer(convolve(NVDLA, (1, 56, 56, 256), (1, 1), 5000))
    assert layer.weight_bytes(NVDLA) // 524288 == 2
    assert layer.dram_read_bytes(NVDLA) == 3 * 56 * 56 * 256 + 256 * 5000
    roomy = load_hardware("nvdla-2048", ["memory.activation_sram_bytes=1000000"])
    assert layer.dram_read_bytes(roomy) == 56 * 56 * 256 + 256 * 5000


def test_products_groups_and_transposed_convolutions_count_as_products():
    product = nvdla_layer(multiply(NVDLA, 196, 64, 200, (8,)))
    assert product.mac_cycles(NVDLA) == 8 * 196 * 64 * 256 // 2048
    assert product.input_bytes() == 8 * 196 * 64
    assert product.weight_bytes(NVDLA) == 8 * 64 * 200
    depthwise = nvdla_layer(convolve(NVDLA, (1, 16, 16, 32), (3, 3), 32, groups=32, stride=2))
    assert depthwise.mac_cycles(NVDLA) == 32 * 49 * 9 * 128 // 2048
    assert depthwise.input_bytes() == 16 * 16 * 32
    up = transpose_convolve(NVDLA, (1, 8, 8, 16), (4, 4), 8)
    assert time_command(up, NVDLA).cycles >= 4 * 81 * 64 * 128 // 2048


def test_unlimited_bandwidth_leaves_the_macs():
    fast = load_hardware("nvdla-2048", ["memory.dram_bytes_per_cycle=inf"])
    timing = time_command(convolve(fast, (1, 14, 14, 64), (1, 1), 128), fast)
    assert (timing.cycles, timing.stall_cycles, timing.utilization) == (196 * 64 * 128 // 2048, 0, 1.0)


def test_winograd_elsewhere_is_refused():
    with pytest.raises(HardwareError, match=r"winograd: true: is only for model nvdla"):
        TimingConfig(winograd=True)
