"""The pieces of AdaRound: gradients, quadratic form, relaxation and schedule against small references."""

import itertools

import numpy as np
import pytest

from accel_sim.quantization.adaround_relaxation import (
    AdaRoundOptions,
    Relaxation,
    inverse_rectified_sigmoid,
    rectified_sigmoid,
    regularizer_slope,
)
from accel_sim.quantization.affine_grid import GridScheme, Symmetry
from accel_sim.quantization.gram_rounding import LinearObjective, coordinate_descent, damped
from accel_sim.quantization.range_minmax import minmax_grid
from accel_sim.quantization.range_mse import mse_grid
from accel_sim.quantization.reconstruction import reconstruction
from accel_sim.quantization.rounding import RoundingChoices

INT4 = GridScheme(4, Symmetry.SYMMETRIC, signed=True)
INT3 = GridScheme(3, Symmetry.SYMMETRIC, signed=True)


def correlated(rng: np.random.Generator, rows: int, inputs: int) -> np.ndarray:
    """Inputs as layers see them: not negative, alike in neighbouring channels."""
    return np.maximum(rng.standard_normal((rows, inputs)) @ rng.standard_normal((inputs, inputs)) / 2 + 0.5, 0)


def test_the_unclamped_gradients_agree():
    """Gram matrix and rows give the same gradient, and it is the derivative of the error."""
    rng = np.random.default_rng(4)
    rows, weight = correlated(rng, 50, 6), rng.standard_normal((3, 6))
    targets, bias = rng.standard_normal((50, 3)), rng.standard_normal(3)
    task = reconstruction(rows, targets, bias, -np.inf, np.inf)
    objective = task.linear()
    from_rows = task.gradient(weight.astype(np.float32), slice(None))
    np.testing.assert_allclose(2 * objective.gradient(weight), from_rows, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(objective.error(weight), task.error(weight), rtol=1e-4)
    for o, k in np.ndindex(3, 6):
        moved = weight.copy()
        moved[o, k] += 1e-5
        slope = (objective.error(moved)[o] - objective.error(weight)[o]) / 1e-5
        assert slope == pytest.approx(from_rows[o, k], rel=1e-2, abs=1e-3)


def test_the_clamped_gradient_is_the_derivative():
    rng = np.random.default_rng(5)
    rows, weight = correlated(rng, 80, 5), rng.standard_normal((2, 5))
    targets = rng.standard_normal((80, 2)) * 3
    task = reconstruction(rows, targets, None, 0.0, np.array([2.0, 4.0]))
    analytic = task.gradient(weight.astype(np.float32), slice(None))
    for o, k in np.ndindex(2, 5):
        ends = []
        for sign in (1, -1):
            moved = weight.copy()
            moved[o, k] += sign * 1e-5
            made, wanted = (np.clip(v, 0.0, [2.0, 4.0]) for v in (rows @ moved.T, targets))
            ends.append(((made - wanted) ** 2).mean(axis=0)[o])
        assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(analytic[o, k], rel=1e-2, abs=1e-2)


def test_linear_objectives_stream():
    rng = np.random.default_rng(6)
    rows, targets = rng.standard_normal((90, 7)), rng.standard_normal((90, 3))
    whole = LinearObjective.of(rows, targets)
    merged = LinearObjective.of(rows[:20], targets[:20]).merged(LinearObjective.of(rows[20:], targets[20:]))
    for name in ("gram", "cross", "power"):
        np.testing.assert_allclose(getattr(merged, name), getattr(whole, name), rtol=1e-12)
    weight = rng.standard_normal((3, 7))
    np.testing.assert_allclose(whole.error(weight), ((targets - rows @ weight.T) ** 2).mean(axis=0), rtol=1e-10)


def test_coordinate_descent_ends_where_no_flip_helps():
    rng = np.random.default_rng(8)
    weight, rows = rng.standard_normal((6, 20)), correlated(rng, 200, 20)
    choices = RoundingChoices.of(weight, mse_grid(weight, INT3, axis=0))
    objective = LinearObjective.of(rows, rows @ weight.T)
    up = coordinate_descent(objective, choices, choices.nearest_up)
    reached = objective.error(choices.reals(up))
    assert (reached <= objective.error(choices.reals(choices.nearest_up)) * (1 + 1e-12)).all()
    assert reached.sum() < 0.75 * objective.error(choices.reals(choices.nearest_up)).sum()
    for k in range(20):
        flipped = up.copy()
        flipped[:, k] = ~flipped[:, k]
        assert (objective.error(choices.reals(flipped)) >= reached - 1e-9 * objective.power).all()


def test_rectified_sigmoid_and_regularizer():
    h = np.linspace(0, 1, 11)
    v = inverse_rectified_sigmoid(h)
    np.testing.assert_allclose(rectified_sigmoid(v), h, atol=1e-12)
    np.testing.assert_allclose(rectified_sigmoid(np.array([-50.0, 0.0, 50.0])), [0, 0.5, 1])
    inner = h[1:-1]
    for beta in (2.0, 5.0, 20.0):
        f = [1 - np.abs(2 * (inner + e) - 1) ** beta for e in (1e-6, -1e-6)]
        np.testing.assert_allclose(regularizer_slope(inner, beta), (f[0] - f[1]) / 2e-6, rtol=1e-4, atol=1e-6)


def test_beta_is_annealed_after_a_warm_start():
    options = AdaRoundOptions(iterations=1000)
    betas = [options.beta(i) for i in range(1000)]
    assert betas[:200] == [None] * 200
    assert betas[200] == 20.0
    assert betas[600] == pytest.approx(11.0)
    assert betas[-1] == pytest.approx(2.0, abs=0.01)
    assert all(a >= b for a, b in itertools.pairwise(betas[200:]))


def test_a_step_of_the_relaxation_equals_adam_written_out():
    rng = np.random.default_rng(9)
    weight = rng.standard_normal((3, 5))
    grid = mse_grid(weight, INT4, axis=0)
    choices = RoundingChoices.of(weight, grid)
    options = AdaRoundOptions(iterations=4, warm_start=0.25)
    relaxation = Relaxation(choices, options)
    v, m, n = inverse_rectified_sigmoid(choices.fraction), np.zeros((3, 5)), np.zeros((3, 5))
    for t in range(1, 5):
        h = rectified_sigmoid(v)
        expected = grid.scale[:, None] * np.clip(np.floor(weight / grid.scale[:, None]) + h, -8, 7)
        np.testing.assert_allclose(relaxation.soft_weights(), expected, rtol=1e-5, atol=1e-6)
        slope = rng.standard_normal((3, 5))
        relaxation.update(slope.astype(np.float32), 0.5)
        g = 0.5 * slope * grid.scale[:, None] * choices.free
        beta = options.beta(t - 1)
        if beta is not None:
            g = g + 0.01 * regularizer_slope(h, beta)
        sigmoid = 1 / (1 + np.exp(-v))
        g = g * 1.2 * sigmoid * (1 - sigmoid) * ((h > 0) & (h < 1))
        m, n = 0.9 * m + 0.1 * g, 0.999 * n + 0.001 * g * g
        v = v - 0.01 * (m / (1 - 0.9**t)) / (np.sqrt(n / (1 - 0.999**t)) + 1e-12)
    free = choices.free & (np.abs(n) > 1e-12)
    assert free.any()
    np.testing.assert_allclose(
        relaxation.soft_weights()[free],
        (grid.scale[:, None] * (choices.down + rectified_sigmoid(v) * choices.free))[free],
        atol=1e-3,
    )


def test_soft_weights_start_at_the_weights():
    rng = np.random.default_rng(10)
    weight = rng.uniform(-1, 1, (4, 6))
    choices = RoundingChoices.of(weight, minmax_grid(weight, INT4))
    np.testing.assert_allclose(Relaxation(choices, AdaRoundOptions()).soft_weights(), weight, atol=1e-6)


def test_damping_adds_the_distance_from_the_weights():
    rng = np.random.default_rng(16)
    rows, weight, other = rng.standard_normal((50, 4)), rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
    plain = LinearObjective.of(rows, rows @ weight.T)
    added = damped(plain, weight, 0.5).error(other) - plain.error(other)
    np.testing.assert_allclose(added, 0.5 * (rows**2).mean() * ((other - weight) ** 2).sum(axis=1), rtol=1e-9)
