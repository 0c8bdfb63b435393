"""The textbook functions of convolutions, matrix products, pooling and bilinear resizing, in float32 or float64."""

from collections.abc import Callable
from typing import Any

import numpy as np

from accel_sim.arithmetic import derive_bilinear
from accel_sim.ir import (
    NO_ACTIVATION,
    Activation,
    AveragePool2D,
    Conv2D,
    FullyConnected,
    GlobalAveragePool2D,
    MatMul,
    MaxPool2D,
    Mean,
    Operator,
    QuantParams,
    ResizeBilinear,
    TransposeConv2D,
)
from accel_sim.numerics import PAPER, RescaledBilinear
from accel_sim.reference.geometry import convolve, convolve_transposed, pad_image, windows
from accel_sim.reference.ordered import product_in_order
from accel_sim.reference.real_context import Reals, RealSite
from accel_sim.reference.real_operators import activated


def conv_2d(site: RealSite, op: Conv2D) -> Reals:
    """Conv2D and depthwise."""
    total = convolve(site.real(0), site.real(1), op.strides, op.dilations, op.padding, op.groups, product_in_order)
    return _accumulated(site, total, op.activation)


def transpose_conv_2d(site: RealSite, op: TransposeConv2D) -> Reals:
    """TransposeConv2D."""
    out_hw = (site.result.shape[1], site.result.shape[2])
    total = convolve_transposed(
        site.real(0), site.real(1), op.strides, op.dilations, op.padding, op.groups, out_hw, product_in_order
    )
    return _accumulated(site, total, op.activation)


def fully_connected(site: RealSite, op: FullyConnected) -> Reals:
    """Rows of K times weights [Co, K]."""
    weights = site.real(1)
    total = product_in_order(site.real(0).reshape(-1, weights.shape[1]), weights.T)
    return _accumulated(site, total, op.activation).reshape(site.result.shape)


def mat_mul(site: RealSite, op: MatMul) -> Reals:
    """Product of the last two axes, leading axes broadcast."""
    a, b = site.real(0), site.real(1)
    a = a.swapaxes(-1, -2) if op.transpose_a else a
    b = b.swapaxes(-1, -2) if op.transpose_b else b
    return _accumulated(site, product_in_order(a, b), NO_ACTIVATION).reshape(site.result.shape)


def _accumulated(site: RealSite, total: Reals, activation: Activation) -> Reals:
    """Sums plus bias, clamped; in units of the accumulator where the result is one."""
    y = activated(total + site.bias(), activation)
    return np.rint(y / site.natural_scale()) if site.is_raw else y


def max_pool_2d(site: RealSite, op: MaxPool2D) -> Reals:
    """The largest pixel of the window; padding never wins."""
    padded = pad_image(site.real(0), op.padding, -np.inf)
    return activated(windows(padded, op.kernel, op.strides, op.dilations).max(axis=(-2, -1)), op.activation)


def average_pool_2d(site: RealSite, op: AveragePool2D) -> Reals:
    """The mean of the pixels inside the image, or inside image and padding with count_include_pad."""
    x = site.real(0)
    total = windows(pad_image(x, op.padding, 0), op.kernel, op.strides, (1, 1)).sum(axis=(-2, -1))
    inside = pad_image(np.ones((1, *x.shape[1:3], 1), x.dtype), op.padding, op.count_include_pad)
    count = windows(inside, op.kernel, op.strides, (1, 1)).sum(axis=(-2, -1))
    return activated(total / count, op.activation)


def global_average_pool_2d(site: RealSite, op: GlobalAveragePool2D) -> Reals:
    """The mean of every channel."""
    return np.asarray(site.real(0).mean(axis=(1, 2), keepdims=True)).reshape(site.result.shape)


def mean(site: RealSite, op: Mean) -> Reals:
    """The mean over stored axes."""
    return np.asarray(site.real(0).mean(axis=op.axes)).reshape(site.result.shape)


def resize_bilinear(site: RealSite, op: ResizeBilinear) -> Reals:
    """Bilinear resizing with the exact weights of the paper's recipe."""
    x = site.real(0)
    out_hw = (site.result.shape[1], site.result.shape[2])
    unit = QuantParams.per_tensor(1.0)
    recipe = derive_bilinear(PAPER, op, (x.shape[1], x.shape[2]), out_hw, unit, unit)
    assert isinstance(recipe, RescaledBilinear)
    fy = np.array([w / recipe.y_unit for w in recipe.y.weight], x.dtype)[:, None, None]
    fx = np.array([w / recipe.x_unit for w in recipe.x.weight], x.dtype)[:, None]
    top, bottom = x[:, list(recipe.y.lower)], x[:, list(recipe.y.upper)]
    left, right = list(recipe.x.lower), list(recipe.x.upper)
    upper = top[:, :, left] * (1 - fx) + top[:, :, right] * fx
    lower = bottom[:, :, left] * (1 - fx) + bottom[:, :, right] * fx
    return np.asarray(upper * (1 - fy) + lower * fy)


WINDOWED: dict[type[Operator], Callable[[RealSite, Any], Reals]] = {
    AveragePool2D: average_pool_2d,
    Conv2D: conv_2d,
    FullyConnected: fully_connected,
    GlobalAveragePool2D: global_average_pool_2d,
    MatMul: mat_mul,
    MaxPool2D: max_pool_2d,
    Mean: mean,
    ResizeBilinear: resize_bilinear,
    TransposeConv2D: transpose_conv_2d,
}
