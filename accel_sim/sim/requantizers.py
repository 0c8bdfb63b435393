"""Requantization recipes as the hardware's tables: from accumulators to codes by the kernels."""

from collections.abc import Callable
from dataclasses import fields
from fractions import Fraction
from functools import singledispatch

import numpy as np
from numpy.typing import NDArray

from accel_kernels import requantize_exact as exact
from accel_kernels import requantize_fixed as fixed
from accel_kernels import requantize_float as floating
from accel_sim.numerics.requantization import (
    DoubleRequantization,
    FixedPointRequantization,
    FloatGridRequantization,
    FloatRequantization,
    RationalRequantization,
    Requantization,
    Rounding,
    ShiftRequantization,
    TieRule,
)
from accel_sim.records import dataclass
from accel_sim.sim.memory import Array
from accel_sim.sim.preparation import refusal

Requantizer = Callable[[Array, int, Array], None]
"""(accumulators [at least rows, C], rows, codes [at least rows, C]) -> None."""

TIES = {TieRule.HALF_EVEN: exact.TIES_EVEN, TieRule.HALF_UP: exact.TIES_UP}

_MOST_COLUMNS = 4096


@dataclass(frozen=True)
class Shape:
    """What a requantizer is made for: `channels` columns of int32, or with `wide` int64, accumulators."""

    channels: int
    wide: bool


def prepare_requantizer(recipe: Requantization, channels: int, accumulators: np.dtype[np.generic]) -> Requantizer:
    """The requantizer of accumulators [rows, channels].

    Raises:
        ProgramError: parameters that do not fit the hardware's requantizer.
    """
    return _prepare(recipe, Shape(channels, accumulators == np.int64))


def prepare_copy(accumulators: np.dtype[np.generic], codes: np.dtype[np.generic]) -> Requantizer:
    """The requantizer that writes the accumulators themselves."""
    if codes.itemsize < accumulators.itemsize:
        raise refusal("output_to", str(codes), f"holds raw accumulators of type {accumulators}")
    return lambda values, rows, target: np.copyto(target[:rows], values[:rows])


def prepare_output(
    recipe: Requantization | None, channels: int, accumulators: np.dtype[np.generic], codes: str
) -> Requantizer:
    """The requantizer of a command's output: of its recipe, or none.

    Raises:
        ProgramError: as `prepare_requantizer` and `prepare_copy`.
    """
    if recipe is None:
        return prepare_copy(accumulators, np.dtype(codes))
    return prepare_requantizer(recipe, channels, accumulators)


def matrix_form(recipe: Requantization, shape: tuple[int, ...]) -> tuple[int, int]:
    """(rows, columns) in which to requantize an array: the last axis are the channels of a per-channel recipe."""
    size = int(np.prod(shape, dtype=np.int64))
    if is_per_channel(recipe):
        return size // max(shape[-1], 1), shape[-1]
    columns = next((n for n in range(min(size, _MOST_COLUMNS), 0, -1) if size % n == 0), 1)
    return size // columns, columns


def is_per_channel(recipe: Requantization) -> bool:
    """Whether any field of the recipe has a value for each channel."""
    values = (getattr(recipe, f.name) for f in fields(recipe))
    return any(isinstance(value, tuple) and len(value) > 1 for value in values)


@singledispatch
def _prepare(recipe: Requantization, shape: Shape) -> Requantizer:
    raise refusal("output", type(recipe).__name__, "is a requantization that the machine has")


@_prepare.register
def _(recipe: FixedPointRequantization, shape: Shape) -> Requantizer:
    table = fixed_point_table(recipe.multiplier, recipe.shift, recipe.rounding, shape.channels)
    _limits(recipe, table)
    sum_wraps = 0 if recipe.saturating else 32
    exceeds = shape.wide and recipe.rounding is not Rounding.DOUBLE  # double rounding wraps its operand to 32 bits
    return _fixed(table, recipe.zero_point, 32, sum_wraps, wide=exceeds)


@_prepare.register
def _(recipe: ShiftRequantization, shape: Shape) -> Requantizer:
    largest = max(map(abs, recipe.multiplier), default=0)
    _check("output.multiplier", largest, 1 << 31)
    _check("output.addend", max(map(abs, recipe.addend), default=0), 1 << 61)
    if not 0 <= recipe.shift <= 62:
        raise refusal("output.shift", str(recipe.shift), "is 0 to 62")
    table = np.zeros((fixed.FIELDS, shape.channels), np.int64)
    table[fixed.MULTIPLIER] = recipe.multiplier
    table[fixed.ADDEND] = recipe.addend
    table[fixed.RIGHT] = recipe.shift
    _limits(recipe, table)
    return _fixed(table, recipe.zero_point, 0, 0, wide=shape.wide)


@_prepare.register
def _(recipe: FloatRequantization, shape: Shape) -> Requantizer:
    scale = _columns(recipe.scale, shape.channels, np.float32)
    low, high = _offset_limits(recipe, shape.channels)

    def requantize(accumulators: Array, rows: int, codes: Array) -> None:
        floating.requantize_float32_half_even(accumulators, scale, low, high, recipe.zero_point, rows, codes)

    return requantize


@_prepare.register
def _(recipe: FloatGridRequantization, shape: Shape) -> Requantizer:
    input_scale, scale = np.float32(recipe.input_scale), np.float32(recipe.scale)
    low, high = _offset_limits(recipe, shape.channels)

    def requantize(accumulators: Array, rows: int, codes: Array) -> None:
        floating.requantize_float32_grid(accumulators, input_scale, scale, low, high, recipe.zero_point, rows, codes)

    return requantize


