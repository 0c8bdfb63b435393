"""Batch-norm based range setting, without data (eq 18-19).

A batch norm makes the mean and deviation of each channel equal to its shift beta and its scale gamma, so

    q_min = min over channels of (beta - alpha |gamma|)    (18)
    q_max = max over channels of (beta + alpha |gamma|)    (19)

with alpha = 6, so that only large outliers are clipped. gamma may be negative in a trained network; the deviation is
its magnitude. An activation that follows clips each channel to its own bounds first.
"""

import numpy as np
from numpy.typing import NDArray

from accel_sim.errors import Fault, QuantizationError
from accel_sim.quantization.affine_grid import F64, AffineGrid, GridScheme, grid_of_range, require_finite

ALPHA = 6.0
"""Deviations on each side (Nagel et al., 2019)."""


def batchnorm_range(
    mean: NDArray[np.floating],
    deviation: NDArray[np.floating],
    alpha: float = ALPHA,
    low: float | F64 = -np.inf,
    high: float | F64 = np.inf,
) -> tuple[float, float]:
    """q_min and q_max of a tensor from its channels' statistics.

    Args:
        mean: beta, [C]; or any mean of the channels before the activation.
        deviation: gamma, [C]; its sign does not matter.
        alpha: deviations on each side, positive.
        low: lower bound of the activation that follows (0 for ReLU), a number or [C].
        high: its upper bound (6 for ReLU6), a number or [C].

    Raises:
        QuantizationError: statistics absent or not finite, or alpha not positive.
    """
    if not alpha > 0:
        raise QuantizationError("batch-norm range", [Fault("alpha", repr(alpha), "alpha is positive")])
    beta, spread = np.asarray(mean, np.float64), alpha * np.abs(np.asarray(deviation, np.float64))
    require_finite(beta + spread, "batch-norm range")
    return float(np.clip(beta - spread, low, high).min()), float(np.clip(beta + spread, low, high).max())


def batchnorm_grid(
    mean: NDArray[np.floating],
    deviation: NDArray[np.floating],
    scheme: GridScheme,
    alpha: float = ALPHA,
    low: float | F64 = -np.inf,
    high: float | F64 = np.inf,
) -> AffineGrid:
    """The grid of `scheme` over `batchnorm_range`."""
    return grid_of_range(*batchnorm_range(mean, deviation, alpha, low, high), scheme)
