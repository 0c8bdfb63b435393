"""AdaRound of a dense or convolution layer (3.4): learn which weights to round up, which down.

    argmin over V of || f_a(W x) - f_a(W~ x^) ||_F^2 + lambda f_reg(V)          (35)

x^ are the layer's inputs with all preceding layers quantized, f_a is the fused clamp; with f_a the identity this is
eq 32. A convolution is a dense layer on its patches (`convolution_rows`).

Four choices compete, and each output channel takes the one with the least error on all rows: rounding to nearest, the
relaxation, and either of them followed by single flips that lower the linear error (`gram_rounding`). So the result is
never worse than nearest on its own objective. Without a clamp the gradient comes from the Gram matrix where that is
cheaper than a minibatch.
"""

import numpy as np
from numpy.typing import NDArray

from accel_kernels.matmul_float import product
from accel_sim.errors import Fault, QuantizationError
from accel_sim.quantization.adaround_damping import held_out_damping
from accel_sim.quantization.adaround_relaxation import AdaRoundOptions, WeightGradient, relax
from accel_sim.quantization.affine_grid import F64, AffineGrid
from accel_sim.quantization.gram_rounding import LinearObjective, coordinate_descent, damped, ridge_of
from accel_sim.quantization.reconstruction import F32, Reconstruction, reconstruction
from accel_sim.quantization.rounding import Bools, Rounding, RoundingChoices, best_of


def adaround(
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
    """Round the weights of a dense layer, or of a convolution given as patches.

    Args:
        weight: W, [Co, K].
        grid: per tensor, or per channel of axis 0.
        rows: x^, inputs that the quantized network delivers, [n, K].
        targets: W x + b of the float network for the same rows, before the clamp, [n, Co].
        bias: [Co] or None; the bias that the quantized layer will have.
        options: iterations, rates, seed; the defaults where absent.
        low: lower bound of the fused clamp, a number or [Co].
        high: its upper bound, a number or [Co].

    Raises:
        QuantizationError: no rows, shapes that do not belong together, or weights that are not finite.
    """
    options = options or AdaRoundOptions()
    choices = RoundingChoices.of(weight, grid)
    task = reconstruction(rows, targets, bias, low, high)
    if task.rows.shape[1] != weight.shape[1] or task.targets.shape[1] != weight.shape[0]:
        value = f"weights {list(weight.shape)}, rows {list(rows.shape)}, targets {list(targets.shape)}"
        raise QuantizationError("AdaRound", [Fault("weights", value, "rows are [n, K] and targets [n, Co]")])
    nearest_error = task.error(choices.reals(choices.nearest_up))
    exact = np.asarray(weight, np.float64)
    damping = held_out_damping(task, choices, exact) if options.damping is None else options.damping
    plain = task.linear()
    objective, ridge = damped(plain, exact, damping), ridge_of(plain, damping)
    gradient = _gradient(task, objective, exact, ridge, options)
    nearest_loss = float(nearest_error.sum() + ridge * np.square(choices.reals(choices.nearest_up) - exact).sum())
    relaxed, unsettled = relax(choices, gradient, nearest_loss, options)
    flipped = [coordinate_descent(objective, choices, start) for start in (relaxed, choices.nearest_up)]
    up, error = _best(choices, task, [relaxed, *flipped])
    return best_of(choices, up, error, nearest_error, unsettled)


def _gradient(
    task: Reconstruction, objective: LinearObjective, weight: F64, ridge: float, options: AdaRoundOptions
) -> WeightGradient:
    if task.is_linear and weight.shape[1] <= 2 * min(options.batch_rows, task.rows.shape[0]):
        gram, cross = objective.gram.astype(np.float32), objective.cross.astype(np.float32)
        return lambda soft: np.asarray((product(soft, gram) - cross) * np.float32(2.0))
    generator = np.random.default_rng(options.seed)
    count = task.rows.shape[0]
    wanted, pull = weight.astype(np.float32), np.float32(2.0 * ridge)

    def gradient(soft: F32) -> F32:
        few = count <= options.batch_rows
        pick = slice(None) if few else generator.integers(0, count, options.batch_rows, dtype=np.intp)
        return np.asarray(task.gradient(soft, pick) + pull * (soft - wanted))

    return gradient


def _best(choices: RoundingChoices, task: Reconstruction, candidates: list[Bools]) -> tuple[Bools, F64]:
    """Channel by channel the choice with the smallest error, and that error."""
    errors = np.stack([task.error(choices.reals(up)) for up in candidates])
    winner = errors.argmin(axis=0)
    channels = np.arange(winner.size)
    return np.stack(candidates)[winner, channels], errors[winner, channels]
