"""Random ADD, SUB, MUL, MINIMUM and MAXIMUM models."""

from __future__ import annotations

import numpy as np
from oracles.tflite_builder import options
from oracles.tflite_draw import LIMITS, Case, CaseBuilder, Draw, Grid

_SHARES = {"int8": 0.6, "uint8": 0.2, "int16": 0.2}


def _shapes(draw: Draw) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Shapes of both operands and of the result; half of them broadcast."""
    result = draw.shape(draw.integer(1, 4), 1, 5)
    if draw.chance(0.5):
        return result, result, result
    left, right = list(result), list(result)
    for axis in range(len(result)):
        if draw.chance(0.5):
            draw.pick([left, right])[axis] = 1
    cut = draw.integer(0, len(result) - 1)
    short = draw.pick([left, right])
    del short[:cut]
    return tuple(left), tuple(right), tuple(int(n) for n in np.broadcast_shapes(tuple(left), tuple(right)))


def _operands(case: CaseBuilder, dtype: str, a: Grid, b: Grid) -> tuple[int, ...]:
    draw = case.draw
    left, right, shape = _shapes(draw)
    constant = draw.integer(0, 3)  # 0: the first operand is a constant, 1: the second, else none
    case.operand(draw.codes(left, dtype), dtype, a, "a", constant=constant == 0)
    case.operand(draw.codes(right, dtype), dtype, b, "b", constant=constant == 1)
    return shape


def _add_or_sub(draw: Draw, operator: str, kind: str) -> Case:
    dtype = draw.weighted(_SHARES)
    a = draw.grid(dtype)
    spread = 1 if draw.chance(0.5) else 6  # scales within a factor of two meet ties of the sum
    b = draw.grid_near(float(a.scale), dtype, -spread, spread)
    y = draw.grid_near(max(float(a.scale), float(b.scale)), dtype, -1, 3)
    case = CaseBuilder(operator, draw)
    case.output(_operands(case, dtype, a, b), dtype, y)
    fields = {"fusedActivationFunction": draw.activation(), "potScaleInt16": False}
    return case.finish(dtype, options(kind, **fields), version=2)


def add(draw: Draw) -> Case:
    """ADD: int8, uint8, int16 (general scales); broadcasting; fused activations."""
    return _add_or_sub(draw, "ADD", "Add")


def sub(draw: Draw) -> Case:
    """SUB: int8, uint8, int16 (general scales); broadcasting; fused activations."""
    return _add_or_sub(draw, "SUB", "Sub")


def mul(draw: Draw) -> Case:
    """MUL: int8, uint8, int16; broadcasting; fused activations."""
    dtype = draw.weighted(_SHARES)
    a, b = draw.grid(dtype), draw.grid(dtype)
    product = float(a.scale) * float(b.scale)
    y = draw.grid_near(product * LIMITS[dtype][1], dtype, -3, 1)
    case = CaseBuilder("MUL", draw)
    case.output(_operands(case, dtype, a, b), dtype, y)
    return case.finish(dtype, options("Mul", fusedActivationFunction=draw.activation()), version=2)


def _extremum(draw: Draw, operator: str) -> Case:
    dtype = draw.weighted(_SHARES)
    grid = draw.grid(dtype)
    case = CaseBuilder(operator, draw)
    case.output(_operands(case, dtype, grid, grid), dtype, grid)
    return case.finish(dtype, options("MaximumMinimum"), version=2)


def minimum(draw: Draw) -> Case:
    """MINIMUM: one grid for all three tensors; broadcasting."""
    return _extremum(draw, "MINIMUM")


def maximum(draw: Draw) -> Case:
    """MAXIMUM: one grid for all three tensors; broadcasting."""
    return _extremum(draw, "MAXIMUM")
