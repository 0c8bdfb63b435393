"""PoolMaximum, PoolAverage and Reduce."""

from collections.abc import Callable
from fractions import Fraction
from functools import singledispatch
from math import prod

import numpy as np
from numpy.typing import NDArray

from accel_kernels import mean_float32, pool_average, requantize_exact
from accel_kernels.pool_maximum import pool_maximum
from accel_sim.numerics.integers import reciprocal_scale
from accel_sim.numerics.pooling import (
    AverageRecipe,
    FloatAverage,
    FloatMean,
    MeanRecipe,
    RationalAverage,
    ReciprocalAverage,
    SumOrder,
    SumRequantization,
    TruncatingAverage,
)
from accel_sim.program import PoolAverage, PoolMaximum, Reduce
from accel_sim.sim.geometry import window_geometry
from accel_sim.sim.memory import Array, Memory, Scratch
from accel_sim.sim.preparation import Context, Operation, Record, Run, prepares, refusal
from accel_sim.sim.requantizers import TIES, matrix_form, prepare_requantizer

Int64s = NDArray[np.int64]
Finish = Callable[[Array, Int64s, Array], None]
"""(sums [pixels, C], counts [pixels], codes [pixels, C]) -> None."""

_MEAN_ORDERS = {
    SumOrder.ROWS: mean_float32.ROWS,
    SumOrder.ROW_BLOCKS: mean_float32.ROWS,
    SumOrder.GROUPS: mean_float32.GROUPS,
    SumOrder.SEQUENTIAL: mean_float32.SEQUENTIAL,
    SumOrder.LANES: mean_float32.LANES,
}


@prepares(PoolMaximum)
def prepare_pool_maximum(command: PoolMaximum, context: Context) -> Operation:
    """The operation of a max pooling."""
    geometry = window_geometry(command.input, command.output_to, command.window)
    if command.input.dtype != command.output_to.dtype:
        raise refusal("output_to", command.output_to.dtype, f"has the input's type {command.input.dtype}")
    lowest = int(np.iinfo(command.input.dtype).min)

    def bind(memory: Memory, record: Record) -> Run:
        image, codes = memory.view(command.input).reshape(-1), memory.view(command.output_to)
        flat = codes.reshape(-1, codes.shape[3])
        return lambda: pool_maximum(image, geometry, lowest, command.low, command.high, flat)

    return Operation(bind)


@prepares(PoolAverage)
def prepare_pool_average(command: PoolAverage, context: Context) -> Operation:
    """The operation of an average pooling."""
    geometry, counts = window_geometry(command.input, command.output_to, command.window), window_divisors(command)
    if not counts.all():
        raise refusal("window", str(command.window), "holds at least one pixel of the image at every position")
    if isinstance(command.recipe, FloatAverage):
        return _prepare_float_average(command, command.recipe, geometry, counts)
    finish = _prepare_finish(command.recipe, int(counts.max(initial=1)))
    pixels, channels = prod(command.output_to.shape[:3]), command.output_to.shape[3]

    def bind(memory: Memory, record: Record) -> Run:
        image = memory.view(command.input).reshape(-1)
        codes = memory.view(command.output_to).reshape(pixels, channels)
        sums = memory.scratch(Scratch.ACCUMULATORS, (pixels, channels), np.int64)

        def run() -> None:
            pool_average.window_sums(image, geometry, command.input_zero_point, counts, sums)
            finish(sums, counts, codes)

        return run

    return Operation(bind, {Scratch.ACCUMULATORS: pixels * channels * 8})


@prepares(Reduce)
def prepare_reduce(command: Reduce, context: Context) -> Operation:
    """The operation of a reduction."""
    return _prepare_mean(command.recipe, command)


@singledispatch
def _prepare_finish(recipe: AverageRecipe, largest: int) -> Finish:
    """What turns sums over at most `largest` elements into codes."""
    raise refusal("recipe", type(recipe).__name__, "is an average that the machine has")


@_prepare_finish.register
def _(recipe: TruncatingAverage, largest: int) -> Finish:
    return lambda sums, counts, codes: pool_average.average_half_away(sums, counts, recipe.low, recipe.high, codes)


@_prepare_finish.register
def _(recipe: ReciprocalAverage, largest: int) -> Finish:
    scales = np.array([(0, 1)] + [reciprocal_scale(n) for n in range(1, largest + 1)], np.int64).T.copy()
    zero, low, high = recipe.zero_point, recipe.low, recipe.high
    return lambda sums, counts, codes: pool_average.average_reciprocal(
        sums, counts, recipe.input_zero_point, scales, zero, low, high, codes
    )


@_prepare_finish.register
def _(recipe: RationalAverage, largest: int) -> Finish:
    scale = Fraction(recipe.numerator, recipe.denominator)
    if scale >= requantize_exact.LARGEST_SCALE:
        raise refusal("recipe", f"scale {float(scale):g}", f"is below {requantize_exact.LARGEST_SCALE}")
    by_count = [Fraction(0)] + [scale / n for n in range(1, largest + 1)]
    denominator = scale.denominator * largest
    limbs = np.ascontiguousarray(requantize_exact.scale_limbs(by_count, denominator).T)
    half, ties = requantize_exact.half_limbs(denominator), TIES[recipe.ties]
    zero, low, high = recipe.zero_point, recipe.low, recipe.high
    return lambda sums, counts, codes: pool_average.average_exact(
        sums, counts, recipe.input_zero_point, limbs, half, ties, zero, low, high, codes
    )


