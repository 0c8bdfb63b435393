"""Float kernels bit by bit: output scales so fine that the codes show every bit of the float32 result."""

from fractions import Fraction

import numpy as np
import pytest
from one_command import Layout, codes, random_cases, tied

from accel_kernels.fma_float32 import fused_multiply_add
from accel_sim.ir import Padding2D, TransposeConv2D
from accel_sim.numerics.elementwise import BinaryKind, ElementwiseRecipe, FloatBinary, FloatProduct, FusedFloatSum
from accel_sim.numerics.float_convolution import FloatConvolution
from accel_sim.numerics.float_dot_products import DotOrder, FloatDotProducts
from accel_sim.numerics.pooling import FloatAverage, FloatMean, SumOrder
from accel_sim.numerics.resize import FloatBilinear, InterpolationAxis
from accel_sim.program import (
    Convolve,
    Elementwise,
    Interpolate,
    MatrixMultiply,
    PoolAverage,
    Reduce,
    Tiling,
    TransposeConvolve,
    Window,
)

FAR = 1 << 30
LIMITS = (-FAR, FAR)
FINE = 2.0**-18  # of the input scale: sums of a few hundred codes fill 24 bits


def scale(rng: np.random.Generator) -> float:
    return float(np.float32(2.0 ** rng.uniform(-5, 0)))


def fine(coarse: float, rng: np.random.Generator) -> float:
    return float(np.float32(coarse * FINE * rng.uniform(0.5, 1)))


def nearest_float32(exact: Fraction) -> np.float32:
    """The float32 nearest to a rational number, ties to even, by trying the neighbours of a guess."""
    guess = np.float32(float(exact))
    neighbours = [np.nextafter(guess, np.float32(-np.inf)), guess, np.nextafter(guess, np.float32(np.inf))]
    return min(neighbours, key=lambda v: (abs(Fraction(float(v)) - exact), int(v.view(np.int32)) & 1))


@random_cases(300)
def test_fused_multiply_add_rounds_once(rng: np.random.Generator) -> None:
    """Half of the products lie exactly between two float32 numbers, with an addend far below that decides."""
    a, b = np.float32(rng.integers(2049, 4096) | 1), np.float32(rng.integers(4097, 8192) | 1)
    c = np.float32(rng.choice([-1, 1]) * 2.0 ** rng.integers(-60, 10))
    if rng.integers(2):
        a, b, c = (np.float32(v) for v in rng.normal(size=3) * 2.0 ** rng.integers(-20, 20, 3))
    exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    assert fused_multiply_add(a, b, c) == nearest_float32(exact)


@pytest.mark.parametrize("order", list(SumOrder))
@random_cases(40)
def test_means(order: SumOrder, rng: np.random.Generator) -> None:
    kept, rows, row = int(rng.integers(1, 7)), int(rng.integers(1, 4)), int(rng.integers(1, 40))
    s = scale(rng)
    recipe = FloatMean(s, 3, fine(s, rng), 0, *LIMITS, order, rows * row if order is SumOrder.ROWS else row)
    x = codes(rng, (kept, rows * row), "int8", extreme=tied(rng))
    layout = Layout()
    y = layout.result("y", (kept,), "int32")
    written = layout.result_of(Reduce("l", "op", layout.input("x", x), y, (1,), recipe), y)
    np.testing.assert_array_equal(written, recipe.apply(x.astype(np.int64)))


@random_cases(60)
def test_average_pool(rng: np.random.Generator) -> None:
    s, size = scale(rng), int(rng.integers(1, 9))
    inside, offset = (5, 0) if rng.integers(2) else (0, 5)
    recipe = FloatAverage(s, 3, fine(s, rng), inside, *LIMITS, offset, columns=size * int(rng.integers(2)))
    x = codes(rng, (1, size, size, 3), "uint8", extreme=tied(rng))
    layout = Layout()
    y = layout.result("y", (1, 1, 1, 3), "int32")
    window = Window((size, size))
    written = layout.result_of(PoolAverage("l", "op", layout.input("x", x), y, window, 0, 0, False, 3, recipe), y)
    elements = x.astype(np.int64).reshape(-1, 3).T
    np.testing.assert_array_equal(written[0, 0, 0], recipe.apply(elements, np.full(3, size * size)))


