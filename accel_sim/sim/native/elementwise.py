"""Functions of two operands, element by element, as native steps."""

from collections.abc import Sequence
from dataclasses import fields
from functools import lru_cache
from math import prod

import numpy as np
from numpy.typing import NDArray

from accel_kernels.native.tables import BINARY_FIELDS, EPILOGUE_FIELDS, Field, number_table
from accel_sim.numerics.elementwise import (
    CodeExtremum,
    ElementwiseRecipe,
    FixedPointSum,
    FloatBinary,
    FloatProduct,
    FusedFloatSum,
    Product,
    RationalSum,
)
from accel_sim.numerics.requantization import Rounding, TieRule
from accel_sim.program import Elementwise, Operand
from accel_sim.records import dataclass
from accel_sim.sim.multiply_accumulate import code_span
from accel_sim.sim.native.epilogue import EpilogueChoice, choose_epilogue, fixed_values
from accel_sim.sim.native.linear_sum import linear_sum
from accel_sim.sim.native.step import OPERANDS, NativeStep, Source, lowers, pinned, target
from accel_sim.sim.preparation import Context
from accel_sim.sim.requantizers import fixed_point_table, is_per_channel

_MOST_LEFT = 31
_MOST_IN_FLOAT = 1 << 21
_SHARED_ELEMENTS = 1 << 14
"""Of a share, at least, where a thread has several."""
_MANTISSA = 53


@dataclass(frozen=True)
class _Function:
    """Form, epilogue and parameters (`accel_kernels.native.elementwise`)."""

    form: str
    epilogue: str
    numbers: NDArray[np.int64]


