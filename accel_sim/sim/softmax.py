"""ApplySoftmax: recipes as tables of exponentials by the distance to the maximum, but for ONNX Runtime's float32."""

from collections.abc import Callable
from functools import singledispatch

import numpy as np

from accel_kernels import softmax as kernels
from accel_kernels.softmax_lanes import softmax_lanes
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
    LaneSoftmax,
    RealSoftmax,
    SoftmaxRecipe,
    TableSoftmax16,
)
from accel_sim.program import ApplySoftmax
from accel_sim.records import dataclass
from accel_sim.sim.memory import Array, Memory
from accel_sim.sim.preparation import Context, Operation, Record, Run, prepares, refusal

Rows = Callable[[Array, Array], None]
"""(x [rows, n], codes [rows, n]) -> None."""


@dataclass(frozen=True)
class Tables:
    """What a softmax is computed with.

    Attributes:
        form: "fixed", "table16", "float32" or "float64", as `accel_kernels.softmax` names its kernels.
        exponentials: by the distance to the maximum.
        low, high, zero_point: of the output's codes.
        scale: of the output, for float forms.
        reciprocals: int64, for "table16".
        bits: of the output, for "fixed": 8 or 16.
    """

    form: str
    exponentials: Array
    low: int
    high: int
    zero_point: int = 0
    scale: float = 0.0
    reciprocals: Array | None = None
    bits: int = 0


@prepares(ApplySoftmax)
def prepare_softmax(command: ApplySoftmax, context: Context) -> Operation:
    """The operation of a softmax."""
    length, rows = command.input.shape[-1], _rows(command)

    def bind(memory: Memory, record: Record) -> Run:
        x, codes = memory.view(command.input), memory.view(command.output_to)
        matrix, target = x.reshape(-1, length), codes.reshape(-1, length)
        return lambda: rows(matrix, target)

    return Operation(bind)


def softmax_tables(command: ApplySoftmax) -> Tables:
    """What a command is computed with.

    Raises:
        ProgramError: more elements, wider codes or fewer exponentials than the arithmetic holds.
    """
    limits = np.iinfo(command.input.dtype)
    if limits.bits > 16:
        raise refusal("input", command.input.dtype, "holds codes of at most 16 bits")
    return _tables(command.recipe, int(limits.max) - int(limits.min) + 1, command.input.shape[-1])


def _rows(command: ApplySoftmax) -> Rows:
    if isinstance(command.recipe, LaneSoftmax):
        return _lane_rows(command.recipe)
    tables = softmax_tables(command)
    exponentials, low, high, scale, zero = (
        tables.exponentials,
        tables.low,
        tables.high,
        tables.scale,
        tables.zero_point,
    )
    if tables.form == "fixed":
        return lambda x, codes: kernels.softmax_fixed(x, exponentials, low, high, tables.bits, codes)
    if tables.form == "table16":
        return lambda x, codes: kernels.softmax_table16(x, exponentials, tables.reciprocals, codes)
    kernel = kernels.softmax_float32 if tables.form == "float32" else kernels.softmax_float64
    return lambda x, codes: kernel(x, exponentials, scale, zero, low, high, codes)


def _lane_rows(recipe: LaneSoftmax) -> Rows:
    """Without a table: float32 tells arguments apart that lie equally far from different maxima."""
    given = np.float32(recipe.input_scale), recipe.input_zero_point
    grid = np.float32(recipe.scale), recipe.zero_point, recipe.low, recipe.high
    return lambda x, codes: softmax_lanes(x, *given, *grid, codes)


@singledispatch
def _tables(recipe: SoftmaxRecipe, distances: int, length: int) -> Tables:
    """Those of rows of `length` codes, which may lie 0 to distances - 1 below their maximum."""
    raise refusal("recipe", type(recipe).__name__, "is a softmax that the machine has")


@_tables.register
def _(recipe: FixedPointSoftmax, distances: int, length: int) -> Tables:
    if length >= 1 << 13:
        raise refusal("input", f"{length} elements", "sums fewer than 8192 exponentials in 32 bits")
    difference = -unbounded(np.arange(distances))
    counts = (difference >= recipe.diff_min).astype(bool)
    near = np.where(counts, difference, 0)
    scaled = saturating_rounding_doubling_high_mul(wrap32(near * (1 << recipe.left_shift)), recipe.multiplier)
    table = np.where(counts, exp_on_negative_values(scaled, 5), -1).astype(np.int64)
    return Tables("fixed", table, recipe.low, recipe.high, bits=recipe.output_bits)


@_tables.register
def _(recipe: TableSoftmax16, distances: int, length: int) -> Tables:
    if length >= 1 << 16:
        raise refusal("input", f"{length} elements", "sums fewer than 65536 exponentials in 31 bits")
    scaled = multiply_double_round(-unbounded(np.arange(distances)), recipe.multiplier, recipe.shift)
    argument = clamp(scaled + 32767, -32768, 32767).astype(np.int64)
    table = np.asarray(interpolate(exponential_table(), argument)).astype(np.int64)
    return Tables("table16", table, 0, 32767, reciprocals=np.array(reciprocal_table(), np.int64))


@_tables.register
def _(recipe: FloatTableSoftmax, distances: int, length: int) -> Tables:
    table = np.array(recipe.exponentials[::-1], np.float32)
    _check_table(len(table), distances)
    return Tables("float32", table, recipe.low, recipe.high, recipe.zero_point, float(recipe.output_scale))


@_tables.register
def _(recipe: RealSoftmax, distances: int, length: int) -> Tables:
    table = np.array(recipe.exponentials, np.float64)
    _check_table(len(table), distances)
    return Tables("float64", table, recipe.low, recipe.high, recipe.zero_point, float(recipe.scale))


def _check_table(entries: int, distances: int) -> None:
    if entries < distances:
        raise refusal("recipe.exponentials", f"{entries} values", f"has one for each of {distances} distances")
