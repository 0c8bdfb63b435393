"""Requantization by one multiply-add: what is proven is true, what is wrong is refused, and steps compute it."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from native_cases import Case
from one_command import Layout, random_cases, tied

from accel_kernels.native.tier import tier
from accel_sim.numerics.requantization import (
    FixedPointRequantization,
    FloatRequantization,
    Requantization,
    Rounding,
)
from accel_sim.program import Convolve, Tiling, Window
from accel_sim.sim.native import packed
from accel_sim.sim.native.line import START, Line, find_bent_line, find_line, proves
from accel_sim.sim.native.line_steps import Columns, Steps, columns_of
from accel_sim.sim.native.packed import line_epilogue
from accel_sim.sim.native.runner import available

FROM = 250_000

KINDS = ("double", "single", "float")


@pytest.fixture(autouse=True, scope="module")
def _few_sums_have_lines_too() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed, "_LEAST_ROWS", 1)
        yield


def recipe_of(rng: np.random.Generator, kind: str, dtype: str, scales: np.ndarray) -> Requantization:
    """A recipe with these scales, about, and a zero point: often the lowest code, as in rectified layers."""
    info = np.iinfo(dtype)
    zero = int(info.min) if rng.random() < 0.6 else int(rng.integers(info.min, info.max + 1))
    grid = zero, (int(info.min),), (int(info.max),)
    if kind == "float":
        return FloatRequantization(*grid, tuple(map(float, scales.astype(np.float32))))
    fraction, exponent = np.frexp(scales)
    multiplier = np.minimum(np.round(fraction * 2.0**31), (1 << 31) - 1).astype(np.int64)
    rounding = Rounding.DOUBLE if kind == "double" else Rounding.SINGLE
    return FixedPointRequantization(*grid, tuple(multiplier.tolist()), tuple(exponent.tolist()), rounding)


def scales_of(rng: np.random.Generator, count: int) -> np.ndarray:
    """Of layers, of channels that are as good as dead, and powers of two, whose steps are ties."""
    exponents = rng.uniform(-11, -2.1, count) if rng.random() < 0.7 else rng.uniform(-25, -2.1, count)
    return np.exp2(np.round(exponents) if tied(rng) else exponents)


def column(recipe: Requantization, index: int) -> Requantization:
    """The recipe of one column."""
    if isinstance(recipe, FloatRequantization):
        return replace(recipe, scale=recipe.scale[index : index + 1])
    assert isinstance(recipe, FixedPointRequantization)
    fields = {name: getattr(recipe, name)[index : index + 1] for name in ("multiplier", "shift")}
    return replace(recipe, **fields)


def codes_of(line: Line, sums: np.ndarray, dtype: str) -> np.ndarray:
    """The line's codes, computed as the processor defines its instructions, on fractions; sums [N, C]."""
    bits = START + line.shift + sums
    assert bits.min() > 0
    assert bits.max() < 0x7F800000
    x, info = bits.astype(np.int32).view(np.float32), np.iinfo(dtype)
    codes = np.zeros(sums.shape, np.int64)
    for place in np.ndindex(sums.shape):
        exact = Fraction(float(x[place])) * Fraction(float(line.scale[place[1]])) + Fraction(
            float(line.offset[place[1]])
        )
        result = round(exact)
        assert 1 << 23 <= exact < 1 << 24  # there float32 numbers are the integers
        low = (result & 0xFFFF) - ((result & 0x8000) << 1)
        codes[place] = min(max(low, info.min), info.max)
    return codes


def near_steps(steps: Steps, low: np.ndarray, high: np.ndarray, some: slice) -> np.ndarray:
    """Accumulators on both sides of some steps, and the ends: [N, C]."""
    middle = np.clip(steps.thresholds[some], -(2.0**40), 2.0**40).astype(np.int64)
    return np.clip(np.concatenate([middle, middle - 1, middle + 1, [low, high]]), low, high)


def known(recipe: Requantization, dtype: str, low: np.ndarray, high: np.ndarray) -> Columns:
    """The columns of a layer with this recipe."""
    columns = columns_of(recipe, dtype, low, high)
    assert columns is not None
    return columns


def found(rng: np.random.Generator, kind: str, dtype: str) -> tuple[Requantization, Steps, Line, np.ndarray]:
    """A column that has a line: its recipe, steps, line, and what accumulators may be."""
    while True:
        scale = scales_of(rng, 1)
        recipe = recipe_of(rng, kind, dtype, scale)
        reach = int(rng.choice([30, 3000, 200_000, 1 << 23]))
        low, high = -rng.integers(1, reach, 1), rng.integers(1, reach, 1)
        line = find_line(recipe, dtype, low, high)
        if line is not None:
            return recipe, known(recipe, dtype, low, high).steps(), line, np.concatenate([low, high])


