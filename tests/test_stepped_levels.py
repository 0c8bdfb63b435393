"""The stepped grid against the cycle and functional levels: bytes, accumulators' history, cycles."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from one_command import random_cases
from stepped_cases import KINDS, Case, draw_case, draw_grid, draw_hardware

from accel_sim.errors import ProgramError
from accel_sim.hardware import AccumulatorConfig, Dataflow, GridConfig, OverflowPolicy
from accel_sim.program import MatrixMultiply, Tiling
from accel_sim.sim.result import Level
from accel_sim.sim.stepped import commands as stepped
from accel_sim.sim.timing.grid import GridTime


def agree(case: Case) -> None:
    """All three levels give the same bytes; those that watch, the same figures in every field of the layer."""
    functional, cycle, step = (case.run(level) for level in Level)
    np.testing.assert_array_equal(cycle.outputs["y"], functional.outputs["y"])
    np.testing.assert_array_equal(step.outputs["y"], functional.outputs["y"])
    assert step.layers == cycle.layers
    assert step.cycles == cycle.cycles


@pytest.mark.parametrize(("dataflow", "kind"), list(product(Dataflow, KINDS)))
@random_cases(25)
def test_all_levels_agree(dataflow: Dataflow, kind: type, rng: np.random.Generator) -> None:
    agree(draw_case(rng, kind, draw_hardware(rng, draw_grid(rng, dataflow))))


@pytest.mark.parametrize("dataflow", Dataflow)
@random_cases(6)
def test_all_levels_agree_on_grids_of_several_blocks(dataflow: Dataflow, rng: np.random.Generator) -> None:
    agree(draw_case(rng, MatrixMultiply, draw_hardware(rng, draw_grid(rng, dataflow, most=70))))


@pytest.mark.parametrize("dataflow", Dataflow)
@random_cases(20)
def test_all_levels_agree_on_a_grid_of_one(dataflow: Dataflow, rng: np.random.Generator) -> None:
    hardware = draw_hardware(rng, draw_grid(rng, dataflow, most=1))
    hardware = replace(hardware, accumulator=AccumulatorConfig(32))  # wide: the kernels' fast path
    agree(draw_case(rng, KINDS[rng.integers(len(KINDS))], hardware))


@pytest.mark.slow
@pytest.mark.parametrize(("dataflow", "kind"), list(product(Dataflow, KINDS)))
@random_cases(840)
def test_all_levels_agree_on_ten_thousand(dataflow: Dataflow, kind: type, rng: np.random.Generator) -> None:
    agree(draw_case(rng, kind, draw_hardware(rng, draw_grid(rng, dataflow, most=int(rng.choice([3, 9, 20]))))))


@random_cases(60)
def test_adder_trees_add_a_tile_of_products_at_once(rng: np.random.Generator) -> None:
    hardware = draw_hardware(rng, draw_grid(rng, Dataflow.ADDER_TREE))
    case = draw_case(rng, MatrixMultiply, hardware)
    command = case.command
    a = case.layout.inputs["a"].astype(object) - command.a_zero_point
    if "b" not in case.layout.inputs:
        return
    b = case.layout.inputs["b"].astype(object) - np.array(
        [[z] for z in command.b_zero_point] if command.transpose_b else command.b_zero_point, object
    )
    a, b = (a.swapaxes(-1, -2) if command.transpose_a else a), (b.swapaxes(-1, -2) if command.transpose_b else b)
    bits = hardware.accumulator.bits * (2 if command.wide_accumulator else 1)
    half, held, history, events = 1 << (bits - 1), np.zeros(command.output_to.shape, object), [0], 0
    for k in range(0, a.shape[-1], command.tiling.reduction):
        exact = held + a[..., k : k + command.tiling.reduction] @ b[..., k : k + command.tiling.reduction, :]
        events += int(((exact < -half) | (exact >= half)).sum())
        saturates = hardware.accumulator.overflow is OverflowPolicy.SATURATE
        held = exact.clip(-half, half - 1) if saturates else (exact + half) % (2 * half) - half
        history += [int(held.min()), int(held.max())]
    result = case.run(Level.CYCLE)
    np.testing.assert_array_equal(result.outputs["y"], held.astype(np.int64))
    (layer,) = result.layers
    assert (layer.accumulator_min, layer.accumulator_max) == (min(history), max(history))
    assert layer.overflow_events == events


@pytest.mark.parametrize(
    ("dataflow", "tiling", "where"),
    [
        ("weight_stationary", Tiling(1, 5, 1), "tiling.reduction"),
        ("weight_stationary", Tiling(1, 1, 4), "tiling.columns"),
        ("adder_tree", Tiling(1, 5, 1), "tiling.reduction"),
        ("input_stationary", Tiling(4, 1, 1), "tiling.rows"),
        ("output_stationary", Tiling(5, 1, 1), "tiling.rows"),
        ("output_stationary", Tiling(1, 1, 4), "tiling.columns"),
    ],
)
def test_tiles_larger_than_the_grid_are_refused(dataflow: str, tiling: Tiling, where: str) -> None:
    rng = np.random.default_rng(1)
    hardware = draw_hardware(rng, GridConfig(4, 3, Dataflow(dataflow)))
    case = draw_case(rng, MatrixMultiply, hardware)
    while min(case.command.output_to.shape[-2:]) < 6 or case.command.a.shape[-1 - case.command.transpose_a] < 6:
        case = draw_case(rng, MatrixMultiply, hardware)
    object.__setattr__(case.command, "tiling", tiling)
    with pytest.raises(ProgramError, match=where):
        case.run(Level.STEPPED)


def test_cycles_that_the_closed_forms_do_not_give_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    case = draw_case(rng, MatrixMultiply, draw_hardware(rng, GridConfig(4, 3)))
    true_time = stepped.matrix_grid_time

    def longer(command, hardware):
        time = true_time(command, hardware)
        return GridTime(time.tiles, time.before, time.after + 1)

    monkeypatch.setattr(stepped, "matrix_grid_time", longer)
    with pytest.raises(RuntimeError, match="closed forms"):
        case.run(Level.STEPPED)
