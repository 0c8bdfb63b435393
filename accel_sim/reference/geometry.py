"""Where sliding windows lie: padding, extraction, and the multiply-accumulate of convolutions in any exact type."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from accel_sim.ir import Padding2D

Array = NDArray[Any]
Product = Callable[[Array, Array], Array]
"""[M, K] times [K, N]."""
_CHUNK_ELEMENTS = 1 << 23  # of extracted windows held at once


def pad_image(x: Array, padding: Padding2D, value: Any) -> Array:
    """[N,H,W,C] with spatial padding."""
    n, height, width, channels = x.shape
    shape = n, padding.top + height + padding.bottom, padding.left + width + padding.right, channels
    if shape == x.shape:
        return np.ascontiguousarray(x)  # in any case: the order of sums over windows follows that of memory
    padded = np.full(shape, value, x.dtype)
    padded[:, padding.top : padding.top + height, padding.left : padding.left + width] = x
    return padded


def windows(x: Array, kernel: tuple[int, int], strides: tuple[int, int], dilations: tuple[int, int]) -> Array:
    """A view [N,Ho,Wo,C,kh,kw] of a padded image [N,H,W,C]."""
    n, *image, channels = x.shape
    sizes = zip(image, kernel, dilations, strides, strict=True)
    height, width = (max((size - (k - 1) * d - 1) // step + 1, 0) for size, k, d, step in sizes)
    per_n, per_y, per_x, per_c = x.strides
    steps = per_n, per_y * strides[0], per_x * strides[1], per_c, per_y * dilations[0], per_x * dilations[1]
    return as_strided(x, (n, height, width, channels, *kernel), steps, writeable=False)


def convolve(
    x: Array,
    weights: Array,
    strides: tuple[int, int],
    dilations: tuple[int, int],
    padding: Padding2D,
    groups: int,
    product: Product = np.matmul,
) -> Array:
    """sum over the window of x * weights: x [N,H,W,Ci], weights [Co,kh,kw,Ci/groups] -> [N,Ho,Wo,Co], in x's type.

    The order of the additions is that of `product`: none for a library's, which is for exact types.
    """
    kernel = (weights.shape[1], weights.shape[2])
    view = windows(pad_image(x, padding, 0), kernel, strides, dilations)
    if weights.shape[3] == 1:
        return _depthwise(view, weights, groups)
    inputs, outputs = x.shape[3] // groups, weights.shape[0] // groups
    parts = [
        _products(view[:, :, :, g * inputs : (g + 1) * inputs], weights[g * outputs : (g + 1) * outputs], product)
        for g in range(groups)
    ]
    return np.concatenate(parts, axis=3)


def _depthwise(view: Array, weights: Array, groups: int) -> Array:
    """One input channel per group: a sum over kernel positions, no matrix product."""
    multiplier = weights.shape[0] // groups
    y = np.zeros((*view.shape[:3], weights.shape[0]), view.dtype)
    for ky in range(weights.shape[1]):
        for kx in range(weights.shape[2]):
            y += np.repeat(view[..., ky, kx], multiplier, axis=3) * weights[:, ky, kx, 0]
    return y


def _products(view: Array, weights: Array, product: Product) -> Array:
    """Windows [N,Ho,Wo,C,kh,kw] times weights [Co,kh,kw,C] as matrix products over bands of rows."""
    n, height, width, channels, kh, kw = view.shape
    matrix = weights.transpose(3, 1, 2, 0).reshape(-1, weights.shape[0]).astype(view.dtype)
    band = max(1, _CHUNK_ELEMENTS // max(1, n * width * channels * kh * kw))
    y = np.empty((n, height, width, weights.shape[0]), view.dtype)
    for first in range(0, height, band):
        rows = view[:, first : first + band].reshape(-1, matrix.shape[0])
        y[:, first : first + band] = product(rows, matrix).reshape(n, -1, width, weights.shape[0])
    return y


def convolve_transposed(
    x: Array,
    weights: Array,
    strides: tuple[int, int],
    dilations: tuple[int, int],
    padding: Padding2D,
    groups: int,
    out_hw: tuple[int, int],
    product: Product = np.matmul,
) -> Array:
    """Every input pixel times the kernel added at its place: weights [Co,kh,kw,Ci/groups] -> [N,Ho,Wo,Co]."""
    y = np.zeros((x.shape[0], *out_hw, weights.shape[0]), x.dtype)
    for ky in range(weights.shape[1]):
        iy, oy = _targets(x.shape[1], strides[0], ky * dilations[0] - padding.top, out_hw[0])
        for kx in range(weights.shape[2]):
            ix, ox = _targets(x.shape[2], strides[1], kx * dilations[1] - padding.left, out_hw[1])
            y[:, oy, ox] += _grouped_product(x[:, iy, ix], weights[:, ky, kx], groups, product)
    return y


def _grouped_product(x: Array, weights: Array, groups: int, product: Product) -> Array:
    """[..., Ci] times [Co, Ci/groups], group by group."""
    inputs, kernels = np.split(x, groups, axis=-1), np.split(weights, groups, axis=0)
    return np.concatenate([product(i, k.T) for i, k in zip(inputs, kernels, strict=True)], axis=-1)


def _targets(extent: int, stride: int, offset: int, out_extent: int) -> tuple[slice, slice]:
    """Input indices i whose output i * stride + offset exists, and those outputs, as slices."""
    first = max(0, -(offset // stride))
    last = min(extent - 1, (out_extent - 1 - offset) // stride)
    if last < first:
        return slice(0, 0), slice(0, 0)
    return slice(first, last + 1), slice(first * stride + offset, last * stride + offset + 1, stride)
