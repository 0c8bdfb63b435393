"""AdaRound: against exhaustive search on tiny layers, its pieces against numerical derivatives, and its promises."""

import itertools

import numpy as np
import pytest

from accel_sim.errors import QuantizationError
from accel_sim.quantization.adaround import adaround
from accel_sim.quantization.adaround_damping import CANDIDATES, held_out_damping
from accel_sim.quantization.adaround_depthwise import adaround_depthwise
from accel_sim.quantization.adaround_relaxation import (
    AdaRoundOptions,
)
from accel_sim.quantization.affine_grid import AffineGrid, GridScheme, Symmetry
from accel_sim.quantization.gram_rounding import LinearObjective, coordinate_descent, damped
from accel_sim.quantization.range_minmax import minmax_grid
from accel_sim.quantization.range_mse import mse_grid
from accel_sim.quantization.reconstruction import reconstruction
from accel_sim.quantization.rounding import RoundingChoices

INT4 = GridScheme(4, Symmetry.SYMMETRIC, signed=True)
INT3 = GridScheme(3, Symmetry.SYMMETRIC, signed=True)
CLAMPS = {"linear": (-np.inf, np.inf), "relu": (0.0, np.inf), "relu6": (0.0, 6.0)}


def correlated(rng: np.random.Generator, rows: int, inputs: int) -> np.ndarray:
    """Inputs as layers see them: not negative, alike in neighbouring channels."""
    return np.maximum(rng.standard_normal((rows, inputs)) @ rng.standard_normal((inputs, inputs)) / 2 + 0.5, 0)


def error_of(weight, rows, targets, bias, low, high) -> np.ndarray:
    """eq 35 without regularization, written out; [Co]."""
    return ((np.clip(rows @ weight.T + bias, low, high) - np.clip(targets, low, high)) ** 2).mean(axis=0)


def exhaustive(weight, grid, rows, targets, bias, low, high) -> np.ndarray:
    """The least error of every output channel over all of its 2^K roundings."""
    scale = np.broadcast_to(grid.scale, len(weight))
    best = np.full(len(weight), np.inf)
    for o, w in enumerate(weight):
        floor = np.floor(w / scale[o])
        for ups in itertools.product([0, 1], repeat=w.size):
            candidate = scale[o] * np.clip(floor + ups, grid.scheme.low, grid.scheme.high)
            one = error_of(candidate[None], rows, targets[:, o : o + 1], bias[o], low, high)
            best[o] = min(best[o], one[0])
    return best


@pytest.mark.parametrize("clamp", CLAMPS)
@pytest.mark.parametrize("per_channel", [False, True])
def test_tiny_layers_come_near_the_exhaustive_optimum(clamp, per_channel):
    """Shares of the error of rounding to nearest, averaged over layers: AdaRound's and the least possible one."""
    low, high = CLAMPS[clamp]
    axis = 0 if per_channel else None
    reached, possible = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        weight, bias = rng.standard_normal((4, 8)), rng.standard_normal(4)
        rows = correlated(rng, 200, 8)
        targets = rows @ weight.T + bias
        grid = mse_grid(weight, INT3, axis=axis)
        rounded = adaround(weight, grid, rows, targets, bias, AdaRoundOptions(damping=0.0), low=low, high=high)
        best = exhaustive(weight, grid, rows, targets, bias, low, high)
        made = error_of(grid.reals(rounded.codes, axis=axis), rows, targets, bias, low, high)
        np.testing.assert_allclose(made, rounded.error, rtol=1e-3, atol=1e-6)
        assert (made >= best - 1e-9).all()
        reached.append(rounded.gain)
        possible.append(best.sum() / rounded.nearest_error.sum())
    assert np.mean(reached) <= np.mean(possible) + (0.03 if clamp == "linear" else 0.12)
    assert np.mean(reached) < 0.75


