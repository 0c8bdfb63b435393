"""Native steps of convolutions against unbounded integers: every operand type, recipe and share, byte for byte."""

import numpy as np
import pytest
from native_cases import RECIPES, convolution
from one_command import random_cases

from accel_sim.sim.native.runner import available

pytestmark = pytest.mark.skipif(not available(), reason="steps are compiled code")


@pytest.mark.parametrize("depthwise", [False, True], ids=["dense", "depthwise"])
@pytest.mark.parametrize("kind", [*RECIPES, None])
@random_cases(60)
def test_convolutions(kind: str | None, depthwise: bool, rng: np.random.Generator) -> None:
    case, recipe = convolution(rng, RECIPES[kind] if kind else None, depthwise=depthwise)
    expected = case.expected(recipe)
    np.testing.assert_array_equal(case.run(), expected)
    np.testing.assert_array_equal(case.run(parts=int(rng.integers(2, 6))), expected)
