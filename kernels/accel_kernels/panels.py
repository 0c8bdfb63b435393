"""Panels: the pixels under a sliding window laid out as rows of a matrix, widened and relative to the zero point.

Row i of a panel holds, for output pixel first + i, the elements in the order ky, kx, channel: the order in which a
convolution accumulates. What lies outside the image is 0, which is what a zero point stands for.
"""

import numpy as np

from accel_kernels._jit import kernel
from accel_kernels._types import Array, Int64


@kernel
def gather_panel(image: Array, geometry: Array, zero_point: Int64, first: Int64, rows: Int64, panel: Array) -> None:
    """panel[i, (ky * kw + kx) * channels + c] = image[n, iy, ix, channel + c] - zero_point for output pixel first + i.

    Operands:
        image: [N * H * W * C] codes of any integer type.
        geometry: int64: H, W, C, channel, channels, Ho, Wo, kh, kw, sh, sw, dh, dw, pad_top, pad_left.
        zero_point: subtracted from every code.
        first, rows: the range of output pixels, numbered row-major over N, Ho, Wo.
        panel: [at least rows, at least kh * kw * channels], wide enough for the differences. Elements beyond are left.
    """
    height, width, depth, channel, channels = geometry[0], geometry[1], geometry[2], geometry[3], geometry[4]
    out_height, out_width, kh, kw, sh, sw = (
        geometry[5],
        geometry[6],
        geometry[7],
        geometry[8],
        geometry[9],
        geometry[10],
    )
    dh, dw, pad_top, pad_left = geometry[11], geometry[12], geometry[13], geometry[14]
    dense = dw == 1 and channels == depth
    for i in range(rows):
        pixel = first + i
        y0 = (pixel // out_width) % out_height * sh - pad_top
        x0 = pixel % out_width * sw - pad_left
        plane = pixel // (out_width * out_height) * height
        row = panel[i]
        for ky in range(kh):
            iy = y0 + ky * dh
            target = row[ky * kw * channels : (ky + 1) * kw * channels]
            if iy < 0 or iy >= height:
                target[:] = 0
            elif dense:
                line = image[(plane + iy) * width * depth : (plane + iy + 1) * width * depth]
                _copy_run(line, x0 * depth, zero_point, target)
            else:
                for kx in range(kw):
                    ix = x0 + kx * dw
                    part = target[kx * channels : (kx + 1) * channels]
                    if ix < 0 or ix >= width:
                        part[:] = 0
                    else:
                        source = ((plane + iy) * width + ix) * depth + channel
                        _copy(image[source : source + channels], zero_point, part)


@kernel
def gather_transposed_panel(
    image: Array, geometry: Array, zero_point: Int64, first: Int64, rows: Int64, panel: Array
) -> None:
    """The panel of a transposed convolution: what each output pixel receives, in the order of the input pixels.

    Taps run backwards (ky = kh-1 first, kx = kw-1 first), so that input rows and columns come in ascending order; a tap
    whose input pixel does not exist is 0. Arguments as `gather_panel`.
    """
    height, width, depth, channel, channels = geometry[0], geometry[1], geometry[2], geometry[3], geometry[4]
    out_height, out_width, kh, kw, sh, sw = (
        geometry[5],
        geometry[6],
        geometry[7],
        geometry[8],
        geometry[9],
        geometry[10],
    )
    dh, dw, pad_top, pad_left = geometry[11], geometry[12], geometry[13], geometry[14]
    for i in range(rows):
        pixel = first + i
        oy = (pixel // out_width) % out_height + pad_top
        ox = pixel % out_width + pad_left
        plane = pixel // (out_width * out_height) * height
        row = panel[i]
        for tap in range(kh * kw):
            y = oy - (kh - 1 - tap // kw) * dh
            x = ox - (kw - 1 - tap % kw) * dw
            part = row[tap * channels : (tap + 1) * channels]
            if y < 0 or x < 0 or y % sh != 0 or x % sw != 0 or y // sh >= height or x // sw >= width:
                part[:] = 0
            else:
                source = ((plane + y // sh) * width + x // sw) * depth + channel
                _copy(image[source : source + channels], zero_point, part)


@kernel
def expand_channels(panel: Array, rows: Int64, multiplier: Int64, expanded: Array) -> None:
    """expanded[i, j] = panel[i, j // multiplier]: a depthwise convolution with a channel multiplier as one without."""
    for i in range(rows):
        source, target = panel[i], expanded[i]
        for j in range(expanded.shape[1]):
            target[j] = source[j // multiplier]


@kernel
def _copy_run(line: Array, start: Int64, zero_point: Int64, target: Array) -> None:
    """target[j] = line[start + j] - zero_point, 0 where that lies outside the line."""
    inside = min(max(-start, 0), target.size)
    end = max(min(line.size - start, target.size), inside)
    target[:inside] = 0
    _copy(line[start + inside : start + end], zero_point, target[inside:end])
    target[end:] = 0


@kernel
def _copy(source: Array, zero_point: Int64, target: Array) -> None:
    for j in range(target.size):
        target[j] = np.int64(source[j]) - zero_point
