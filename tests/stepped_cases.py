"""Random matrix commands, with their operands, for random grids: what the tests of the stepped level run."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from one_command import HARDWARE, Layout, codes, tied
from test_machine_accumulators import TYPES, draw_bias, draw_groups, draw_window, draw_zero_points

from accel_sim.hardware import (
    AcceleratorConfig,
    AccumulatorConfig,
    Dataflow,
    GridConfig,
    MemoryConfig,
    OverflowPolicy,
)
from accel_sim.program import Convolve, MatrixMultiply, Operand, Tiling, TransposeConvolve
from accel_sim.program.geometry import MatrixCommand, matrix_shape
from accel_sim.sim.result import Level, RunResult

UNLIMITED = MemoryConfig(float("inf"), 0, 1 << 40, 1 << 40, 1 << 40)
KINDS = (Convolve, TransposeConvolve, MatrixMultiply)


@dataclass(frozen=True)
class Case:
    """A command, where its operands lie, what it writes and the accelerator it runs on."""

    layout: Layout
    command: MatrixCommand
    output: Operand
    hardware: AcceleratorConfig

    def run(self, level: Level) -> RunResult:
        return self.layout.run(self.command, self.output, level, self.hardware)


def draw_grid(rng: np.random.Generator, dataflow: Dataflow, *, most: int = 9) -> GridConfig:
    rows, columns = (int(n) for n in rng.integers(1, most + 1, 2))
    return GridConfig(rows, columns, dataflow, shadow_registers=bool(rng.integers(2)))


def draw_hardware(rng: np.random.Generator, grid: GridConfig) -> AcceleratorConfig:
    bits = int(rng.choice([8, 12, 16, 17, 20, 24, 31, 32, 32, 32]))
    accumulator = AccumulatorConfig(bits, OverflowPolicy(rng.choice(["wrap", "saturate"])))
    return replace(HARDWARE, grid=grid, memory=UNLIMITED, accumulator=accumulator)


def draw_case(rng: np.random.Generator, kind: type, hardware: AcceleratorConfig) -> Case:
    layout, wide = Layout(), rng.random() < 0.15
    x_type, w_type = (np.int16, np.int8) if wide else TYPES[rng.integers(3)]
    draw = _matrix_multiply if kind is MatrixMultiply else _convolution
    command, output = draw(rng, layout, kind, x_type, w_type, hardware.accumulator.bits, wide)
    return Case(layout, replace(command, tiling=draw_tiling(rng, command, hardware.grid)), output, hardware)


def draw_tiling(rng: np.random.Generator, command: MatrixCommand, grid: GridConfig) -> Tiling:
    """Any tiles that the grid holds at once."""
    shape = matrix_shape(command)
    most = {"rows": shape.rows, "reduction": shape.reduction, "columns": shape.columns}
    if grid.dataflow is not Dataflow.OUTPUT_STATIONARY:
        most["reduction"] = min(shape.reduction, grid.rows)
    across = "rows" if grid.dataflow is Dataflow.INPUT_STATIONARY else "columns"
    most[across] = min(most[across], grid.columns)
    sizes = {axis: n if rng.random() < 0.5 else int(rng.integers(1, n + 1)) for axis, n in most.items()}
    if grid.dataflow is Dataflow.OUTPUT_STATIONARY and sizes["reduction"] < shape.reduction:
        sizes["rows"] = min(sizes["rows"], grid.rows)
    return Tiling(**sizes)


def _convolution(
    rng: np.random.Generator, layout: Layout, kind: Any, x_type: Any, w_type: Any, bits: int, wide: bool
) -> tuple[MatrixCommand, Operand]:
    extreme = tied(rng)
    groups, inputs, outputs = draw_groups(rng)
    shape = (int(rng.integers(1, 3)), *(int(n) for n in rng.integers(1, 6, 2)), groups * inputs)
    window, hw = draw_window(rng, shape)
    x = codes(rng, shape, x_type, extreme=extreme)
    w = codes(rng, (outputs, *window.kernel, inputs), w_type, extreme=extreme)
    bias = draw_bias(rng, outputs, 2 * bits if wide else bits, wide=wide, extreme=extreme)
    w_zero = draw_zero_points(rng, w_type, outputs) if rng.random() < 0.3 else (0,)
    result = layout.result("y", (shape[0], *hw, outputs), np.int64 if wide else np.int32)
    command = kind(
        "layer", "op", layout.input("x", x), layout.constant("w", w),
        layout.constant("b", bias) if rng.random() < 0.8 else None,
        result, window, groups, draw_zero_points(rng, x_type, 1)[0], w_zero, wide, None, Tiling(1, 1, 1),
    )  # fmt: skip
    return command, result


def _matrix_multiply(
    rng: np.random.Generator, layout: Layout, _kind: Any, a_type: Any, b_type: Any, _bits: int, wide: bool
) -> tuple[MatrixCommand, Operand]:
    extreme = tied(rng)
    m, k, n = (int(v) for v in rng.integers(1, 24, 3))
    a_lead, b_lead = [((), ()), ((2,), (2,)), ((3, 1), (2,)), ((), (2,))][rng.integers(4)]
    transpose_a, transpose_b = bool(rng.integers(2)), bool(rng.integers(2))
    a = codes(rng, (*a_lead, *((k, m) if transpose_a else (m, k))), a_type, extreme=extreme)
    b = codes(rng, (*b_lead, *((n, k) if transpose_b else (k, n))), b_type, extreme=extreme)
    b_zero = draw_zero_points(rng, b_type, n) if rng.random() < 0.3 else (0,)
    result = layout.result("y", (*np.broadcast_shapes(a_lead, b_lead), m, n), np.int64 if wide else np.int32)
    right = layout.constant("b", b) if rng.random() < 0.5 else layout.input("b", b)
    a_zero = draw_zero_points(rng, a_type, 1)[0]
    command = MatrixMultiply(
        "layer", "op", layout.input("a", a), right, result, transpose_a, transpose_b, a_zero, b_zero, wide, None,
        Tiling(1, 1, 1),
    )  # fmt: skip
    return command, result
