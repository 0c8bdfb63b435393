"""Clipped normals, batch-norm ranges, bias correction and cross-entropy ranges."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, stats

from accel_sim.errors import QuantizationError
from accel_sim.quantization.affine_grid import WEIGHTS_INT8, GridScheme, Symmetry
from accel_sim.quantization.bias_correction import analytic_shift, corrected_bias, empirical_shift, tap_means
from accel_sim.quantization.convolution_rows import Window
from accel_sim.quantization.normal_moments import (
    Moments,
    added_moments,
    batchnorm_moments,
    clipped_moments,
    linear_moments,
)
from accel_sim.quantization.range_batchnorm import batchnorm_grid, batchnorm_range
from accel_sim.quantization.range_cross_entropy import cross_entropy_grid
from accel_sim.quantization.range_minmax import minmax_grid
from accel_sim.quantization.range_mse import mse_grid

BOUNDS = {
    "relu": (0.0, np.inf),
    "relu6": (0.0, 6.0),
    "clip": (-1.0, 2.5),
    "upper": (-np.inf, 1.0),
    "none": (-np.inf, np.inf),
}
CASES = [(0.0, 1.0), (2.0, 0.5), (-3.0, 1.0), (5.5, 2.0), (0.3, -1.7), (8.0, 0.1), (-40.0, 1.0), (1.0, 1e-9)]


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize(("beta", "gamma"), CASES)
def test_clipped_moments_equal_numerical_integration(bounds, beta, gamma):
    low, high = BOUNDS[bounds]
    normal = stats.norm(beta, abs(gamma))
    edges = np.clip(
        [beta - 12 * abs(gamma), low, high, beta + 12 * abs(gamma)], beta - 12 * abs(gamma), beta + 12 * abs(gamma)
    )
    edges = np.unique(np.append(edges, np.clip(beta, edges[0], edges[-1])))

    def expectation(power):
        def integrand(v):
            return (np.clip(v, low, high) - beta) ** power * normal.pdf(v)

        return sum(integrate.quad(integrand, a, b, epsabs=1e-14, epsrel=1e-12)[0] for a, b in pairwise(edges))

    first, second = expectation(1), expectation(2)
    got = clipped_moments(batchnorm_moments(np.array([beta]), np.array([gamma])), low, high)
    assert got.mean[0] == pytest.approx(first + beta, abs=1e-9)
    assert got.variance[0] == pytest.approx(second - first**2, abs=1e-9, rel=1e-6)


def test_relu_mean_is_equation_28():
    beta, gamma = np.array([0.7, -1.2]), np.array([1.5, 0.4])
    expected = gamma * stats.norm.pdf(-beta / gamma) + beta * (1 - stats.norm.cdf(-beta / gamma))
    np.testing.assert_allclose(clipped_moments(batchnorm_moments(beta, gamma)).mean, expected, rtol=1e-12)


def test_moments_through_a_residual_block_equal_sampling():
    """clip -> linear, plus a clipped shortcut, with per-channel caps and a constant channel."""
    rng = np.random.default_rng(0)
    a = batchnorm_moments(np.array([1.0, -0.5, 2.0]), np.array([1.0, 2.0, 0.0]))
    b = batchnorm_moments(np.array([0.5, 0.1]), np.array([0.3, 1.0]))
    caps, weight, bias = np.array([6.0, 1.5, 1.0]), rng.standard_normal((2, 3)), np.array([0.2, -0.1])
    total = added_moments(linear_moments(weight, bias, clipped_moments(a, 0.0, caps)), clipped_moments(b))
    x = np.clip(rng.normal(a.mean, a.deviation, (400_000, 3)), 0.0, caps)
    y = x @ weight.T + bias + np.maximum(rng.normal(b.mean, b.deviation, (400_000, 2)), 0.0)
    np.testing.assert_allclose(total.mean, y.mean(0), atol=0.01)
    np.testing.assert_allclose(total.variance, y.var(0), rtol=0.01)


def test_moments_validate_themselves():
    with pytest.raises(QuantizationError, match="not negative"):
        Moments(np.zeros(2), np.array([1.0, -1.0]))
    with pytest.raises(QuantizationError, match=r"both \[C\]"):
        Moments(np.zeros(2), np.zeros(3))


def test_batchnorm_range_is_equations_18_and_19():
    beta, gamma = np.array([1.0, -2.0, 0.0]), np.array([0.5, -1.0, 2.0])
    assert batchnorm_range(beta, gamma) == (-12.0, 12.0)
    assert batchnorm_range(beta, gamma, alpha=1.0) == (-3.0, 2.0)
    assert batchnorm_range(beta, gamma, low=0.0) == (0.0, 12.0)
    assert batchnorm_range(beta, gamma, low=0.0, high=6.0) == (0.0, 6.0)
    assert batchnorm_range(beta, gamma, low=0.0, high=np.array([9.0, 9.0, 2.0])) == (0.0, 4.0)
    assert batchnorm_grid(beta, gamma, GridScheme(8)).scale[0] == pytest.approx(24 / 255)
    with pytest.raises(QuantizationError, match="alpha is positive"):
        batchnorm_range(beta, gamma, alpha=0.0)


def test_six_deviations_cover_what_a_normal_channel_makes():
    rng = np.random.default_rng(1)
    beta, gamma = rng.standard_normal(16), rng.uniform(0.1, 2, 16)
    low, high = batchnorm_range(beta, gamma)
    x = rng.normal(beta, gamma, (100_000, 16))
    assert low < x.min()
    assert x.max() < high


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_corrected_means_are_equal(groups):
    """After either correction the mean output of the quantized layer is the float one, to 1e-6."""
    rng = np.random.default_rng(2)
    weight = rng.standard_normal((12, 3, 3, 6 // groups))
    bias = rng.standard_normal(12)
    quantized = mse_grid(weight, GridScheme(3, Symmetry.SYMMETRIC, signed=True)).round_trip(weight)
    x = rng.uniform(0, 3, (500, 3, 3, 6))
    x += rng.standard_normal(6) - x.mean(axis=(0, 1, 2))  # every tap sees the channel's mean exactly on average
    x -= x.mean(axis=0) - x.mean(axis=(0, 1, 2))

    def outputs(w, b):
        parts = x.reshape(500, 9, groups, -1)
        return np.einsum("ntgc,gotc->ngo", parts, w.reshape(groups, 12 // groups, 9, -1)).reshape(500, 12) + b

    wanted = outputs(weight, bias).mean(0)
    plain = outputs(quantized, bias).mean(0)
    assert np.abs(plain - wanted).max() > 0.01
    empirical = corrected_bias(bias, empirical_shift(plain, wanted))
    analytic = corrected_bias(bias, analytic_shift(weight, quantized, x.mean(axis=(0, 1, 2)), groups))
    for corrected in (empirical, analytic):
        np.testing.assert_allclose(outputs(quantized, corrected).mean(0), wanted, atol=1e-6)
    np.testing.assert_allclose(corrected_bias(None, np.ones(3)), -np.ones(3))


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize(
    ("strides", "dilations", "padding"), [((1, 1), (1, 1), 1), ((2, 3), (1, 1), 1), ((1, 2), (2, 1), 2)]
)
def test_analytic_shift_counts_zero_padding(groups, strides, dilations, padding):
    """The mean output error of a padded convolution, written out pixel by pixel on the map of means."""
    rng = np.random.default_rng(5)
    difference = rng.standard_normal((12, 3, 3, 6 // groups))
    mean = rng.uniform(0, 2, (7, 9, 6))
    padded = np.pad(mean, ((padding, padding), (padding, padding), (0, 0)))
    height, width = ((n + 2 * padding - 2 * d - 1) // s + 1 for n, d, s in zip((7, 9), dilations, strides, strict=True))
    made = np.zeros((height, width, 12))
    for i, j, o, p, q in np.ndindex(height, width, 12, 3, 3):
        first = o // (12 // groups) * (6 // groups)
        row, column = i * strides[0] + p * dilations[0], j * strides[1] + q * dilations[1]
        made[i, j, o] += padded[row, column, first : first + 6 // groups] @ difference[o, p, q]
    window = Window((3, 3), strides, dilations, padding, padding)
    seen = tap_means(mean, window, (height, width))
    shift = analytic_shift(np.zeros_like(difference), difference, seen, groups)
    np.testing.assert_allclose(shift, made.mean(axis=(0, 1)), atol=1e-12)
    ignoring = analytic_shift(np.zeros_like(difference), difference, mean.mean(axis=(0, 1)), groups)
    assert np.abs(ignoring - shift).max() > 0.05


def test_bias_correction_refuses_wrong_shapes():
    with pytest.raises(QuantizationError, match="same channels"):
        empirical_shift(np.zeros(2), np.zeros(3))
    with pytest.raises(QuantizationError, match="one mean for each of 6"):
        analytic_shift(np.zeros((2, 3)), np.zeros((2, 3)), np.zeros(5), groups=2)
    with pytest.raises(QuantizationError, match="same shape"):
        analytic_shift(np.zeros((2, 3)), np.zeros((2, 4)), np.zeros(3))


def cross_entropy(logits, quantized):
    """eq 17 written out sample by sample."""
    total = 0.0
    for v, q in zip(logits, quantized, strict=True):
        p = np.exp(v) / np.exp(v).sum()
        total += -(p * (q - np.log(np.exp(q).sum()))).sum()
    return total / len(logits)


@pytest.mark.parametrize(
    "scheme", [GridScheme(4), GridScheme(8), GridScheme(4, Symmetry.SYMMETRIC, signed=True)], ids=repr
)
def test_cross_entropy_range_beats_a_dense_grid_of_ranges(scheme):
    rng = np.random.default_rng(3)
    logits = rng.standard_normal((40, 100)) - 1.0
    logits[np.arange(40), rng.integers(0, 100, 40)] += rng.uniform(3, 12, 40)
    found = cross_entropy(logits, cross_entropy_grid(logits, scheme).round_trip(logits))
    for other in (minmax_grid(logits, scheme), mse_grid(logits, scheme)):
        assert found <= cross_entropy(logits, other.round_trip(logits)) + 1e-12
    dense = []
    for low in logits.min() * np.linspace(0, 1, 15):
        for high in logits.max() * np.linspace(0.3, 1.2, 25):
            scale = (
                (high - low) / scheme.steps if not scheme.is_symmetric else max(high / scheme.high, low / scheme.low)
            )
            zero = round(-low / scale) if not scheme.is_symmetric else 0
            codes = np.clip(np.rint(logits / scale) + zero, scheme.low, scheme.high)
            dense.append(cross_entropy(logits, scale * (codes - zero)))
    floor = cross_entropy(logits, logits)
    assert found - floor <= (min(dense) - floor) * 1.1 + 1e-9


def test_cross_entropy_refuses_what_are_not_logits():
    with pytest.raises(QuantizationError, match="samples, classes"):
        cross_entropy_grid(np.ones(4), WEIGHTS_INT8)
    with pytest.raises(QuantizationError, match="NaN"):
        cross_entropy_grid(np.full((2, 4), np.nan), WEIGHTS_INT8)
