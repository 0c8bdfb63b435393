"""The rounding study, its Hessian and its search, against small independent references."""

import itertools

import numpy as np
import pytest
from scipy import stats

from accel_sim.errors import QuantizationError
from accel_sim.quantization.affine_grid import GridScheme, Symmetry
from accel_sim.quantization.gram_rounding import LinearObjective
from accel_sim.quantization.loss_hessian import loss_hessian
from accel_sim.quantization.range_minmax import minmax_grid
from accel_sim.quantization.rounding import RoundingChoices
from accel_sim.quantization.rounding_study import (
    best_rounding,
    rank_correlation,
    stochastic_rounding,
    study_roundings,
    task_cost,
)

INT4 = GridScheme(4, Symmetry.SYMMETRIC, signed=True)
INT3 = GridScheme(3, Symmetry.SYMMETRIC, signed=True)


def network(rng: np.random.Generator, inputs: int = 6, hidden: int = 5, classes: int = 4, samples: int = 300):
    """A two-layer ReLU classifier: first weights, inputs, and logits as a function of the first weights."""
    first, last = rng.standard_normal((hidden, inputs)), rng.standard_normal((classes, hidden))
    x = rng.standard_normal((samples, inputs)) @ rng.standard_normal((inputs, inputs))

    def logits(weight):
        return np.maximum(x @ weight.T, 0) @ last.T

    return first, x, logits


def cross_entropy(logits, targets):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return float(-(targets * (shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))).sum(axis=1).mean())


def test_hessian_equals_second_differences_of_the_loss():
    rng = np.random.default_rng(0)
    weight, _, logits = network(rng, inputs=3, hidden=2, samples=40)
    z = logits(weight)
    targets = np.exp(z - z.max(axis=1, keepdims=True))
    targets /= targets.sum(axis=1, keepdims=True)  # the network's own answers: the gradient is 0, as eq 30 assumes
    hessian = loss_hessian(logits, weight, 1e-6)
    numeric, step = np.zeros((6, 6)), 1e-4
    for a, b in np.ndindex(6, 6):
        for sign_a, sign_b in itertools.product((1, -1), repeat=2):
            moved = weight.copy()
            moved.flat[a] += sign_a * step
            moved.flat[b] += sign_b * step
            numeric[a, b] += sign_a * sign_b * cross_entropy(logits(moved), targets) / (4 * step * step)
    np.testing.assert_allclose(hessian, numeric, rtol=0.02, atol=0.02 * np.abs(hessian).max())
    np.testing.assert_allclose(hessian, hessian.T)
    assert np.linalg.eigvalsh(hessian).min() > -1e-9


def test_stochastic_rounding_is_right_on_average():
    rng = np.random.default_rng(1)
    weight = rng.uniform(-1, 1, (3, 4))
    choices = RoundingChoices.of(weight, minmax_grid(weight, INT4))
    mean = np.mean([choices.reals(stochastic_rounding(choices, rng)) for _ in range(20_000)], axis=0)
    np.testing.assert_allclose(mean, weight, atol=0.005)


@pytest.mark.parametrize("seed", range(3))
def test_best_rounding_equals_exhaustive_search(seed):
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((2, 6))
    root = rng.standard_normal((12, 12))
    hessian = root @ root.T
    grid = minmax_grid(weight, INT3)
    choices = RoundingChoices.of(weight, grid)
    costs = []
    for ups in itertools.product([False, True], repeat=12):
        reals = choices.reals(np.array(ups).reshape(2, 6))
        costs.append(float((reals - weight).reshape(-1) @ hessian @ (reals - weight).reshape(-1)))
    found = task_cost(choices.reals(best_rounding(weight, grid, hessian)) - weight, hessian)
    assert found == pytest.approx(min(costs))


def test_the_search_on_many_weights_nears_the_optimum(monkeypatch):
    rng = np.random.default_rng(4)
    weight, root = rng.standard_normal((2, 6)), rng.standard_normal((12, 12))
    hessian, grid = root @ root.T, minmax_grid(weight, INT3)
    choices = RoundingChoices.of(weight, grid)
    exact = task_cost(choices.reals(best_rounding(weight, grid, hessian)) - weight, hessian)
    monkeypatch.setattr("accel_sim.quantization.rounding_study._ENUMERATED", 0)
    alone = choices.reals(best_rounding(weight, grid, hessian, starts=1)) - weight
    assert task_cost(alone, hessian) < 0.9 * task_cost(choices.reals(choices.nearest_up) - weight, hessian)
    up = best_rounding(weight, grid, hessian, starts=30)
    searched = task_cost(choices.reals(up) - weight, hessian)
    for k in range(12):
        flipped = up.copy()
        flipped.flat[k] = ~flipped.flat[k]
        assert task_cost(choices.reals(flipped) - weight, hessian) >= searched - 1e-9
    nearest = task_cost(choices.reals(choices.nearest_up) - weight, hessian)
    assert exact - 1e-12 <= searched <= 1.3 * exact
    assert searched < 0.7 * nearest


def test_both_costs_tell_the_score_of_a_rounding():
    """Figure 7 on a small classifier: agreement with the float network against eq 30 and eq 31."""
    rng = np.random.default_rng(5)
    weight, x, logits = network(rng)
    grid = minmax_grid(weight, INT3)
    wanted = logits(weight)
    targets = np.exp(wanted - wanted.max(axis=1, keepdims=True))
    targets /= targets.sum(axis=1, keepdims=True)
    hessian = loss_hessian(logits, weight, 1e-4)
    objective = LinearObjective.of(x, x @ weight.T)
    study = study_roundings(weight, grid, lambda w: -cross_entropy(logits(w), targets), objective, hessian)
    assert study.scores.shape == study.layer_costs.shape == study.task_costs.shape == (100,)
    assert study.task_correlation < -0.8
    assert study.task_correlation < study.layer_correlation < -0.2
    np.testing.assert_allclose(study.nearest[2], (((grid.round_trip(weight) - weight) @ x.T) ** 2).mean(axis=1).sum())
    best = RoundingChoices.of(weight, grid).reals(best_rounding(weight, grid, hessian))
    assert -cross_entropy(logits(best), targets) > study.nearest[0]
    again = study_roundings(weight, grid, lambda w: -cross_entropy(logits(w), targets), objective, samples=5)
    np.testing.assert_array_equal(again.layer_costs, study.layer_costs[:5])
    assert again.task_costs is None
    assert np.isnan(again.task_correlation)
    assert study.better_than_nearest == int((study.scores > study.nearest[0]).sum())


def test_rank_correlation_is_spearmans():
    rng = np.random.default_rng(6)
    a, b = rng.integers(0, 9, 50).astype(float), rng.standard_normal(50)
    assert rank_correlation(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)
    assert rank_correlation(b, np.exp(b)) == pytest.approx(1.0)
    assert np.isnan(rank_correlation(a, np.ones(50)))


def test_impossible_input_is_refused():
    weight = np.ones((2, 3))
    grid = minmax_grid(weight, INT4)
    with pytest.raises(QuantizationError, match=r"is \[6, 6\]"):
        best_rounding(weight, grid, np.eye(5))
    with pytest.raises(QuantizationError, match="step"):
        loss_hessian(lambda w: w, weight, 0.0)
    with pytest.raises(QuantizationError, match="samples, classes"):
        loss_hessian(lambda w: w.reshape(-1), weight, 0.1)