def elementwise_recipes(rng: np.random.Generator) -> list[ElementwiseRecipe]:
    a, b = scale(rng), scale(rng)
    ratios = [float(np.float32(v)) for v in rng.uniform(500, 20000, 2)]
    clip = (-np.inf, np.inf) if rng.integers(2) else (0.0, 1.5)
    binaries: list[ElementwiseRecipe] = [
        FloatBinary(kind, a, 3, b, -7, fine(a, rng), 0, *LIMITS, *clip) for kind in BinaryKind
    ]
    return [*binaries, FusedFloatSum(*ratios, 0.375, *LIMITS), FloatProduct(3, -7, ratios[0] / 64, 5, *LIMITS)]


@random_cases(60)
def test_elementwise(rng: np.random.Generator) -> None:
    a, b = codes(rng, (50,), "int8", extreme=tied(rng)), codes(rng, (50,), "uint8", extreme=tied(rng))
    for recipe in elementwise_recipes(rng):
        layout = Layout()
        y = layout.result("y", (50,), "int32")
        command = Elementwise("l", "op", layout.input("a", a), layout.input("b", b), y, recipe)
        expected = recipe.apply(a.astype(np.int64), b.astype(np.int64))
        np.testing.assert_array_equal(layout.result_of(command, y), expected, str(recipe))


@random_cases(60)
def test_bilinear_resizing(rng: np.random.Generator) -> None:
    s = scale(rng)
    size, wanted = int(rng.integers(1, 6)), int(rng.integers(1, 6))
    axes = []
    for _ in range(2):
        lower = rng.integers(0, size, wanted)
        weights = rng.random(wanted).astype(np.float32)
        upper = np.minimum(lower + 1, size - 1)
        axes.append(InterpolationAxis(tuple(map(int, lower)), tuple(map(int, upper)), tuple(map(float, weights))))
    recipe = FloatBilinear(*axes, s, 3, fine(s, rng), 0, *LIMITS)
    x = codes(rng, (1, size, size, 2), "int8", extreme=tied(rng))
    layout = Layout()
    y = layout.result("y", (1, wanted, wanted, 2), "int32")
    written = layout.result_of(Interpolate("l", "op", layout.input("x", x), y, recipe), y)
    np.testing.assert_array_equal(written, recipe.apply(x.astype(np.int64)))


@random_cases(40)
def test_transposed_convolution(rng: np.random.Generator) -> None:
    inputs, size = int(rng.choice([1, 3, 7, 8, 129, 260])), int(rng.choice([1, 2, 3]))
    x = codes(rng, (1, size, size, inputs), "uint8", extreme=tied(rng))
    w, bias = codes(rng, (2, 2, 3, inputs), "int8"), codes(rng, (2,), "int16").astype(np.int32)
    s = scale(rng)
    w_scales = (scale(rng), scale(rng))
    recipe = FloatConvolution(
        s, 3, w_scales, (0, 1), (s * w_scales[0], s * w_scales[1]), fine(s, rng) * 8, 0, *LIMITS, -np.inf, np.inf
    )
    op = TransposeConv2D((1, 2), (2, 1), Padding2D(1, 0, 0, 1))
    out_hw = (size + 1, 2 * size)
    layout = Layout()
    y = layout.result("y", (1, *out_hw, 2), "int32")
    window = Window((2, 3), op.strides, op.dilations, 1, 0)
    command = TransposeConvolve(
        "l", "op", layout.input("x", x), layout.constant("w", w), layout.constant("b", bias), y, window, 1, 3,
        (0, 1), False, None, Tiling(1, 1, 1), recipe,
    )  # fmt: skip
    expected = recipe.apply_transposed(x.astype(np.int64), w.astype(np.int64), bias, op, out_hw)
    np.testing.assert_array_equal(layout.result_of(command, y), expected)


