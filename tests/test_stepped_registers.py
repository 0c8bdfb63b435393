"""The stepped grid register by register: against grids in plain Python, and one cycle at a time against all at once."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matrix_commands import multiply
from one_command import random_cases
from plain_grid import PlainGrid
from stepped_cases import draw_grid, draw_hardware, draw_tiling

from accel_kernels import step_down, step_loads, step_ports, step_streams, step_sweeps
from accel_kernels._jit import lean_kernel
from accel_kernels.step_grid import Watch
from accel_kernels.step_ports import read_port_loops, write_port_loops
from accel_sim.hardware import Dataflow, GridConfig, OverflowPolicy
from accel_sim.sim.multiply_accumulate import Accumulator
from accel_sim.sim.stepped.folds import folds_of
from accel_sim.sim.stepped.grid import Products, SteppedGrid

STATIONARY = (Dataflow.WEIGHT_STATIONARY, Dataflow.INPUT_STATIONARY)


def draw_work(rng: np.random.Generator, grid: GridConfig, most: int) -> tuple[SteppedGrid, PlainGrid]:
    """The same product for the stepped grid and for plain Python."""
    m, k, n = (int(v) for v in rng.integers(1, most, 3))
    hardware = draw_hardware(rng, grid)
    command = multiply(hardware, m, k, n)
    command = replace(command, tiling=draw_tiling(rng, command, grid))
    if grid.dataflow is Dataflow.OUTPUT_STATIONARY:  # one fold in a tile: the plain grid knows no others
        command = replace(command, tiling=replace(command.tiling, rows=min(command.tiling.rows, grid.rows)))
    safe = bool(rng.integers(2))
    accumulator = Accumulator(32 if safe else 12, OverflowPolicy(rng.choice(["wrap", "saturate"])))
    x, w = (rng.integers(-128, 128, shape).astype(np.int16 if safe else np.int32) for shape in ((m, k), (n, k)))
    starts = rng.integers(-2000, 2000, n)
    stepped = SteppedGrid(
        grid, folds_of(command, grid).fields, Products(x[None], w[None], starts[None], accumulator, safe)
    )
    tiles = (command.tiling.rows, command.tiling.reduction, command.tiling.columns)
    wide = np.tile(starts, (m, 1))
    if grid.dataflow is Dataflow.INPUT_STATIONARY:
        x, w, wide, tiles = w, x, wide.T, tiles[::-1]
    order = (1, 0) if grid.dataflow is Dataflow.INPUT_STATIONARY else (0, 1)  # blocks of output pixels are outside
    saturates = accumulator.policy is OverflowPolicy.SATURATE
    plain = PlainGrid(
        grid.rows, grid.columns, grid.shadow_registers, x, w, wide, tiles, order, accumulator.bits, saturates
    )
    return stepped, plain


@pytest.mark.parametrize("shadow", [True, False])
@pytest.mark.parametrize("dataflow", Dataflow)
@random_cases(8)
def test_every_register_in_every_cycle(dataflow: Dataflow, shadow: bool, rng: np.random.Generator) -> None:
    stepped, plain = draw_work(rng, GridConfig(3, 3, dataflow, shadow), 8)
    run = {Dataflow.ADDER_TREE: plain.adder_tree, Dataflow.OUTPUT_STATIONARY: plain.resting_sums}
    cycles = run.get(dataflow, plain.resting_operand)()
    for t, registers in enumerate(plain.history):
        stepped.step(1)
        assert stepped.cycles == t + 1
        found = stepped.registers()
        for name, expected in registers.items():
            np.testing.assert_array_equal(getattr(found, name), expected, f"{name} after cycle {t}")
    stepped.step()
    assert stepped.cycles == cycles
    results = plain.acc.T if dataflow is Dataflow.INPUT_STATIONARY else plain.acc
    np.testing.assert_array_equal(stepped.results[0], results.astype(np.int64))


@pytest.mark.parametrize("dataflow", Dataflow)
@random_cases(8)
def test_one_cycle_at_a_time_or_all_at_once(dataflow: Dataflow, rng: np.random.Generator) -> None:
    """Long enough for the windows over the registers to begin anew, and for streams through vector code."""
    seed, grid = int(rng.integers(1 << 30)), draw_grid(rng, dataflow, most=int(rng.choice([5, 12, 40])))
    most = int(rng.choice([12, 60]))
    single, whole = (draw_work(np.random.default_rng(seed), grid, most)[0] for _ in range(2))
    whole.step()
    while not single.finished:
        single.step(1)
    assert single.cycles == whole.cycles
    np.testing.assert_array_equal(single.begins, whole.begins)
    np.testing.assert_array_equal(single.results, whole.results)
    np.testing.assert_array_equal(single.record(), whole.record())
    for name, expected in vars(whole.registers()).items():
        np.testing.assert_array_equal(getattr(single.registers(), name), expected, name)


@pytest.mark.parametrize("dataflow", Dataflow)
@pytest.mark.parametrize("start", [-1000, 1000])
@random_cases(5)
def test_the_record_is_of_accumulators_alone(dataflow: Dataflow, start: int, rng: np.random.Generator) -> None:
    """Lanes of vector code that no column uses hold 0, which no accumulator here comes near."""
    m, k, n = 40, 2, int(rng.integers(1, 40))
    hardware = draw_hardware(rng, GridConfig(2, 3, dataflow))
    command = multiply(hardware, m, k, n)
    command = replace(command, tiling=draw_tiling(rng, command, hardware.grid))
    x, w = (rng.integers(-3, 4, (1, size, k)).astype(np.int16) for size in (m, n))
    products = Products(x, w, np.full((1, n), start), Accumulator(32, OverflowPolicy.WRAP), safe=True)
    stepped = SteppedGrid(hardware.grid, folds_of(command, hardware.grid).fields, products)
    stepped.step()
    low, high, events = stepped.record()
    assert -1100 < low <= high < -900 if start < 0 else 900 < low <= high < 1100
    assert events == 0


@random_cases(60)
def test_vector_code_is_the_loops(rng: np.random.Generator) -> None:
    """Where PEs take over operands, and where none does; long sweeps and short ones."""
    cycles = int(rng.choice([1, step_down.DEPTH]))
    rows, lanes, window = cycles + int(rng.integers(0 if cycles == 1 else 1, 9)), 32 * int(rng.integers(1, 4)), 200
    short = lambda *shape: rng.integers(-(1 << 15), 1 << 15, shape).astype(np.int16)  # noqa: E731
    wide = lambda *shape: rng.integers(-1000, 1000, shape).astype(np.int32)  # noqa: E731
    taking = bool(rng.integers(2))
    takes = (rng.random((1, window)) < (0.05 if taking else 0)).astype(np.int32)
    down = step_down.Registers(
        short(rows, window).astype(np.int32), short(rows, lanes), short(rows, lanes), takes, wide(rows + 1, lanes),
        rng.integers(-1, rows, (1, window)).astype(np.int16), short(3, lanes), wide(2, 9, lanes),
        wide(2, cycles, lanes),
    )  # fmt: skip
    watch = Watch(np.zeros(lanes, np.int32), np.zeros(lanes, np.int32), np.zeros(lanes, np.int64), 32, 0)
    resting = (short(rows, window), 11, short(window, lanes), wide(rows, lanes), watch)
    slot, length = int(rng.integers(2)), int(rng.integers(1, 6))
    s, columns = int(rng.integers(min(6, 10 - cycles))), int(rng.integers(1, lanes + 1))
    fold = (down.memory, slot, s, length, columns)
    turned = (short(int(rng.integers(1, 70)), 80), 3, int(rng.integers(1, 70)))

    for loops, vectors, arguments in (
        (step_down.sweep_down_loops, sweep_down, (down, 7, *down.ports, watch, taking)),
        (step_sweeps.sweep_resting_loops, sweep_resting, resting),
        (read_port_loops, read_port, (*fold, down.sums[0], down.ports[0])),
        (write_port_loops, write_port, (*fold, down.ports[1])),
        (step_streams.turn_loops, turn, (*turned, short(70, len(turned[0])))),
    ):
        for expected, found in zip(after(loops, *arguments), after(vectors, *arguments), strict=True):
            np.testing.assert_array_equal(found, expected)


@random_cases(60)
def test_vector_code_loads_as_the_loops_do(rng: np.random.Generator) -> None:
    """Loads that follow one another as closely as cycles that go together allow; blocks, and what fills none."""
    short = lambda *shape: rng.integers(-(1 << 15), 1 << 15, shape).astype(np.int16)  # noqa: E731
    cycles, lanes = int(rng.choice([1, 4, 6, 13])), 32 * int(rng.integers(1, 4))
    rows = step_loads.GROUP + int(rng.integers(1, 40))
    counters: list[int] = [-1] * int(rng.integers(5))
    while len(counters) < lanes + cycles + 1:
        counters += [*range(rows), *[-1] * int(rng.integers(0 if cycles == 1 else step_loads.GROUP, 9))]
    loads = np.array([counters[: lanes + cycles + 1][::-1]], np.int16)
    shift = (short(rows, lanes), loads, cycles, short(rows + lanes, lanes), int(rng.integers(200)), cycles)

    rows, whole = 32 * int(rng.integers(1, 4)), bool(rng.integers(2))
    real, size = (32, rows) if whole else (int(rng.integers(0, 33)), int(rng.integers(1, rows + 1)))
    rests, place = short(40, rows + 9), (int(rng.integers(9)), real, int(rng.integers(10)), size)
    sent = (
        rests,
        *place,
        short(rows + lanes, lanes),
        int(rng.integers(300)),
        rows,
        32 * int(rng.integers(lanes // 32)),
    )

    for loops, vectors, arguments in (
        (step_loads.shift_loads_loops, shift_loads, shift),
        (step_loads.send_loops, send, sent),
    ):
        for expected, found in zip(after(loops, *arguments), after(vectors, *arguments), strict=True):
            np.testing.assert_array_equal(found, expected)


sweep_down, shift_loads, send, sweep_resting, read_port, write_port, turn = (
    lean_kernel(function)
    for function in (
        step_down.sweep_down_vectors,
        step_loads.shift_loads_vectors,
        step_loads.send_vectors,
        step_sweeps.sweep_resting_vectors,
        step_ports.read_port_vectors,
        step_ports.write_port_vectors,
        step_streams.turn_vectors,
    )
)


def after(function: Callable[..., None], *arguments: Any) -> list[np.ndarray]:
    """Copies of all arrays among the arguments, as the function leaves them."""
    copies = deepcopy(arguments)
    function(*copies)
    flat = [a for part in copies for a in (part if isinstance(part, tuple) else (part,))]
    return [a for a in flat if isinstance(a, np.ndarray)]
