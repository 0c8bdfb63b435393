"""Sums of codes as native steps, at every pair of codes."""

import numpy as np
import pytest
from one_command import HARDWARE, Layout, random_cases, tied

from accel_sim.arithmetic.derive_elementwise import derive_elementwise
from accel_sim.ir import NO_ACTIVATION, RELU, QuantParams
from accel_sim.numerics.elementwise import BinaryKind
from accel_sim.numerics.profiles import get_profile
from accel_sim.program import Elementwise
from accel_sim.sim.native.linear_sum import linear_sum
from accel_sim.sim.native.runner import available
from accel_sim.sim.native.step import lower
from accel_sim.sim.preparation import Context
from accel_sim.sim.result import Level

pytestmark = pytest.mark.skipif(not available(), reason="kernels are not compiled")


def grids(rng: np.random.Generator, *, signed: bool) -> list[QuantParams]:
    """Of a, b and y; ties where scales are equal or one is twice another."""
    scales = rng.uniform(0.01, 0.1, 3)
    if tied(rng):
        scales = scales[0] * rng.choice([0.5, 1, 2], 3)
    zeros = rng.integers(-128, 128, 3) + 128 * (not signed)
    return [
        QuantParams.per_tensor(float(np.float32(s)), int(z), signed=signed) for s, z in zip(scales, zeros, strict=True)
    ]


@pytest.mark.parametrize("profile", ["tflite", "litert", "single_round", "paper"])
@pytest.mark.parametrize("kind", [BinaryKind.ADD, BinaryKind.SUBTRACT])
@random_cases(10)
def test_every_pair(profile: str, kind: BinaryKind, rng: np.random.Generator) -> None:
    signed = bool(rng.integers(2))
    activation = RELU if rng.integers(2) else NO_ACTIVATION
    recipe = derive_elementwise(get_profile(profile), kind, *grids(rng, signed=signed), activation)
    dtype = "int8" if signed else "uint8"
    values = np.arange(np.iinfo(dtype).min, np.iinfo(dtype).max + 1, dtype=np.int64)
    a, b = np.meshgrid(values, values, indexing="ij")
    layout = Layout()
    y = layout.result("y", a.shape, dtype)
    command = Elementwise("l", "op", layout.input("a", a.astype(dtype)), layout.input("b", b.astype(dtype)), y, recipe)
    step = lower(command, Context(np.zeros(0, np.uint8), HARDWARE, Level.FUNCTIONAL))
    assert step is None or ("linear" in step.name) == (linear_sum(recipe, dtype, dtype) is not None)
    np.testing.assert_array_equal(layout.result_of(command, y), recipe.apply(a, b))


def test_ordinary_sums_are_linear() -> None:
    """Of random TFLite sums nearly all are; where one is not, the recipe is computed step by step."""
    rng, found = np.random.default_rng(0), 0
    for _ in range(60):
        recipe = derive_elementwise(get_profile("tflite"), BinaryKind.ADD, *grids(rng, signed=True), NO_ACTIVATION)
        found += linear_sum(recipe, "int8", "int8") is not None
    assert 50 < found < 60
