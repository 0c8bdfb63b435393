"""AdaRound of a depthwise convolution: every channel is a problem of its own, with kh kw weights.

A 3x3 channel has 2^9 = 512 roundings, so eq 35 without its regularizer,

    argmin over dW_c of E[(f_a(W_c x) - f_a(W~_c x^))^2],

is solved exactly: all roundings of a channel are tried on all rows. Larger kernels are relaxed as in `adaround`, all
channels at once.
"""

import itertools

import numpy as np
from numpy.typing import NDArray

from accel_kernels.matmul_float import product
from accel_sim.errors import Fault, QuantizationError
from accel_sim.quantization.adaround_relaxation import AdaRoundOptions, relax
from accel_sim.quantization.affine_grid import F64, AffineGrid
from accel_sim.quantization.reconstruction import F32
from accel_sim.quantization.rounding import Bools, Rounding, RoundingChoices, best_of

EXACT_WEIGHTS = 10
"""Kernels of up to so many weights are solved by enumeration."""


def adaround_depthwise(
    weight: NDArray[np.floating],
    grid: AffineGrid,
    rows: NDArray[np.floating],
    targets: NDArray[np.floating],
    bias: NDArray[np.floating] | None = None,
    options: AdaRoundOptions | None = None,
    *,
    low: float | F64 = -np.inf,
    high: float | F64 = np.inf,
) -> Rounding:
    """Round the weights of a depthwise convolution.

    Args:
        weight: W, [C, kh * kw]; with a channel multiplier, C output channels.
        grid: per tensor, or per channel of axis 0.
        rows: x^, what each channel's window sees in the quantized network, [n, C, kh * kw].
        targets: W x + b of the float network for the same rows, before the clamp, [n, C].
        bias: [C] or None; the bias that the quantized layer will have.
        options: for kernels that are too large to enumerate; the defaults where absent.
        low: lower bound of the fused clamp, a number or [C].
        high: its upper bound, a number or [C].

    Raises:
        QuantizationError: no rows, shapes that do not belong together, or weights that are not finite.
    """
    choices = RoundingChoices.of(weight, grid)
    channels, taps = weight.shape
    if not len(rows) or rows.shape != (len(targets), channels, taps) or targets.shape != (len(rows), channels):
        value = f"weights {list(weight.shape)}, rows {list(rows.shape)}, targets {list(targets.shape)}"
        rule = "rows are [n, C, taps] and targets [n, C], with n of at least 1"
        raise QuantizationError("AdaRound", [Fault("depthwise", value, rule)])
    bounds = [np.broadcast_to(np.asarray(v, np.float32), (channels,)) for v in (low, high)]
    shift = np.zeros(channels, np.float32) if bias is None else np.asarray(bias, np.float32)
    task = _Depthwise(np.asarray(rows, np.float32), np.asarray(targets, np.float32), shift, bounds[0], bounds[1])
    nearest_error = task.error(choices.reals(choices.nearest_up))
    if taps <= EXACT_WEIGHTS:
        up, unsettled = _enumerated(task, choices), 0.0
    else:
        up, unsettled = _relaxed(task, choices, float(nearest_error.sum()), options or AdaRoundOptions())
    return best_of(choices, up, task.error(choices.reals(up)), nearest_error, unsettled)


class _Depthwise:
    """Rows by channel and tap [C, taps, n], clamped targets [C, n]."""

    def __init__(self, rows: F32, targets: F32, bias: F32, low: F32, high: F32) -> None:
        self.rows = np.ascontiguousarray(rows.transpose(1, 2, 0))
        self.targets = np.clip(np.ascontiguousarray(targets.T), low[:, None], high[:, None])
        self.bias, self.low, self.high = bias[:, None], low[:, None], high[:, None]

    def error(self, weight: NDArray[np.floating]) -> F64:
        """Mean squared error of each channel for weights [C, taps], float64 [C]."""
        made = _weighted(self.rows, weight.astype(np.float32)) + self.bias
        difference = np.clip(made, self.low, self.high) - self.targets
        return np.asarray(np.square(difference, dtype=np.float64).mean(axis=1))

    def errors(self, channel: int, weights: F32) -> F64:
        """Mean squared errors of one channel for many weights [m, taps], float64 [m]."""
        made = product(weights, self.rows[channel])
        made += self.bias[channel]
        np.clip(made, self.low[channel], self.high[channel], out=made)
        made -= self.targets[channel]
        return np.asarray(np.einsum("mn,mn->m", made, made, dtype=np.float64) / made.shape[1])

    def gradient(self, weight: F32, pick: NDArray[np.intp]) -> F32:
        """Gradient of the error on the picked rows, summed over channels, by the weights [C, taps]."""
        rows = self.rows[:, :, pick]
        made = _weighted(rows, weight) + self.bias
        difference = np.clip(made, self.low, self.high) - self.targets[:, pick]
        difference *= (made > self.low) & (made < self.high)
        return np.asarray((difference[:, None, :] * rows).sum(axis=2) * np.float32(2.0 / pick.size))


def _weighted(rows: F32, weights: F32) -> F32:
    """Sums over the taps of rows [C, taps, n] times weights [C, taps]: [C, n]."""
    total = rows[:, 0] * weights[:, 0, None]
    for tap in range(1, weights.shape[1]):
        total += rows[:, tap] * weights[:, tap, None]
    return total


def _enumerated(task: _Depthwise, choices: RoundingChoices) -> Bools:
    """The best of all roundings of each channel; nearest where none is better."""
    taps = choices.down.shape[1]
    every = np.array(list(itertools.product([False, True], repeat=taps)))
    best = choices.nearest_up.copy()
    for c in range(choices.down.shape[0]):
        candidates = np.concatenate([choices.nearest_up[c : c + 1], every])
        steps = np.where(candidates, choices.up[c], choices.down[c])
        scale = choices.grid.scale[c if choices.grid.scale.size > 1 else 0]
        best[c] = candidates[int(task.errors(c, (scale * steps).astype(np.float32)).argmin())]
    return best


def _relaxed(
    task: _Depthwise, choices: RoundingChoices, nearest_error: float, options: AdaRoundOptions
) -> tuple[Bools, float]:
    generator = np.random.default_rng(options.seed)
    count = task.rows.shape[2]

    def gradient(soft: F32) -> F32:
        return task.gradient(soft, generator.integers(0, count, min(count, options.batch_rows), dtype=np.intp))

    return relax(choices, gradient, nearest_error, options)
