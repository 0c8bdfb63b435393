"""Elementwise and RequantizeCodes."""

from collections.abc import Callable
from fractions import Fraction
from functools import singledispatch

import numpy as np
from numpy.typing import NDArray

from accel_kernels import elementwise_float32 as floating
from accel_kernels import elementwise_integer as integer
from accel_kernels import requantize_exact as exact
from accel_kernels.requantize_fixed import LEFT
from accel_sim.numerics.elementwise import (
    BinaryKind,
    CodeExtremum,
    ElementwiseRecipe,
    FixedPointSum,
    FloatBinary,
    FloatProduct,
    FusedFloatSum,
    Product,
    RationalSum,
)
from accel_sim.numerics.requantization import Requantization, Rounding
from accel_sim.program import Elementwise, Operand, Region, RequantizeCodes
from accel_sim.sim.memory import Array, Memory, Scratch
from accel_sim.sim.multiply_accumulate import Span, code_span
from accel_sim.sim.preparation import Context, Operation, Record, Run, prepares, refusal
from accel_sim.sim.requantizers import TIES, fixed_point_table, matrix_form, prepare_requantizer

Function = Callable[[Array, Array, Array], None]
"""(a, b, result) -> None, all [n]."""

_FLOAT_FUNCTIONS = {
    BinaryKind.ADD: floating.ADD,
    BinaryKind.SUBTRACT: floating.SUBTRACT,
    BinaryKind.MULTIPLY: floating.MULTIPLY,
    BinaryKind.MINIMUM: floating.MINIMUM,
    BinaryKind.MAXIMUM: floating.MAXIMUM,
}


@prepares(Elementwise)
def prepare_elementwise(command: Elementwise, context: Context) -> Operation:
    """The operation of an element-wise function."""
    for name, operand in (("a", command.a), ("b", command.b)):
        if np.dtype(operand.dtype).itemsize > 2:
            raise refusal(name, operand.dtype, "holds codes of at most 16 bits")
    recipe = command.recipe
    if isinstance(recipe, FixedPointSum):
        return _accumulating(command, _sum(recipe), np.dtype(np.int32), recipe.output)
    if isinstance(recipe, Product):
        spans = code_span(command.a.dtype, recipe.a_zero_point), code_span(command.b.dtype, recipe.b_zero_point)
        return _accumulating(command, _product(recipe), _product_type(*spans), recipe.output)
    return _direct(command, _prepare_function(recipe))


@prepares(RequantizeCodes)
def prepare_requantize_codes(command: RequantizeCodes, context: Context) -> Operation:
    """The operation of a change of grids."""
    low, high = code_span(command.input.dtype, command.input_zero_point)
    dtype = np.dtype(np.int32 if low >= -(1 << 31) and high < 1 << 31 else np.int64)
    shape = matrix_form(command.output, command.output_to.shape)
    requantize = prepare_requantizer(command.output, shape[1], dtype)

    def bind(memory: Memory, record: Record) -> Run:
        x, codes = memory.view(command.input).reshape(-1), memory.view(command.output_to).reshape(shape)
        accumulators = memory.scratch(Scratch.ACCUMULATORS, shape, dtype)
        flat = accumulators.reshape(-1)

        def run() -> None:
            integer.subtract_zero_point(x, command.input_zero_point, flat)
            requantize(accumulators, shape[0], codes)

        return run

    return Operation(bind, {Scratch.ACCUMULATORS: command.output_to.size * dtype.itemsize})


def _accumulating(
    command: Elementwise, function: Function, dtype: np.dtype[np.generic], output: Requantization
) -> Operation:
    """A function whose results are accumulators, requantized afterwards."""
    shape = matrix_form(output, command.output_to.shape)
    requantize = prepare_requantizer(output, shape[1], dtype)

    def bind(memory: Memory, record: Record) -> Run:
        a, b = _broadcast(memory, command)
        codes = memory.view(command.output_to).reshape(shape)
        accumulators = memory.scratch(Scratch.ACCUMULATORS, shape, dtype)
        flat = accumulators.reshape(-1)

        def run() -> None:
            function(a(), b(), flat)
            requantize(accumulators, shape[0], codes)

        return run

    accumulators = command.output_to.size * dtype.itemsize
    return Operation(bind, {**_broadcast_bytes(command), Scratch.ACCUMULATORS: accumulators})


def _direct(command: Elementwise, function: Function) -> Operation:
    """A function whose results are codes."""

    def bind(memory: Memory, record: Record) -> Run:
        a, b = _broadcast(memory, command)
        codes = memory.view(command.output_to).reshape(-1)
        return lambda: function(a(), b(), codes)

    return Operation(bind, _broadcast_bytes(command))


def _sum(recipe: FixedPointSum) -> Function:
    rounding = Rounding.DOUBLE if recipe.rounding is Rounding.DOUBLE else Rounding.SINGLE
    a = _operand_table(recipe, recipe.a_multiplier, recipe.a_shift, rounding)
    b = _operand_table(recipe, recipe.b_multiplier, recipe.b_shift, rounding)
    kernel = integer.difference_fixed if recipe.subtract else integer.sum_fixed
    return lambda x0, x1, sums: kernel(x0, recipe.a_zero_point, a, x1, recipe.b_zero_point, b, sums)


