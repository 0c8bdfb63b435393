"""Tables, requantization of codes, sums over axes, average pooling and choices of pixels as native steps."""

from fractions import Fraction
from math import prod

import numpy as np

from accel_kernels.native.number_fields import AVERAGE_FIELDS, MEAN_FIELDS
from accel_kernels.native.tables import Field, epilogue_table, number_table
from accel_kernels.native.tier import tier
from accel_sim.numerics.integers import reciprocal_scale
from accel_sim.numerics.pooling import (
    AverageRecipe,
    FloatAverage,
    FloatMean,
    RationalAverage,
    ReciprocalAverage,
    SumOrder,
    SumRequantization,
    TruncatingAverage,
)
from accel_sim.numerics.requantization import RationalRequantization, Requantization
from accel_sim.program import Gather2D, Lookup, PoolAverage, Reduce, RequantizeCodes
from accel_sim.sim.native.epilogue import choose_epilogue
from accel_sim.sim.native.rational import float64_rescaling
from accel_sim.sim.native.step import CODES, OPERANDS, NativeStep, Source, lowers, pinned, target
from accel_sim.sim.pooling import window_divisors
from accel_sim.sim.preparation import Context
from accel_sim.sim.requantizers import is_per_channel
from accel_sim.sim.tables import covering_tables, selected_tables

_CONVERTED = {**OPERANDS, "uint16": "u16"}
_BITS = {"int8": 8, "uint8": 8, "int16": 16, "uint16": 16, "int32": 32}
_MOST_IN_SUM = 1 << 29
_LEAST_TERMS = 11  # of the mean in packets
_MOST_IN_FLOAT = 1 << 21


@lowers(Lookup)
def lower_lookup(command: Lookup, context: Context) -> NativeStep | None:
    """The step of a table, or of one of several for each element."""
    x, y = command.input, command.output_to
    if x.dtype not in _CONVERTED or y.dtype not in _BITS or command.table.dtype != y.dtype:
        return None
    tables, _ = covering_tables(command, context)
    table, index = pinned(tables), pinned(selected_tables(command, context, tables).astype(np.int32))
    origin = Source.of(x, context)
    values = {
        **origin.fields(),
        **target(y),
        Field.SIZE: y.size,
        Field.TABLE: table.ctypes.data,
        Field.OTHER: index.ctypes.data,
    }
    name = f"lookup:{_CONVERTED[x.dtype]}:{_BITS[y.dtype]}" + ("" if command.table_index is None else ":indexed")
    return NativeStep(name, values, 0, (table, index, *origin.kept))


@lowers(RequantizeCodes)
def lower_requantize(command: RequantizeCodes, context: Context) -> NativeStep | None:
    """The step of a change of grid: channel by channel, or the whole tensor as rows of one vector each."""
    x, y, lanes = command.input, command.output_to, tier().lanes
    if not _convertible(x.dtype, y.dtype) or not y.size:
        return None
    if is_per_channel(command.output):
        channels, rest = x.shape[-1], 0
    else:
        channels, rest = lanes, y.size % lanes
    found = _table(command.output, -command.input_zero_point, channels)
    if found is None:
        return None
    kind, table = found
    origin = Source.of(x, context)
    values = {
        **origin.fields(),
        **target(y),
        Field.SIZE: y.size // channels,
        Field.CHANNELS: channels,
        Field.EXTRA: rest,
        Field.TABLE: table.ctypes.data,
        Field.TABLE_STRIDE: table.strides[0],
    }
    return NativeStep(f"requantize:{_CONVERTED[x.dtype]}:{kind}:{_BITS[y.dtype]}", values, 0, (table, *origin.kept))


@lowers(Reduce)
def lower_reduce(command: Reduce, context: Context) -> NativeStep | None:
    """The step of a requantized sum, or of a mean in float32, over neighbouring axes."""
    x, y, recipe = command.input, command.output_to, command.recipe
    axes = _neighbours(command)
    if not x.size or not axes:
        return None
    if isinstance(recipe, FloatMean):
        return _float_mean(recipe, command, axes, context)
    if not isinstance(recipe, SumRequantization) or not _convertible(x.dtype, y.dtype):
        return None
    rows, channels = prod(x.shape[axes[0] : axes[-1] + 1]), prod(x.shape[axes[-1] + 1 :])
    if is_per_channel(recipe.output) and channels != x.shape[-1]:
        return None
    if rows * (1 << _BITS[x.dtype]) + abs(recipe.offset) >= 1 << 31:
        return None
    found = _table(recipe.output, -recipe.offset, channels)
    if found is None:
        return None
    kind, table = found
    origin = Source.of(x, context)
    values = {
        **origin.fields(),
        **target(y),
        Field.IMAGES: prod(x.shape[: axes[0]]),
        Field.SIZE: rows,
        Field.CHANNELS: channels,
        Field.TABLE: table.ctypes.data,
        Field.TABLE_STRIDE: table.strides[0],
    }
    return NativeStep(f"reduce:{_CONVERTED[x.dtype]}:{kind}:{_BITS[y.dtype]}", values, 0, (table, *origin.kept))


