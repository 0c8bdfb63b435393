"""Interpolate: bilinear resizing."""

from collections.abc import Callable
from functools import singledispatch

import numpy as np

from accel_kernels import bilinear as kernels
from accel_sim.numerics.resize import (
    BilinearRecipe,
    FixedPointBilinear,
    FloatBilinear,
    InterpolationAxis,
    RawFloatBilinear,
    RescaledBilinear,
)
from accel_sim.program import Interpolate
from accel_sim.sim.memory import Array, Memory, Scratch
from accel_sim.sim.preparation import Context, Operation, Record, Run, prepares, refusal
from accel_sim.sim.requantizers import matrix_form, prepare_requantizer

_UNIT = 1 << 10  # of TFLite's fixed-point weights


@prepares(Interpolate)
def prepare_interpolate(command: Interpolate, context: Context) -> Operation:
    """The operation of a bilinear resizing."""
    return _prepare(command.recipe, command)


@singledispatch
def _prepare(recipe: BilinearRecipe, command: Interpolate) -> Operation:
    raise refusal("recipe", type(recipe).__name__, "is a resizing that the machine has")


@_prepare.register
def _(recipe: FixedPointBilinear, command: Interpolate) -> Operation:
    spare, mask = (64 - recipe.bits, -1) if recipe.signed else (0, (1 << recipe.bits) - 1)

    def finish(sums: Array, codes: Array) -> None:
        kernels.divide_2_20_half_away(sums.reshape(-1), spare, mask, codes.reshape(-1))

    return _summing(command, (_UNIT, _UNIT), 0, np.dtype(np.int64), finish)


@_prepare.register
def _(recipe: RescaledBilinear, command: Interpolate) -> Operation:
    units = recipe.y_unit, recipe.x_unit
    reach = (1 << 17) * recipe.y_unit * recipe.x_unit
    if reach >= 1 << 62:
        raise refusal("recipe", f"units {units}", "give sums that fit 64 bits")
    dtype = np.dtype(np.int32 if reach < 1 << 31 else np.int64)
    shape = matrix_form(recipe.output, command.output_to.shape)
    requantize = prepare_requantizer(recipe.output, shape[1], dtype)

    def finish(sums: Array, codes: Array) -> None:
        requantize(sums.reshape(shape), shape[0], codes.reshape(shape))

    return _summing(command, units, recipe.input_zero_point * recipe.y_unit * recipe.x_unit, dtype, finish)


@_prepare.register
def _(recipe: RawFloatBilinear, command: Interpolate) -> Operation:
    axes = (*_axis(recipe.y, np.float32), *_axis(recipe.x, np.float32))

    def bind(memory: Memory, record: Record) -> Run:
        image, codes = memory.view(command.input), memory.view(command.output_to)
        return lambda: kernels.bilinear_float32_codes(image, *axes, codes)

    return Operation(bind)


@_prepare.register
def _(recipe: FloatBilinear, command: Interpolate) -> Operation:
    axes = (*_axis(recipe.y, np.float32), *_axis(recipe.x, np.float32))
    input_scale, scale = np.float32(recipe.input_scale), np.float32(recipe.scale)
    low, high = np.float32(recipe.low - recipe.zero_point), np.float32(recipe.high - recipe.zero_point)
    input_zero, zero_point = recipe.input_zero_point, recipe.zero_point

    def bind(memory: Memory, record: Record) -> Run:
        image, codes = memory.view(command.input), memory.view(command.output_to)
        return lambda: kernels.bilinear_float32(
            image, *axes, input_scale, input_zero, scale, zero_point, low, high, codes
        )

    return Operation(bind)


def _summing(
    command: Interpolate,
    units: tuple[int, int],
    offset: int,
    dtype: np.dtype[np.generic],
    finish: Callable[[Array, Array], None],
) -> Operation:
    """Exact sums of the corners times integer weights, then the recipe's rounding."""
    top, bottom, y_weight = _axis(command.recipe.y, np.int64)
    left, right, x_weight = _axis(command.recipe.x, np.int64)

    def bind(memory: Memory, record: Record) -> Run:
        image, codes = memory.view(command.input), memory.view(command.output_to)
        sums = memory.scratch(Scratch.ACCUMULATORS, codes.shape, dtype)

        def run() -> None:
            kernels.bilinear_sums(image, top, bottom, y_weight, units[0], left, right, x_weight, units[1], offset, sums)
            finish(sums, codes)

        return run

    return Operation(bind, {Scratch.ACCUMULATORS: command.output_to.size * dtype.itemsize})


def _axis(axis: InterpolationAxis, weights: type[np.generic]) -> tuple[Array, Array, Array]:
    """Source indices below and above, and the weights, as kernels read them."""
    return np.array(axis.lower, np.int64), np.array(axis.upper, np.int64), np.array(axis.weight).astype(weights)