@_prepare.register
def _(recipe: DoubleRequantization, shape: Shape) -> Requantizer:
    scale = _columns(recipe.scale, shape.channels, np.float64)
    low, high = _code_limits(recipe, shape.channels)

    def requantize(accumulators: Array, rows: int, codes: Array) -> None:
        floating.requantize_float64_half_away(accumulators, scale, low, high, recipe.zero_point, rows, codes)

    return requantize


@_prepare.register
def _(recipe: RationalRequantization, shape: Shape) -> Requantizer:
    count = max(len(recipe.numerator), len(recipe.denominator))
    pairs = zip(_repeated(recipe.numerator, count), _repeated(recipe.denominator, count), strict=True)
    scales = [min(Fraction(n, d), Fraction(exact.LARGEST_SCALE)) for n, d in pairs]
    reach = max(abs(code - recipe.zero_point) for code in (*recipe.low, *recipe.high))
    _check("output.low, high", reach, exact.LARGEST_SCALE)  # so that a scale that large saturates, whatever it is
    denominator = max(s.denominator for s in scales)
    limbs, half = exact.scale_limbs(scales, denominator), exact.half_limbs(denominator)
    table = np.ascontiguousarray(np.broadcast_to(limbs, (len(half), shape.channels)))
    low, high = _code_limits(recipe, shape.channels)
    ties, zero_point = TIES[recipe.ties], recipe.zero_point
    if not shape.wide:
        return lambda acc, rows, codes: exact.requantize_exact(
            acc, table, half, ties, zero_point, low, high, rows, codes
        )
    capped = [min(s, Fraction(exact.LARGEST_SCALE, 1 << 32)) for s in scales]
    upper = exact.scale_limbs(capped, denominator, shifted=32)
    upper_table = np.ascontiguousarray(np.broadcast_to(upper, table.shape))
    return lambda acc, rows, codes: exact.requantize_exact_wide(
        acc, table, upper_table, half, ties, zero_point, low, high, rows, codes
    )


def fixed_point_table(
    multiplier: tuple[int, ...], shift: tuple[int, ...], rounding: Rounding, channels: int
) -> NDArray[np.int64]:
    """int64 [FIELDS, channels] of `accel_kernels.requantize_fixed` for multipliers m * 2^(s - 31), without limits.

    Raises:
        ProgramError: a multiplier or shift that the requantizer does not have.
    """
    table = np.zeros((fixed.FIELDS, channels), np.int64)
    m, s = np.array(multiplier, np.int64), np.array(shift, np.int64)
    if rounding is Rounding.SINGLE_16BIT:
        table[fixed.MULTIPLIER] = np.where(m < 0x7FFF0000, (m + (1 << 15)) >> 16, 0x7FFF)
        table[fixed.RIGHT] = 15 - s
    elif rounding is Rounding.SINGLE:
        table[fixed.MULTIPLIER], table[fixed.RIGHT] = m, 31 - s
    else:
        table[fixed.MULTIPLIER], table[fixed.RIGHT] = m, 31 + np.maximum(-s, 0)
        table[fixed.LEFT] = np.clip(s, 0, 32)  # 32 places leave nothing of an int32, and more neither
        table[fixed.SIGN_ADDEND] = np.where(table[fixed.RIGHT] > 31, 1 << 30, 0)
    low, high = int(m.min()), int(m.max())
    if (low < 0 and rounding is Rounding.DOUBLE) or low < -(1 << 31) or high >= 1 << 31:
        raise refusal("multiplier", f"{low} to {high}", "fits int32, and is not negative with double rounding")
    right = table[fixed.RIGHT]
    if right.min() < 1 or right.max() > 62:
        raise refusal("shift", f"{min(shift)} to {max(shift)}", "leaves a right shift of 1 to 62 places")
    table[fixed.ADDEND] = np.left_shift(1, right - 1)
    return table


def _fixed(table: NDArray[np.int64], zero_point: int, wraps: int, sum_wraps: int, *, wide: bool) -> Requantizer:
    kernel = fixed.requantize_fixed_wide if wide else fixed.requantize_fixed
    return lambda acc, rows, codes: kernel(acc, table, zero_point, wraps, sum_wraps, rows, codes)


def _limits(recipe: Requantization, table: NDArray[np.int64]) -> None:
    table[fixed.LOWEST], table[fixed.HIGHEST] = recipe.low, recipe.high


def _columns(values: tuple[float, ...], channels: int, dtype: type[np.generic]) -> Array:
    return np.ascontiguousarray(np.broadcast_to(np.array(values, dtype), channels))


def _code_limits(recipe: Requantization, channels: int) -> tuple[Array, Array]:
    return _columns(recipe.low, channels, np.int64), _columns(recipe.high, channels, np.int64)


def _offset_limits(recipe: Requantization, channels: int) -> tuple[Array, Array]:
    """The limits of the codes minus the zero point, float32."""
    low = tuple(code - recipe.zero_point for code in recipe.low)
    high = tuple(code - recipe.zero_point for code in recipe.high)
    return _columns(low, channels, np.float32), _columns(high, channels, np.float32)


def _repeated(values: tuple[int, ...], count: int) -> tuple[int, ...]:
    return values * count if len(values) == 1 else values


def _check(what: str, magnitude: int, limit: int) -> None:
    if magnitude >= limit:
        raise refusal(what, str(magnitude), f"is below {limit} in magnitude")