def _neighbours(command: Reduce) -> list[int]:
    """The reduced axes and what lies between them; nothing where another axis of more than one element does."""
    shape = command.input.shape
    long = [axis for axis in sorted(command.axes) if shape[axis] != 1] or sorted(command.axes)[:1]
    axes = list(range(long[0], long[-1] + 1)) if long else []
    return axes if all(axis in command.axes or shape[axis] == 1 for axis in axes) else []


def _float_mean(recipe: FloatMean, command: Reduce, axes: list[int], context: Context) -> NativeStep | None:
    """The step of a mean; in the order of Eigen's packets, of one row for each channel."""
    x, y = command.input, command.output_to
    images, count = prod(x.shape[: axes[0]]), prod(x.shape[axes[0] : axes[-1] + 1])
    channels = prod(x.shape[axes[-1] + 1 :])
    aligned = images == 1 or channels * count % 4 == 0
    if recipe.order in (SumOrder.ROWS, SumOrder.ROW_BLOCKS):
        order, fits = "rows", recipe.row == count >= _LEAST_TERMS and aligned
    else:
        order, fits = recipe.order.value, True
    if x.dtype not in CODES or y.dtype not in CODES or not fits:
        return None
    zero_point = recipe.zero_point
    numbers = {
        **{"input_scale": recipe.input_scale, "scale": recipe.scale, "count": count},
        **{"low": recipe.low - zero_point, "high": recipe.high - zero_point},
        **{"input_zero": recipe.input_zero_point, "zero_point": zero_point},
    }
    table, origin = pinned(number_table(MEAN_FIELDS, numbers)), Source.of(x, context)
    values = {
        **origin.fields(),
        **target(y),
        **{Field.IMAGES: images, Field.SIZE: count, Field.CHANNELS: channels, Field.TABLE: table.ctypes.data},
    }
    return NativeStep(f"mean:{CODES[x.dtype]}:{order}", values, 0, (table, *origin.kept))


@lowers(PoolAverage)
def lower_pool_average(command: PoolAverage, context: Context) -> NativeStep | None:
    """The step of an average pooling of codes of at most 16 bits."""
    x, y, window, recipe = command.input, command.output_to, command.window, command.recipe
    if x.dtype not in OPERANDS or y.dtype not in OPERANDS or _BITS[x.dtype] != _BITS[y.dtype] or not y.size:
        return None
    found, counts = _average_numbers(recipe), window_divisors(command)
    if found is None or not counts.all() or int(counts.max()) << _BITS[x.dtype] >= _MOST_IN_SUM:
        return None
    form, numbers = found
    scales = _scales(recipe, counts)
    if scales is None:
        return None
    kept = pinned(number_table(AVERAGE_FIELDS[form], numbers)), pinned(counts.astype(np.int64)), pinned(scales)
    origin = Source.of(x, context)
    values = {
        **origin.fields(),
        **target(y),
        Field.IMAGES: y.shape[0],
        Field.HEIGHT: x.shape[1],
        Field.WIDTH: x.shape[2],
        Field.DEPTH: x.shape[3],
        Field.OUT_HEIGHT: y.shape[1],
        Field.OUT_WIDTH: y.shape[2],
        Field.KERNEL_HEIGHT: window.kernel[0],
        Field.KERNEL_WIDTH: window.kernel[1],
        Field.STRIDE_HEIGHT: window.strides[0],
        Field.STRIDE_WIDTH: window.strides[1],
        Field.DILATION_HEIGHT: window.dilations[0],
        Field.DILATION_WIDTH: window.dilations[1],
        Field.PAD_TOP: window.pad_top,
        Field.PAD_LEFT: window.pad_left,
        Field.ZERO_POINT: command.input_zero_point,
        Field.TABLE: kept[0].ctypes.data,
        Field.EXTRA: kept[1].ctypes.data,
        Field.EXTRA_2: kept[2].ctypes.data,
    }
    return NativeStep(
        f"average:{form}:{OPERANDS[x.dtype]}", values, 8 * prod(window.kernel) + 64, (*kept, *origin.kept)
    )


