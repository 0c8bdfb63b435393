"""Rounding for a linear reconstruction (eq 31), which needs only second moments of the inputs.

With rows x^ [n, K] and wanted outputs t [n, Co] (t = W x, from float inputs: asymmetric), the error of channel o is

    E[(t_o - w~ x^)^2] = w~ G w~^T - 2 w~ R_o^T + E[t_o^2],   G = E[x^^T x^] [K, K],   R = E[t^T x^] [Co, K].

However many rows there are, one evaluation costs K^2 a channel. Flipping weight i by d changes the error by
2 d (w~ G - R_o)_i + d^2 G_ii; `coordinate_descent` takes every flip that lowers it until none does.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from accel_kernels.matmul_float import product
from accel_sim.errors import Fault, QuantizationError
from accel_sim.quantization.affine_grid import F64
from accel_sim.quantization.rounding import Bools, RoundingChoices
from accel_sim.records import dataclass


@dataclass(frozen=True, eq=False)
class LinearObjective:
    """eq 31 as a quadratic form, means over `count` rows; all float64.

    Attributes:
        gram: G, [K, K].
        cross: R, [Co, K].
        power: E[t^2], [Co].
        count: rows seen.
    """

    gram: F64
    cross: F64
    power: F64
    count: int

    @classmethod
    def of(cls, rows: NDArray[np.floating], targets: NDArray[np.floating]) -> "LinearObjective":
        """From rows [n, K] and wanted outputs [n, Co], bias taken off.

        Raises:
            QuantizationError: no rows, or not as many rows as targets.
        """
        if not rows.shape[0] or rows.shape[0] != targets.shape[0]:
            counts = f"{rows.shape[0]} rows, {targets.shape[0]} targets"
            raise QuantizationError("rounding", [Fault("rows", counts, "as many rows as targets, at least one")])
        inputs, outputs = rows.shape[1], targets.shape[1]
        gram, cross, power = np.zeros((inputs, inputs)), np.zeros((outputs, inputs)), np.zeros(outputs)
        for start in range(0, rows.shape[0], _BLOCK_ROWS):
            x = rows[start : start + _BLOCK_ROWS].astype(np.float64)
            t = targets[start : start + _BLOCK_ROWS].astype(np.float64)
            gram, cross, power = gram + product(x.T, x), cross + product(t.T, x), power + (t * t).sum(axis=0)
        n = rows.shape[0]
        return cls(gram / n, cross / n, power / n, n)

    def merged(self, other: "LinearObjective") -> "LinearObjective":
        """The objective over both sets of rows, so that rows can stream."""
        n = self.count + other.count
        a, b = self.count / n, other.count / n
        return LinearObjective(
            a * self.gram + b * other.gram, a * self.cross + b * other.cross, a * self.power + b * other.power, n
        )

    def error(self, weight: F64) -> F64:
        """E[(t_o - w~ x^)^2] of each channel for weights [Co, K], float64 [Co]."""
        inner = product(weight, self.gram) - 2.0 * self.cross
        return np.asarray(np.maximum((inner * weight).sum(axis=1) + self.power, 0.0))

    def gradient(self, weight: F64) -> F64:
        """Half the gradient of the error by the weights, w~ G - R, [Co, K]."""
        return np.asarray(product(weight, self.gram) - self.cross)


_BLOCK_ROWS = 4096


def ridge_of(objective: LinearObjective, damping: float) -> float:
    """damping * mean(x^2)."""
    return damping * float(objective.gram.diagonal().mean())


def damped(objective: LinearObjective, weight: F64, damping: float) -> LinearObjective:
    """The objective plus damping * mean(x^2) || W~ - W ||^2, as white noise of that relative power would add."""
    ridge = ridge_of(objective, damping)
    return replace(
        objective,
        gram=objective.gram + ridge * np.eye(objective.gram.shape[0]),
        cross=objective.cross + ridge * weight,
        power=objective.power + ridge * (weight**2).sum(axis=1),
    )


def coordinate_descent(
    objective: LinearObjective, choices: RoundingChoices, start: Bools, *, sweeps: int = 20
) -> Bools:
    """Flip single weights while that lowers the error: a choice no worse than `start`, bool [Co, K].

    Deterministic: weights are visited in order; a channel ends when a sweep flips nothing.
    """
    from accel_kernels.coordinate_descent import descend  # numba takes a second to import

    up = start.copy()
    gradient = objective.gradient(choices.reals(up))
    step = np.ascontiguousarray(choices.scale * (choices.up - choices.down), np.float64)
    descend(objective.gram, np.ascontiguousarray(gradient), step, up, -1e-12 * objective.power, sweeps)
    return up
