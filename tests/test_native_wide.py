"""Native steps of 16-bit codes and 8-bit weights against unbounded integers: accumulators of 32 and of 64 bits."""

import numpy as np
import pytest
from native_cases import RECIPES, convolution, transposed
from one_command import random_cases

from accel_sim.sim.native.runner import available

pytestmark = pytest.mark.skipif(not available(), reason="steps are compiled code")


@pytest.mark.parametrize("depthwise", [False, True], ids=["dense", "depthwise"])
@pytest.mark.parametrize("kind", ["double rounding", "float64", None])
@random_cases(20)
def test_accumulators_of_32_bits(kind: str | None, depthwise: bool, rng: np.random.Generator) -> None:
    case, recipe = convolution(rng, RECIPES[kind] if kind else None, depthwise=depthwise, x_type="int16")
    expected = case.expected(recipe)
    np.testing.assert_array_equal(case.run(), expected)
    np.testing.assert_array_equal(case.run(parts=int(rng.integers(2, 6))), expected)


@pytest.mark.parametrize("kind", ["single rounding, 16-bit multiplier", "float64", "rational"])
@random_cases(30)
def test_accumulators_of_64_bits(kind: str, rng: np.random.Generator) -> None:
    case, recipe = convolution(rng, RECIPES[kind], depthwise=False, x_type="int16", wide=True)
    expected = case.expected(recipe)
    np.testing.assert_array_equal(case.run(), expected)
    np.testing.assert_array_equal(case.run(parts=int(rng.integers(2, 6))), expected)


@random_cases(30)
def test_biases_of_64_bits(rng: np.random.Generator) -> None:
    recipe = RECIPES["single rounding, 16-bit multiplier"]
    if rng.random() < 0.5:
        case, drawn = convolution(rng, recipe, depthwise=True, x_type="int16", wide=True)
    else:
        case, drawn = transposed(rng, recipe, x_type="int16", wide=True)
    np.testing.assert_array_equal(case.run(), case.expected(drawn))


def test_long_reductions_need_64_bits() -> None:
    drawn = [
        convolution(np.random.default_rng(seed), RECIPES["float64"], depthwise=False, x_type="int16", wide=True)[0]
        for seed in range(8)
    ]
    names = {case.step().name.split(":")[1] for case in drawn}
    assert any(name.endswith("w") for name in names), "64 bits where weights do not prove that 32 suffice"
    assert any(not name.endswith("w") for name in names), "32 bits where they do"