@lowers(Gather2D)
def lower_gather(command: Gather2D, context: Context) -> NativeStep | None:
    """The step of a choice of rows and columns."""
    x, y = command.input, command.output_to
    if x.dtype != y.dtype or not y.size:
        return None
    chosen = np.add.outer(np.array(command.rows, np.int64) * x.shape[2], np.array(command.columns, np.int64))
    pixels = pinned(chosen)
    origin = Source.of(x, context)
    values = {
        **origin.fields(),
        **target(y),
        Field.IMAGES: x.shape[0],
        Field.HEIGHT: x.shape[1],
        Field.WIDTH: x.shape[2],
        Field.DEPTH: x.shape[3] * np.dtype(x.dtype).itemsize,
        Field.SIZE: chosen.size,
        Field.OTHER: pixels.ctypes.data,
    }
    return NativeStep("gather", values, 0, (pixels, *origin.kept))


def _convertible(operand: str, codes: str) -> bool:
    return operand in _CONVERTED and codes in _BITS


def _table(recipe: Requantization, addend: int, columns: int) -> tuple[str, np.ndarray] | None:
    """Kind and table of the epilogue of sums to which `addend` is added, for so many columns."""
    chosen = choose_epilogue(recipe, columns)
    if chosen is None or not -(1 << 31) <= addend < 1 << 31:
        return None
    lanes = tier().lanes
    bias = np.full(columns, addend, np.int32)
    return chosen.kind, epilogue_table(chosen.kind, bias, chosen.values, -(-columns // lanes) * lanes)


def _average_numbers(recipe: AverageRecipe) -> tuple[str, dict[str, float]] | None:
    """Form and parameters of an average; None where no step computes it."""
    if isinstance(recipe, TruncatingAverage):
        return "truncating", {"low": recipe.low, "high": recipe.high}
    if isinstance(recipe, ReciprocalAverage):
        return "reciprocal", {"low": recipe.low, "high": recipe.high, "zero_point": recipe.zero_point}
    if isinstance(recipe, RationalAverage):
        low, high = recipe.low - recipe.zero_point, recipe.high - recipe.zero_point
        return "rational", {
            **{"low": low, "high": high, "zero_point": recipe.zero_point},
            "input_zero": recipe.input_zero_point,
        }
    if isinstance(recipe, FloatAverage) and recipe.columns:
        return None
    if isinstance(recipe, RationalAverage):
        low, high = recipe.low - recipe.zero_point, recipe.high - recipe.zero_point
        return "rational", {
            **{"low": low, "high": high, "zero_point": recipe.zero_point},
            "input_zero": recipe.input_zero_point,
        }
    if isinstance(recipe, FloatAverage) and max(abs(recipe.low), abs(recipe.high)) < _MOST_IN_FLOAT:
        names = ("input_scale", "scale", "zero_point", "low", "high", "offset")
        return "float32", {**{name: getattr(recipe, name) for name in names}, "input_zero": recipe.input_zero_point}
    return None


def _scales(recipe: AverageRecipe, counts: np.ndarray) -> np.ndarray | None:
    """What depends on the divisor, for all up to the largest; None where float64 does not hold it."""
    if isinstance(recipe, ReciprocalAverage):
        return _reciprocals(recipe, int(counts.max()))
    if not isinstance(recipe, RationalAverage):
        return np.zeros(1, np.int64)
    factors = np.ones((int(counts.max()) + 1, 2))
    for n in np.unique(counts).tolist():
        ratio = Fraction(recipe.numerator, recipe.denominator * n)
        grid = recipe.zero_point, (recipe.low,), (recipe.high,)
        rescaling = float64_rescaling(
            RationalRequantization(*grid, (ratio.numerator,), (ratio.denominator,), recipe.ties)
        )
        if rescaling is None:
            return None
        factors[n] = rescaling.scale[0], 1.0 if rescaling.divisor is None else rescaling.divisor[0]
    return factors


def _reciprocals(recipe: ReciprocalAverage, largest: int) -> np.ndarray:
    """int64 [largest + 1, 3]: for each divisor, multiplier, shift, and what is added to the product."""
    rows = [(0, 1, 0)]
    for n in range(1, largest + 1):
        multiplier, shift = reciprocal_scale(n)
        rows.append((multiplier, shift, (1 << (shift - 1)) - n * recipe.input_zero_point * multiplier))
    return np.array(rows, np.int64)
