"""Range setting: every method against a small independent reference."""

import numpy as np
import pytest

from accel_sim.errors import QuantizationError
from accel_sim.quantization.affine_grid import AffineGrid, GridScheme, Symmetry
from accel_sim.quantization.histogram import Histogram
from accel_sim.quantization.line_search import convex_integer, golden_section
from accel_sim.quantization.range_minmax import minmax_grid, minmax_grid_of_histogram
from accel_sim.quantization.range_mse import mean_squared_error, mse_grid, mse_grid_of_histogram
from accel_sim.quantization.range_percentile import histogram_percentile, percentile_grid, percentile_grid_of_histogram
from accel_sim.quantization.squared_error import DirectError, SortedError

SIGNED = [GridScheme(b, Symmetry.SYMMETRIC, signed=True) for b in (2, 3, 4, 6, 8)]
UNSIGNED = [GridScheme(b, Symmetry.SYMMETRIC) for b in (2, 4, 8)]
ASYMMETRIC = [GridScheme(b) for b in (2, 4, 8)]


def quantized_error(values: np.ndarray, scale: float, zero: int, scheme: GridScheme) -> float:
    """eq 7 and 16 written out, on purpose without anything of the package."""
    codes = np.clip(np.rint(values / scale) + zero, scheme.low, scheme.high)
    return float(((values - scale * (codes - zero)) ** 2).mean())