def dot_recipe(rng: np.random.Generator, order: DotOrder, s: float, w_scales: tuple[float, ...]) -> FloatDotProducts:
    zeros = tuple(range(len(w_scales)))
    natural = tuple(s * w for w in w_scales)
    block, first = int(rng.choice([1, 7, 128])) if order is DotOrder.CHAINS else 0, bool(rng.integers(2))
    step = fine(s, rng) * 2
    return FloatDotProducts(order, block, first, s, 3, w_scales, zeros, natural, step, 0, *LIMITS, -np.inf, np.inf)


@pytest.mark.parametrize("order", list(DotOrder))
@random_cases(40)
def test_convolution(order: DotOrder, rng: np.random.Generator) -> None:
    """Windows of 2 x 1, padded above, in each of two groups."""
    inputs, size, groups = int(rng.choice([1, 3, 7, 70])), int(rng.integers(1, 5)), int(rng.choice([1, 2]))
    images, filters = int(rng.integers(1, 3)), int(rng.integers(1, 5))
    x = codes(rng, (images, size, 2, groups * inputs), "int16", extreme=tied(rng))
    w = codes(rng, (groups * filters, 2, 1, inputs), "int8")
    bias = codes(rng, (len(w),), "int16").astype(np.int32)
    recipe = dot_recipe(rng, order, scale(rng) / 64, tuple(scale(rng) for _ in w))
    layout = Layout()
    y = layout.result("y", (images, size, 2, len(w)), "int32")
    command = Convolve(
        "l", "op", layout.input("x", x), layout.constant("w", w), layout.constant("b", bias), y,
        Window((2, 1), pad_top=1), groups, 3, recipe.weight_zero_point, False, None, Tiling(1, 1, 1), recipe,
    )  # fmt: skip
    padded = np.pad(x.astype(np.int64), ((0, 0), (1, 0), (0, 0), (0, 0)), constant_values=3)
    above, here = (p.reshape(images, -1, groups, inputs) for p in (padded[:, :-1], padded[:, 1:]))
    rows = np.stack([above, here], axis=-1).reshape(*above.shape[:3], -1)
    flat = w.astype(np.int64).transpose(0, 3, 1, 2).reshape(len(w), -1)
    expected = recipe.apply(rows, flat, bias).reshape(y.shape)
    np.testing.assert_array_equal(layout.result_of(command, y), expected)


@pytest.mark.parametrize("order", list(DotOrder))
@random_cases(30)
def test_matrix_product(order: DotOrder, rng: np.random.Generator) -> None:
    """Stacks of matrices, and stacks times one matrix, whose rows are one vector's then."""
    stack, rows, depth, columns = (int(n) for n in rng.integers(1, [4, 4, 150, 6]))
    joined = bool(rng.integers(2))
    a = codes(rng, (stack, rows, depth), "int8", extreme=tied(rng))
    b = codes(rng, (depth, columns) if joined else (stack, depth, columns), "int8")
    recipe = dot_recipe(rng, order, scale(rng), (scale(rng),) * columns)
    layout = Layout()
    y = layout.result("y", (stack, rows, columns), "int32")
    command = MatrixMultiply(
        "l", "op", layout.input("a", a), layout.input("b", b), y, False, False, 3, recipe.weight_zero_point, False,
        None, Tiling(1, 1, 1), recipe,
    )  # fmt: skip
    if joined:
        expected = recipe.apply(a.astype(np.int64).reshape(1, -1, 1, depth), b.astype(np.int64).T, None)
    else:
        expected = np.stack(
            [
                recipe.apply(m.astype(np.int64)[None, :, None], n.astype(np.int64).T, None)[0]
                for m, n in zip(a, b, strict=True)
            ]
        )
    np.testing.assert_array_equal(layout.result_of(command, y), np.asarray(expected).reshape(y.shape))