@pytest.mark.parametrize("kind", KINDS)
@random_cases(40)
def test_lines_give_the_codes_of_the_recipe(kind: str, rng: np.random.Generator) -> None:
    dtype = str(rng.choice(["int8", "uint8"]))
    recipe, steps, line, (low, high) = found(rng, kind, dtype)
    sums = near_steps(steps, low[None], high[None], slice(int(rng.integers(8)), None, 8))
    np.testing.assert_array_equal(codes_of(line, sums, dtype), recipe.apply(sums))
    anywhere = rng.integers(low, high + 1, (100, 1))
    np.testing.assert_array_equal(codes_of(line, anywhere, dtype), recipe.apply(anywhere))


@pytest.mark.parametrize("kind", KINDS)
@random_cases(20)
def test_steps_are_those_of_the_recipe(kind: str, rng: np.random.Generator) -> None:
    dtype = str(rng.choice(["int8", "uint8"]))
    recipe = recipe_of(rng, kind, dtype, scales_of(rng, 20))
    reach = np.full(20, 1 << 22)
    columns = known(recipe, dtype, -reach, reach)
    steps = columns.steps()
    for index in range(20):
        thresholds = steps.thresholds[:, columns.kinds[index]]
        near = np.abs(thresholds) < 1 << 22
        at, code = thresholds[near].astype(np.int64)[:, None], steps.codes[near]
        one = column(recipe, index)
        assert (one.apply(at) >= code).all()
        assert (one.apply(at - 1) < code).all()


@pytest.mark.parametrize("kind", KINDS)
@random_cases(30)
def test_a_wrong_line_is_refused(kind: str, rng: np.random.Generator) -> None:
    """Whatever is proven although it was changed is right; a code too many never is, nor a large shift or slope."""
    dtype = str(rng.choice(["int8", "uint8"]))
    recipe, steps, line, (low, high) = found(rng, kind, dtype)
    assert proves(line, steps).all()
    bits = line.scale.view(np.int32)
    changes = {
        "offset": replace(line, offset=line.offset + np.float32(rng.choice([-1, 1]))),
        "shift": replace(line, shift=line.shift + rng.choice([-1, 1, -3, 40])),
        "scale": replace(line, scale=(bits + rng.choice([-1, 1, 2, -9, 300])).astype(np.int32).view(np.float32)),
    }
    sums = near_steps(steps, low[None], high[None], slice(None))
    for changed in changes.values():
        if proves(changed, steps).all():
            np.testing.assert_array_equal(codes_of(changed, sums, dtype), recipe.apply(sums))
    assert steps.reach[0] == 0 or not proves(changes["offset"], steps).any()
    assert not proves(replace(line, scale=-line.scale), steps).any()
    assert not proves(replace(line, shift=line.shift + (1 << 23)), steps).any()
    if steps.reach[0] > 3000 and line.scale[0] > 2.0**-11:
        assert not proves(replace(line, scale=line.scale * np.float32(1.001)), steps).any()


@random_cases(40)
def test_bent_lines_give_the_codes_of_the_recipe(rng: np.random.Generator) -> None:
    """Two roundings, with a zero point somewhere inside: on both sides of steps, of 0, and anywhere."""
    dtype = str(rng.choice(["int8", "uint8"]))
    info = np.iinfo(dtype)
    zero = int(rng.choice([info.min + 1, info.max - 1, int(rng.integers(info.min + 1, info.max))]))
    lines, reach = None, 0
    while lines is None:
        recipe = replace(recipe_of(rng, "double", dtype, scales_of(rng, 1)), zero_point=zero)
        reach = int(rng.choice([30, 3000, 200_000, 1 << 23]))
        low, high = -rng.integers(1, reach, 1), rng.integers(1, reach, 1)
        lines = find_bent_line(recipe, dtype, low, high)
    sums = near_steps(known(recipe, dtype, low, high).steps(), low, high, slice(int(rng.integers(8)), None, 8))
    sums = np.concatenate([sums, np.clip([[-2], [-1], [0], [1]], low, high), rng.integers(low, high + 1, (100, 1))])
    below, above = lines
    assert (below.scale == above.scale).all()
    codes = np.where(
        sums < 0, codes_of(below, np.minimum(sums, -1), dtype), codes_of(above, np.maximum(sums, 0), dtype)
    )
    np.testing.assert_array_equal(codes, recipe.apply(sums))


