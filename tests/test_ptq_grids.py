"""Grids and streaming histograms."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from accel_sim.errors import QuantizationError
from accel_sim.quantization.affine_grid import (
    SMALLEST_SCALE,
    WEIGHTS_INT8,
    AffineGrid,
    GridScheme,
    Symmetry,
    grid_of_range,
    smallest_weight_scale,
)
from accel_sim.quantization.channel_statistics import ChannelStatistics
from accel_sim.quantization.histogram import Histogram

SCHEMES = [
    GridScheme(bits, symmetry, signed=signed, power_of_two=pot)
    for bits in (2, 4, 8, 16)
    for symmetry in Symmetry
    for signed in (False, True)
    for pot in (False, True)
]


@pytest.mark.parametrize("scheme", SCHEMES, ids=repr)
def test_grid_covers_its_range_and_holds_zero(scheme):
    rng = np.random.default_rng(scheme.bits)
    low, high = -rng.uniform(0, 3, 50), rng.uniform(0, 5, 50)
    if scheme.is_symmetric and not scheme.signed:
        low[:] = 0.0
    grid = grid_of_range(low, high, scheme)
    q_min, q_max = grid.limits
    slack = grid.scale * ((0.0 if scheme.is_symmetric else 0.5) + scheme.steps * 1e-7)  # float32 scales
    assert (q_min <= low + slack).all()
    assert (q_max >= high - slack).all()
    assert (grid.round_trip(np.zeros((50, 1)), axis=0) == 0).all()
    assert (grid.scale == grid.scale.astype(np.float32)).all()
    if scheme.power_of_two:
        assert (np.frexp(grid.scale)[0] == 0.5).all()


def test_symmetric_scale_is_the_smallest_without_clipping():
    grid = grid_of_range(np.array([-128.0, -1.0]), np.array([1.0, 127.0]), WEIGHTS_INT8)
    np.testing.assert_array_equal(grid.scale, [1.0, 1.0])
    narrow = GridScheme(8, Symmetry.SYMMETRIC, signed=True, narrow=True)
    np.testing.assert_allclose(grid_of_range(-127.0, 1.0, narrow).scale, 1.0)
    assert grid_of_range(-127.0, 1.0, narrow).codes(np.array([-500.0])) == -127


def test_codes_equal_equation_7_written_out():
    grid = AffineGrid(np.array([0.5]), np.array([3]), GridScheme(4))
    values = np.array([-9.0, -1.5, -0.25, 0.0, 0.2, 0.25, 0.75, 6.0, 80.0])
    expected = [min(max(round(v / 0.5) + 3, 0), 15) for v in values]
    np.testing.assert_array_equal(grid.codes(values), expected)
    assert grid.params().zero_point == (3,)


def test_a_range_of_zero_takes_the_largest_scale_of_the_others():
    grid = grid_of_range(np.array([-1.0, 0.0, -2.0]), np.array([1.0, 0.0, 2.0]), WEIGHTS_INT8)
    assert grid.scale[1] == grid.scale[2] > 0
    assert grid_of_range(0.0, 0.0, WEIGHTS_INT8).scale[0] == 1.0
    assert grid_of_range(0.0, 1e-44, WEIGHTS_INT8).scale[0] == SMALLEST_SCALE


def test_a_nearly_dead_channel_keeps_its_bias():
    weights, bias, input_scale = np.array([[2e-20], [0.5]]), np.array([3.7, 0.1]), 0.02
    grid = grid_of_range(weights[:, 0].clip(max=0), weights[:, 0], WEIGHTS_INT8)
    assert bias[0] / (grid.scale[0] * input_scale) > 2**31
    safe = grid.with_smallest_scale(smallest_weight_scale(bias, input_scale))
    stored = np.rint(bias / (safe.scale * input_scale))
    assert (np.abs(stored) <= 2**30 + 128).all()
    np.testing.assert_allclose(stored * safe.scale * input_scale, bias, rtol=1e-3)
    assert safe.scale[1] == grid.scale[1]


@pytest.mark.parametrize(
    ("low", "high"), [(math.nan, 1.0), (0.0, math.inf), (2.0, 1.0)], ids=["nan", "infinite", "reversed"]
)
def test_impossible_ranges_are_refused(low, high):
    with pytest.raises(QuantizationError, match="range"):
        grid_of_range(low, high, WEIGHTS_INT8)


def test_impossible_schemes_are_refused():
    with pytest.raises(QuantizationError, match="2 to 16"):
        GridScheme(1)
    with pytest.raises(QuantizationError, match="narrow"):
        GridScheme(8, narrow=True)


def stream(seed: int) -> list[np.ndarray]:
    """Batches whose range grows by orders of magnitude, with spikes at 0 and 6."""
    rng = np.random.default_rng(seed)
    batches = [
        (rng.standard_normal(rng.integers(1, 3000)) * 10.0 ** rng.integers(-6, 6)).astype(np.float32) for _ in range(12)
    ]
    return [*batches, np.zeros(500, np.float32), np.clip(batches[3], 0, 6)]


@pytest.mark.parametrize("seed", range(4))
def test_histogram_is_exact_and_independent_of_batches_and_order(seed):
    batches = stream(seed)
    everything = np.concatenate(batches)
    whole = Histogram.of(everything, bins=512)
    streamed = Histogram.empty(512)
    for batch in batches:
        streamed = streamed.with_values(batch)
    merged = Histogram.of(np.concatenate(batches[7:]), 512).merged(Histogram.of(np.concatenate(batches[:7]), 512))
    for h in (streamed, merged):
        assert (h.exponent, h.first, h.count) == (whole.exponent, whole.first, everything.size)
        assert (h.minimum, h.maximum) == (everything.min(), everything.max())
        np.testing.assert_array_equal(h.counts, whole.counts)
        np.testing.assert_allclose(h.sums, whole.sums, rtol=1e-9, atol=1e-9 * h.width)
        np.testing.assert_allclose(h.squares, whole.squares, rtol=1e-9, atol=1e-9 * h.width**2)
        assert h.mean == pytest.approx(everything.astype(np.float64).mean(), rel=1e-12)


@pytest.mark.parametrize("seed", range(2))
def test_histogram_counts_equal_a_direct_count(seed):
    values = np.concatenate(stream(seed)).astype(np.float64)
    h = Histogram.of(values, bins=256)
    edges = (h.first + np.arange(257)) * h.width
    expected = [np.count_nonzero((values >= a) & (values < b)) for a, b in pairwise(edges)]
    np.testing.assert_array_equal(h.counts, expected)
    used = np.flatnonzero(h.counts)
    assert used[-1] - used[0] + 1 > 256 // 2 - 1


def test_histogram_keeps_spikes_in_place():
    rng = np.random.default_rng(0)
    h = Histogram.of(np.clip(rng.normal(1, 3, 20000), 0, 6), bins=64)
    points, counts = h.atoms()
    assert points[0] == pytest.approx(0.0, abs=0.01)
    assert points[-1] == 6.0
    assert counts.sum() == 20000
    spread, _ = h.atoms(per_bin=4)
    assert spread[-4:] == pytest.approx([6.0] * 4)


@given(st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=40), st.integers(0, 39))
@example([0.0, 1.0], 1)  # each value by itself has no range
@example([3.5, 3.5, -7.25], 2)
def test_any_split_gives_the_same_counts(values, cut):
    array = np.array(values, np.float32)
    whole = Histogram.of(array, 16)
    split = Histogram.of(array[:cut], 16).merged(Histogram.of(array[cut:], 16))
    np.testing.assert_array_equal(split.counts, whole.counts)
    assert (split.exponent, split.first) == (whole.exponent, whole.first)
    assert (whole.minimum, whole.maximum) == (array.min(), array.max())


def test_histogram_refuses_what_it_cannot_hold():
    with pytest.raises(QuantizationError, match="1 of 3 values are NaN or infinite"):
        Histogram.of(np.array([1.0, np.inf, 2.0]))
    with pytest.raises(QuantizationError, match="give calibration data"):
        _ = Histogram.empty().mean
    with pytest.raises(QuantizationError, match="equally many bins"):
        Histogram.of(np.ones(3), 16).merged(Histogram.of(np.ones(3), 32))


def test_channel_statistics_stream():
    rng = np.random.default_rng(1)
    batches = [rng.normal(1e3, 2.0, (n, 5, 7)).astype(np.float32) for n in (1, 4, 9)]
    streamed = ChannelStatistics.empty(7)
    for batch in batches:
        streamed = streamed.with_values(batch)
    rows = np.concatenate(batches).reshape(-1, 7).astype(np.float64)
    np.testing.assert_allclose(streamed.mean, rows.mean(0), rtol=1e-12)
    np.testing.assert_allclose(streamed.variance, rows.var(0), rtol=1e-9)
    np.testing.assert_array_equal(streamed.minimum, rows.min(0))
    np.testing.assert_array_equal(streamed.maximum, rows.max(0))
    with pytest.raises(QuantizationError, match="equally many channels"):
        streamed.with_values(rows[:, :3])
