"""Which exact rational scales one product in float64 replaces: for all accumulators, by exact fractions."""

import numpy as np

from accel_sim.numerics.requantization import RationalRequantization
from accel_sim.sim.native.rational import float64_scales


def _codes(scale: float, accumulators: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(accumulators * scale, -128, 127)).astype(np.int64)


def test_accepted_scales_are_right_and_refused_ones_wrong_somewhere() -> None:
    accumulators = np.arange(-70_000, 70_000)
    refused = 0
    for denominator in range(2, 500, 6):
        for numerator in (1, 7, 11):
            recipe = RationalRequantization(0, (-128,), (127,), (numerator,), (denominator,))
            scales, exact = float64_scales(recipe), recipe.apply(accumulators.reshape(-1, 1))[:, 0]
            agrees = np.array_equal(_codes(numerator / denominator, accumulators), exact)
            assert agrees == (scales is not None), recipe
            refused += scales is None
    assert refused > 0


def test_scales_of_products_of_float32_are_accepted() -> None:
    rng = np.random.default_rng(0)
    scales = [(float(a) * float(b)) for a, b in rng.uniform(1e-3, 1e-1, (500, 2)).astype(np.float32)]
    fractions = [scale.as_integer_ratio() for scale in scales]
    recipe = RationalRequantization(3, (-128,), (127,), *map(tuple, zip(*fractions, strict=True)))
    assert float64_scales(recipe) is not None


def test_wide_codes_are_refused() -> None:
    assert float64_scales(RationalRequantization(0, (-32768,), (32767,), (1,), (256,))) is None
