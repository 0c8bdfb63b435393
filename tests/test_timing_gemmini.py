"""Gemmini's time: its tiler against recorded tiles, the model against cycles of the RTL, and its own laws."""

import csv
import dataclasses

import pytest
import score_gemmini
from hypothesis import given
from hypothesis import strategies as st
from matrix_commands import convolve, multiply, transpose_convolve

from accel_sim.errors import HardwareError
from accel_sim.hardware import load_hardware
from accel_sim.sim.timing.commands import time_command
from accel_sim.sim.timing.gemmini import (
    CPU_TILE_CYCLES,
    DIMENSIONS,
    GIVEN_MAPPING,
    OWN_TILER,
    GemminiLayer,
    GemminiMapping,
    GemminiParameters,
    gemmini_steps,
    lines_touched,
    stacked,
)
from accel_sim.sim.timing.gemmini_commands import gemmini_layer
from accel_sim.sim.timing.gemmini_tiler import GemminiMemory, own_mapping

CYCLES = "cycles/gemmini_rtl_firesim.csv"
GEMMINI = load_hardware("gemmini-16x16")


def table(data):
    return score_gemmini.read_rows(data / CYCLES)


def test_the_library_tiler_chooses_the_recorded_tiles(data):
    for row in table(data):
        tile = own_mapping(score_gemmini.layer_of(row)).tile
        assert "_".join(map(str, tile)) == row["dse.auto_tiling"], row


