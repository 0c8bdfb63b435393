"""Transposed convolution as ONNX Runtime computes it on quantized tensors: in float32, between DQ and Q.

There is no integer kernel, so bytes follow from the order in which float32 numbers are multiplied and added (MLAS
sgemm, then col2im). `apply_transposed` is that order.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from accel_sim.numerics.floats import fused_multiply_add, quantize_float32
from accel_sim.numerics.integers import Integers, is_int64, unbounded
from accel_sim.numerics.requantization import as_int64
from accel_sim.records import dataclass

_BLOCK = 128  # input channels of one chain of fused multiply-adds
Float32s = NDArray[np.float32]


class BorderBefore(Protocol):
    """Padding before the first row and column."""

    @property
    def top(self) -> int:
        """Rows before the first."""
        ...

    @property
    def left(self) -> int:
        """Columns before the first."""
        ...


class TransposedGeometry(Protocol):
    """What of a transposed convolution the arithmetic needs: strides and dilations (y, x), padding, groups."""

    @property
    def strides(self) -> tuple[int, int]:
        """Output step of an input step."""
        ...

    @property
    def dilations(self) -> tuple[int, int]:
        """Output step of a kernel step."""
        ...

    @property
    def padding(self) -> BorderBefore:
        """Cropped from the output."""
        ...

    @property
    def groups(self) -> int:
        """Channel groups."""
        ...


@dataclass(frozen=True)
class FloatConvolution:
    """Grids and clamp of a convolution in float32.

    ::

        x = f32((codes - input_zero_point) * input_scale);  w likewise, per output channel
        for each group, as a matrix product over input channels:
            several input pixels: blocks of 128 channels, each a chain t = fma(w, x, t) from 0; blocks added in order
            one input pixel: groups of 4, then 2, then 1 channels: t = f32(w*x), t = f32(t + f32(w*x)); groups in order
        y = 0; for ky, kx, pixel: y[oy, ox] = f32(y + product)      # oy = iy*sh + ky*dh - top; outside is dropped
        y = f32(y + f32(f32(bias) * f32(bias_scale)))               # where there is a bias
        code = rint(clamp(f32(clip(y) / scale))) + zero_point

    Attributes:
        weight_scale, weight_zero_point: one value or one per output channel; bias_scale: likewise.
        clip_low, clip_high: the fused activation, real numbers.
        low, high: codes of the output grid.
    """

    input_scale: float
    input_zero_point: int
    weight_scale: tuple[float, ...]
    weight_zero_point: tuple[int, ...]
    bias_scale: tuple[float, ...]
    scale: float
    zero_point: int
    low: int
    high: int
    clip_low: float
    clip_high: float

    def apply_transposed(
        self,
        x: Integers,
        weights: Integers,
        bias: Integers | None,
        op: TransposedGeometry,
        out_hw: tuple[int, int],
    ) -> Integers:
        """Codes [N,Ho,Wo,Co] of codes x [N,H,W,Ci], weights [Co,kh,kw,Ci/groups], bias [Co] or None."""
        with np.errstate(over="ignore", under="ignore"):
            codes = self._transposed(as_int64(x), as_int64(weights), bias, op, out_hw)
        return codes if is_int64(x) else unbounded(codes)

    def _transposed(
        self,
        x: NDArray[np.int64],
        weights: NDArray[np.int64],
        bias: Integers | None,
        op: TransposedGeometry,
        out_hw: tuple[int, int],
    ) -> NDArray[np.int64]:
        real_x = (x - self.input_zero_point).astype(np.float32) * np.float32(self.input_scale)
        zeros, scales = np.array(self.weight_zero_point), np.array(self.weight_scale, np.float32)
        real_w = (weights - zeros.reshape(-1, 1, 1, 1)).astype(np.float32) * scales.reshape(-1, 1, 1, 1)
        inputs = np.split(real_x, op.groups, axis=3)
        kernels = np.split(real_w, op.groups, axis=0)
        y = np.concatenate([_spread(_products(i, k), op, out_hw) for i, k in zip(inputs, kernels, strict=True)], 3)
        if bias is not None:
            y = y + as_int64(bias).astype(np.float32) * np.array(self.bias_scale, np.float32)
        y = np.minimum(np.maximum(y, np.float32(self.clip_low)), np.float32(self.clip_high))
        return quantize_float32(y, self.scale, self.zero_point, self.low, self.high)


def _products(x: Float32s, w: Float32s) -> Float32s:
    """Every input pixel times every weight, summed over input channels: [N,H,W,Co,kh,kw]."""
    pixels = x[:, :, :, None, None, None, :]
    kernel = w[None, None, None]
    shape = (*x.shape[:3], *w.shape[:3])
    if x.shape[1] * x.shape[2] == 1:
        return _sum_of_groups(np.broadcast_to(kernel * pixels, (*shape, x.shape[3])))
    total = np.zeros(shape, np.float32)
    for first in range(0, x.shape[3], _BLOCK):
        chain = np.zeros(shape, np.float32)
        for c in range(first, min(first + _BLOCK, x.shape[3])):
            chain = fused_multiply_add(kernel[..., c], pixels[..., c], chain)
        total = chain if first == 0 else total + chain
    return total


def _sum_of_groups(terms: Float32s) -> Float32s:
    """The last axis in groups of 4, then 2, then 1 terms, each sequentially, then the groups."""
    total, c, count = None, 0, terms.shape[-1]
    while c < count:
        size = 4 if count - c >= 4 else 2 if count - c >= 2 else 1
        group = terms[..., c]
        for k in range(c + 1, c + size):
            group = group + terms[..., k]
        total = group if total is None else total + group
        c += size
    return np.zeros(terms.shape[:-1], np.float32) if total is None else total


def _spread(products: Float32s, op: TransposedGeometry, out_hw: tuple[int, int]) -> Float32s:
    """Each product added at its output pixel, kernel position by kernel position (col2im): [N,Ho,Wo,Co]."""
    n, height, width, channels, kernel_height, kernel_width = products.shape
    y = np.zeros((n, *out_hw, channels), np.float32)
    for ky in range(kernel_height):
        iy, oy = _inside(height, op.strides[0], ky * op.dilations[0] - op.padding.top, out_hw[0])
        for kx in range(kernel_width):
            ix, ox = _inside(width, op.strides[1], kx * op.dilations[1] - op.padding.left, out_hw[1])
            y[:, oy[:, None], ox] += products[..., ky, kx][:, iy[:, None], ix]
    return y


def _inside(extent: int, stride: int, offset: int, out_extent: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Input indices whose output index i * stride + offset exists, and that index."""
    source = np.arange(extent)
    target = source * stride + offset
    keep = (target >= 0) & (target < out_extent)
    return source[keep], target[keep]
