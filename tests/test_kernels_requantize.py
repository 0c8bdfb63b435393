"""Requantizing kernels against the specification on unbounded integers."""

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from one_command import random_cases, tied

from accel_sim.errors import ProgramError
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
from accel_sim.sim.requantizers import matrix_form, prepare_requantizer

ROWS, CHANNELS = 24, 5
Draw = Callable[[np.random.Generator, bool], Requantization]


def draw_grid(rng: np.random.Generator, tie: bool) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Zero point, low, high."""
    zero = int(rng.choice([-128, 0, 127])) if tie else int(rng.integers(-128, 128))
    if rng.random() < 0.3:
        return zero, (-128,), tuple(int(v) for v in rng.integers(-100, 128, CHANNELS))
    return zero, (int(rng.integers(-128, 0)),), (127,)


def spread(rng: np.random.Generator, values: list[int]) -> tuple[int, ...]:
    """One value, or one for each channel."""
    return tuple(values[:1]) if rng.random() < 0.3 else tuple(values)


def fixed_point(rounding: Rounding) -> Draw:
    def draw(rng: np.random.Generator, tie: bool) -> Requantization:
        multiplier = [int(v) for v in rng.integers(1 << 30, 1 << 31, CHANNELS)]
        if tie:
            multiplier = [int(v) for v in rng.choice([0, 1 << 30, (1 << 31) - 1, (1 << 30) + 1, 1 << 16], CHANNELS)]
        ranges = {Rounding.DOUBLE: (-31, 40), Rounding.SINGLE: (-31, 31), Rounding.SINGLE_16BIT: (-31, 15)}
        low, high = ranges[rounding] if rng.random() < 0.3 else (-16, 3)
        shift = [int(v) for v in rng.integers(low, high, CHANNELS)]
        grid = draw_grid(rng, tie)
        return FixedPointRequantization(
            *grid, spread(rng, multiplier), spread(rng, shift), rounding, bool(rng.integers(2))
        )

    return draw


def shift(rng: np.random.Generator, tie: bool) -> Requantization:
    places = int(rng.integers(0, 40))
    multiplier = [int(v) for v in rng.integers(-(1 << 20), 1 << 20, CHANNELS)]
    addend = (
        [1 << max(places - 1, 0)] * CHANNELS if tie else [int(v) for v in rng.integers(-(1 << 40), 1 << 40, CHANNELS)]
    )
    return ShiftRequantization(*draw_grid(rng, tie), spread(rng, multiplier), spread(rng, addend), places)


def scales(rng: np.random.Generator, tie: bool) -> tuple[float, ...]:
    exponents = rng.uniform(-26, 2, CHANNELS)
    values = 2.0 ** (np.round(exponents) if tie else exponents)
    return tuple(float(v) for v in values.astype(np.float32))


def float32(rng: np.random.Generator, tie: bool) -> Requantization:
    return FloatRequantization(*draw_grid(rng, tie), scales(rng, tie)[: 1 if rng.random() < 0.3 else None])


def float32_grid(rng: np.random.Generator, tie: bool) -> Requantization:
    input_scale, scale = scales(rng, tie)[:2]
    return FloatGridRequantization(*draw_grid(rng, tie), input_scale, scale)


def float64(rng: np.random.Generator, tie: bool) -> Requantization:
    return DoubleRequantization(*draw_grid(rng, tie), scales(rng, tie)[: 1 if rng.random() < 0.3 else None])


def rational(rng: np.random.Generator, tie: bool) -> Requantization:
    """Scales of float32 grids, of double grids, and ones so large or small that everything or nothing saturates."""
    kind = rng.integers(4)
    inputs, outputs = np.array(scales(rng, tie)), np.array(scales(rng, tie))
    if kind == 1:
        inputs, outputs = inputs * rng.uniform(1, 2, CHANNELS), outputs * rng.uniform(1, 2, CHANNELS)
    if kind == 2:
        inputs = inputs * 2.0 ** rng.choice([-60, -40, 40, 60], CHANNELS)
    ratios = [Fraction(float(x)) * Fraction(0.0173) / Fraction(float(y)) for x, y in zip(inputs, outputs, strict=True)]
    if tie:
        ratios = [
            Fraction(int(rng.integers(1, 9)), int(rng.choice([1, 3, 5, 7, 9]) * 2 ** rng.integers(0, 20)))
            for _ in ratios
        ]
    chosen = ratios[:1] if rng.random() < 0.3 else ratios
    rule = TieRule(rng.choice(["half_even", "half_up"]))
    return RationalRequantization(
        *draw_grid(rng, tie), tuple(r.numerator for r in chosen), tuple(r.denominator for r in chosen), rule
    )


RECIPES = {
    "double": fixed_point(Rounding.DOUBLE),
    "single": fixed_point(Rounding.SINGLE),
    "single_16bit": fixed_point(Rounding.SINGLE_16BIT),
    "shift": shift,
    "float32": float32,
    "float32_grid": float32_grid,
    "float64": float64,
    "rational": rational,
}


def real_scale(recipe: Requantization) -> np.ndarray:
    """The scale that a recipe stands for, roughly, for accumulators that land near its ties."""
    if isinstance(recipe, FixedPointRequantization):
        return np.array(recipe.multiplier) * 2.0 ** (np.array(recipe.shift) - 31.0)
    if isinstance(recipe, ShiftRequantization):
        return np.array(recipe.multiplier) * 2.0**-recipe.shift
    if isinstance(recipe, RationalRequantization):
        return np.array([n / d for n, d in zip(recipe.numerator, recipe.denominator, strict=True)])
    if isinstance(recipe, FloatGridRequantization):
        return np.array([recipe.input_scale / recipe.scale])
    return np.array(getattr(recipe, "scale"))  # noqa: B009 - both remaining recipes have it


def draw_accumulators(rng: np.random.Generator, recipe: Requantization, bits: int) -> np.ndarray:
    """A third over the whole range, a third near halves of the output scale, a third ends and small numbers."""
    limit = 1 << (bits - 1)
    scale = np.maximum(np.abs(real_scale(recipe)), 1e-30)
    halves = (rng.integers(-140, 140, (ROWS, CHANNELS)) + 0.5) / scale
    reach = min(limit, 1 << 62) // 2  # exact in double
    near = np.clip(np.rint(halves), -reach, reach).astype(np.int64) + rng.integers(-1, 2, (ROWS, CHANNELS))
    anywhere = rng.integers(-limit, limit, (ROWS, CHANNELS)) >> rng.integers(0, bits - 8, (ROWS, 1))
    special = rng.choice(np.array([-limit, 1 - limit, limit - 1, -1, 0, 1, 2, -3]), (ROWS, CHANNELS))
    kind = rng.integers(0, 3, (ROWS, CHANNELS))
    drawn = np.where(kind == 0, near, np.where(kind == 1, anywhere, special))
    return np.clip(drawn, -limit, limit - 1)


@pytest.mark.parametrize("bits", [32, 48, 64])
@pytest.mark.parametrize("kind", RECIPES)
@random_cases(60)
def test_kernels_equal_the_specification(kind: str, bits: int, rng: np.random.Generator) -> None:
    recipe = RECIPES[kind](rng, tied(rng))
    accumulators = draw_accumulators(rng, recipe, bits).astype(np.int32 if bits == 32 else np.int64)
    requantize = prepare_requantizer(recipe, CHANNELS, accumulators.dtype)
    result = np.full((ROWS + 1, CHANNELS), 99, np.int8)
    with np.errstate(over="ignore"):  # float32 products beyond its range, when kernels run as plain Python
        requantize(accumulators, ROWS, result)
    np.testing.assert_array_equal(result[:ROWS], recipe.apply(accumulators.astype(object)).astype(np.int64))
    assert (result[ROWS] == 99).all()


@pytest.mark.parametrize(
    "recipe",
    [
        FixedPointRequantization(0, (0,), (1,), (-5,), (0,), Rounding.DOUBLE),
        FixedPointRequantization(0, (0,), (1,), (1 << 30,), (-32,), Rounding.DOUBLE),
        FixedPointRequantization(0, (0,), (1,), (1 << 30,), (31,), Rounding.SINGLE),
        FixedPointRequantization(0, (0,), (1,), (1 << 30,), (15,), Rounding.SINGLE_16BIT),
        FixedPointRequantization(0, (0,), (1,), (1 << 31,), (0,), Rounding.SINGLE),
        ShiftRequantization(0, (0,), (1,), (1 << 31,), (0,), 3),
        ShiftRequantization(0, (0,), (1,), (1,), (1 << 61,), 3),
        ShiftRequantization(0, (0,), (1,), (1,), (0,), 63),
        RationalRequantization(0, (0,), (1 << 30,), (1,), (1,)),
    ],
)
def test_parameters_beyond_the_requantizer_are_refused(recipe: Requantization) -> None:
    with pytest.raises(ProgramError):
        prepare_requantizer(recipe, 1, np.dtype(np.int32))


@pytest.mark.parametrize(
    ("shape", "form"), [((2, 3, 4), (1, 24)), ((4099,), (4099, 1)), ((2, 4096), (2, 4096)), ((), (1, 1))]
)
def test_arrays_are_requantized_in_long_rows(shape: tuple[int, ...], form: tuple[int, int]) -> None:
    assert matrix_form(FloatRequantization(0, (0,), (1,), (1.0,)), shape) == form


def test_per_channel_recipes_keep_the_last_axis() -> None:
    assert matrix_form(FloatRequantization(0, (0,), (1,), (1.0, 2.0)), (7, 5, 2)) == (35, 2)