@lowers(Elementwise)
def lower_elementwise(command: Elementwise, context: Context) -> NativeStep | None:
    """The step of a function of codes of at most 16 bits."""
    a, b, y = command.a, command.b, command.output_to
    types = [OPERANDS.get(operand.dtype) for operand in (a, b, y)]
    if not y.size or None in types:
        return None
    found = _function(command.recipe, a.dtype, b.dtype)
    if found is None:
        return None
    table = pinned(found.numbers)
    left, right = Source.of(a, context), Source.of(b, context)
    places = {**left.fields(), **right.fields(Field.OTHER_ARENA, Field.OTHER), **target(y)}
    kept, values = (table, *left.kept, *right.kept), {**places, Field.SIZE: y.size, Field.TABLE: table.ctypes.data}
    operands = types[0] if len(set(types)) == 1 else ".".join(map(str, types))
    name = f"elementwise:{found.form}:{operands}:{found.epilogue}"
    if a.size == b.size == y.size:
        return NativeStep(name, {**values, Field.SHARES: y.size // _SHARED_ELEMENTS}, 0, kept)
    rows = _spread(a, b, y)
    starts = pinned(rows.starts)
    spread = {Field.SIZE: rows.length, Field.IMAGES: len(rows.starts), Field.EXTRA: starts.ctypes.data}
    return NativeStep(f"{name}:{rows.steps}", {**values, **spread}, 0, (starts, *kept))


@dataclass(frozen=True)
class _Rows:
    """Runs of `length` results: where they begin in a and b, and how both go on ("v": neighbours; "s": one element)."""

    length: int
    steps: str
    starts: NDArray[np.int64]


def _spread(a: Operand, b: Operand, y: Operand) -> _Rows:
    """The longest runs in which each operand is either as long as the result or one element."""
    rank = len(y.shape)
    shapes = [(1,) * (rank - len(operand.shape)) + tuple(operand.shape) for operand in (a, b)]
    steps, axis = "", rank
    while axis > 0:
        size = y.shape[axis - 1]
        here = "".join("v" if shape[axis - 1] == size else "s" for shape in shapes)
        if size > 1 and steps and here != steps:
            break
        steps = here if size > 1 else steps
        axis -= 1
    starts = [_starts(shape, y.shape, axis) for shape in shapes]
    return _Rows(prod(y.shape[axis:]), steps or "vv", np.ascontiguousarray(np.stack(starts, axis=-1)))


def _starts(shape: Sequence[int], result: Sequence[int], axis: int) -> NDArray[np.int64]:
    """int64 [rows]: the first element of each row of an operand of this shape, the rows being all before an axis."""
    elements = np.arange(prod(shape), dtype=np.int64).reshape(shape)
    first = elements.reshape(*shape[:axis], -1)[..., 0]
    return np.broadcast_to(first, tuple(result[:axis])).reshape(-1)


def _function(recipe: ElementwiseRecipe, a_dtype: str, b_dtype: str) -> _Function | None:
    if isinstance(recipe, FusedFloatSum):
        values = {name: float(getattr(recipe, name)) for name, _ in BINARY_FIELDS["float32"]}
        return _plain("float32", values)
    if isinstance(recipe, FixedPointSum | RationalSum) and a_dtype == b_dtype != "int16":
        linear = linear_sum(recipe, a_dtype, b_dtype)
        if linear is not None:
            return _plain("linear", dict(linear))
    if isinstance(recipe, FixedPointSum):
        return _fixed_sum(recipe)
    if isinstance(recipe, RationalSum):
        return _rational_sum(recipe, a_dtype, b_dtype)
    if isinstance(recipe, Product):
        return _product(recipe, a_dtype, b_dtype)
    return _of_reals(recipe, a_dtype, b_dtype)


def _plain(form: str, values: dict[str, float]) -> _Function:
    return _Function(form, "none", number_table(BINARY_FIELDS[form], values))


def _requantized(form: str, values: dict[str, float], epilogue: EpilogueChoice | None) -> _Function | None:
    """A function whose results are accumulators."""
    if epilogue is None or epilogue.kind == "raw":
        return None
    last = {name: np.asarray(value).reshape(-1)[0].item() for name, value in epilogue.values.items()}
    fields = BINARY_FIELDS[form] + EPILOGUE_FIELDS[epilogue.kind]
    return _Function(form, epilogue.kind, number_table(fields, values | last))


def _fixed_sum(recipe: FixedPointSum) -> _Function | None:
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
    return _requantized("difference" if recipe.subtract else "sum", values, choose_epilogue(recipe.output, 1))


def _product(recipe: Product, a_dtype: str, b_dtype: str) -> _Function | None:
    """The product must fit 32 bits."""
    spans = code_span(a_dtype, recipe.a_zero_point), code_span(b_dtype, recipe.b_zero_point)
    largest = max(abs(x * y) for x in spans[0] for y in spans[1])
    if largest >= 1 << 31 or is_per_channel(recipe.output):
        return None
    zeros: dict[str, float] = {"a_zero": recipe.a_zero_point, "b_zero": recipe.b_zero_point}
    return _requantized("product", zeros, choose_epilogue(recipe.output, 1))


@lru_cache(maxsize=256)
def _rational_sum(recipe: RationalSum, a_dtype: str, b_dtype: str) -> _Function | None:
    """In float64, where that is exact, or gives the same code for every pair of codes of 8 bits."""
    if recipe.ties is not TieRule.HALF_EVEN:
        return None
    a, b, d = recipe.a_numerator, recipe.b_numerator, recipe.denominator
    start = -(recipe.a_zero_point * a + recipe.b_zero_point * b)
    largest = (abs(a) + abs(b)) << 17
    values: dict[str, float] = {
        **{"a_factor": a / d, "b_factor": b / d, "constant": start / d, "zero_point": recipe.zero_point},
        **{"low": recipe.low - recipe.zero_point, "high": recipe.high - recipe.zero_point},
    }
    exact = d & (d - 1) == 0 and largest < 1 << _MANTISSA
    if exact or ("int16" not in (a_dtype, b_dtype) and _agrees(recipe, values, a_dtype, b_dtype)):
        return _plain("float64", values)
    return None


def _agrees(recipe: RationalSum, values: dict[str, float], a_dtype: str, b_dtype: str) -> bool:
    a, b = np.meshgrid(*(np.arange(np.iinfo(d).min, np.iinfo(d).max + 1) for d in (a_dtype, b_dtype)), indexing="ij")
    total = a * values["a_factor"] + (b * values["b_factor"] + values["constant"])
    codes = np.rint(np.clip(total, values["low"], values["high"])) + recipe.zero_point
    return bool(np.array_equal(codes, recipe.apply(a, b)))


def _of_reals(recipe: ElementwiseRecipe, a_dtype: str, b_dtype: str) -> _Function | None:
    """What needs no epilogue: products and other functions in float32, the smaller or the larger code."""
    if isinstance(recipe, CodeExtremum):
        return _plain(recipe.kind.value, {})
    if not isinstance(recipe, FloatProduct | FloatBinary):
        return None
    numbers = {field.name: getattr(recipe, field.name) for field in fields(recipe) if field.name != "kind"}
    values = {**numbers, "a_zero": recipe.a_zero_point, "b_zero": recipe.b_zero_point}
    form = "float_product"
    if isinstance(recipe, FloatBinary):
        form = f"real_{recipe.kind.value}"
        values |= {"low": recipe.low - recipe.zero_point, "high": recipe.high - recipe.zero_point}
    fits = max(abs(values["low"]), abs(values["high"])) <= _MOST_IN_FLOAT
    return _plain(form, {name: values[name] for name, _ in BINARY_FIELDS[form]}) if fits else None
