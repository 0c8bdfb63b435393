"""Cross-entropy range setting for the logits of a classifier (eq 17).

    argmin over (q_min, q_max) of H(psi(v), psi(v^(q_min, q_max))),  H(p, q) = - sum_i p_i log q_i,  psi = softmax,

averaged over the calibration samples. Large logits matter and the many small ones do not, which squared error cannot
see. The objective is not unimodal: a coarse grid of ranges, with the min-max and the MSE range among them, then a
pattern search whose steps halve.
"""

import itertools

import numpy as np
from numpy.typing import NDArray

from accel_sim.errors import Fault, QuantizationError
from accel_sim.numerics.elementary import exp, log
from accel_sim.quantization.affine_grid import F64, AffineGrid, GridScheme, grid_of_range, require_finite
from accel_sim.quantization.range_minmax import minmax_grid
from accel_sim.quantization.range_mse import mse_grid

_COARSE_LOW = (0.0, 0.125, 0.25, 0.5, 0.75, 1.0)
_COARSE_HIGH = (0.4, 0.55, 0.7, 0.85, 1.0, 1.1)
_HALVINGS = 7


class CrossEntropy:
    """H(psi(v), psi(v^)) averaged over the rows of logits [N, classes]."""

    def __init__(self, logits: NDArray[np.floating]) -> None:
        self._logits = np.asarray(logits, np.float64)
        self._targets = exp(log_softmax(self._logits))

    def of(self, grid: AffineGrid) -> float:
        """The objective for one grid."""
        quantized = log_softmax(grid.round_trip(self._logits))
        return -float((self._targets * quantized).sum()) / float(self._logits.shape[0])


def cross_entropy_grid(logits: NDArray[np.floating], scheme: GridScheme) -> AffineGrid:
    """The grid of least cross-entropy for logits [N, classes]; never worse than min-max and MSE on that objective.

    Raises:
        QuantizationError: logits that are not [N, classes] with at least two classes, or not finite.
    """
    require_finite(logits, "cross-entropy range")
    if logits.ndim != 2 or logits.shape[1] < 2:
        rule = "logits are [samples, classes] with at least 2 classes"
        raise QuantizationError("cross-entropy range", [Fault("logits", f"shape {list(logits.shape)}", rule)])
    objective = CrossEntropy(logits)
    low, high = min(float(logits.min()), 0.0), max(float(logits.max()), 0.0)
    candidates = [minmax_grid(logits, scheme), mse_grid(logits, scheme)]
    candidates += [grid_of_range(low * a, high * b, scheme) for a in _COARSE_LOW for b in _COARSE_HIGH if a or high]
    best = min(candidates, key=objective.of)
    return _refined(objective, best, (high - low) / 8.0)


def _refined(objective: CrossEntropy, best: AffineGrid, step: float) -> AffineGrid:
    least = objective.of(best)
    for _ in range(_HALVINGS):
        q_min, q_max = (float(q[0]) for q in best.limits)
        for a, b in itertools.product((-step, 0.0, step), repeat=2):
            trial = grid_of_range(min(q_min + a, 0.0), max(q_max + b, 0.0), best.scheme)
            value = objective.of(trial)
            if value < least:
                best, least = trial, value
        step /= 2.0
    return best


def log_softmax(logits: F64) -> F64:
    """log psi(v) along the last axis, without overflow."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - log(exp(shifted).sum(axis=-1, keepdims=True)))
