"""How much damping a rounding problem needs, from its own rows.

Rounding fits thousands of binary variables to rows that are few and, coming from few pictures, alike. Without damping
the last layers of a classifier, calibrated on 64 pictures, end with a *larger* error on new pictures than nearest
rounding has. So one half of the rows chooses the rounding (coordinate descent on eq 31, which is quick), the other half
measures it, and the damping that does best there is used for all rows.
"""

import numpy as np

from accel_sim.quantization.affine_grid import F64
from accel_sim.quantization.gram_rounding import coordinate_descent, damped
from accel_sim.quantization.reconstruction import Reconstruction
from accel_sim.quantization.rounding import RoundingChoices

CANDIDATES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
_CHANNELS = 96  # enough for a choice out of six


def held_out_damping(task: Reconstruction, choices: RoundingChoices, weight: F64) -> float:
    """The candidate with the least error on the second half of the rows when the first half chose the rounding.

    Args:
        task: rows in the order of their samples, so that the halves hold different samples.
        choices: of the weights.
        weight: W, [Co, K].
    """
    half = task.rows.shape[0] // 2
    if not half:
        return CANDIDATES[-1]
    pick = np.unique(np.linspace(0, weight.shape[0] - 1, _CHANNELS).astype(np.intp))
    part, chosen = choices.channels(pick), task.channels(pick)
    fitted, held_out = chosen.part(slice(0, half)), chosen.part(slice(half, None))
    objective = fitted.linear()
    errors = []
    for damping in CANDIDATES:
        up = coordinate_descent(damped(objective, weight[pick], damping), part, part.nearest_up)
        errors.append(float(held_out.error(part.reals(up)).sum()))
    return CANDIDATES[int(np.argmin(errors))]