@pytest.mark.parametrize("clamp", CLAMPS)
@pytest.mark.parametrize("seed", range(3))
def test_never_worse_than_nearest_in_any_channel(clamp, seed):
    rng = np.random.default_rng(seed)
    low, high = CLAMPS[clamp]
    weight = rng.standard_normal((16, 40))
    weight[3] = 0.0
    rows = correlated(rng, 300, 40)
    targets = rows @ weight.T + rng.standard_normal((300, 16))  # an asymmetric target that no rounding can meet
    grid = minmax_grid(weight, INT4, axis=0)
    few = AdaRoundOptions(iterations=20, seed=seed)
    rounded = adaround(weight, grid, rows, targets, None, few, low=low, high=high)
    nearest = error_of(grid.round_trip(weight, axis=0), rows, targets, 0.0, low, high)
    reached = error_of(grid.reals(rounded.codes, axis=0), rows, targets, 0.0, low, high)
    np.testing.assert_allclose(rounded.nearest_error, nearest, rtol=1e-4)
    assert (reached <= nearest * (1 + 1e-5)).all()
    np.testing.assert_array_equal(rounded.codes[rounded.fell_back], grid.codes(weight, axis=0)[rounded.fell_back])
    assert rounded.fell_back[3]


def test_every_code_is_a_neighbour_of_its_weight():
    rng = np.random.default_rng(1)
    weight = rng.standard_normal((5, 30)) * 2
    grid = AffineGrid(np.array([0.25]), np.array([0]), INT4)  # clips
    rows = correlated(rng, 100, 30)
    codes = adaround(weight, grid, rows, rows @ weight.T, None, AdaRoundOptions(iterations=100)).codes
    down, up = (np.clip(np.floor(weight / 0.25) + k, -8, 7) for k in (0, 1))
    assert ((codes == down) | (codes == up)).all()
    assert (down == up).any()


def test_asymmetric_weights_keep_their_zero_point():
    rng = np.random.default_rng(2)
    weight = rng.standard_normal((4, 12)) + 1.0
    grid = minmax_grid(weight, GridScheme(4), axis=0)
    rows = correlated(rng, 100, 12)
    rounded = adaround(weight, grid, rows, rows @ weight.T, None, AdaRoundOptions(iterations=200))
    assert rounded.codes.min() >= 0
    assert rounded.codes.max() <= 15
    assert np.abs(grid.reals(rounded.codes, axis=0) - weight).max() <= grid.scale.max() * 1.001
    assert rounded.gain < 1


def test_the_same_seed_gives_the_same_codes_and_enough_iterations_settle():
    rng = np.random.default_rng(3)
    weight = rng.standard_normal((8, 600))  # more inputs than twice a minibatch: no Gram gradient
    rows = correlated(rng, 400, 600)
    grid = mse_grid(weight, INT4, axis=0)

    def run(**changes):
        options = AdaRoundOptions(batch_rows=64, **changes)
        return adaround(weight, grid, rows, rows @ weight.T, None, options, low=0.0)

    first, again, other = run(iterations=300), run(iterations=300), run(iterations=300, seed=1)
    np.testing.assert_array_equal(first.codes, again.codes)
    assert (first.codes != other.codes).any()
    assert run(iterations=30).unsettled > 0.5
    assert run(iterations=1500).unsettled < 0.01


@pytest.mark.parametrize("clamp", CLAMPS)
def test_depthwise_is_exact(clamp):
    rng = np.random.default_rng(11)
    low, high = CLAMPS[clamp]
    weight, bias = rng.standard_normal((16, 9)), rng.standard_normal(16)
    rows = np.maximum(rng.standard_normal((150, 16, 9)) + rng.standard_normal((150, 16, 1)), 0)
    targets = np.einsum("nck,ck->nc", rows, weight) + bias + 0.01 * rng.standard_normal((150, 16))
    grid = mse_grid(weight, INT3, axis=0)
    rounded = adaround_depthwise(weight, grid, rows, targets, bias, low=low, high=high)
    for c in range(16):
        alone = AffineGrid(grid.scale[c : c + 1], grid.zero_point[c : c + 1], grid.scheme)
        best = exhaustive(weight[c : c + 1], alone, rows[:, c], targets[:, c : c + 1], bias[c : c + 1], low, high)
        assert rounded.error[c] == pytest.approx(best[0], rel=1e-4)
    assert rounded.unsettled == 0.0
    assert rounded.gain < 0.95


