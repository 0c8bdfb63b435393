"""Rows that are told to be safe, against every partial sum in every order."""

import numpy as np
import pytest
from one_command import random_cases

from accel_kernels.count_safe import add_safe_rows


def told(panel, weights, bias, bits, kind=np.int64):
    """Which rows are safe, and their sums, behind a column of others."""
    safe, sums = np.ones(len(panel), np.bool_), np.full((len(panel), 1 + len(bias)), 77, kind)
    operands = panel.astype(np.int32), len(panel), weights.astype(np.int32), np.asarray(bias, np.int64)
    add_safe_rows(*operands, bits, 1, sums, safe)
    assert (sums[:, 0] == 77).all()
    assert (sums[~safe] == 77).all()
    return safe, sums[:, 1:]


@random_cases(60)
def test_no_partial_sum_of_a_safe_row_overflows(rng):
    depth, channels, bits = int(rng.integers(1, 60)), int(rng.integers(1, 9)), int(rng.integers(18, 40))
    weights = rng.integers(-(1 << 7), 1 << 7, (depth, channels))
    panel = rng.integers(-(1 << 15), 1 << 15, (30, depth)) >> rng.integers(0, 15, (30, 1))
    bias = rng.integers(-(1 << (bits - 2)), 1 << (bits - 2), channels)
    safe, sums = told(panel, weights, bias, bits)
    products = panel[:, :, np.newaxis] * weights
    most = bias + np.maximum(products, 0).sum(1)
    least = bias + np.minimum(products, 0).sum(1)
    fits = (most < 1 << (bits - 1)) & (least >= -(1 << (bits - 1)))
    assert not (safe & ~fits.all(1)).any()
    np.testing.assert_array_equal(sums[safe], (products.sum(1) + bias)[safe])


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("beyond", "expected"), [(-2, True), (-1, True), (1, False), (2, False)])
def test_what_goes_with_weights_is_safe_up_to_the_limit(sign, beyond, expected):
    """The norms then give the sum itself; rounding costs less than one."""
    weights, half = np.arange(1, 101).reshape(-1, 1), 1 << 20
    panel = sign * 3 * weights.T
    last = half - 1 + beyond if sign > 0 else -half - beyond
    assert told(panel, weights, [last - int(panel[0] @ weights[:, 0])], 21)[0].tolist() == [expected]


def test_a_bias_that_does_not_fit_makes_nothing_safe():
    assert not told(np.zeros((3, 2)), np.ones((2, 2)), [0, 1 << 15], 16)[0].any()
    assert told(np.zeros((3, 2)), np.ones((2, 2)), [0, (1 << 15) - 2], 16)[0].all()


def test_sums_of_more_than_32_bits_wrap_where_they_are_stored():
    panel, weights = np.full((1, 4), 1 << 20), np.full((4, 1), 1 << 12)
    assert told(panel, weights, [5], 64)[1].tolist() == [[(1 << 34) + 5]]
    assert told(panel, weights, [5], 64, np.int32)[1].tolist() == [[5]]