def test_a_step_that_no_line_meets() -> None:
    """Ties of halves to even: at scale 1/2 every other step would come an accumulator earlier."""
    low, high = np.array([-1000]), np.array([1000])
    assert find_line(FloatRequantization(0, (-128,), (127,), (0.125,)), "int8", low, high) is None
    fixed = FixedPointRequantization(-128, (-128,), (127,), (1 << 30,), (-2,), Rounding.DOUBLE)
    assert find_line(fixed, "int8", low, high) is not None


@pytest.mark.parametrize("kind", KINDS)
def test_channels_as_good_as_dead_have_lines(kind: str) -> None:
    """Whatever their sums, their codes are the zero point and perhaps the next."""
    scales = np.array([1e-7, 3e-8, 2e-7, 0.00213, 4e-9])
    recipe = recipe_of(np.random.default_rng(3), kind, "int8", scales)
    low, high = np.full(5, -2_000_000), np.full(5, 2_000_000)
    assert find_line(replace(recipe, zero_point=-128), "int8", low, high) is not None
    if kind == "double":
        assert find_bent_line(replace(recipe, zero_point=5), "int8", low, high) is not None


def test_what_lines_cannot_do() -> None:
    whole, low, high = (-128, (-128,), (127,)), np.array([-1000]), np.array([1000])
    scale = (1 << 30) + 12345

    def has(recipe: Requantization, dtype: str = "int8", low: np.ndarray = low, high: np.ndarray = high) -> bool:
        return find_line(recipe, dtype, low, high) is not None

    double = FixedPointRequantization(*whole, (scale,), (-8,), Rounding.DOUBLE)
    assert has(double)
    assert not has(double, "uint8")
    assert not has(double, low=np.array([-(1 << 24) - 1]))
    assert not has(double, high=np.array([(1 << 24) + 1]))
    assert not has(replace(double, rounding=Rounding.SINGLE_16BIT))
    assert not has(replace(double, shift=(0,)))
    assert not has(replace(double, shift=(-32,)))
    assert not has(replace(double, multiplier=(0,)))
    assert not has(replace(double, multiplier=(-scale,)))
    assert not has(replace(double, high=(126,)))
    assert not has(replace(double, low=(-127,)))
    assert not has(replace(double, high=(127, 126)))
    assert not has(FloatRequantization(*whole, (0.0,)))
    assert not has(FloatRequantization(*whole, (-0.001,)))
    assert not has(FloatRequantization(*whole, (0.3,)))
    assert not has(replace(double, shift=(-2,)), high=np.array([1 << 20]))  # results beyond 16 bits


@random_cases(20)
def test_one_column_without_a_line_and_the_layer_has_none(rng: np.random.Generator) -> None:
    columns = int(rng.integers(2, 40))
    scales = np.exp2(rng.uniform(-8, -4, columns))
    recipe = recipe_of(rng, "double", "int8", scales)
    low, high = np.full(columns, -100_000), np.full(columns, 100_000)
    bad = replace(recipe, zero_point=-128)
    assert isinstance(bad, FixedPointRequantization)
    assert find_line(bad, "int8", low, high) is not None
    place = int(rng.integers(columns))
    multiplier = [*bad.multiplier]
    multiplier[place] = 0
    assert find_line(replace(bad, multiplier=tuple(multiplier)), "int8", low, high) is None
    low[place] = -(1 << 25)
    assert find_line(bad, "int8", low, high) is None


