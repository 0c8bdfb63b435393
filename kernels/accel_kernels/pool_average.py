"""Average pooling of codes: sums over windows, then one finishing kernel for each arithmetic."""

import numpy as np

from accel_kernels._jit import kernel
from accel_kernels._types import Array, Float32, Int64
from accel_kernels.integers import clamp
from accel_kernels.requantize_exact import rescale_exact


@kernel
def window_sums(image: Array, geometry: Array, pad_zero: Int64, counts: Array, sums: Array) -> None:
    """sums[pixel, c] = sum of the window's codes inside the image, the rest of counts[pixel] codes being pad_zero.

    Operands:
        image: [N * H * W * C] codes. geometry: see `panels.gather_panel`.
        counts: int64 [pixels], numbered row-major over N, Ho, Wo.
        sums: int64 [pixels, C].
    """
    height, width, channels = geometry[0], geometry[1], geometry[2]
    out_height, out_width, kh, kw, sh, sw = (
        geometry[5],
        geometry[6],
        geometry[7],
        geometry[8],
        geometry[9],
        geometry[10],
    )
    dh, dw, pad_top, pad_left = geometry[11], geometry[12], geometry[13], geometry[14]
    for pixel in range(counts.size):
        target = sums[pixel]
        y0 = (pixel // out_width) % out_height * sh - pad_top
        x0 = pixel % out_width * sw - pad_left
        plane = pixel // (out_width * out_height) * height
        inside = 0
        target[:] = 0
        for tap in range(kh * kw):
            y, x = y0 + tap // kw * dh, x0 + tap % kw * dw
            if 0 <= y < height and 0 <= x < width:
                source = ((plane + y) * width + x) * channels
                _add(image[source : source + channels], target)
                inside += 1
        for c in range(channels):
            target[c] += (counts[pixel] - inside) * pad_zero


@kernel
def _add(source: Array, target: Array) -> None:
    for c in range(target.size):
        target[c] += np.int64(source[c])


@kernel
def average_half_away(sums: Array, counts: Array, low: Int64, high: Int64, codes: Array) -> None:
    """codes[p, c] = clamp(sums / counts, halves away from zero, low, high)."""
    for pixel in range(counts.size):
        n = counts[pixel]
        for c in range(sums.shape[1]):
            total = sums[pixel, c]
            rounded = (2 * abs(total) + n) // (2 * n)
            codes[pixel, c] = clamp(rounded if total >= 0 else -rounded, low, high)


@kernel
def average_reciprocal(
    sums: Array,
    counts: Array,
    input_zero: Int64,
    scales: Array,
    zero_point: Int64,
    low: Int64,
    high: Int64,
    codes: Array,
) -> None:
    """codes[p, c] = clamp(((sums - n * input_zero) * m + 2^(s-1) >> s) + zero_point, low, high).

    scales: int64 [2, largest count + 1]: multiplier m and shift s for each count n.
    """
    for pixel in range(counts.size):
        n = counts[pixel]
        multiplier, shift = scales[0, n], scales[1, n]
        for c in range(sums.shape[1]):
            total = (sums[pixel, c] - n * input_zero) * multiplier
            codes[pixel, c] = clamp(((total + (np.int64(1) << (shift - 1))) >> shift) + zero_point, low, high)


@kernel
def average_exact(
    sums: Array,
    counts: Array,
    input_zero: Int64,
    scales: Array,
    halves: Array,
    ties: Int64,
    zero_point: Int64,
    low: Int64,
    high: Int64,
    codes: Array,
) -> None:
    """codes[p, c] = clamp(round((sums - n * input_zero) * scale[n]) + zero_point, low, high), exactly.

    scales: [largest count + 1, F + 1] limbs for each count n; halves: [F + 1]. See `requantize_exact`.
    """
    for pixel in range(counts.size):
        n = counts[pixel]
        for c in range(sums.shape[1]):
            total = sums[pixel, c] - n * input_zero
            rounded = rescale_exact(total, scales[n], np.int64(0), scales[n], halves, ties)
            codes[pixel, c] = clamp(rounded + zero_point, low, high)


@kernel
def average_float32(
    image: Array,
    geometry: Array,
    input_scale: Float32,
    input_zero: Int64,
    counts: Array,
    scale: Float32,
    zero_point: Float32,
    low: Float32,
    high: Float32,
    offset: Int64,
    by_columns: Int64,
    sums: Array,
    codes: Array,
) -> None:
    """codes[p, c] = clamp(rint(f32(f32(sum / n) / scale) + zero_point), low, high) + offset.

    The sum is float32, one dequantized code f32(f32(x - input_zero) * input_scale) after the other in row-major order;
    by columns, each column from the top, then their sums from the left. Padding that counts adds 0.
    counts: int64 [pixels]. sums: float32 [2, C], scratch.
    """
    height, width, channels = geometry[0], geometry[1], geometry[2]
    out_height, out_width, kh, kw, sh, sw = (
        geometry[5],
        geometry[6],
        geometry[7],
        geometry[8],
        geometry[9],
        geometry[10],
    )
    dh, dw, pad_top, pad_left = geometry[11], geometry[12], geometry[13], geometry[14]
    for pixel in range(counts.size):
        y0 = (pixel // out_width) % out_height * sh - pad_top
        x0 = pixel % out_width * sw - pad_left
        plane = pixel // (out_width * out_height) * height
        sums[:] = np.float32(0)
        for tap in range(kh * kw):
            ky, kx = (tap % kh, tap // kh) if by_columns else (tap // kw, tap % kw)
            y, x = y0 + ky * dh, x0 + kx * dw
            if 0 <= y < height and 0 <= x < width:
                source = ((plane + y) * width + x) * channels
                _add_dequantized(image[source : source + channels], input_scale, input_zero, sums[0])
            if by_columns and ky == kh - 1:
                for c in range(channels):
                    sums[1, c] += sums[0, c]
                    sums[0, c] = np.float32(0)
        count = np.float32(counts[pixel])
        for c in range(channels):
            multiple = (sums[1, c] if by_columns else sums[0, c]) / count / scale + zero_point
            codes[pixel, c] = np.int64(min(max(np.rint(multiple), low), high)) + offset


@kernel
def _add_dequantized(source: Array, scale: Float32, zero: Int64, sums: Array) -> None:
    for c in range(sums.size):
        sums[c] += np.float32(np.int64(source[c]) - zero) * scale
