"""Native steps of transposed convolutions against unbounded integers, as the command's loop nest scatters them."""

import numpy as np
import pytest
from native_cases import RECIPES, transposed
from one_command import random_cases

from accel_sim.sim.native.runner import available

pytestmark = pytest.mark.skipif(not available(), reason="steps are compiled code")


@pytest.mark.parametrize(("x_type", "kind"), [(None, "double rounding"), ("int16", None)], ids=["8 bits", "16 bits"])
@random_cases(40)
def test_transposed_convolutions(x_type: str | None, kind: str | None, rng: np.random.Generator) -> None:
    case, recipe = transposed(rng, RECIPES[kind] if kind else None, x_type=x_type)
    expected = case.expected(recipe)
    np.testing.assert_array_equal(case.run(), expected)
    np.testing.assert_array_equal(case.run(parts=int(rng.integers(2, 6))), expected)
