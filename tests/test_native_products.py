"""Native steps of products of two activations against unbounded integers."""

import numpy as np
import pytest
from native_cases import RECIPES, matrix_product
from one_command import random_cases

from accel_sim.sim.native.runner import available

pytestmark = pytest.mark.skipif(not available(), reason="steps are compiled code")


@pytest.mark.parametrize("kind", ["float32", None])
@random_cases(60)
def test_matrix_products(kind: str | None, rng: np.random.Generator) -> None:
    case, recipe = matrix_product(rng, RECIPES[kind] if kind else None)
    expected = case.expected(recipe)
    np.testing.assert_array_equal(case.run(), expected)
    np.testing.assert_array_equal(case.run(parts=int(rng.integers(2, 6))), expected)
