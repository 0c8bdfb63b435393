"""Native steps of 16-bit codes and 8-bit weights against unbounded integers: accumulators of 32 and of 64 bits."""

import numpy as np
import pytest
from native_cases import RECIPES, convolution
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
