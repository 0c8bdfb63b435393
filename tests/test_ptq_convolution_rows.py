"""Patches and positions: a convolution as a dense layer, against a convolution written out."""

import numpy as np
import pytest

from accel_sim.errors import QuantizationError
from accel_sim.ir import Conv2D, Padding2D
from accel_sim.quantization.convolution_rows import (
    Window,
    dense_rows,
    depthwise_rows,
    grouped_rows,
    patches,
    sample_positions,
)


def convolution(x, weight, op) -> np.ndarray:
    """x [N,H,W,Ci], OHWI weights: written out position by position."""
    p = op.padding
    x = np.pad(x, ((0, 0), (p.top, p.bottom), (p.left, p.right), (0, 0)))
    outputs, kh, kw, per_group = weight.shape
    ho = (x.shape[1] - (kh - 1) * op.dilations[0] - 1) // op.strides[0] + 1
    wo = (x.shape[2] - (kw - 1) * op.dilations[1] - 1) // op.strides[1] + 1
    y = np.zeros((len(x), ho, wo, outputs))
    for n, i, j, o in np.ndindex(*y.shape):
        first = o // (outputs // op.groups) * per_group
        for a, b, c in np.ndindex(kh, kw, per_group):
            row, column = i * op.strides[0] + a * op.dilations[0], j * op.strides[1] + b * op.dilations[1]
            y[n, i, j, o] += x[n, row, column, first + c] * weight[o, a, b, c]
    return y


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize(
    ("strides", "dilations", "padding"),
    [((1, 1), (1, 1), Padding2D(1, 1, 1, 1)), ((2, 1), (2, 3), Padding2D(0, 1, 2, 1)), ((2, 2), (1, 1), Padding2D())],
)
def test_patches_make_a_convolution_dense(groups, strides, dilations, padding):
    rng = np.random.default_rng(15)
    x, weight = rng.standard_normal((3, 7, 8, 4)), rng.standard_normal((4, 3, 2, 4 // groups))
    op = Conv2D(strides=strides, dilations=dilations, padding=padding, groups=groups)
    y = convolution(x, weight, op)
    positions = sample_positions(y.shape[:3], 10_000)
    assert len(positions) == y[..., 0].size
    taken = patches(x, positions, Window.of(op, weight.shape))
    if groups == 4:
        made = np.einsum("nck,ck->nc", depthwise_rows(taken), weight.reshape(4, -1))
    elif groups == 1:
        made = dense_rows(taken) @ weight.reshape(4, -1).T
    else:
        rows = grouped_rows(taken, 2)
        made = np.concatenate([rows[g] @ weight[2 * g : 2 * g + 2].reshape(2, -1).T for g in range(2)], axis=1)
    np.testing.assert_allclose(made, y[tuple(positions.T)], atol=1e-5)


def test_positions_are_spread_ordered_and_reproducible():
    positions = sample_positions((5, 9, 11), 53, seed=3)
    assert positions.shape == (53, 3)
    assert len(np.unique(positions, axis=0)) == 53
    counts = np.bincount(positions[:, 0])
    assert set(counts) == {10, 11}
    assert (np.diff(positions[:, 0]) >= 0).all()
    np.testing.assert_array_equal(positions, sample_positions((5, 9, 11), 53, seed=3))
    assert (positions != sample_positions((5, 9, 11), 53, seed=4)).any()


def test_padding_may_have_a_value_per_channel():
    taken = patches(np.zeros((1, 2, 2, 2)), np.array([[0, 0, 0]]), Window((3, 3), top=1, left=1), np.array([5.0, -7.0]))
    np.testing.assert_array_equal(taken[0, 0, 0], [5, -7])
    np.testing.assert_array_equal(taken[0, 1, 1], [0, 0])


def test_a_sample_that_is_not_there_is_refused():
    with pytest.raises(QuantizationError, match="samples are 0 to 0"):
        patches(np.ones((1, 2, 2, 1)), np.array([[1, 0, 0]]), Window((1, 1)))
