"""Float convolutions as matrix products: what makes calibration fast."""

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from accel_kernels.matmul_float import product
from accel_sim.ir import Activation, Conv2D, FullyConnected

Float32 = NDArray[np.float32]


def convolution(op: Conv2D, x: Float32, weights: Float32, bias: Float32 | None, shape: tuple[int, ...]) -> Float32:
    """Conv2D in float32.

    Args:
        op: strides, padding, groups, activation.
        x: [N,H,W,Ci].
        weights: [Co,kh,kw,Ci/groups].
        bias: [Co] or None.
        shape: of the result, [N,Ho,Wo,Co]; x may have a multiple of its N, and so has the result.
    """
    shape = (x.shape[0], *shape[1:])
    padded = _padded(op, x)
    if weights.shape[3] == 1 and op.groups == weights.shape[0]:
        result = _depthwise(op, padded, weights, shape)
    else:
        result = _grouped(op, padded, weights, shape)
    return _finished(result, bias, op.activation)


def fully_connected(
    op: FullyConnected, x: Float32, weights: Float32, bias: Float32 | None, shape: tuple[int, ...]
) -> Float32:
    """FullyConnected in float32: rows of K of `x` times `weights` [Co, K], in the shape given, but any first axis."""
    rows = x.reshape(-1, weights.shape[1])
    return _finished(product(rows, weights.T), bias, op.activation).reshape(-1, *shape[1:])


def _padded(op: Conv2D, x: Float32) -> Float32:
    pad = op.padding
    if not (pad.top or pad.bottom or pad.left or pad.right):
        return x
    batch, height, width, channels = x.shape
    padded = np.zeros((batch, height + pad.top + pad.bottom, width + pad.left + pad.right, channels), np.float32)
    padded[:, pad.top : pad.top + height, pad.left : pad.left + width] = x
    return padded


def _depthwise(op: Conv2D, x: Float32, weights: Float32, shape: tuple[int, ...]) -> Float32:
    """One multiply-add of the whole image per kernel position."""
    result = np.zeros(shape, np.float32)
    product = np.empty(shape, np.float32)
    for row in range(weights.shape[1]):
        for column in range(weights.shape[2]):
            np.multiply(_window(op, x, row, column, shape), weights[:, row, column, 0], out=product)
            result += product
    return result


def _window(op: Conv2D, x: Float32, row: int, column: int, shape: tuple[int, ...]) -> Float32:
    """The input pixels that meet one kernel position: [N,Ho,Wo,Ci]."""
    top, left = row * op.dilations[0], column * op.dilations[1]
    rows = slice(top, top + (shape[1] - 1) * op.strides[0] + 1, op.strides[0])
    columns = slice(left, left + (shape[2] - 1) * op.strides[1] + 1, op.strides[1])
    return x[:, rows, columns]


def _grouped(op: Conv2D, x: Float32, weights: Float32, shape: tuple[int, ...]) -> Float32:
    """One matrix product per group: patches [pixels, kh*kw*Ci/groups] times the group's weights."""
    outputs, kernel_height, kernel_width, inputs = weights.shape
    per_group = outputs // op.groups
    result = np.empty((shape[0] * shape[1] * shape[2], outputs), np.float32)
    for group in range(op.groups):
        channels = x[..., group * inputs : (group + 1) * inputs]
        if (kernel_height, kernel_width, op.strides) == (1, 1, (1, 1)):
            patches = channels.reshape(-1, inputs)
        else:
            patches = _patches(op, channels, (kernel_height, kernel_width), shape)
        here = slice(group * per_group, (group + 1) * per_group)
        matrix = weights[here].reshape(per_group, -1)
        result[:, here] = product(patches, matrix.T)
    return result.reshape(shape)


def _patches(op: Conv2D, x: Float32, kernel: tuple[int, int], shape: tuple[int, ...]) -> Float32:
    """The receptive field of every output pixel as a row: [N*Ho*Wo, kh*kw*Ci]."""
    batch, row, column, channel = x.strides
    strides = (
        batch,
        row * op.strides[0],
        column * op.strides[1],
        row * op.dilations[0],
        column * op.dilations[1],
        channel,
    )
    view = as_strided(x, (shape[0], shape[1], shape[2], *kernel, x.shape[3]), strides, writeable=False)
    return view.reshape(shape[0] * shape[1] * shape[2], -1)


def _finished(result: Float32, bias: Float32 | None, activation: Activation) -> Float32:
    """Bias and clamp, in place."""
    if bias is not None:
        result += bias
    if not activation.is_identity:
        np.clip(result, np.float32(activation.low), np.array(activation.high, np.float32), out=result)
    return result
