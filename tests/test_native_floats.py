"""Native float steps bit by bit: 8-bit codes cannot show every bit of a float32 result, so many lie at ties."""

from dataclasses import replace

import numpy as np
import pytest
from one_command import HARDWARE, Layout, codes, random_cases, tied

from accel_sim.arithmetic.boundary import quantize_real
from accel_sim.ir import ElementType, QuantParams
from accel_sim.numerics.pooling import FloatMean, SumOrder
from accel_sim.numerics.profiles import get_profile
from accel_sim.program import Operand, Port, Reduce, Region
from accel_sim.sim.native.boundary import quantize_into
from accel_sim.sim.native.runner import available
from accel_sim.sim.native.step import lower
from accel_sim.sim.preparation import Context
from accel_sim.sim.result import Level

pytestmark = pytest.mark.skipif(not available(), reason="kernels are not compiled")


def tied_scale(recipe: FloatMean, elements: np.ndarray, rng: np.random.Generator) -> float:
    """An output scale at which the first channel's mean is half-way between two codes, as far as float32 can say."""
    real = np.float32(recipe.input_scale) * (elements - recipe.input_zero_point).astype(np.float32)
    mean = np.abs(np.float32(real.sum(dtype=np.float32)) / np.float32(len(real)))
    return float(mean / np.float32(rng.integers(1, 60) + 0.5)) or 1.0


@pytest.mark.parametrize("order", SumOrder)
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@random_cases(40)
def test_means(dtype: str, order: SumOrder, rng: np.random.Generator) -> None:
    smallest = (2, 6) if order in (SumOrder.ROWS, SumOrder.ROW_BLOCKS) else (1, 1)
    channels, (height, width) = int(rng.integers(1, 70)), (int(rng.integers(n, 12)) for n in smallest)
    count = height * width
    image = codes(rng, (1, height, width, channels), dtype, extreme=tied(rng))
    if rng.integers(2):  # all channels hold the same codes in other orders
        column = image[..., :1].reshape(count, 1)
        image = rng.permuted(np.repeat(column, channels, axis=1), axis=0).reshape(image.shape)
    info, elements = np.iinfo(dtype), image.reshape(count, channels).T.astype(np.int64)
    scale = float(np.float32(rng.uniform(0.01, 1)))
    recipe = FloatMean(scale, 3, 1.0, 5, int(info.min), int(info.max), order, count)
    recipe = replace(recipe, scale=tied_scale(recipe, elements[0], rng))
    layout = Layout()
    y = layout.result("y", (1, channels), dtype)
    command = Reduce("l", "op", layout.input("x", image), y, (1, 2), recipe)
    assert lower(command, Context(np.zeros(0, np.uint8), HARDWARE, Level.FUNCTIONAL)) is not None
    np.testing.assert_array_equal(layout.result_of(command, y)[0], recipe.apply(elements))


PROFILES = ["tflite", "litert", "onnxruntime", "tosa"]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("signed", [False, True])
@random_cases(30)
def test_inputs(profile: str, signed: bool, rng: np.random.Generator) -> None:
    planes, pixels = int(rng.integers(1, 5)), (int(rng.integers(4, 9)), int(rng.integers(4, 9)))
    scale = float(np.float32(rng.uniform(0.001, 2)))
    quant = QuantParams.per_tensor(scale, int(rng.integers(-100, 100)) + 128 * (not signed), signed=signed)
    element = ElementType.INT8 if signed else ElementType.UINT8
    real = (rng.normal(0, 60, (1, planes, *pixels)) * scale).astype(np.float32)
    if tied(rng):
        real = ((rng.integers(-300, 300, real.shape) + 0.5) * np.float32(scale)).astype(np.float32)
        real = np.nextafter(real, rng.choice([-np.inf, np.inf, 0], real.shape).astype(np.float32))
    real.flat[:2] = np.finfo(np.float32).max, -np.finfo(np.float32).max
    operand = Operand("x", Region.ACTIVATIONS, 0, (1, *pixels, planes), element.value)
    port = Port("x", operand, quant, (0, 2, 3, 1))
    written = np.zeros((1, *pixels, planes), element.value)
    assert quantize_into(written, get_profile(profile), port, real)
    expected = quantize_real(get_profile(profile), real.transpose(0, 2, 3, 1), quant)
    np.testing.assert_array_equal(written, expected)