def dense(rng: np.random.Generator, recipe: Requantization, dtype: str, wanted: np.ndarray, columns: int) -> Case:
    """A product of matrices whose accumulators are those that are wanted for each row, or up to 3 off.

    All columns have the same weights: 40 digits of weight 100 and one of weight 1, on from a large negative bias.
    """
    x_zero = 0 if dtype == "uint8" else -100
    wanted = wanted + FROM
    digits = np.stack([*(np.clip(wanted // 100 - 127 * i, 0, 127) for i in range(40)), wanted % 100], axis=1)
    w = np.tile(np.array([100] * 40 + [1], np.int8), (columns, 1))
    return case(recipe, (digits + x_zero).astype(dtype), w, rng.integers(-3, 4, columns) - FROM, x_zero, dtype)


def each_channel(rng: np.random.Generator, recipe: Requantization, dtype: str, columns: int) -> Case:
    """A depthwise convolution of one tap: every code, times 100."""
    x = np.repeat(np.arange(256)[:, None] + np.iinfo(dtype).min, columns, axis=1).astype(dtype)
    return case(recipe, x, np.full((columns, 1), 100, np.int8), rng.integers(-5000, 5000, columns), 7, dtype)


def case(recipe: Requantization, x: np.ndarray, w: np.ndarray, biases: np.ndarray, x_zero: int, dtype: str) -> Case:
    """Rows of codes times columns of weights; channel by channel where weights have one term."""
    (rows, terms), columns, layout = x.shape, len(w), Layout()
    y = layout.result("y", (1, 1, rows, columns), dtype)
    image, constant = (
        layout.input("x", x.reshape(1, 1, rows, terms)),
        layout.constant("w", w.reshape(columns, 1, 1, -1)),
    )
    command = Convolve(
        "layer", "op", image, constant, layout.constant("b", biases.astype(np.int32)), y,
        Window((1, 1), (1, 1), (1, 1), 0, 0), terms // w.shape[1], x_zero, (0,), False, recipe, Tiling(1, 1, 1),
    )  # fmt: skip
    relative = x.astype(np.int64) - x_zero
    sums = relative * w[:, 0] if w.shape[1] == 1 else relative @ w.T.astype(np.int64)
    return Case(layout, command, (sums + biases).reshape(1, 1, rows, columns))


def check(made: Case, recipe: Requantization) -> bool:
    """Whether a step has lines, straight or bent; its codes are the recipe's."""
    np.testing.assert_array_equal(made.run(), made.expected(recipe))
    return ":line_" in made.step().name or ":bent_" in made.step().name


@pytest.mark.skipif(not available(), reason="steps are compiled code")
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("kind", KINDS)
@random_cases(12)
def test_steps_of_layers(kind: str, dtype: str, rng: np.random.Generator) -> None:
    columns, rows = (
        int(rng.choice([1, 2, 15, 16, 17, 31, 32, 33, 47, 64, 70])),
        int(rng.choice([1, 3, 15, 29, 64, 200])),
    )
    same = kind == "float" or rng.random() < 0.3
    scales = np.exp2(rng.uniform(-8.5, -6, 1 if same else columns))
    recipe = recipe_of(rng, kind, dtype, np.resize(scales, columns))
    thresholds = known(recipe, dtype, np.full(columns, -FROM), np.full(columns, FROM)).steps().thresholds
    wanted = thresholds[rng.integers(255, size=rows), rng.integers(thresholds.shape[1], size=rows)]
    wanted = np.clip(wanted + rng.integers(-4, 4, rows), -FROM, FROM).astype(np.int64)
    has = check(dense(rng, recipe, dtype, wanted, columns), recipe)
    assert has or kind == "float" or recipe.zero_point == np.iinfo(dtype).max or tier().lanes != 16


@pytest.mark.skipif(not available(), reason="steps are compiled code")
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@random_cases(12)
def test_steps_of_depthwise_layers(dtype: str, rng: np.random.Generator) -> None:
    columns = int(rng.choice([2, 15, 16, 17, 40]))
    recipe = recipe_of(rng, "double", dtype, np.exp2(rng.uniform(-8, -4, columns)))
    has = check(each_channel(rng, recipe, dtype, columns), recipe)
    assert has or recipe.zero_point == np.iinfo(dtype).max or tier().lanes != 16


@pytest.mark.skipif(not available(), reason="steps are compiled code")
def test_long_sums_keep_their_ending() -> None:
    """It makes little difference there, and finding lines takes time."""
    recipe = FixedPointRequantization(-128, (-128,), (127,), ((1 << 30) + 12345,), (-8,), Rounding.DOUBLE)
    for terms, has in ((packed.LONGEST, tier().lanes == 16), (packed.LONGEST + 1, False)):
        x, w = np.ones((3, terms), np.int8), np.ones((5, terms), np.int8)
        assert check(case(recipe, x, w, np.zeros(5, np.int64), 0, "int8"), recipe) == has


def test_few_sums_keep_their_ending() -> None:
    """Where finding lines would take longer than they save in thousands of runs."""
    columns = 40
    multipliers = tuple((1 << 30) + 12345 * i for i in range(columns))
    many = FixedPointRequantization(-128, (-128,), (127,), multipliers, (-8,), Rounding.DOUBLE)
    one = replace(many, multiplier=many.multiplier[:1])
    low, high = np.full(columns, -1000), np.full(columns, 1000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed, "_LEAST_ROWS", 150)
        for recipe, rows, has in ((many, 149, False), (many, 150, True), (one, 3, False), (one, 4, True)):
            assert (line_epilogue(recipe, "int8", low, high, rows) is not None) == (has and tier().lanes == 16)
