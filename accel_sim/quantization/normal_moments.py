"""Means and variances of normally distributed channels through activations, additions and linear layers (eq 28).

A clipped normal: X ~ N(beta, gamma^2), Y = min(max(X, a), b). With A = (a - beta) / |gamma|, B = (b - beta) / |gamma|,
the standard normal density N and distribution Phi,

    E[Z]   = A Phi(A) + B (1 - Phi(B)) + N(A) - N(B)                     Z = (Y - beta) / |gamma|
    E[Z^2] = A^2 Phi(A) + B^2 (1 - Phi(B)) + Phi(B) - Phi(A) + A N(A) - B N(B)
    E[Y]   = beta + |gamma| E[Z],   Var[Y] = gamma^2 (E[Z^2] - E[Z]^2).

For a = 0, b = inf, E[Y] is equation 28; b = 6 is ReLU6.
"""

import math

import numpy as np
from numpy.typing import NDArray

from accel_sim.errors import Fault, QuantizationError
from accel_sim.numerics.elementary import exp
from accel_sim.quantization.affine_grid import F64
from accel_sim.records import dataclass


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and variance of each channel, float64 [C].

    Raises:
        QuantizationError: shapes that differ, numbers that are not finite, or a negative variance.
    """

    mean: F64
    variance: F64

    def __post_init__(self) -> None:
        if self.mean.shape != self.variance.shape:
            shapes = f"{list(self.mean.shape)} and {list(self.variance.shape)}"
            raise QuantizationError("moments", [Fault("shape", shapes, "mean and variance are both [C]")])
        if not (np.isfinite(self.mean).all() and np.isfinite(self.variance).all() and (self.variance >= 0).all()):
            rule = "means are finite, variances finite and not negative"
            raise QuantizationError("moments", [Fault("values", "out of range", rule)])

    @property
    def deviation(self) -> F64:
        """Standard deviation of each channel."""
        return np.sqrt(self.variance)


def batchnorm_moments(beta: NDArray[np.floating], gamma: NDArray[np.floating]) -> Moments:
    """What leaves a batch norm with shift beta and scale gamma, both [C]: N(beta, gamma^2)."""
    return Moments(np.asarray(beta, np.float64), np.asarray(gamma, np.float64) ** 2)


def clipped_moments(moments: Moments, low: float | F64 = 0.0, high: float | F64 = np.inf) -> Moments:
    """Moments after min(max(x, low), high) of normal channels; bounds are numbers or [C], infinite for none.

    The defaults are ReLU; high = 6 (or a cap per channel) is ReLU6.
    """
    beta, gamma = moments.mean, moments.deviation
    lows, highs = np.broadcast_to(low, beta.shape), np.broadcast_to(high, beta.shape)
    fixed = gamma <= 0
    unit = np.where(fixed, 1.0, gamma)
    mean, square = _clipped_standard((lows - beta) / unit, (highs - beta) / unit)
    variance = np.maximum(square - mean**2, 0.0) * gamma**2
    return Moments(
        np.where(fixed, np.clip(beta, lows, highs), np.clip(beta + gamma * mean, lows, highs)),
        np.where(fixed, 0.0, variance),
    )


def added_moments(*terms: Moments) -> Moments:
    """Moments of an element-wise sum whose terms are taken as independent: means and variances add."""
    mean, variance = sum(t.mean for t in terms), sum(t.variance for t in terms)
    return Moments(np.asarray(mean, np.float64), np.asarray(variance, np.float64))


def linear_moments(weight: NDArray[np.floating], bias: NDArray[np.floating] | None, moments: Moments) -> Moments:
    """Moments of W x + b for W [Co, K] and independent inputs [K]: W E[x] + b and W^2 Var[x]."""
    matrix = np.asarray(weight, np.float64)
    shift = 0.0 if bias is None else np.asarray(bias, np.float64)
    return Moments((matrix * moments.mean).sum(axis=1) + shift, (matrix**2 * moments.variance).sum(axis=1))


def density(x: F64) -> F64:
    """The standard normal density N(x)."""
    return np.asarray(exp(-0.5 * x**2) / math.sqrt(2.0 * math.pi))


def distribution(x: F64) -> F64:
    """The standard normal distribution Phi(x), accurate in both tails."""
    return np.array([0.5 * math.erfc(-v / math.sqrt(2.0)) for v in x.ravel()]).reshape(x.shape)


def _clipped_standard(a: F64, b: F64) -> tuple[F64, F64]:
    """E[Z] and E[Z^2] for a standard normal clipped to [a, b]."""
    below, above = distribution(a), distribution(-b)
    low, high = np.where(np.isinf(a), 0.0, a), np.where(np.isinf(b), 0.0, b)
    n_low, n_high = density(a), density(b)
    mean = low * below + high * above + n_low - n_high
    square = low**2 * below + high**2 * above + (1.0 - below - above) + low * n_low - high * n_high
    return mean, square
