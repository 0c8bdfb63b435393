"""Epilogues that pack codes, at every accumulator near a tie: the accumulators are biases, the products all 0."""

from itertools import product

import numpy as np
import pytest
from native_cases import Case
from one_command import Layout, random_cases

from accel_kernels.native.tier import tier
from accel_sim.numerics.requantization import (
    FixedPointRequantization,
    FloatRequantization,
    Requantization,
    Rounding,
)
from accel_sim.program import Convolve, Tiling, Window
from accel_sim.sim.native.packed import pack_epilogue
from accel_sim.sim.native.runner import available

pytestmark = pytest.mark.skipif(not available(), reason="steps are compiled code")

CHANNELS = 300
ROWS = 3
LARGEST = (1 << 29) - (1 << 20)


def layer(recipe: Requantization, dtype: str, biases: np.ndarray) -> Case:
    """A fully connected layer whose codes are all the zero point, so that biases are its accumulators."""
    layout = Layout()
    x, w = np.full((ROWS, 1, 1, 1), 7, np.uint8), np.ones((CHANNELS, 1, 1, 1), np.int8)
    y = layout.result("y", (ROWS, 1, 1, CHANNELS), dtype)
    command = Convolve(
        "layer", "op", layout.input("x", x), layout.constant("w", w), layout.constant("b", biases.astype(np.int32)), y,
        Window((1, 1), (1, 1), (1, 1), 0, 0), 1, 7, (0,), False, recipe, Tiling(1, 1, 1),
    )  # fmt: skip
    return Case(layout, command, np.broadcast_to(biases, (ROWS, 1, 1, CHANNELS)))


def grid(rng: np.random.Generator, dtype: str) -> tuple[int, tuple[int], tuple[int]]:
    """Zero point, low, high: of a rectified layer, or any."""
    info = np.iinfo(dtype)
    if rng.random() < 0.5:
        return int(info.min), (int(info.min),), (int(info.max),)
    zero = int(rng.integers(info.min, info.max + 1))
    low = int(rng.choice([info.min, zero, rng.integers(info.min, info.max)]))
    return zero, (low,), (int(rng.choice([info.max, rng.integers(low, info.max + 1)])),)


def check(recipe: Requantization, dtype: str, biases: np.ndarray) -> None:
    """The step packs, where vectors are long enough, and gives the recipe's codes."""
    case = layer(recipe, dtype, biases)
    assert tier().lanes != 16 or "packed" in case.step().name
    np.testing.assert_array_equal(case.run(), case.expected(recipe))


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@random_cases(30)
def test_both_roundings_near_their_ties(dtype: str, rng: np.random.Generator) -> None:
    multiplier = rng.integers(1 << 30, 1 << 31, CHANNELS)
    multiplier[::4] = rng.choice([0, 1 << 30, (1 << 30) + 1, (1 << 31) - 1, 3 << 29], len(multiplier[::4]))
    right = rng.integers(1, 21, CHANNELS)
    wanted = rng.integers(-260, 260, CHANNELS)
    exact = [
        ((2 * int(k) + 1) << (30 + int(r))) // max(int(m), 1) for k, r, m in zip(wanted, right, multiplier, strict=True)
    ]
    biases = np.clip(np.array(exact) + rng.integers(-3, 4, CHANNELS), -LARGEST, LARGEST)
    biases[::7] = rng.choice([-LARGEST, -1, 0, 1, LARGEST], len(biases[::7]))
    shifts = tuple((-right).tolist())
    recipe = FixedPointRequantization(
        *grid(rng, dtype), tuple(multiplier.tolist()), shifts, Rounding.DOUBLE, saturating=False
    )
    check(recipe, dtype, biases)


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@random_cases(30)
def test_float_near_its_ties(dtype: str, rng: np.random.Generator) -> None:
    scale = np.exp2(rng.uniform(-20, 0, CHANNELS)).astype(np.float32)
    scale[::4] = np.exp2(rng.integers(-20, 0, len(scale[::4]))).astype(np.float32)
    biases = np.round((rng.integers(-260, 260, CHANNELS) + 0.5) / scale.astype(np.float64)).astype(np.int64)
    biases = np.clip(biases + rng.integers(-2, 3, CHANNELS), -(1 << 31), (1 << 31) - 1000)
    biases[::7] = rng.choice([-(1 << 31), -1, 0, 1, (1 << 31) - 1000], len(biases[::7]))
    scales = tuple(float(min(s, np.float32(0.999))) for s in scale)
    check(FloatRequantization(*grid(rng, dtype), scales), dtype, biases)


@pytest.mark.parametrize(("bound", "packs"), [((1 << 29), True), ((1 << 29) + 1, False)])
def test_accumulators_that_may_be_larger_are_not_packed(bound: int, packs: bool) -> None:
    recipe = FixedPointRequantization(0, (-128,), (127,), (1 << 30,), (-8,), Rounding.DOUBLE, saturating=False)
    found = pack_epilogue(recipe, "int8", bound)
    assert (found is not None) == (packs and tier().lanes == 16)


def test_what_packs_cannot_do() -> None:
    whole = (0, (-128,), (127,))
    for shift, saturating in product((0, 1, -21, -31), (False, True)):
        recipe = FixedPointRequantization(*whole, (1 << 30,), (shift,), Rounding.DOUBLE, saturating)
        assert pack_epilogue(recipe, "int8", 1000) is None
    assert pack_epilogue(FloatRequantization(*whole, (1.0,)), "int8", 1 << 31) is None
    assert pack_epilogue(FloatRequantization(0, (-128, -127), (127, 127), (0.5,)), "int8", 1000) is None
    assert pack_epilogue(FloatRequantization(0, (-128,), (127,), (0.5,)), "int16", 1000) is None
