"""Element-wise sums, max pooling and movement as native steps."""

from math import prod

import numpy as np
from numpy.typing import NDArray

from accel_kernels.native.tables import EPILOGUE_FIELDS, SUM_FIELDS, Field, number_table
from accel_sim.numerics.elementwise import ElementwiseRecipe, FixedPointSum, FusedFloatSum
from accel_sim.numerics.requantization import Rounding
from accel_sim.program import Elementwise, Fill, Move, PoolMaximum
from accel_sim.sim.native.epilogue import choose_epilogue, fixed_values
from accel_sim.sim.native.linear_sum import linear_sum
from accel_sim.sim.native.step import CODES, NativeStep, Source, lowers, pinned, target
from accel_sim.sim.preparation import Context
from accel_sim.sim.requantizers import fixed_point_table

_Sum = tuple[str, str, NDArray[np.int64]]
"""Form, epilogue and parameters of an element-wise sum."""

_MOST_LEFT = 31


@lowers(Elementwise)
def lower_elementwise(command: Elementwise, context: Context) -> NativeStep | None:
    """The step of a sum of two operands of equal type and the result's size."""
    a, b, y = command.a, command.b, command.output_to
    alike = a.dtype == b.dtype and a.dtype in CODES and y.dtype in CODES and a.size == b.size == y.size
    if not alike or not y.size:
        return None
    found = _sum(command.recipe, a.dtype, b.dtype)
    if found is None:
        return None
    form, epilogue, numbers = found
    table = pinned(numbers)
    left, right = Source.of(a, context), Source.of(b, context)
    places = {**left.fields(), **right.fields(Field.OTHER_ARENA, Field.OTHER), **target(y)}
    values = {**places, Field.SIZE: y.size, Field.TABLE: table.ctypes.data}
    return NativeStep(f"elementwise:{form}:{CODES[a.dtype]}:{epilogue}", values, 0, (table, *left.kept, *right.kept))


def _sum(recipe: ElementwiseRecipe, a_dtype: str, b_dtype: str) -> _Sum | None:
    if isinstance(recipe, FusedFloatSum):
        return _float_sum(recipe)
    linear = linear_sum(recipe, a_dtype, b_dtype)
    if linear is not None:
        return "linear", "none", number_table(SUM_FIELDS["linear"], linear)
    return _fixed_sum(recipe) if isinstance(recipe, FixedPointSum) else None


def _float_sum(recipe: FusedFloatSum) -> _Sum:
    values = {name: float(getattr(recipe, name)) for name, _ in SUM_FIELDS["float32"]}
    return "float32", "none", number_table(SUM_FIELDS["float32"], values)


def _fixed_sum(recipe: FixedPointSum) -> _Sum | None:
    epilogue = choose_epilogue(recipe.output, 1)
    if epilogue is None:
        return None
    rounding = Rounding.DOUBLE if recipe.rounding is Rounding.DOUBLE else Rounding.SINGLE
    values: dict[str, float] = {}
    for name in "ab":
        multiplier, shift = getattr(recipe, f"{name}_multiplier"), getattr(recipe, f"{name}_shift")
        formula = fixed_values(fixed_point_table((multiplier,), (shift,), rounding, 1))
        values |= {f"{name}_{field}": int(np.asarray(value)[0]) for field, value in formula.items()}
        values[f"{name}_left"] += recipe.left_shift
        values[f"{name}_zero"] = getattr(recipe, f"{name}_zero_point")
        if values[f"{name}_left"] > _MOST_LEFT:
            return None
    values |= {name: np.asarray(value).reshape(-1)[0].item() for name, value in epilogue.values.items()}
    form = "difference" if recipe.subtract else "sum"
    return form, epilogue.kind, number_table(SUM_FIELDS[form] + EPILOGUE_FIELDS[epilogue.kind], values)


@lowers(PoolMaximum)
def lower_pool_maximum(command: PoolMaximum, context: Context) -> NativeStep | None:
    """The step of a max pooling of codes of 8 bits."""
    x, y, window = command.input, command.output_to, command.window
    if x.dtype not in CODES or y.dtype != x.dtype or not y.size or not x.size:
        return None
    lowest = pinned(np.full(x.shape[3], command.low, x.dtype))
    image = Source.of(x, context)
    values = {
        **image.fields(),
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
        Field.LOW: command.low,
        Field.HIGH: command.high,
        Field.PADDING: lowest.ctypes.data,
    }
    return NativeStep(f"pool:{CODES[x.dtype]}", values, 8 * prod(window.kernel) + 64, (lowest, *image.kept))


@lowers(Move)
def lower_move(command: Move, context: Context) -> NativeStep | None:
    """The step of a strided copy."""
    if not all(command.extent):
        return None
    axes = _merged(list(zip(command.extent, command.input_strides, command.output_strides, strict=True)))
    table = pinned(np.array(axes, np.int64))
    elements = Source.of(command.input, context)
    values = {
        **elements.fields(),
        **target(command.output_to),
        Field.OTHER: command.input_offset,
        Field.SIZE: command.output_offset,
        Field.EXTRA: len(axes),
        Field.TABLE: table.ctypes.data,
    }
    return NativeStep(f"move:copy:{np.dtype(command.input.dtype).itemsize}", values, 0, (table, *elements.kept))


def _merged(axes: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """The same copy with as few axes as possible: none of length one, and no two that follow each other evenly."""
    merged: list[tuple[int, int, int]] = []
    for axis in axes:
        if axis[0] == 1:
            continue
        if merged and merged[-1][1] == axis[0] * axis[1] and merged[-1][2] == axis[0] * axis[2]:
            merged[-1] = (merged[-1][0] * axis[0], axis[1], axis[2])
        else:
            merged.append(axis)
    return merged or [(1, 1, 1)]


@lowers(Fill)
def lower_fill(command: Fill, context: Context) -> NativeStep | None:
    """The step of a constant."""
    values = {**target(command.output_to), Field.SIZE: command.output_to.size, Field.LOW: command.code}
    return NativeStep(f"move:fill:{np.dtype(command.output_to.dtype).itemsize}", values)
