"""Convolutions and products: accumulators, their extremes and overflows, against plain Python."""

from typing import Any

import numpy as np
import pytest
from one_command import Layout, accelerator, codes, random_cases, tied
from plain_accumulation import PlainAccumulator, convolve, multiply, transpose_convolve

from accel_sim.hardware import OverflowPolicy
from accel_sim.program import Convolve, MatrixMultiply, Tiling, TransposeConvolve, Window
from accel_sim.sim.result import Level

TILING = Tiling(1, 1, 1)
TYPES = ((np.int8, np.int8), (np.uint8, np.uint8), (np.uint8, np.int8), (np.int16, np.int8))


def draw_window(rng: np.random.Generator, x: tuple[int, ...]) -> tuple[Window, tuple[int, int]]:
    kernel = tuple(int(k) for k in rng.integers(1, 4, 2))
    strides = tuple(int(s) for s in rng.integers(1, 4, 2))
    dilations = tuple(int(d) for d in rng.integers(1, 3, 2))
    pads = [int(rng.integers(0, (k - 1) * d + 1)) for k, d in zip(kernel, dilations, strict=True)]
    window = Window(kernel, strides, dilations, *pads)
    after = rng.integers(0, 3, 2)
    out = [
        max(1, (x[i + 1] + pads[i] + int(after[i]) - ((kernel[i] - 1) * dilations[i] + 1)) // strides[i] + 1)
        for i in range(2)
    ]
    return window, (out[0], out[1])


def draw_groups(rng: np.random.Generator) -> tuple[int, int, int]:
    """(groups, input channels of a group, output channels): plain, depthwise, depthwise with multiplier, grouped."""
    kind = rng.integers(4)
    if kind == 0:
        return 1, int(rng.integers(1, 7)), int(rng.integers(1, 40))
    groups = int(rng.integers(2, 5))
    if kind == 1:
        return groups, 1, groups
    if kind == 2:
        return groups, 1, groups * int(rng.integers(2, 4))
    return groups, int(rng.integers(2, 4)), groups * int(rng.integers(1, 4))


def draw_bias(rng: np.random.Generator, channels: int, bits: int, *, wide: bool, extreme: bool) -> np.ndarray:
    """Biases that, if extreme, do not fit the accumulator or leave no room in it."""
    dtype = np.dtype(np.int64 if wide else np.int32)
    if not extreme:
        return rng.integers(-1000, 1000, channels).astype(dtype)
    info, half = np.iinfo(dtype), 1 << (bits - 1)
    ends = [-half - 1, -half, 1 - half, half - 1, half, 3 * half]
    return np.array(
        [min(max(int(rng.choice(np.array(ends, object))), info.min), info.max) for _ in range(channels)], dtype
    )


def draw_zero_points(rng: np.random.Generator, dtype: Any, count: int) -> tuple[int, ...]:
    if dtype == np.int16:
        return (0,)
    limits = np.iinfo(dtype)
    return tuple(int(z) for z in rng.integers(limits.min, limits.max + 1, count if rng.random() < 0.5 else 1))


def draw_accumulator(rng: np.random.Generator, *, wide: bool) -> tuple[int, OverflowPolicy]:
    bits = int(rng.choice([8, 12, 16, 17, 20, 24, 30, 31, 32]))
    return bits, OverflowPolicy(rng.choice(["wrap", "saturate"]))


@pytest.mark.parametrize("kind", [Convolve, TransposeConvolve])
@random_cases(150)
def test_convolutions_accumulate_as_plain_python_does(kind: Any, rng: np.random.Generator) -> None:
    extreme = tied(rng)
    x_type, w_type = TYPES[rng.integers(len(TYPES))]
    wide = x_type == np.int16
    groups, inputs, outputs = draw_groups(rng)
    shape = (int(rng.integers(1, 3)), *(int(n) for n in rng.integers(1, 5, 2)), groups * inputs)
    window, hw = draw_window(rng, shape)
    bits, policy = draw_accumulator(rng, wide=wide)
    x, w = (
        codes(rng, shape, x_type, extreme=extreme),
        codes(rng, (outputs, *window.kernel, inputs), w_type, extreme=extreme),
    )
    width = 2 * bits if wide else bits
    bias = draw_bias(rng, outputs, width, wide=wide, extreme=extreme)
    x_zero, w_zero = draw_zero_points(rng, x_type, 1)[0], draw_zero_points(rng, w_type, outputs)

    layout, has_bias = Layout(), rng.random() < 0.8
    result = layout.result("y", (shape[0], *hw, outputs), np.int64 if wide else np.int32)
    command = kind(
        "layer", "op", layout.input("x", x), layout.constant("w", w), layout.constant("b", bias) if has_bias else None,
        result, window, groups, x_zero, w_zero, wide, None, TILING,
    )  # fmt: skip
    plain = PlainAccumulator(width, policy is OverflowPolicy.SATURATE)
    loops = convolve if kind is Convolve else transpose_convolve
    relative_w = w.astype(np.int64) - np.array(w_zero).reshape(-1, 1, 1, 1)
    used_bias = bias if has_bias else np.zeros_like(bias)
    expected = loops(x.astype(np.int64) - x_zero, relative_w, used_bias, window, groups, result.shape, plain)

    hardware = accelerator(bits, policy)
    watched = layout.run(command, result, Level.CYCLE, hardware)
    np.testing.assert_array_equal(watched.outputs["y"], expected)
    (layer,) = watched.layers
    assert (layer.accumulator_min, layer.accumulator_max, layer.overflow_events) == (
        plain.lowest,
        plain.highest,
        plain.events,
    )
    fast = layout.run(command, result, Level.FUNCTIONAL, hardware)
    np.testing.assert_array_equal(fast.outputs["y"], expected)


@random_cases(150)
def test_matrix_products_accumulate_as_plain_python_does(rng: np.random.Generator) -> None:
    extreme = tied(rng)
    a_type, b_type = TYPES[rng.integers(len(TYPES))] if rng.random() < 0.8 else (np.int16, np.int16)
    wide = a_type == np.int16
    m, k, n = (int(v) for v in rng.integers(1, 9, 3))
    a_lead, b_lead = [((), ()), ((2,), (2,)), ((3, 1), (2,)), ((), (2,)), ((2, 2), ())][rng.integers(5)]
    transpose_a, transpose_b = bool(rng.integers(2)), bool(rng.integers(2))
    a = codes(rng, (*a_lead, *((k, m) if transpose_a else (m, k))), a_type, extreme=extreme)
    b = codes(rng, (*b_lead, *((n, k) if transpose_b else (k, n))), b_type, extreme=extreme)
    a_zero, b_zero = draw_zero_points(rng, a_type, 1)[0], draw_zero_points(rng, b_type, n)
    bits, policy = draw_accumulator(rng, wide=wide)

    layout = Layout()
    shape = (*np.broadcast_shapes(a_lead, b_lead), m, n)
    result = layout.result("y", shape, np.int64 if wide else np.int32)
    right = layout.constant("b", b) if rng.random() < 0.5 else layout.input("b", b)
    command = MatrixMultiply(
        "layer", "op", layout.input("a", a), right, result, transpose_a, transpose_b, a_zero, b_zero, wide, None, TILING
    )
    left = a.astype(np.int64) - a_zero
    plain_b = (b.swapaxes(-1, -2) if transpose_b else b).astype(np.int64) - np.array(b_zero)
    plain = PlainAccumulator(2 * bits if wide else bits, policy is OverflowPolicy.SATURATE)
    expected = multiply(left.swapaxes(-1, -2) if transpose_a else left, plain_b, plain)

    hardware = accelerator(bits, policy)
    watched = layout.run(command, result, Level.CYCLE, hardware)
    np.testing.assert_array_equal(watched.outputs["y"], expected)
    (layer,) = watched.layers
    assert (layer.accumulator_min, layer.accumulator_max, layer.overflow_events) == (
        plain.lowest,
        plain.highest,
        plain.events,
    )
    fast = layout.run(command, result, Level.FUNCTIONAL, hardware)
    np.testing.assert_array_equal(fast.outputs["y"], expected)


@pytest.mark.parametrize("policy", list(OverflowPolicy))
@pytest.mark.parametrize("depthwise", [False, True])
def test_sums_beyond_sixty_four_bits(policy: OverflowPolicy, depthwise: bool) -> None:
    """Biases at both ends of int64: sums leave the type that the kernels compute in."""
    ends = np.iinfo(np.int64)
    bias = np.array([ends.min, ends.min + 5, 0, ends.max - 5, ends.max], np.int64)
    x = codes(np.random.default_rng(0), (1, 2, 2, 5), np.int16)
    w = codes(np.random.default_rng(1), (5, 2, 2, 1 if depthwise else 5), np.int8)
    layout, window, groups = Layout(), Window((2, 2), (1, 1), (1, 1), 1, 1), 5 if depthwise else 1
    result = layout.result("y", (1, 3, 3, 5), np.int64)
    command = Convolve(
        "layer", "op", layout.input("x", x), layout.constant("w", w), layout.constant("b", bias), result, window,
        groups, 0, (0,), True, None, TILING,
    )  # fmt: skip
    plain = PlainAccumulator(64, policy is OverflowPolicy.SATURATE)
    expected = convolve(x.astype(np.int64), w.astype(np.int64), bias, window, groups, result.shape, plain)
    watched = layout.run(command, result, Level.CYCLE, accelerator(32, policy))
    np.testing.assert_array_equal(watched.outputs["y"], expected)
    (layer,) = watched.layers
    assert layer.overflow_events == plain.events > 0
    assert (layer.accumulator_min, layer.accumulator_max) == (plain.lowest, plain.highest)
