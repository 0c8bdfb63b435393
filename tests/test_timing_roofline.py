"""Stall cycles by cause, and the roofline."""

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matrix_commands import activation, convolve, multiply

from accel_sim.analysis.roofline import Bound, roofline
from accel_sim.analysis.topology import time_topology
from accel_sim.hardware import load_hardware
from accel_sim.program import PoolMaximum, Window
from accel_sim.report.json_form import to_json
from accel_sim.report.run_report import RunReport
from accel_sim.report.terminal.pages import to_text
from accel_sim.sim.timing.commands import time_command
from accel_sim.sim.timing.transfers import elapsed
from accel_sim.sim.timing.types import STALLS, stalls_by_cause

EDGE = load_hardware("edge-16x16")
MEMORY = dataclasses.replace(EDGE.memory, dram_bytes_per_cycle=1.0, dram_latency_cycles=10)


def times(load, busy, store, **memory):
    arrays = np.array(load, float), np.array(busy), np.array(store, float)
    return elapsed(dataclasses.replace(MEMORY, **memory), *arrays)


def test_the_first_load_and_the_last_store_are_never_hidden():
    assert times([30, 0], [100, 100], [0, 7]).stalls == {"latency": 10, "load": 30, "store": 7}


def test_what_a_step_waits_for_is_shared_by_its_transfers():
    # while step 1 works 100 cycles, 150 bytes of step 2's operands and 50 of step 0's results move
    assert times([0, 0, 150], [100, 100, 100], [50, 0, 0]).stalls == {"latency": 10, "load": 75, "store": 25}


def test_without_double_buffering_everything_waits():
    found = times([30, 20], [5, 5], [4, 3], double_buffered=False)
    assert found.stalls == {"latency": 20, "load": 50, "store": 7}
    assert found.stall_cycles == 77


@given(st.integers(0, 10**6), st.lists(st.floats(0, 1e6), min_size=len(STALLS), max_size=len(STALLS)))
def test_causes_add_up_in_whole_cycles(total, shares):
    split = stalls_by_cause(total, dict(zip(STALLS, shares, strict=True)))
    assert sum(split.values()) == total
    assert all(count > 0 for count in split.values())


@pytest.mark.parametrize("name", ["edge-16x16", "paper-4x4", "tpu-v1", "nvdla-2048", "nvdla-64"])
def test_the_causes_of_a_command_add_up_to_its_stalls(name):
    hardware = load_hardware(name)
    x, y = activation("x", (1, 32, 32, 16)), activation("y", (1, 16, 16, 16))
    pool = PoolMaximum("p", "MaxPool2D", x, y, Window((2, 2), (2, 2)), -128, 127)
    for command in (multiply(hardware, 40, 30, 50), convolve(hardware, (1, 16, 16, 16), (3, 3), 32, pad=1), pool):
        timing = time_command(command, hardware)
        assert sum(timing.stalls.values()) == timing.stall_cycles
        assert set(timing.stalls) <= set(STALLS)


def test_a_model_of_time_without_causes_names_none():
    hardware = load_hardware("gemmini-16x16")
    timing = time_command(multiply(hardware, 64, 64, 64), hardware)
    assert timing.stall_cycles > 0
    assert timing.stalls == {}


@pytest.fixture
def report(tmp_path):
    """A product of much reuse and one of none."""
    path = tmp_path / "two.csv"
    path.write_text("Layer, M, N, K,\nbroad, 512, 512, 512,\nthin, 1, 512, 512,\n")
    return RunReport(*time_topology(path, EDGE))


def test_the_roof_is_flat_for_reuse_and_slanted_without(report):
    roof = roofline(report.result.layers, EDGE)
    assert (roof.peak_per_cycle, roof.dram_bytes_per_cycle, roof.ridge_intensity) == (512, 8, 64)
    broad, thin = roof.layers
    assert (broad.bound, broad.attainable_per_cycle) == (Bound.COMPUTE, 512)
    moved = 512 * 512 + 512 + 512
    assert thin.bound is Bound.MEMORY
    assert thin.operational_intensity == pytest.approx(2 * 512 * 512 / thin_bytes(report))
    assert thin_bytes(report) >= moved
    assert thin.attainable_per_cycle == pytest.approx(8 * thin.operational_intensity)
    assert all(layer.achieved_per_cycle <= layer.attainable_per_cycle for layer in roof.layers)


def thin_bytes(report):
    traffic = report.result.layers[1].traffic
    return traffic["dram_read"] + traffic["dram_write"]


def test_unlimited_bandwidth_binds_nothing(report):
    fast = dataclasses.replace(EDGE, memory=dataclasses.replace(EDGE.memory, dram_bytes_per_cycle=math.inf))
    assert {layer.bound for layer in roofline(report.result.layers, fast).layers} == {Bound.COMPUTE}


def test_reports_tell_bounds_and_causes(report):
    text = to_text(report)
    assert "1 of 2 layers bound by DRAM: fewer than 64 operations a byte" in text
    assert [line.split()[-1] for line in text.splitlines() if line.startswith(("broad", "thin"))] == ["grid", "DRAM"]
    assert "(load " in text
    document = json.loads(to_json(report))
    assert [layer["bound"] for layer in document["roofline"]["layers"]] == ["compute", "memory"]
    assert sum(document["totals"]["stalls"].values()) == document["totals"]["stall_cycles"]
    assert document["layers"][1]["stalls"]["load"] > 0


def test_causes_that_some_layers_do_not_tell_are_not_summed_up(tmp_path):
    path = tmp_path / "one.csv"
    path.write_text("Layer, M, N, K,\na, 64, 64, 64,\n")
    report = RunReport(*time_topology(path, load_hardware("gemmini-16x16")))
    assert report.totals.stall_cycles > 0
    assert "load " not in to_text(report)
