"""Sums of floating-point products in one order."""

import numpy as np
import pytest

from accel_sim.reference.ordered import product_in_order


def one_after_the_other(row, column):
    total = row.dtype.type(0)
    for a, b in zip(row, column, strict=True):
        total = total + a * b
    return total


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("rows", "terms", "columns"), [(1, 1, 1), (3, 100, 5), (40, 9, 1200), (20000, 3, 1), (2, 0, 3)]
)
def test_every_element_is_its_products_added_one_after_the_other(kind, rows, terms, columns):
    rng = np.random.default_rng(rows + columns)
    a, b = (rng.normal(0, 10.0 ** rng.integers(-3, 4, s), s).astype(kind) for s in ((rows, terms), (terms, columns)))
    product = product_in_order(a, b)
    assert (product.dtype, product.shape) == (kind, (rows, columns))
    for _ in range(30):
        i, j = rng.integers(rows), rng.integers(columns)
        assert product[i, j].tobytes() == one_after_the_other(a[i], b[:, j]).tobytes()


def test_leading_axes_are_broadcast():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(4, 1, 2, 7)), rng.normal(size=(3, 7, 5))
    np.testing.assert_allclose(product_in_order(a, b), a @ b, rtol=1e-12)
