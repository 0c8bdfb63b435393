"""Absorption of high biases (3.2): what a channel always exceeds moves from its activations into the next bias.

Let h = f(W1 x + b1) with a clamp f to [0, cap], and 0 <= c_i <= cap_i with W1 x + b1 >= c for all x. Then (eq 23)

    b1' = b1 - c,   cap' = cap - c,   h' = f'(W1 x + b1') = h - c,   b2' = b2 + W2 c,   W2 h' + b2' = W2 h + b2.

The largest such amount on data is (eq 24)    c_i = max(0, min over x of (W1 x + b1)_i),
and without data, from batch-norm statistics, c_i = max(0, beta_i - 3 |gamma_i|): true for 99.865 % of normal inputs.

Zero padding: where layer 2 pads its input with zeros, h = 0 there, so h' = -c. Exactness needs padding with -c_i in
channel i (`Absorption.pad_values`); padding with 0 is wrong at the borders by the taps' weights times c.
"""

import numpy as np
from numpy.typing import NDArray

from accel_sim.errors import Fault, QuantizationError
from accel_sim.quantization.affine_grid import F64
from accel_sim.records import dataclass

SIGMAS = 3.0
"""Deviations below the mean that count as never reached."""


@dataclass(frozen=True, eq=False)
class Absorption:
    """Two layers after absorption; all float64.

    Attributes:
        amount: c, [C].
        first_bias: b1 - c, [C].
        cap: upper bounds of the activation between, less c; a number or [C], infinite for none.
        second_bias: b2 + W2 c, [Co].
        pad_values: what layer 2 must pad channel i with, -c, [C].
    """

    amount: F64
    first_bias: F64
    cap: float | F64
    second_bias: F64
    pad_values: F64


def amount_from_data(minimum: NDArray[np.floating], cap: float | F64 = np.inf) -> F64:
    """eq 24 from the least pre-activation seen in each channel, [C]; at most the cap."""
    return np.clip(np.asarray(minimum, np.float64), 0.0, cap)


def amount_from_batchnorm(
    beta: NDArray[np.floating], gamma: NDArray[np.floating], cap: float | F64 = np.inf, sigmas: float = SIGMAS
) -> F64:
    """max(0, beta - 3 |gamma|) from batch-norm shift and scale, [C] each; at most the cap."""
    return amount_from_data(np.asarray(beta, np.float64) - sigmas * np.abs(gamma), cap)


def absorb(
    first_bias: NDArray[np.floating],
    second_weight: NDArray[np.floating],
    second_bias: NDArray[np.floating] | None,
    amount: F64,
    *,
    groups: int = 1,
    cap: float | F64 = np.inf,
) -> Absorption:
    """eq 23: move `amount` from the activations between two layers into the second bias.

    Args:
        first_bias: b1, [C].
        second_weight: [Co, ..., C / groups] (OHWI), or [Co, K] where K may be a flattened map [..., C].
        second_bias: b2, [Co] or None.
        amount: c, [C], from one of the functions above.
        groups: of the second layer; C for depthwise.
        cap: upper bound of the activation between (6 for ReLU6), a number or [C].

    Raises:
        QuantizationError: shapes that do not belong together, or amounts that are not in [0, cap].
    """
    _check(first_bias, second_weight, amount, groups, cap)
    outputs = second_weight.shape[0]
    taps = np.asarray(second_weight, np.float64).reshape(groups, outputs // groups, -1, amount.size // groups)
    gain = (taps.sum(axis=2) * amount.reshape(groups, 1, -1)).sum(axis=2).reshape(outputs)
    base = np.zeros(outputs) if second_bias is None else np.asarray(second_bias, np.float64)
    lowered = cap if np.ndim(cap) == 0 and np.isinf(cap) else np.asarray(cap, np.float64) - amount
    return Absorption(amount, np.asarray(first_bias, np.float64) - amount, lowered, base + gain, -amount)


def _check(
    first_bias: NDArray[np.floating],
    second_weight: NDArray[np.floating],
    amount: F64,
    groups: int,
    cap: float | F64,
) -> None:
    faults = []
    if first_bias.shape != amount.shape:
        shapes = f"{list(first_bias.shape)} and {list(amount.shape)}"
        faults.append(Fault("amount", shapes, "one amount for each channel of the first bias"))
    if amount.size % groups or second_weight.shape[0] % groups or second_weight.shape[-1] % (amount.size // groups):
        value = f"{amount.size} channels into weights {list(second_weight.shape)} of {groups} groups"
        faults.append(Fault("weights", value, "the second layer reads what the first makes"))
    if not (np.isfinite(amount).all() and (amount >= 0).all() and (amount <= cap).all()):
        faults.append(Fault("amount", "out of range", "0 <= c <= cap", "use amount_from_data or amount_from_batchnorm"))
    if faults:
        raise QuantizationError("bias absorption", faults)