def test_large_depthwise_kernels_are_relaxed():
    rng = np.random.default_rng(12)
    weight = rng.standard_normal((3, 25))
    rows = np.maximum(rng.standard_normal((400, 3, 25)) + rng.standard_normal((400, 3, 1)), 0)
    targets = np.einsum("nck,ck->nc", rows, weight)
    grid = mse_grid(weight, INT3)
    rounded = adaround_depthwise(weight, grid, rows, targets, options=AdaRoundOptions(iterations=800), low=0.0)
    assert rounded.gain < 0.6
    assert (rounded.error <= rounded.nearest_error).all()


@pytest.mark.parametrize("count", [24, 200, 5000])
def test_the_damping_chosen_gives_most_of_what_damping_can(count):
    rng = np.random.default_rng(13)
    weight = rng.standard_normal((24, 64))
    choices = RoundingChoices.of(weight, mse_grid(weight, INT4, axis=0))

    def rows(n):
        return np.maximum(rng.standard_normal((n, 64)) + rng.standard_normal((n, 1)), 0)

    seen, new = rows(count), rows(10_000)
    objective = LinearObjective.of(seen, seen @ weight.T)
    fresh = LinearObjective.of(new, new @ weight.T)
    errors = {}
    for damping in CANDIDATES:
        up = coordinate_descent(damped(objective, weight, damping), choices, choices.nearest_up)
        errors[damping] = fresh.error(choices.reals(up)).sum()
    task = reconstruction(seen, seen @ weight.T, None, 0.0, np.inf)
    best, worst = min(errors.values()), max(errors.values())
    assert worst > 1.06 * best
    assert errors[held_out_damping(task, choices, weight)] - best <= 0.3 * (worst - best)


def test_held_out_damping_does_not_hurt_new_rows():
    rng = np.random.default_rng(14)
    weight = rng.standard_normal((20, 80))
    grid = mse_grid(weight, INT4, axis=0)
    mixing = rng.standard_normal((80, 80)) / 9

    def rows(n):
        return np.maximum(rng.standard_normal((n, 80)) @ mixing + 0.3, 0)

    few, new = rows(40), rows(4000)
    errors = {}
    for damping in (0.0, None):
        options = AdaRoundOptions(iterations=300, damping=damping)
        reals = grid.reals(adaround(weight, grid, few, few @ weight.T, None, options).codes, axis=0)
        errors[damping] = (((reals - weight) @ new.T) ** 2).mean()
    nearest = (((grid.round_trip(weight, axis=0) - weight) @ new.T) ** 2).mean()
    assert errors[None] < errors[0.0]
    assert errors[None] < nearest


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda w, g: adaround(w, g, np.ones((0, 3)), np.ones((0, 2))), "at least one"),
        (lambda w, g: adaround(w, g, np.ones((5, 4)), np.ones((5, 2))), r"rows are \[n, K\]"),
        (lambda w, g: adaround(w, g, np.ones((5, 3)), np.ones((4, 2))), "as many rows as targets"),
        (lambda w, g: adaround(w * np.nan, g, np.ones((5, 3)), np.ones((5, 2))), "NaN"),
        (lambda w, g: adaround_depthwise(w, g, np.ones((5, 3, 3)), np.ones((5, 2))), "depthwise"),
        (lambda w, g: AdaRoundOptions(iterations=0), "iterations.*positive"),
        (lambda w, g: AdaRoundOptions(warm_start=1.0), "warm_start"),
        (lambda w, g: AdaRoundOptions(damping=-1.0), "damping"),
    ],
    ids=["no rows", "inputs", "targets", "nan", "depthwise", "iterations", "warm start", "damping"],
)
def test_impossible_input_is_refused(call, message):
    weight = np.ones((2, 3))
    with pytest.raises(QuantizationError, match=message):
        call(weight, minmax_grid(weight, INT4))
