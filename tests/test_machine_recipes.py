"""Commands without accumulators: what the machine writes against what the recipe's specification says."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from one_command import Layout, codes, random_cases, tied

from accel_sim.arithmetic import derive_float_transpose_convolution
from accel_sim.arithmetic.derive_elementwise import derive_elementwise
from accel_sim.arithmetic.derive_pooling import ReductionLayout, derive_average_pool, derive_mean
from accel_sim.arithmetic.derive_requantization import derive_requantize
from accel_sim.arithmetic.derive_resize import derive_bilinear
from accel_sim.arithmetic.derive_softmax import derive_softmax, softmax_grid
from accel_sim.ir import (
    RELU,
    RELU6,
    Activation,
    AveragePool2D,
    CoordinateMode,
    Padding2D,
    QuantParams,
    ResizeBilinear,
    Softmax,
    TransposeConv2D,
)
from accel_sim.numerics.elementwise import BinaryKind
from accel_sim.numerics.pooling import FloatAverage
from accel_sim.numerics.profiles import PROFILES, Arithmetic, UnsupportedByProfileError
from accel_sim.numerics.softmax import RealSoftmax
from accel_sim.program import (
    ApplySoftmax,
    Elementwise,
    Interpolate,
    PoolAverage,
    PoolMaximum,
    Reduce,
    RequantizeCodes,
    Tiling,
    TransposeConvolve,
    Window,
)

profiles = pytest.mark.parametrize("profile", PROFILES)


def grid(rng: np.random.Generator, *, tie: bool, bits: int = 8, signed: bool = True, two: bool = False) -> QuantParams:
    """A grid; `two`: its scale is a power of two."""
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    exponent = rng.uniform(-6, 1)
    scale = np.float32(2.0 ** (round(exponent) if tie or two else exponent))
    zero = 0 if bits > 8 and signed else int(rng.choice([low, 0, high]) if tie else rng.integers(low, high + 1))
    return QuantParams.per_tensor(float(scale), zero, bits=bits, signed=signed)


def storage(q: QuantParams) -> str:
    return f"{'' if q.signed else 'u'}int{8 if q.bits <= 8 else 16}"


def grids(rng: np.random.Generator, profile: str, count: int, *, bits: tuple[int, ...] = (8,)) -> list[QuantParams]:
    """Grids of one kind, on which the profile can compute."""
    tie, width, signed = tied(rng), int(rng.choice(bits)), bool(rng.integers(2))
    signed = signed or width > 8
    return [grid(rng, tie=tie, bits=width, signed=signed, two=profile == "power_of_two") for _ in range(count)]


def relative(array: np.ndarray) -> np.ndarray:
    return array.astype(np.int64)


@profiles
@pytest.mark.parametrize("kind", list(BinaryKind))
@random_cases(25)
def test_elementwise(profile: str, kind: BinaryKind, rng: np.random.Generator) -> None:
    a_q, b_q, y_q = grids(rng, profile, 3, bits=(8, 8, 16))
    if kind in (BinaryKind.MINIMUM, BinaryKind.MAXIMUM):
        a_q = b_q = y_q
    activation = [Activation(), RELU, RELU6][rng.integers(3)]
    try:
        recipe = derive_elementwise(PROFILES[profile], kind, a_q, b_q, y_q, activation)
    except UnsupportedByProfileError:
        return
    shapes = [((2, 3, 5), (2, 3, 5)), ((2, 3, 5), (5,)), ((2, 3, 5), ()), ((2, 1, 5), (3, 1)), ((7, 64), (7, 64))]
    a_shape, b_shape = shapes[rng.integers(len(shapes))]
    if rng.integers(2):
        a_shape, b_shape = b_shape, a_shape
    extreme = tied(rng)
    a, b = codes(rng, a_shape, storage(a_q), extreme=extreme), codes(rng, b_shape, storage(b_q), extreme=extreme)
    layout = Layout()
    y = layout.result("y", np.broadcast_shapes(a_shape, b_shape), storage(y_q))
    right = layout.constant("b", b) if rng.integers(2) else layout.input("b", b)
    written = layout.result_of(Elementwise("l", "op", layout.input("a", a), right, y, recipe), y)
    expected = recipe.apply(*np.broadcast_arrays(relative(a), relative(b)))
    np.testing.assert_array_equal(written, expected)


@profiles
@random_cases(25)
def test_average_pool(profile: str, rng: np.random.Generator) -> None:
    x_q, y_q = grids(rng, profile, 2, bits=(8, 8, 16))
    if PROFILES[profile].pooling.name in ("FIXED_DOUBLE", "FIXED_SINGLE", "TOSA", "FLOAT64"):
        y_q = x_q
    n, h, w, c = (int(v) for v in (rng.integers(1, 3), *rng.integers(1, 9, 2), rng.integers(1, 9)))
    kernel = tuple(int(rng.integers(1, size + 1)) for size in (h, w))
    strides = tuple(int(s) for s in rng.integers(1, 3, 2))
    pads = [int(rng.integers(0, k)) for k in (kernel[0], kernel[0], kernel[1], kernel[1])]
    include = bool(rng.integers(2))
    op = AveragePool2D(kernel, strides, Padding2D(*pads), include, [Activation(), RELU][rng.integers(2)])
    recipe = derive_average_pool(PROFILES[profile], op, x_q, y_q, (n, h, w, c))
    x = codes(rng, (n, h, w, c), storage(x_q), extreme=tied(rng))
    oh, ow = (
        (h + pads[0] + pads[1] - kernel[0]) // strides[0] + 1,
        (w + pads[2] + pads[3] - kernel[1]) // strides[1] + 1,
    )
    layout, window = Layout(), Window(kernel, strides, (1, 1), pads[0], pads[2])
    y = layout.result("y", (n, oh, ow, c), storage(y_q))
    zero = x_q.zero_point[0]
    command = PoolAverage("l", "op", layout.input("x", x), y, window, pads[1], pads[3], include, zero, recipe)
    written = layout.result_of(command, y)
    for i, oy, ox in product(range(n), range(oh), range(ow)):
        valid, outside = [], 0
        for ky, kx in product(range(kernel[0]), range(kernel[1])):
            iy, ix = oy * strides[0] + ky - pads[0], ox * strides[1] + kx - pads[2]
            if 0 <= iy < h and 0 <= ix < w:
                valid.append(relative(x[i, iy, ix]))
            elif include and iy < h + pads[1] and ix < w + pads[3]:
                valid.append(np.full(c, zero, np.int64))
            elif isinstance(recipe, FloatAverage) and recipe.columns:
                valid.append(np.full(c, zero, np.int64))
                outside += 1
        elements = np.stack(valid, axis=-1)
        counts = np.full(c, len(valid) - outside)
        np.testing.assert_array_equal(written[i, oy, ox], recipe.apply(elements, counts))


@random_cases(60)
def test_max_pool(rng: np.random.Generator) -> None:
    dtype = rng.choice(["int8", "uint8", "int16"])
    n, h, w, c = (int(v) for v in (rng.integers(1, 3), *rng.integers(2, 9, 2), rng.integers(1, 9)))
    kernel, dilations = tuple(int(k) for k in rng.integers(1, 4, 2)), tuple(int(d) for d in rng.integers(1, 3, 2))
    strides, pads = tuple(int(s) for s in rng.integers(1, 3, 2)), [int(rng.integers(0, k)) for k in kernel]
    x = codes(rng, (n, h, w, c), dtype, extreme=tied(rng))
    low, high = (int(v) for v in np.sort(codes(rng, (2,), dtype)))
    hw = [
        max(1, (size + p - (k - 1) * d - 1) // s + 1)
        for size, p, k, d, s in zip((h, w), pads, kernel, dilations, strides, strict=True)
    ]
    layout, window = Layout(), Window(kernel, strides, dilations, *pads)
    y = layout.result("y", (n, *hw, c), dtype)
    written = layout.result_of(PoolMaximum("l", "op", layout.input("x", x), y, window, low, high), y)
    for i, oy, ox in product(range(n), *map(range, hw)):
        taps = product(range(kernel[0]), range(kernel[1]))
        points = [
            (oy * strides[0] + a * dilations[0] - pads[0], ox * strides[1] + b * dilations[1] - pads[1])
            for a, b in taps
        ]
        inside = [x[i, iy, ix] for iy, ix in points if 0 <= iy < h and 0 <= ix < w]
        if inside:
            np.testing.assert_array_equal(written[i, oy, ox], np.clip(np.max(inside, axis=0), low, high))


@profiles
@random_cases(60)
def test_means(profile: str, rng: np.random.Generator) -> None:
    x_q, y_q = grids(rng, profile, 2, bits=(8, 8, 16))
    shape = tuple(int(v) for v in rng.integers(1, 8, rng.integers(1, 5)))
    if rng.integers(4) == 0:
        shape = (1, 3, int(rng.integers(1, 60)), int(rng.integers(1, 9)))
    axes = tuple(sorted(int(a) for a in rng.permutation(len(shape))[: rng.integers(1, len(shape) + 1)]))
    count = int(np.prod([shape[a] for a in axes]))
    layout_in_file = ReductionLayout(shape, axes)
    recipe = derive_mean(PROFILES[profile], count, x_q, y_q, global_pool=bool(rng.integers(2)), layout=layout_in_file)
    x = codes(rng, shape, storage(x_q), extreme=tied(rng))
    kept = [a for a in range(len(shape)) if a not in axes]
    elements = relative(x).transpose(*kept, *axes).reshape(-1, count)
    layout = Layout()
    keep_dims = bool(rng.integers(2))
    y_shape = [1 if a in axes else n for a, n in enumerate(shape)] if keep_dims else [shape[a] for a in kept]
    y = layout.result("y", y_shape, storage(y_q))
    written = layout.result_of(Reduce("l", "op", layout.input("x", x), y, axes, recipe), y)
    np.testing.assert_array_equal(written.reshape(-1), recipe.apply(elements))


@profiles
@random_cases(60)
def test_change_of_grids(profile: str, rng: np.random.Generator) -> None:
    x_q, y_q = grids(rng, profile, 1, bits=(8, 16))[0], grids(rng, profile, 1, bits=(8, 16))[0]
    try:
        recipe = derive_requantize(PROFILES[profile], x_q, y_q)
    except UnsupportedByProfileError:
        return
    x = codes(rng, (3, 7, 11), storage(x_q), extreme=tied(rng))
    layout = Layout()
    y = layout.result("y", x.shape, storage(y_q))
    zero = x_q.zero_point[0]
    written = layout.result_of(RequantizeCodes("l", "op", layout.input("x", x), y, zero, recipe), y)
    np.testing.assert_array_equal(written, recipe.apply(relative(x) - zero))


@profiles
@random_cases(25)
def test_softmax(profile: str, rng: np.random.Generator) -> None:
    exact = PROFILES[profile].softmax in (Arithmetic.EXACT, Arithmetic.SHIFT)
    x_q = grids(rng, profile, 1, bits=(8,) if exact else (8, 8, 16))[0]  # 65,536 exact exponentials take seconds
    y_q = QuantParams.per_tensor(1 / 256, -128) if x_q.bits == 8 else QuantParams.per_tensor(1 / 32768, 0, bits=16)
    if x_q.bits == 8 and rng.integers(2):
        y_q = grid(rng, tie=tied(rng), signed=bool(rng.integers(2)))
    length = int(rng.choice([1, 2, 3, 10, 40]))
    recipe = derive_softmax(PROFILES[profile], Softmax(float(rng.choice([1.0, 0.5, 2.0]))), x_q, y_q, length)
    x = codes(rng, (int(rng.integers(1, 5)), length), storage(x_q), extreme=tied(rng))
    if rng.integers(2):
        x = (x // 16).astype(x.dtype)
    layout = Layout()
    y = layout.result("y", x.shape, storage(softmax_grid(PROFILES[profile], x_q, y_q)))
    written = layout.result_of(ApplySoftmax("l", "op", layout.input("x", x), y, recipe), y)
    np.testing.assert_array_equal(written, recipe.apply(relative(x)))


@profiles
@random_cases(25)
def test_bilinear_resizing(profile: str, rng: np.random.Generator) -> None:
    x_q, y_q = grids(rng, profile, 2, bits=(8, 8, 16))
    if PROFILES[profile].resize.name in ("FIXED_DOUBLE", "FIXED_SINGLE", "TOSA", "FLOAT64"):
        y_q = x_q
    in_hw, out_hw = (tuple(int(v) for v in rng.integers(1, 7, 2)) for _ in range(2))
    op = ResizeBilinear(list(CoordinateMode)[rng.integers(4)])
    try:
        recipe = derive_bilinear(PROFILES[profile], op, in_hw, out_hw, x_q, y_q)
    except UnsupportedByProfileError:
        return
    x = codes(rng, (int(rng.integers(1, 3)), *in_hw, int(rng.integers(1, 6))), storage(x_q), extreme=tied(rng))
    layout = Layout()
    y = layout.result("y", (x.shape[0], *out_hw, x.shape[3]), storage(y_q))
    written = layout.result_of(Interpolate("l", "op", layout.input("x", x), y, recipe), y)
    np.testing.assert_array_equal(written, recipe.apply(relative(x)))


@random_cases(25)
def test_transposed_convolution_in_float32(rng: np.random.Generator) -> None:
    tie, groups = tied(rng), int(rng.integers(1, 3))
    inputs, outputs = int(rng.choice([1, 2, 3, 5, 8, 130])), groups * int(rng.integers(1, 4))
    x_q, y_q = grid(rng, tie=tie, signed=False), grid(rng, tie=tie, signed=False)
    channels = outputs if rng.integers(2) else 1
    scale = tuple(float(v) for v in (2.0 ** rng.uniform(-6, -2, channels)).astype(np.float32))
    w_q = QuantParams(scale, (0,) * channels, axis=0 if channels > 1 else None)
    kernel, strides = (tuple(int(k) for k in rng.integers(1, 4, 2)) for _ in range(2))
    dilations = tuple(int(d) for d in rng.integers(1, 3, 2))
    pads = [int(rng.integers(0, k)) for k in kernel]
    op = TransposeConv2D(
        strides, dilations, Padding2D(pads[0], 0, pads[1], 0), groups, [Activation(), RELU6][rng.integers(2)]
    )
    hw = (1, 1) if rng.integers(3) == 0 else tuple(int(v) for v in rng.integers(1, 5, 2))
    x = codes(rng, (int(rng.integers(1, 3)), *hw, groups * inputs), "uint8", extreme=tie)
    w = codes(rng, (outputs, *kernel, inputs), "int8", extreme=tie)
    bias = codes(rng, (outputs,), "int16").astype(np.int32) if rng.integers(2) else None
    profile: Any = PROFILES["onnxruntime"]
    recipe = derive_float_transpose_convolution(profile, op, x_q, w_q, None, y_q)
    out_hw = tuple(
        (n - 1) * s + (k - 1) * d + 1 - p for n, s, k, d, p in zip(hw, strides, kernel, dilations, pads, strict=True)
    )
    if min(out_hw) < 1:
        return
    layout = Layout()
    y = layout.result("y", (x.shape[0], *out_hw, outputs), "uint8")
    b = None if bias is None else layout.constant("b", bias)
    window = Window(kernel, strides, dilations, *pads)
    command = TransposeConvolve(
        "l", "op", layout.input("x", x), layout.constant("w", w), b, y, window, groups, x_q.zero_point[0],
        w_q.zero_point, False, None, Tiling(1, 1, 1), recipe,
    )  # fmt: skip
    expected = recipe.apply_transposed(relative(x), relative(w), bias, op, out_hw)
    np.testing.assert_array_equal(layout.result_of(command, y), expected)


def test_softmax_of_sixteen_bits_in_double() -> None:
    recipe = RealSoftmax(tuple(0.999**k for k in range(1 << 16)), 1 / 256, -128, -128, 127)
    x = np.array([[-32768, 32767, 32767, 30000], [5, 5, 4, 3]], np.int16)
    layout = Layout()
    y = layout.result("y", x.shape, "int8")
    written = layout.result_of(ApplySoftmax("l", "op", layout.input("x", x), y, recipe), y)
    np.testing.assert_array_equal(written, recipe.apply(relative(x)))
