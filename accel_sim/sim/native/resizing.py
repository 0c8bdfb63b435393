"""Interpolate as native steps."""

import numpy as np
from numpy.typing import NDArray

from accel_kernels.native.number_fields import BILINEAR_FIELDS
from accel_kernels.native.tables import EPILOGUE_FIELDS, Field, number_table
from accel_sim.numerics.resize import (
    BilinearRecipe,
    FixedPointBilinear,
    FloatBilinear,
    InterpolationAxis,
    RawFloatBilinear,
    RescaledBilinear,
)
from accel_sim.program import Interpolate
from accel_sim.records import dataclass
from accel_sim.sim.native.epilogue import choose_epilogue
from accel_sim.sim.native.step import OPERANDS, NativeStep, Source, lowers, pinned, target
from accel_sim.sim.preparation import Context
from accel_sim.sim.requantizers import is_per_channel

_UNIT = 1 << 10  # of TFLite's fixed-point weights
_MOST_IN_FLOAT = 1 << 21


@dataclass(frozen=True)
class _Form:
    """Form, epilogue, parameters and units (`accel_kernels.native.interpolate`)."""

    name: str
    numbers: NDArray[np.int64]
    epilogue: str = ""
    units: tuple[int, int] = (0, 0)


@lowers(Interpolate)
def lower_interpolate(command: Interpolate, context: Context) -> NativeStep | None:
    """The step of a bilinear resizing of codes of at most 16 bits."""
    x, y, recipe = command.input, command.output_to, command.recipe
    if x.dtype not in OPERANDS or y.dtype not in OPERANDS or not y.size:
        return None
    form = _form(recipe, x.dtype)
    if form is None:
        return None
    size, dtype = np.dtype(x.dtype).itemsize, np.float32 if form.name in ("raw", "float") else np.int64
    rows = pinned(_places(recipe.y, x.shape[2] * x.shape[3] * size, dtype))
    columns = pinned(_places(recipe.x, x.shape[3] * size, dtype))
    table, source = pinned(form.numbers), Source.of(x, context)
    values = {
        **source.fields(),
        **target(y),
        Field.IMAGES: y.shape[0],
        Field.HEIGHT: x.shape[1],
        Field.WIDTH: x.shape[2],
        Field.DEPTH: x.shape[3] * size,
        Field.CHANNELS: x.shape[3],
        Field.OUT_HEIGHT: y.shape[1],
        Field.OUT_WIDTH: y.shape[2],
        Field.EXTRA: rows.ctypes.data,
        Field.EXTRA_2: columns.ctypes.data,
        Field.OTHER: form.units[0],
        Field.EXTRA_3: form.units[1],
        Field.TABLE: table.ctypes.data,
    }
    bits = 8 * np.dtype(y.dtype).itemsize
    name = f"interpolate:{form.name}:{OPERANDS[x.dtype]}:{bits}" + (f":{form.epilogue}" if form.epilogue else "")
    return NativeStep(name, values, 0, (rows, columns, table, *source.kept))


def _form(recipe: BilinearRecipe, dtype: str) -> _Form | None:
    if isinstance(recipe, RawFloatBilinear):
        return _Form("raw", number_table((), {}))
    if isinstance(recipe, FloatBilinear):
        return _of_reals(recipe)
    if isinstance(recipe, FixedPointBilinear):
        units = _UNIT, _UNIT
        return _Form(
            "fixed32" if _reach(recipe, dtype, units) < 1 << 30 else "fixed64", number_table((), {}), "", units
        )
    return _rescaled(recipe, dtype) if isinstance(recipe, RescaledBilinear) else None


def _of_reals(recipe: FloatBilinear) -> _Form | None:
    values = {name: getattr(recipe, name) for name in ("input_scale", "scale", "zero_point")}
    low, high = recipe.low - recipe.zero_point, recipe.high - recipe.zero_point
    if max(abs(low), abs(high)) > _MOST_IN_FLOAT:
        return None
    values |= {"low": low, "high": high, "input_zero": recipe.input_zero_point}
    return _Form("float", number_table(BILINEAR_FIELDS["float"], values))


def _rescaled(recipe: RescaledBilinear, dtype: str) -> _Form | None:
    units, epilogue = (recipe.y_unit, recipe.x_unit), choose_epilogue(recipe.output, 1)
    offset = recipe.input_zero_point * recipe.y_unit * recipe.x_unit
    if epilogue is None or epilogue.kind == "raw" or is_per_channel(recipe.output):
        return None
    if _reach(recipe, dtype, units) + abs(offset) >= 1 << 31:
        return None
    last = {name: np.asarray(value).reshape(-1)[0].item() for name, value in epilogue.values.items()}
    fields = BILINEAR_FIELDS["rescaled"] + EPILOGUE_FIELDS[epilogue.kind]
    return _Form("rescaled", number_table(fields, {"offset": offset, **last}), epilogue.kind, units)


def _reach(recipe: BilinearRecipe, dtype: str, units: tuple[int, int]) -> int:
    """What no sum, and no part of one, exceeds in magnitude."""
    limits = np.iinfo(dtype)
    reach = max(-int(limits.min), int(limits.max))
    for axis, unit in zip((recipe.y, recipe.x), units, strict=True):
        reach *= max((abs(int(w)) + abs(unit - int(w)) for w in axis.weight), default=0)
    return reach


def _places(axis: InterpolationAxis, step: int, dtype: type[np.generic]) -> NDArray[np.int64]:
    """int64 [outputs, 3]: where both sources begin, in bytes, and the weight of the upper one."""
    places = np.zeros((len(axis.lower), 3), np.int64)
    places[:, 0], places[:, 1] = np.array(axis.lower) * step, np.array(axis.upper) * step
    weights = np.array(axis.weight).astype(dtype)
    places[:, 2] = weights.view(np.int32) if dtype is np.float32 else weights
    return places
