"""Which exact rational scales float64 replaces, by a product or a quotient: all accumulators, by exact fractions."""

import numpy as np
import pytest
from native_cases import convolution
from one_command import random_cases

from accel_sim.numerics.requantization import RationalRequantization
from accel_sim.sim.native.rational import Rescaling, float64_rescaling
from accel_sim.sim.native.runner import available


def _codes(rescaling: Rescaling, accumulators: np.ndarray) -> np.ndarray:
    real = accumulators * rescaling.scale[0]
    if rescaling.divisor is not None:
        real = real / rescaling.divisor[0]
    return np.rint(np.clip(real, -128, 127)).astype(np.int64)


def test_products_and_quotients_give_the_exact_codes() -> None:
    accumulators = np.arange(-70_000, 70_000)
    quotients = 0
    for denominator in range(2, 500, 6):
        for numerator in (1, 7, 11):
            recipe = RationalRequantization(0, (-128,), (127,), (numerator,), (denominator,))
            rescaling, exact = float64_rescaling(recipe), recipe.apply(accumulators.reshape(-1, 1))[:, 0]
            assert rescaling is not None
            np.testing.assert_array_equal(_codes(rescaling, accumulators), exact, err_msg=str(recipe))
            quotients += rescaling.divisor is not None
            product = Rescaling(np.array([numerator / denominator]))
            assert rescaling.divisor is None or not np.array_equal(_codes(product, accumulators), exact)
    assert quotients > 0


def test_a_scale_just_beside_a_simple_fraction_is_moved_until_it_is_right() -> None:
    """fl(1 / 960) is more than 1/960: 480 of it are more than a half, which a product in float64 rounds to a half."""
    numerator, denominator = (1 / 960).as_integer_ratio()
    recipe = RationalRequantization(0, (-128,), (127,), (numerator,), (denominator,))
    accumulators = np.add.outer(np.arange(-300, 300) * 480, np.arange(-1, 2)).ravel()
    exact = recipe.apply(accumulators.astype(object).reshape(-1, 1))[:, 0].astype(np.int64)
    assert not np.array_equal(_codes(Rescaling(np.array([1 / 960])), accumulators), exact)
    rescaling = float64_rescaling(recipe)
    assert rescaling is not None
    assert rescaling.divisor is None
    np.testing.assert_array_equal(_codes(rescaling, accumulators), exact)


def test_scales_of_products_of_float32_are_accepted() -> None:
    rng = np.random.default_rng(0)
    scales = [(float(a) * float(b)) for a, b in rng.uniform(1e-3, 1e-1, (500, 2)).astype(np.float32)]
    fractions = [scale.as_integer_ratio() for scale in scales]
    recipe = RationalRequantization(3, (-128,), (127,), *map(tuple, zip(*fractions, strict=True)))
    assert float64_rescaling(recipe) is not None


def test_more_steps_than_can_be_checked_are_refused() -> None:
    many = tuple(range(257, 257 + 80))
    assert float64_rescaling(RationalRequantization(0, (-32768,), (32767,), (1,), many)) is None


@pytest.mark.skipif(not available(), reason="steps are compiled code")
@random_cases(10)
def test_quotients_in_convolutions(rng: np.random.Generator) -> None:
    def draw(rng: np.random.Generator, channels: int, dtype: str, tie: bool) -> RationalRequantization:
        info = np.iinfo(dtype if dtype != "int16" else "int8")
        numerators = tuple(int(n) for n in rng.choice([1, 7, 11], channels))
        denominators = tuple(int(d) for d in rng.choice([98, 196, 392, 5000], channels))
        return RationalRequantization(int(rng.integers(-9, 9)), (info.min,), (info.max,), numerators, denominators)

    case, recipe = convolution(rng, draw, depthwise=False)
    np.testing.assert_array_equal(case.run(), case.expected(recipe))
    assert ":rational:" in case.step().name or ":quotient:" in case.step().name
