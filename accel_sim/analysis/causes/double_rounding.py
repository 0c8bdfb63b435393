"""How often two roundings give another integer than one: measured, beside 2^-(r+1) for a right shift of r.

The first rounding keeps r fraction bits. It lands on a half with probability 2^-r, and in half of these cases from the
side on which a single rounding would have gone the other way.
"""

from dataclasses import replace

import numpy as np

from accel_sim.analysis.causes.accumulators import MATRIX_OPERATORS, is_wide
from accel_sim.analysis.causes.chains import LayerSample, in_float, matrix_recipe
from accel_sim.analysis.mismatch.report import DoubleRounding
from accel_sim.numerics import FixedPointRequantization, Profile, Rounding, wrap32


class DoubleRoundingCount:
    """Counts over any number of samples of one node."""

    def __init__(self) -> None:
        self._elements = self._differing = 0
        self._predicted: float | None = None

    def add(self, sample: LayerSample, profile: Profile) -> None:
        """Count one sample; nothing where the profile does not round twice."""
        recipe = _double(sample, profile)
        if recipe is None:
            return
        rows = wrap32(sample.sums.products.reshape(-1, sample.sums.channels) + sample.sums.bias)
        once = replace(recipe, rounding=Rounding.SINGLE)
        self._differing += int(np.count_nonzero(recipe.scaled(rows) != once.scaled(rows)))
        self._elements += rows.size
        shifts = np.broadcast_to(np.maximum(-np.array(recipe.shift), 0), sample.sums.channels)
        self._predicted = float(np.mean(np.where(shifts > 0, 2.0 ** -(shifts + 1.0), 0.0)))

    def result(self) -> DoubleRounding | None:
        """The rates so far; None where nothing was rounded twice."""
        if self._predicted is None or not self._elements:
            return None
        return DoubleRounding(self._predicted, self._differing / self._elements)


def _double(sample: LayerSample, profile: Profile) -> FixedPointRequantization | None:
    site = sample.site(profile)
    if not isinstance(site.node.op, MATRIX_OPERATORS) or site.result.quant is None or is_wide(site):
        return None
    if in_float(site):
        return None
    recipe = matrix_recipe(site)
    twice = isinstance(recipe, FixedPointRequantization) and recipe.rounding is Rounding.DOUBLE
    return recipe if twice and isinstance(recipe, FixedPointRequantization) else None
