"""The relaxation of AdaRound: from up-or-down to a continuous variable and back (eq 33, 34).

    W~   = s clamp(floor(W / s) + h(V); n, p)                                   (33)
    h(V) = clamp(sigmoid(V) (zeta - gamma) + gamma; 0, 1)                       rectified sigmoid
    f    = sum over weights of 1 - |2 h(V) - 1|^beta                            (34)

beta is annealed from 20 to 2 along a cosine after a warm start without f: while it is high only what is near 0 or 1
feels f, later everything is driven there. V starts where h(V) is the fraction of W / s, so that W~ = W.

Units: the weight of f against the squared error depends on how large a layer's outputs are. Here the error is measured
in units in which rounding to nearest costs 1e-4 a weight, so that one lambda (0.01) lets every layer settle.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from accel_kernels.rounding_relaxation import BLOCK, adam_step, soften
from accel_sim.errors import Fault, QuantizationError
from accel_sim.numerics.elementary import exp, log
from accel_sim.quantization.rounding import Bools, RoundingChoices
from accel_sim.records import dataclass

F32 = NDArray[np.float32]

ZETA, GAMMA = 1.1, -0.1
"""Stretch of the rectified sigmoid: both ends are reached at a finite V."""

NEAREST_COST = 1e-4
"""Error of rounding to nearest, per free weight, in the units of the optimization."""


@dataclass(frozen=True)
class AdaRoundOptions:
    """How AdaRound optimizes.

    Attributes:
        iterations: steps of Adam. Too few leave roundings unsettled; `Rounding.unsettled` tells.
        batch_rows: rows of a minibatch, drawn with replacement; all rows, each time, where there are not more.
        learning_rate: of Adam on V.
        regularization: lambda of eq 32 and 35.
        warm_start: share of the iterations without regularization.
        beta_start, beta_end: the exponent of eq 34 is annealed between them.
        damping: weight of || W~ - W ||^2 mean(x^2) in the objective, as white noise of that relative power on the
            inputs would add. It keeps directions that few calibration rows do not show from being rounded freely.
            None: chosen on rows held back (`adaround_damping`).
        seed: of the generator that draws minibatches.

    Raises:
        QuantizationError: a value out of range.
    """

    iterations: int = 1000
    batch_rows: int = 256
    learning_rate: float = 1e-2
    regularization: float = 0.01
    warm_start: float = 0.2
    beta_start: float = 20.0
    beta_end: float = 2.0
    damping: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        faults = [
            Fault(name, repr(getattr(self, name)), "is positive")
            for name in ("iterations", "batch_rows", "learning_rate", "regularization", "beta_start", "beta_end")
            if not getattr(self, name) > 0
        ]
        if not 0.0 <= self.warm_start < 1.0:
            faults.append(Fault("warm_start", repr(self.warm_start), "is a share of the iterations: 0 <= share < 1"))
        if self.damping is not None and not self.damping >= 0.0:
            faults.append(Fault("damping", repr(self.damping), "is not negative"))
        if faults:
            raise QuantizationError("AdaRound options", faults)

    def beta(self, iteration: int) -> float | None:
        """The exponent of eq 34 at an iteration (from 0), None during the warm start."""
        start = self.warm_start * self.iterations
        if iteration < start:
            return None
        progress = (iteration - start) / max(self.iterations - start, 1.0)
        return self.beta_end + 0.5 * (self.beta_start - self.beta_end) * (1.0 + math.cos(math.pi * progress))


def rectified_sigmoid(v: NDArray[np.floating]) -> NDArray[np.floating]:
    """h(V)."""
    return np.asarray(np.clip((ZETA - GAMMA) / (1.0 + exp(-v)) + GAMMA, 0.0, 1.0))


def inverse_rectified_sigmoid(h: NDArray[np.floating]) -> NDArray[np.floating]:
    """V with h(V) = h, for 0 <= h <= 1."""
    return np.asarray(-log((ZETA - GAMMA) / (h - GAMMA) - 1.0))


def regularizer_slope(h: NDArray[np.floating], beta: float) -> NDArray[np.floating]:
    """d f / d h of eq 34: -2 beta sign(2h - 1) |2h - 1|^(beta - 1)."""
    centered = 2.0 * h - 1.0
    return np.asarray(-2.0 * beta * np.sign(centered) * np.abs(centered) ** (beta - 1.0))


WeightGradient = Callable[[F32], F32]
"""Maps soft weights [Co, K] to the gradient of the mean squared output error by them, on a minibatch."""

_SETTLED = 0.01


class Relaxation:
    """V for all weights of a layer, and Adam (Kingma and Ba, 2015; decay rates 0.9 and 0.999) on it, in float32."""

    def __init__(self, choices: RoundingChoices, options: AdaRoundOptions) -> None:
        self._options, self._time = options, 0
        self._shape, self._free = choices.down.shape, choices.free
        self._v = inverse_rectified_sigmoid(choices.fraction).astype(np.float32).reshape(-1)
        self._down = (choices.scale * choices.down).astype(np.float32).reshape(-1)
        self._step = (choices.scale * (choices.up - choices.down)).astype(np.float32).reshape(-1)
        self._first, self._second = np.zeros_like(self._v), np.zeros_like(self._v)
        self._sigmoid, self._weights = np.empty_like(self._v), np.empty_like(self._v)
        self._power, self._exponents = np.empty((2, BLOCK), np.float32)
        self._bits = np.empty(BLOCK, np.int32)
        self._reals = self._bits.view(np.float32)

    def soft_weights(self) -> F32:
        """W~ of eq 33 for the current V, [Co, K]; valid until the next call."""
        stretch = np.float32(ZETA - GAMMA), np.float32(GAMMA)
        soften(self._v, self._down, self._step, *stretch, self._sigmoid, self._weights, self._bits, self._reals)
        return self._weights.reshape(self._shape)

    def update(self, gradient: F32, unit: float) -> None:
        """One step of Adam, given d error / d W~ at `soft_weights()`, times `unit`, plus lambda f."""
        options, beta = self._options, self._options.beta(self._time)
        self._time += 1
        rate = options.learning_rate * math.sqrt(1.0 - 0.999**self._time) / (1.0 - 0.9**self._time)
        regularizer = (0.0, 1.0) if beta is None else (options.regularization, beta)
        numbers = np.array([ZETA - GAMMA, GAMMA, unit, *regularizer, rate, 1e-8], np.float32)
        adam_step(
            self._v,
            self._step,
            self._sigmoid,
            np.ascontiguousarray(gradient).reshape(-1),
            self._first,
            self._second,
            numbers,
            self._power,
            self._exponents,
            self._bits,
            self._reals,
        )

    def up(self) -> Bools:
        """The choice that the variables stand for: up where h(V) >= 1/2, [Co, K]."""
        return np.asarray(rectified_sigmoid(self._v) >= 0.5).reshape(self._shape)

    def unsettled(self) -> float:
        """Share of the free weights with h(V) not within 0.01 of 0 or 1."""
        h = rectified_sigmoid(self._v)[self._free.reshape(-1)]
        return float(np.mean((h > _SETTLED) & (h < 1.0 - _SETTLED))) if h.size else 0.0


def relax(
    choices: RoundingChoices, gradient: WeightGradient, nearest_error: float, options: AdaRoundOptions
) -> tuple[Bools, float]:
    """Run the optimization: the choice [Co, K] and the unsettled share.

    Args:
        choices: the two codes of each weight.
        gradient: of the mean squared error by the soft weights, on a new minibatch at each call.
        nearest_error: the error of rounding to nearest, summed over channels; sets the units.
        options: schedule, rates.
    """
    free = int(np.count_nonzero(choices.free))
    if not free or not nearest_error > 0.0:
        return choices.nearest_up, 0.0
    variables = Relaxation(choices, options)
    unit = NEAREST_COST * free / nearest_error
    for _ in range(options.iterations):
        variables.update(gradient(variables.soft_weights()), unit)
    return variables.up() & choices.free, variables.unsettled()