def brute_force(values: np.ndarray, scheme: GridScheme, points: int = 4000) -> float:
    """The least error over a dense grid of scales, and every zero point where there is one."""
    low, high = min(values.min(), 0.0), max(values.max(), 0.0)
    if scheme.is_symmetric:
        largest = 1.1 * max(high / scheme.high, low / scheme.low if scheme.low else 0.0)
        return min(quantized_error(values, s, 0, scheme) for s in largest * np.arange(1, points + 1) / points)
    scales = 1.1 * (high - low) / scheme.steps * np.arange(1, 121) / 120
    zeros = range(scheme.low, scheme.high + 1, max(1, scheme.steps // 64))
    return min(quantized_error(values, s, z, scheme) for s in scales for z in zeros)


def samples(kind: str, count: int, seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return {
        "normal": rng.standard_normal(count),
        "heavy": rng.standard_t(3, count),
        "outlier": np.append(rng.standard_normal(count - 1), 40.0),
        "shifted": rng.standard_normal(count) + 1.5,
        "relu6": np.clip(rng.normal(1, 3, count), 0, 6),
        "negative": -np.abs(rng.standard_normal(count)),
    }[kind]


KINDS = ["normal", "heavy", "outlier", "shifted", "relu6", "negative"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheme", SIGNED + UNSIGNED, ids=repr)
@pytest.mark.parametrize("count", [9, 1500], ids=["few", "many"])
def test_symmetric_mse_is_as_good_as_brute_force(kind, scheme, count):
    values = samples(kind, count)
    if kind == "negative" and not scheme.signed:
        values = np.append(values, 0.5)  # all negative values become 0, whatever the scale
    grid = mse_grid(values, scheme)
    found = quantized_error(values, float(grid.scale[0]), 0, scheme)
    assert found <= brute_force(values, scheme) * (1 + 1e-6) + 1e-15
    assert found <= quantized_error(values, float(minmax_grid(values, scheme).scale[0]), 0, scheme)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheme", ASYMMETRIC, ids=repr)
def test_asymmetric_mse_is_as_good_as_brute_force(kind, scheme):
    values = samples(kind, 400)
    grid = mse_grid(values, scheme)
    found = quantized_error(values, float(grid.scale[0]), int(grid.zero_point[0]), scheme)
    assert found <= brute_force(values, scheme) * (1 + 2e-2) + 1e-15
    assert found == pytest.approx(float(mean_squared_error(values, grid)[0]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheme", [*SIGNED, *ASYMMETRIC], ids=repr)
def test_searched_scale_nears_the_exact_one_on_many_values(kind, scheme, monkeypatch):
    """Above the limit of the enumeration the search takes over; both must agree where both can run."""
    values = samples(kind, 3000)
    exact = float(mean_squared_error(values, mse_grid(values, scheme))[0])
    monkeypatch.setattr("accel_sim.quantization.range_mse._EXACT_BREAKPOINTS", 0)
    searched = float(mean_squared_error(values, mse_grid(values, scheme))[0])
    assert exact - 1e-15 <= searched <= exact * 1.003 + 1e-15


@pytest.mark.parametrize("scheme", [SIGNED[2], ASYMMETRIC[1], UNSIGNED[1]], ids=repr)
def test_per_channel_equals_channel_by_channel(scheme):
    values = np.random.default_rng(2).standard_normal((3, 6, 40)) * np.array([1e-3, 1, 7, 50, 1e4, 0])[:, None]
    grid = mse_grid(values, scheme, axis=1)
    for c in range(5):
        alone = mse_grid(values[:, c], scheme)
        assert grid.scale[c] == pytest.approx(alone.scale[0])
        assert grid.zero_point[c] == alone.zero_point[0]
    assert (grid.codes(values, axis=1)[:, 5] == grid.zero_point[5]).all()


@pytest.mark.parametrize("symmetry", list(Symmetry))
@pytest.mark.parametrize("bits", [3, 8])
def test_power_of_two_scale_is_the_best_exponent(symmetry, bits):
    scheme = GridScheme(bits, symmetry, signed=True, power_of_two=True)
    for kind in KINDS:
        values = samples(kind, 300)
        grid = mse_grid(values, scheme)
        zeros = [0] if scheme.is_symmetric else range(scheme.low, scheme.high + 1)
        best = min(quantized_error(values, 2.0**-k, z, scheme) for k in range(-6, 20) for z in zeros)
        assert np.frexp(grid.scale[0])[0] == 0.5
        assert float(mean_squared_error(values, grid)[0]) == pytest.approx(best, rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheme", [SIGNED[2], UNSIGNED[2], *ASYMMETRIC, GridScheme(12), GridScheme(16)], ids=repr)
def test_mse_of_a_histogram_is_as_good_as_of_the_values(kind, scheme):
    values = samples(kind, 60000)
    histogram = Histogram.empty()
    for batch in np.array_split(values, 7):
        histogram = histogram.with_values(batch)
    from_histogram = float(mean_squared_error(values, mse_grid_of_histogram(histogram, scheme))[0])
    from_values = float(mean_squared_error(values, mse_grid(values, scheme))[0])
    assert from_histogram <= from_values * 1.015 + 1e-15


@pytest.mark.parametrize("scheme", [GridScheme(4), GridScheme(8, Symmetry.SYMMETRIC, signed=True)], ids=repr)
def test_both_error_evaluators_agree(scheme):
    rng = np.random.default_rng(5)
    values, weights = rng.standard_normal(2000), rng.integers(1, 9, 2000).astype(float)
    quick, direct = SortedError(values, scheme, weights), DirectError(values[None], scheme, weights)
    for _ in range(20):
        scale = rng.uniform(0.001, 0.5, 1)
        zero = np.zeros(1) if scheme.is_symmetric else rng.integers(0, 16, 1).astype(float)
        np.testing.assert_allclose(quick(scale, zero), direct(scale, zero), rtol=1e-9)


def test_line_searches_find_the_minimum_per_channel():
    targets = np.array([0.1, 0.5, 0.93])
    found = golden_section(lambda x: (x - targets) ** 2, np.zeros(3), np.ones(3), 40)
    np.testing.assert_allclose(found, targets, atol=1e-6)
    whole = np.array([-7.0, 0.0, 12.0])
    found = convex_integer(lambda x: np.abs(x - whole), np.full(3, -9.0), np.full(3, 12.0))
    np.testing.assert_array_equal(found, whole)


def test_minmax():
    values = np.array([[-1.0, 2.0], [0.5, 7.0]])
    np.testing.assert_allclose(minmax_grid(values, GridScheme(8)).scale, [8 / 255])
    np.testing.assert_allclose(minmax_grid(values, GridScheme(8), axis=0).scale, [3 / 255, 7 / 255])
    from_histogram = minmax_grid_of_histogram(Histogram.of(values), GridScheme(8))
    assert from_histogram.scale == minmax_grid(values, GridScheme(8)).scale


@pytest.mark.parametrize("percent", [90.0, 99.0, 99.9, 100.0])
def test_percentiles(percent):
    values = samples("heavy", 20000)
    low, high = np.percentile(values, [100 - percent, percent])
    grid = percentile_grid(values, GridScheme(8), percent)
    q_min, q_max = (float(q[0]) for q in grid.limits)
    assert (q_min, q_max) == pytest.approx((low, high), abs=grid.scale[0])
    histogram = Histogram.of(values)
    below = np.mean(values <= histogram_percentile(histogram, percent))
    assert below == pytest.approx(percent / 100, abs=2 / values.size)
    streamed = percentile_grid_of_histogram(histogram, GridScheme(8), percent)
    assert streamed.limits[1] == pytest.approx(histogram_percentile(histogram, percent), abs=streamed.scale[0])
    assert percentile_grid(values.reshape(2, -1), GridScheme(8), percent, axis=0).scale.shape == (2,)


@pytest.mark.parametrize(
    "call",
    [
        lambda: minmax_grid(np.array([]), GridScheme()),
        lambda: mse_grid(np.array([1.0, np.nan]), GridScheme()),
        lambda: mse_grid_of_histogram(Histogram.empty(), GridScheme()),
        lambda: percentile_grid(np.array([-np.inf]), GridScheme()),
        lambda: percentile_grid(np.ones(3), GridScheme(), 10.0),
    ],
    ids=["empty", "nan", "no data", "infinite", "percent"],
)
def test_impossible_input_is_refused(call):
    with pytest.raises(QuantizationError):
        call()


@pytest.mark.parametrize("scheme", [*SIGNED, *UNSIGNED, *ASYMMETRIC], ids=repr)
@pytest.mark.parametrize("value", [0.0, 3.5, -2e-20])
def test_constant_tensors_get_a_usable_grid(scheme, value):
    grid = mse_grid(np.full(10, value), scheme)
    assert isinstance(grid, AffineGrid)
    assert np.isfinite(grid.scale).all()
    assert (grid.scale > 0).all()
    if not (scheme.is_symmetric and not scheme.signed and value < 0):
        np.testing.assert_allclose(grid.round_trip(np.full(10, value)), value, rtol=1e-6)
