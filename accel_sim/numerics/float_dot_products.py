"""Convolution and matrix product in float32, as ONNX Runtime computes what it has no integer kernel for.

Bytes then follow from the order in which float32 numbers are multiplied and added. `sums` is the order of MLAS on x86
processors with AVX-512 and one thread, found by experiment with random matrices. (With several threads each computes a
part of the columns, and the length of a chain follows from the part's width: ONNX Runtime's own bytes vary.)
"""

from enum import Enum

import numpy as np
from numpy.typing import NDArray

from accel_sim.numerics.floats import fused_multiply_add, quantize_float32
from accel_sim.numerics.integers import Integers, is_int64, unbounded
from accel_sim.numerics.requantization import as_int64
from accel_sim.records import dataclass

Float32s = NDArray[np.float32]
_LANES = 8


class DotOrder(Enum):
    """How K products become a sum."""

    CHAINS = "chains of fused multiply-adds"
    """Blocks of `block` terms, each a chain t = fma(x, w, t) from 0; blocks are added in order."""
    GROUPS = "groups of 4, then 2, then 1"
    """Each t = f32(x*w), t = f32(t + f32(x*w)), ...; groups are added in order (a row times a matrix)."""
    LANES = "eight lanes"
    """Term k is added, as f32(x*w), to lane k % 8 (a row times a transposed matrix). The order in which the lanes are
    added depends on the sum's number: a vector's sums are computed four, then two, then one at a time."""


@dataclass(frozen=True)
class FloatDotProducts:
    """Grids, clamp and order of sums of products in float32.

    ::

        x = f32((codes - input_zero_point) * input_scale);  w and bias likewise, per output channel
        y = sum of x*w in `order`; before the first block, group or lane with bias_first: y = bias
        y = f32(y + bias)                                             # otherwise
        code = rint(clamp(f32(clip(y) / scale))) + zero_point

    The order of the K terms is input channel, ky, kx.

    Attributes:
        order, block: of the additions; `block` terms in a chain, 0 without chains.
        bias_first: a Gemm begins with its bias, a Conv ends with it.
        weight_scale, weight_zero_point, bias_scale: one value or one per output channel.
        clip_low, clip_high: the fused activation, real numbers.
        low, high: codes of the output grid.
    """

    order: DotOrder
    block: int
    bias_first: bool
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

    def apply(self, rows: Integers, weights: Integers, bias: Integers | None) -> Integers:
        """Codes [N,P,Co] of rows [N,P,groups,K] (under the windows of P pixels), weights [Co,K], bias [Co] or None."""
        with np.errstate(over="ignore", under="ignore"):
            codes = self._apply(as_int64(rows), as_int64(weights), bias)
        return codes if is_int64(rows) else unbounded(codes)

    def _apply(self, rows: NDArray[np.int64], weights: NDArray[np.int64], bias: Integers | None) -> NDArray[np.int64]:
        x = (rows - self.input_zero_point).astype(np.float32) * np.float32(self.input_scale)
        zeros, scales = np.array(self.weight_zero_point), np.array(self.weight_scale, np.float32)
        w = (weights - zeros[:, None]).astype(np.float32) * scales[:, None]
        addend = np.full(len(w), -0.0, np.float32)  # adding it changes nothing
        if bias is not None:
            addend = as_int64(bias).astype(np.float32) * np.array(self.bias_scale, np.float32)
        images, pixels, groups, _ = x.shape
        size = len(w) // groups
        y = np.empty((images, pixels, len(w)), np.float32)
        for image in range(images):
            for group in range(groups):
                part = slice(group * size, (group + 1) * size)
                start = addend[part] if self.bias_first else np.float32(-0.0)
                y[image, :, part] = self.sums(x[image, :, group], w[part], start)
        y = y if self.bias_first else y + addend
        y = np.minimum(np.maximum(y, np.float32(self.clip_low)), np.float32(self.clip_high))
        return quantize_float32(y, self.scale, self.zero_point, self.low, self.high)

    def sums(self, x: Float32s, w: Float32s, start: Float32s | np.float32) -> Float32s:
        """start + x [P,K] times w [M,K], in `order`: [P,M]."""
        shape = len(x), len(w)
        terms = x.T[:, :, None], w.T[:, None, :]
        y = np.broadcast_to(start, shape).astype(np.float32)
        if self.order is DotOrder.CHAINS:
            return _chains(*terms, self.block, y)
        if self.order is DotOrder.GROUPS:
            return _groups(*terms, y)
        return _lanes(*terms, shape) + y


def _chains(x: Float32s, w: Float32s, block: int, y: Float32s) -> Float32s:
    for first in range(0, len(x), block):
        chain = np.zeros_like(y)
        for k in range(first, min(first + block, len(x))):
            chain = fused_multiply_add(x[k], w[k], chain)
        y = y + chain
    return y


def _groups(x: Float32s, w: Float32s, y: Float32s) -> Float32s:
    k = 0
    while k < len(x):
        left = len(x) - k
        size = 4 if left >= 4 else 2 if left >= 2 else 1
        group = x[k] * w[k]
        for i in range(k + 1, k + size):
            group = group + x[i] * w[i]
        y, k = group + y, k + size
    return y


def _lanes(x: Float32s, w: Float32s, shape: tuple[int, int]) -> Float32s:
    lanes = np.zeros((_LANES, *shape), np.float32)
    for k in range(len(x)):
        lanes[k % _LANES] += x[k] * w[k]
    lane = lanes.reshape(_LANES, -1)
    count = lane.shape[1]
    fours, pairs = count // 4 * 4, count // 4 * 4 + (count & 2)
    low, high = lane[:4], lane[4:]
    y = np.empty(count, np.float32)
    y[:fours] = ((low[0] + low[1] + low[2] + low[3]) + (high[0] + high[1] + high[2] + high[3]))[:fours]
    even, odd = low[2] + low[0], low[3] + low[1]
    even, odd = even + (high[2] + high[0]), odd + (high[3] + high[1])
    y[fours:pairs] = (even + odd)[fours:pairs]
    single = ((low[0] + low[1]) + (low[2] + low[3])) + ((high[0] + high[1]) + (high[2] + high[3]))
    y[pairs:] = single[pairs:]
    return y.reshape(shape)
