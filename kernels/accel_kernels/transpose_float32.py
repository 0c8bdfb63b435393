"""Transposed convolution in float32, in the order of MLAS's matrix product and col2im (ONNX Runtime)."""

import numpy as np

from accel_kernels._jit import kernel
from accel_kernels._types import Array, Float32, Int64
from accel_kernels.fma_float32 import fused_multiply_add

_BLOCK = 128  # input channels of one chain of fused multiply-adds


@kernel
def transpose_convolve_float32(image: Array, weights: Array, geometry: Array, groups: Int64, sums: Array) -> None:
    """sums[pixel, co]: for ky, kx in order, the product of the input pixel that reaches the output pixel, added.

    A product over the group's input channels is, with more than one input pixel, a chain of fused multiply-adds for
    each block of 128 channels, the blocks added in order; with one input pixel, groups of 4, then 2, then 1 plain
    products, each group added up, the groups added in order.

    Operands:
        image: float32 [N * H * W, Ci]. weights: float32 [Co, kh * kw, Ci / groups].
        geometry: see `panels.gather_panel`.
        sums: float32 [output pixels, Co].
    """
    height, width = geometry[0], geometry[1]
    out_height, out_width, kh, kw, sh, sw = (
        geometry[5],
        geometry[6],
        geometry[7],
        geometry[8],
        geometry[9],
        geometry[10],
    )
    dh, dw, pad_top, pad_left = geometry[11], geometry[12], geometry[13], geometry[14]
    inputs, outputs = weights.shape[2], weights.shape[0] // groups
    for pixel in range(sums.shape[0]):
        oy = (pixel // out_width) % out_height + pad_top
        ox = pixel % out_width + pad_left
        plane = pixel // (out_width * out_height) * height
        sums[pixel, :] = np.float32(0)
        for tap in range(kh * kw):
            y, x = oy - tap // kw * dh, ox - tap % kw * dw
            if y < 0 or x < 0 or y % sh != 0 or x % sw != 0 or y // sh >= height or x // sw >= width:
                continue
            source = image[(plane + y // sh) * width + x // sw]
            for co in range(sums.shape[1]):
                first = co // outputs * inputs
                terms = source[first : first + inputs]
                if height * width == 1:
                    product = _grouped_product(terms, weights[co, tap])
                else:
                    product = _chained_product(terms, weights[co, tap])
                sums[pixel, co] = sums[pixel, co] + product


@kernel
def _chained_product(x: Array, w: Array) -> Float32:
    total = np.float32(0)
    for block in range(0, x.size, _BLOCK):
        chain = np.float32(0)
        for c in range(block, min(block + _BLOCK, x.size)):
            chain = fused_multiply_add(w[c], x[c], chain)
        total = chain if block == 0 else total + chain
    return total


@kernel
def _grouped_product(x: Array, w: Array) -> Float32:
    total = np.float32(0)
    first = 0
    while first < x.size:
        left = x.size - first
        size = 4 if left >= 4 else 2 if left >= 2 else 1
        group = w[first] * x[first]
        for c in range(first + 1, first + size):
            group = group + w[c] * x[c]
        total = group if first == 0 else total + group
        first += size
    return total


@kernel
def quantize_float32(
    sums: Array,
    bias: Array,
    clip_low: Float32,
    clip_high: Float32,
    scale: Float32,
    zero_point: Int64,
    low: Float32,
    high: Float32,
    codes: Array,
) -> None:
    """codes[i, c] = rint(clamp(f32(clip(f32(sums[i, c] + bias[c])) / scale), low, high)) + zero_point.

    low, high: codes minus the zero point. bias: float32 [C], -0.0 where there is none, which changes no sum.
    """
    for i in range(sums.shape[0]):
        for c in range(sums.shape[1]):
            real = min(max(sums[i, c] + bias[c], clip_low), clip_high)
            codes[i, c] = np.int64(np.rint(min(max(real / scale, low), high))) + zero_point