def _prepare_float_average(command: PoolAverage, recipe: FloatAverage, geometry: Int64s, counts: Int64s) -> Operation:
    pixels, channels = prod(command.output_to.shape[:3]), command.output_to.shape[3]
    input_scale, scale = np.float32(recipe.input_scale), np.float32(recipe.scale)
    zero_point, low, high = np.float32(recipe.zero_point), np.float32(recipe.low), np.float32(recipe.high)
    input_zero = recipe.input_zero_point

    def bind(memory: Memory, record: Record) -> Run:
        image = memory.view(command.input).reshape(-1)
        codes = memory.view(command.output_to).reshape(pixels, channels)
        sums = memory.scratch(Scratch.ACCUMULATORS, (2, channels), np.float32)
        return lambda: pool_average.average_float32(
            image,
            geometry,
            input_scale,
            input_zero,
            counts,
            scale,
            zero_point,
            low,
            high,
            recipe.offset,
            int(recipe.columns > 0),
            sums,
            codes,
        )

    return Operation(bind, {Scratch.ACCUMULATORS: 2 * channels * 4})


@singledispatch
def _prepare_mean(recipe: MeanRecipe, command: Reduce) -> Operation:
    raise refusal("recipe", type(recipe).__name__, "is a mean that the machine has")


@_prepare_mean.register
def _(recipe: SumRequantization, command: Reduce) -> Operation:
    count = command.input.size // max(command.output_to.size, 1)
    limits = np.iinfo(command.input.dtype)
    reach = count * max(-int(limits.min), int(limits.max)) + abs(recipe.offset)
    dtype = np.dtype(np.int32 if reach < 1 << 31 else np.int64)
    kept = tuple(n for i, n in enumerate(command.input.shape) if i not in command.axes)
    shape = matrix_form(recipe.output, kept)
    requantize = prepare_requantizer(recipe.output, shape[1], dtype)

    def bind(memory: Memory, record: Record) -> Run:
        elements, codes = memory.view(command.input), memory.view(command.output_to).reshape(shape)
        sums = memory.scratch(Scratch.ACCUMULATORS, kept, dtype)
        accumulators = sums.reshape(shape)

        def run() -> None:
            np.add.reduce(elements, axis=command.axes, dtype=dtype, out=sums)
            np.subtract(sums, dtype.type(recipe.offset), out=sums)
            requantize(accumulators, shape[0], codes)

        return run

    return Operation(bind, {Scratch.ACCUMULATORS: prod(kept) * dtype.itemsize})


@_prepare_mean.register
def _(recipe: FloatMean, command: Reduce) -> Operation:
    kept = tuple(i for i in range(len(command.input.shape)) if i not in command.axes)
    order = (*kept, *sorted(command.axes))
    shape = tuple(command.input.shape[i] for i in order)
    rows, count = prod(shape[: len(kept)]), prod(shape[len(kept) :])
    input_scale, scale = np.float32(recipe.input_scale), np.float32(recipe.scale)
    low, high = np.float32(recipe.low - recipe.zero_point), np.float32(recipe.high - recipe.zero_point)
    additions = _MEAN_ORDERS[recipe.order]

    def bind(memory: Memory, record: Record) -> Run:
        reordered = memory.view(command.input).transpose(order)
        codes = memory.view(command.output_to).reshape(-1)
        elements = memory.scratch(Scratch.LEFT, shape, command.input.dtype)
        matrix, real = elements.reshape(rows, count), memory.scratch(Scratch.ACCUMULATORS, (count,), np.float32)

        def run() -> None:
            np.copyto(elements, reordered)
            mean_float32.mean_float32(
                matrix,
                additions,
                recipe.row,
                input_scale,
                recipe.input_zero_point,
                scale,
                recipe.zero_point,
                low,
                high,
                real,
                codes,
            )

        return run

    return Operation(bind, {Scratch.LEFT: command.input.size_bytes, Scratch.ACCUMULATORS: count * 4})


def window_divisors(command: PoolAverage) -> Int64s:
    """The divisor of every output pixel [N * Ho * Wo]."""
    window, x, y = command.window, command.input.shape, command.output_to.shape
    pads = ((window.pad_top, command.pad_bottom), (window.pad_left, command.pad_right))
    axes = []
    for axis, (before, after) in enumerate(pads):
        low, high = (-before, x[1 + axis] + after) if command.count_include_pad else (0, x[1 + axis])
        starts = np.arange(y[1 + axis]) * window.strides[axis] - before
        taps = starts[:, None] + np.arange(window.kernel[axis]) * window.dilations[axis]
        axes.append(np.count_nonzero((taps >= low) & (taps < high), axis=1))
    per_image = np.multiply.outer(axes[0], axes[1]).reshape(-1)
    return np.tile(per_image, y[0]).astype(np.int64)