def test_shipped_parameters_predict_the_rtl(data):
    given, own = score_gemmini.tasks_of(table(data))
    for task, mean, median in ((given, 0.085, 0.036), (own, 0.115, 0.076)):
        errors = sorted(abs(task.errors(task.frozen)))
        assert sum(errors) / len(errors) < mean
        assert errors[len(errors) // 2] < median
        assert len(task.names) <= 6


@pytest.mark.slow
def test_layers_not_fitted_to_are_predicted_as_well(data):
    given, own = score_gemmini.tasks_of(table(data))
    for task, mean, median in ((given, 0.10, 0.05), (own, 0.15, 0.10)):
        errors = sorted(abs(score_gemmini.score(task, refit=True, folds=7, seed=0)))
        assert sum(errors) / len(errors) < mean
        assert errors[len(errors) // 2] < median


def test_the_score_is_printed_with_every_parameter(data, tmp_path, capsys):
    rows = table(data)[:24]
    path = tmp_path / "part.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    score_gemmini.main([str(path), "--frozen"])
    frozen = capsys.readouterr().out
    assert f"line_cycles {GIVEN_MAPPING.line_cycles:.3f}" in frozen
    assert f"search_cycles {OWN_TILER.search_cycles:.3f}" in frozen
    score_gemmini.main([str(path), "--folds", "2"])
    refitted = capsys.readouterr().out
    assert refitted.count("fold 2: mean") == refitted.count("cross-validated: mean") == 2


def test_rows_of_a_layer_share_a_fold(data):
    layers = [score_gemmini.layer_of(row) for row in table(data)]
    fold = score_gemmini.folds_by_layer(layers, 7, 3)
    assert set(fold) == set(range(7))
    assert all(len({fold[i] for i, other in enumerate(layers) if other == layer}) == 1 for layer in set(layers))


def test_a_mapping_is_read_as_written():
    text = "L3[WIO] Q14 P2 - L2[WI] N1 K16X - L1[O] K4 S3 R3 C4 Q2 P2 C16X - L0[W] Q2 P14"
    mapping = score_gemmini.given_mapping(text)
    assert dict(zip(DIMENSIONS, mapping.tile, strict=True)) == {
        "R": 3,
        "S": 3,
        "P": 28,
        "Q": 4,
        "C": 64,
        "K": 64,
        "N": 1,
    }
    assert mapping.loops == (("Q", 14), ("P", 2))


@pytest.mark.parametrize(
    ("slices", "size", "stride", "lines"),
    [(10, 64, 64, 10), (10, 32, 32, 5), (3, 16, 16, 1), (10, 16, 64, 10), (10, 48, 256, 15), (4, 128, 512, 8)],
)
def test_lines_touched(slices, size, stride, lines):
    assert lines_touched(slices, size, stride) == lines


def test_a_single_tile_by_its_formula():
    layer = GemminiLayer(1, 1, 128, 1, 128, 64)
    steps = gemmini_steps(layer, GemminiMapping.nested(layer, (1, 1, 128, 1, 128, 64, 1), "NQPKRSC"))
    p = GemminiParameters(2.0, 4.0, 5.0, 0.5, 0.25)
    load = (128 + 256) * 2.0 + (8192 + 16384) / 16
    execute, store = 4 * 8 * 128, 2 * 128 * 4
    tile = execute + 0.5 * (load + store)
    assert steps.cycles(p).tolist() == [tile + 0.25 * (load + store)]


def test_the_array_takes_short_blocks_at_a_limited_rate():
    layer = GemminiLayer(1, 1, 4, 4, 16, 16)
    steps = gemmini_steps(layer, GemminiMapping.nested(layer, (1, 1, 4, 4, 16, 16, 1), "NQPKRSC"))
    assert steps.execute(GemminiParameters(0, 0, 5.0, 0, 0)).tolist() == [5.0 * 4 + 8]  # 4 blocks of 4 rows
    assert steps.execute(GemminiParameters(0, 0, 1.0, 0, 0)).tolist() == [16]


def test_a_slice_touched_long_ago_misses():
    layer = GemminiLayer(1, 1, 16, 64, 1024, 1024)  # each pass over 1 MiB of weights evicts them
    steps = gemmini_steps(layer, GemminiMapping.nested(layer, (1, 1, 16, 1, 1024, 64, 1), "NQPKRSC"))
    misses = dict(zip(steps.weight_misses.tolist(), steps.count.tolist(), strict=True))
    assert misses == {0.0: 16.0, 1.0: 63 * 16.0}
    assert set(steps.input_misses.tolist()) == {0.0}


extents = st.builds(
    GemminiLayer, *(st.integers(1, n) for n in (3, 3, 40, 40, 80, 80, 2)), st.integers(1, 2), st.integers(1, 2)
)


@given(extents, st.integers(64, 4096), st.integers(16, 512))
def test_the_librarys_tiles_cover_a_layer_and_fit(layer, scratchpad, accumulator):
    try:
        mapping = own_mapping(layer, GemminiMemory(scratchpad, accumulator))
    except ValueError:
        pytest.fail("no tile")
    steps = gemmini_steps(layer, mapping)
    outputs = (steps.count * steps.stores * steps.rows).sum()
    column_tiles = dict(mapping.loops)["K"]
    assert outputs == layer.N * layer.P * layer.Q * column_tiles
    assert mapping.search_steps > 0
    assert (steps.store_rows[steps.stores > 0]).max() <= max(accumulator, 1)


@given(st.lists(extents, min_size=1, max_size=4))
def test_layers_together_take_what_they_take_alone(layers):
    parts = [gemmini_steps(layer, own_mapping(layer), CPU_TILE_CYCLES) for layer in layers]
    together, starts = stacked(parts)
    assert together.cycles(OWN_TILER, starts).tolist() == pytest.approx([p.cycles(OWN_TILER)[0] for p in parts])


def test_commands_become_the_layers_that_the_library_sees():
    conv = convolve(GEMMINI, (1, 28, 30, 64), (3, 5), 32, stride=2)
    assert gemmini_layer(conv) == (GemminiLayer(3, 5, 13, 13, 64, 32, 1, 2, 2), 1)
    connected = convolve(GEMMINI, (1, 1, 4, 64), (1, 1), 32)
    assert gemmini_layer(connected) == (GemminiLayer(1, 1, 4, 1, 64, 32), 1)
    assert gemmini_layer(multiply(GEMMINI, 10, 20, 30, (4,))) == (GemminiLayer(1, 1, 10, 1, 20, 30), 4)
    depthwise = convolve(GEMMINI, (1, 8, 8, 32), (3, 3), 32, groups=32, pad=1)
    assert gemmini_layer(depthwise) == (GemminiLayer(3, 3, 8, 8, 1, 1, 1, 1, 1), 32)
    assert gemmini_layer(transpose_convolve(GEMMINI, (1, 8, 8, 16), (4, 4), 8))[1] == 4


def test_a_command_takes_the_time_of_its_layer():
    command = convolve(GEMMINI, (1, 56, 56, 64), (3, 3), 64, pad=1)
    timing = time_command(command, GEMMINI)
    assert timing.cycles == pytest.approx(537803, rel=0.1)  # the RTL's cycles of this layer with its own tiler
    assert 0 < timing.stall_cycles < timing.cycles
    assert timing.utilization == pytest.approx(timing.macs / timing.cycles / 256)
    plain = load_hardware("gemmini-16x16", ["timing.model=grid"])
    assert time_command(command, plain).cycles != timing.cycles
    assert time_command(multiply(GEMMINI, 0, 16, 16), GEMMINI).cycles == 0


def test_another_grid_is_refused_with_the_cure():
    with pytest.raises(
        HardwareError, match=r"gemmini with a 32x16 grid: was fitted to 16x16 \(set timing.model=grid\)"
    ):
        load_hardware("gemmini-16x16", ["grid.rows=32"])
    wider = load_hardware("gemmini-16x16", ["grid.rows=32", "timing.model=grid"])
    assert dataclasses.asdict(wider)["grid"]["rows"] == 32
