"""The study behind AdaRound (figure 7, table 5): is a local cost of a rounding a good proxy for accuracy?

Draw stochastic roundings, up with probability w / s - floor(w / s) (Gupta et al., 2015). For each one compute

    dw^T H dw           the second-order task loss            (eq 30)
    E[(dW x)^2]         the layer's output error              (eq 31)

and score the network with it. Figure 7 plots score against cost. `best_rounding` looks for the least eq 30, as table 5.
"""

import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from accel_sim.errors import Fault, QuantizationError
from accel_sim.quantization.affine_grid import F64, AffineGrid
from accel_sim.quantization.gram_rounding import LinearObjective
from accel_sim.quantization.rounding import Bools, RoundingChoices
from accel_sim.records import dataclass

Score = Callable[[F64], float]
"""Maps quantized weights [Co, K] to what counts, larger is better: the accuracy of the network."""


@dataclass(frozen=True, eq=False)
class RoundingStudy:
    """Costs and scores of stochastic roundings; arrays float64 [samples].

    Attributes:
        scores: of the network with each rounding.
        task_costs: eq 30; None without a Hessian.
        layer_costs: eq 31, summed over output channels.
        nearest: score, eq 30 (nan without a Hessian) and eq 31 of rounding to nearest.
    """

    scores: F64
    task_costs: F64 | None
    layer_costs: F64
    nearest: tuple[float, float, float]

    @property
    def task_correlation(self) -> float:
        """Rank correlation of score and eq 30: near -1 where the cost tells the score; nan without a Hessian."""
        return float("nan") if self.task_costs is None else rank_correlation(self.task_costs, self.scores)

    @property
    def layer_correlation(self) -> float:
        """Rank correlation of score and eq 31."""
        return rank_correlation(self.layer_costs, self.scores)

    @property
    def better_than_nearest(self) -> int:
        """How many stochastic roundings score better than rounding to nearest."""
        return int(np.count_nonzero(self.scores > self.nearest[0]))


def study_roundings(
    weight: NDArray[np.floating],
    grid: AffineGrid,
    score: Score,
    objective: LinearObjective,
    hessian: F64 | None = None,
    *,
    samples: int = 100,
    seed: int = 0,
) -> RoundingStudy:
    """Score `samples` stochastic roundings of one layer.

    Args:
        weight: W, [Co, K].
        grid: per tensor, or per channel of axis 0.
        score: of the network with given weights in this layer.
        objective: eq 31, from the layer's inputs x and outputs W x.
        hessian: of eq 30, [Co * K, Co * K], see `loss_hessian`.
        samples: how many.
        seed: of the generator that rounds.

    Raises:
        QuantizationError: weights that are not finite, or a Hessian of another size.
    """
    choices, exact = RoundingChoices.of(weight, grid), np.asarray(weight, np.float64)
    _check_hessian(exact, hessian)
    generator = np.random.default_rng(seed)
    roundings = [choices.nearest_up, *(stochastic_rounding(choices, generator) for _ in range(samples))]
    reals = [choices.reals(up) for up in roundings]
    scores = np.array([score(w) for w in reals])
    layer = np.array([float(objective.error(w).sum()) for w in reals])
    task = None if hessian is None else np.array([task_cost(w - exact, hessian) for w in reals])
    nearest = float(scores[0]), float("nan") if task is None else float(task[0]), float(layer[0])
    return RoundingStudy(scores[1:], None if task is None else task[1:], layer[1:], nearest)


def stochastic_rounding(choices: RoundingChoices, generator: np.random.Generator) -> Bools:
    """Up with probability w / s - floor(w / s), so that the rounding is right on average; bool [Co, K]."""
    return np.asarray((generator.random(choices.fraction.shape) < choices.fraction) & choices.free)


def task_cost(difference: F64, hessian: F64) -> float:
    """eq 30: dw^T H dw for dw of any shape."""
    flat = difference.reshape(-1)
    return float(flat @ hessian @ flat)


_ENUMERATED = 14


def best_rounding(
    weight: NDArray[np.floating], grid: AffineGrid, hessian: F64, *, starts: int = 10, seed: int = 0
) -> Bools:
    """A rounding with a low eq 30, bool [Co, K].

    The problem (QUBO) is NP-hard. Up to 14 free weights it is solved by enumeration; otherwise the best single flip is
    taken until none helps, from rounding to nearest and from stochastic roundings, and the best end stands.

    Args:
        weight: W, [Co, K].
        grid: per tensor, or per channel of axis 0.
        hessian: [Co * K, Co * K], symmetric.
        starts: searches; the first starts at nearest.
        seed: of the stochastic starts.

    Raises:
        QuantizationError: weights that are not finite, or a Hessian of another size.
    """
    choices, exact = RoundingChoices.of(weight, grid), np.asarray(weight, np.float64)
    _check_hessian(exact, hessian)
    if np.count_nonzero(choices.free) <= _ENUMERATED:
        candidates = _every_rounding(choices)
    else:
        generator = np.random.default_rng(seed)
        begin = [choices.nearest_up, *(stochastic_rounding(choices, generator) for _ in range(starts - 1))]
        candidates = [_flipped(choices, exact, hessian, up) for up in begin]
    costs = [task_cost(choices.reals(up) - exact, hessian) for up in candidates]
    return candidates[int(np.argmin(costs))]


def _every_rounding(choices: RoundingChoices) -> list[Bools]:
    free = np.flatnonzero(choices.free)
    every = []
    for pick in itertools.product([False, True], repeat=free.size):
        up = np.zeros(choices.free.shape, bool)
        up.flat[free] = pick
        every.append(up)
    return every


def _flipped(choices: RoundingChoices, exact: F64, hessian: F64, start: Bools) -> Bools:
    """Steepest descent by single flips."""
    up = start.reshape(-1).copy()
    step = (choices.scale * (choices.up - choices.down)).reshape(-1)
    slope = hessian @ (choices.reals(start) - exact).reshape(-1)
    diagonal = hessian.diagonal()
    floor = -1e-12 * float(np.abs(diagonal).max()) * float(np.square(step).max())
    while True:
        delta = np.where(up, -step, step)
        change = delta * (2.0 * slope + delta * diagonal)
        k = int(change.argmin())
        if not change[k] < floor:
            return up.reshape(start.shape)
        up[k] = ~up[k]
        slope += delta[k] * hessian[:, k]


def rank_correlation(a: F64, b: F64) -> float:
    """Spearman's rank correlation, ties at their mean rank; nan where one side is constant."""
    ranks = [_ranks(v) for v in (a, b)]
    deviations = [r - r.mean() for r in ranks]
    norm = float(np.sqrt(np.prod([np.square(d).sum() for d in deviations])))
    return float(deviations[0] @ deviations[1]) / norm if norm > 0 else float("nan")


def _ranks(values: F64) -> F64:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2.0)[place]


def _check_hessian(weight: F64, hessian: F64 | None) -> None:
    if hessian is not None and hessian.shape != (weight.size, weight.size):
        value, rule = f"shape {list(hessian.shape)}", f"is [{weight.size}, {weight.size}] for weights of that many"
        raise QuantizationError("rounding study", [Fault("hessian", value, rule)])