def _operand_table(recipe: FixedPointSum, multiplier: int, shift: int, rounding: Rounding) -> NDArray[np.int64]:
    """[FIELDS]: the operand's own left shift comes before the requantizer's; both wrap to 32 bits."""
    table = fixed_point_table((multiplier,), (shift,), rounding, 1)[:, 0].copy()
    table[LEFT] = min(int(table[LEFT]) + recipe.left_shift, 32)
    return table


def _product(recipe: Product) -> Function:
    return lambda a, b, products: integer.product(a, recipe.a_zero_point, b, recipe.b_zero_point, products)


def _product_type(a: Span, b: Span) -> np.dtype[np.generic]:
    largest = max(abs(x * y) for x in a for y in b)
    return np.dtype(np.int32 if largest < 1 << 31 else np.int64)


@singledispatch
def _prepare_function(recipe: ElementwiseRecipe) -> Function:
    raise refusal("recipe", type(recipe).__name__, "is an element-wise function that the machine has")


@_prepare_function.register
def _(recipe: RationalSum) -> Function:
    ratios = [Fraction(abs(n), recipe.denominator) for n in (recipe.a_numerator, recipe.b_numerator)]
    if max(ratios) >= exact.LARGEST_SCALE:
        raise refusal("recipe", f"scale {float(max(ratios)):g}", f"is below {exact.LARGEST_SCALE}")
    limbs, half = exact.scale_limbs(ratios, recipe.denominator), exact.half_limbs(recipe.denominator)
    a, b = np.ascontiguousarray(limbs[:, 0]), np.ascontiguousarray(limbs[:, 1])
    a_sign, b_sign = (1 if n >= 0 else -1 for n in (recipe.a_numerator, recipe.b_numerator))
    a_zero, b_zero, ties = recipe.a_zero_point, recipe.b_zero_point, TIES[recipe.ties]
    zero_point, low, high = recipe.zero_point, recipe.low, recipe.high
    return lambda x0, x1, codes: integer.sum_exact(
        x0, a_zero, a, a_sign, x1, b_zero, b, b_sign, half, ties, zero_point, low, high, codes
    )


@_prepare_function.register
def _(recipe: FusedFloatSum) -> Function:
    values = (recipe.a_ratio, recipe.b_ratio, recipe.constant, recipe.low, recipe.high)
    a_ratio, b_ratio, constant, low, high = (np.float32(v) for v in values)
    return lambda a, b, codes: floating.sum_fused_float32(a, a_ratio, b, b_ratio, constant, low, high, codes)


@_prepare_function.register
def _(recipe: FloatProduct) -> Function:
    a_zero, b_zero = recipe.a_zero_point, recipe.b_zero_point
    ratio, zero_point, low, high = (np.float32(v) for v in (recipe.ratio, recipe.zero_point, recipe.low, recipe.high))
    return lambda a, b, codes: floating.product_float32(a, a_zero, b, b_zero, ratio, zero_point, low, high, codes)


@_prepare_function.register
def _(recipe: FloatBinary) -> Function:
    function, zero_point = _FLOAT_FUNCTIONS[recipe.kind], recipe.zero_point
    a_scale, b_scale, scale = (np.float32(v) for v in (recipe.a_scale, recipe.b_scale, recipe.scale))
    clip_low, clip_high = np.float32(recipe.clip_low), np.float32(recipe.clip_high)
    low, high = np.float32(recipe.low - zero_point), np.float32(recipe.high - zero_point)
    a_zero, b_zero = recipe.a_zero_point, recipe.b_zero_point
    return lambda a, b, codes: floating.binary_float32(
        a, a_scale, a_zero, b, b_scale, b_zero, function, clip_low, clip_high, scale, zero_point, low, high, codes
    )


@_prepare_function.register
def _(recipe: CodeExtremum) -> Function:
    return integer.minimum if recipe.kind is BinaryKind.MINIMUM else integer.maximum


def _broadcast(memory: Memory, command: Elementwise) -> tuple[Callable[[], Array], Callable[[], Array]]:
    """Functions that give both operands as [n] arrays, copied to y's shape where they are smaller."""
    return (
        _expanded(memory, command.a, command.output_to, Scratch.LEFT),
        _expanded(memory, command.b, command.output_to, Scratch.RIGHT),
    )


def _expanded(memory: Memory, operand: Operand, result: Operand, buffer: Scratch) -> Callable[[], Array]:
    source = memory.view(operand)
    if operand.size == result.size:
        flat = source.reshape(-1)
        return lambda: flat
    spread = np.broadcast_to(source, result.shape)
    if operand.region is Region.CONSTANTS:
        constant = np.ascontiguousarray(spread).reshape(-1)
        return lambda: constant
    target = memory.scratch(buffer, result.shape, operand.dtype)
    flat = target.reshape(-1)

    def expand() -> Array:
        np.copyto(target, spread)
        return flat

    return expand


def _broadcast_bytes(command: Elementwise) -> dict[Scratch, int]:
    size = command.output_to.size
    return {
        Scratch.LEFT: size * np.dtype(command.a.dtype).itemsize,
        Scratch.RIGHT: size * np.dtype(command.b.dtype).itemsize,
    }
