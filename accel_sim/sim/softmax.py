"""ApplySoftmax: every recipe as a table of exponentials by the distance to the maximum."""

from collections.abc import Callable
from functools import singledispatch

import numpy as np

from accel_kernels import softmax as kernels
from accel_sim.numerics.gemmlowp import exp_on_negative_values
from accel_sim.numerics.integers import (
    clamp,
    multiply_double_round,
    saturating_rounding_doubling_high_mul,
    unbounded,
    wrap32,
)
from accel_sim.numerics.interpolated import exponential_table, interpolate, reciprocal_table
from accel_sim.numerics.softmax import (
    FixedPointSoftmax,
    FloatTableSoftmax,
    RealSoftmax,
    SoftmaxRecipe,
    TableSoftmax16,
)
from accel_sim.program import ApplySoftmax
from accel_sim.sim.memory import Array, Memory
from accel_sim.sim.preparation import Context, Operation, Record, Run, prepares, refusal

Rows = Callable[[Array, Array], None]
"""(x [rows, n], codes [rows, n]) -> None."""


@prepares(ApplySoftmax)
def prepare_softmax(command: ApplySoftmax, context: Context) -> Operation:
    """The operation of a softmax."""
    limits = np.iinfo(command.input.dtype)
    if limits.bits > 16:
        raise refusal("input", command.input.dtype, "holds codes of at most 16 bits")
    length = command.input.shape[-1]
    rows = _prepare_rows(command.recipe, int(limits.max) - int(limits.min) + 1, length)

    def bind(memory: Memory, record: Record) -> Run:
        x, codes = memory.view(command.input), memory.view(command.output_to)
        matrix, target = x.reshape(-1, length), codes.reshape(-1, length)
        return lambda: rows(matrix, target)

    return Operation(bind)


@singledispatch
def _prepare_rows(recipe: SoftmaxRecipe, distances: int, length: int) -> Rows:
    """The softmax of rows of `length` codes, which may lie 0 to distances - 1 below their maximum."""
    raise refusal("recipe", type(recipe).__name__, "is a softmax that the machine has")


@_prepare_rows.register
def _(recipe: FixedPointSoftmax, distances: int, length: int) -> Rows:
    if length >= 1 << 13:
        raise refusal("input", f"{length} elements", "sums fewer than 8192 exponentials in 32 bits")
    difference = -unbounded(np.arange(distances))
    counts = (difference >= recipe.diff_min).astype(bool)
    near = np.where(counts, difference, 0)
    scaled = saturating_rounding_doubling_high_mul(wrap32(near * (1 << recipe.left_shift)), recipe.multiplier)
    table = np.where(counts, exp_on_negative_values(scaled, 5), -1).astype(np.int64)
    low, high, bits = recipe.low, recipe.high, recipe.output_bits
    return lambda x, codes: kernels.softmax_fixed(x, table, low, high, bits, codes)


@_prepare_rows.register
def _(recipe: TableSoftmax16, distances: int, length: int) -> Rows:
    if length >= 1 << 16:
        raise refusal("input", f"{length} elements", "sums fewer than 65536 exponentials in 31 bits")
    scaled = multiply_double_round(-unbounded(np.arange(distances)), recipe.multiplier, recipe.shift)
    argument = clamp(scaled + 32767, -32768, 32767).astype(np.int64)
    table = np.asarray(interpolate(exponential_table(), argument)).astype(np.int64)
    reciprocals = np.array(reciprocal_table(), np.int64)
    return lambda x, codes: kernels.softmax_table16(x, table, reciprocals, codes)


@_prepare_rows.register
def _(recipe: FloatTableSoftmax, distances: int, length: int) -> Rows:
    table = np.array(recipe.exponentials[::-1], np.float32)
    _check_table(len(table), distances)
    scale, zero_point, low, high = float(recipe.output_scale), recipe.zero_point, recipe.low, recipe.high
    return lambda x, codes: kernels.softmax_float32(x, table, scale, zero_point, low, high, codes)


@_prepare_rows.register
def _(recipe: RealSoftmax, distances: int, length: int) -> Rows:
    table = np.array(recipe.exponentials, np.float64)
    _check_table(len(table), distances)
    scale, zero_point, low, high = float(recipe.scale), recipe.zero_point, recipe.low, recipe.high
    return lambda x, codes: kernels.softmax_float64(x, table, scale, zero_point, low, high, codes)


def _check_table(entries: int, distances: int) -> None:
    if entries < distances:
        raise refusal("recipe.exponentials", f"{entries} values", f"has one for each of {distances} distances")
