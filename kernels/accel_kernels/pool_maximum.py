"""Max pooling of codes."""

import numpy as np

from accel_kernels._jit import kernel
from accel_kernels._types import Array, Int64
from accel_kernels.integers import clamp


@kernel
def pool_maximum(image: Array, geometry: Array, lowest: Int64, low: Int64, high: Int64, codes: Array) -> None:
    """codes[n, oy, ox, c] = clamp(largest of the window's pixels inside the image, low, high).

    Operands:
        image: [N * H * W * C] codes. geometry: see `panels.gather_panel`.
        lowest: the smallest code of the type. low, high: the limits.
        codes: [pixels, C], same type.
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
    for pixel in range(codes.shape[0]):
        target = codes[pixel]
        target[:] = lowest
        y0 = (pixel // out_width) % out_height * sh - pad_top
        x0 = pixel % out_width * sw - pad_left
        plane = pixel // (out_width * out_height) * height
        for tap in range(kh * kw):
            y, x = y0 + tap // kw * dh, x0 + tap % kw * dw
            if 0 <= y < height and 0 <= x < width:
                source = ((plane + y) * width + x) * channels
                _raise(image[source : source + channels], target)
        for c in range(channels):
            target[c] = clamp(np.int64(target[c]), low, high)


@kernel
def _raise(source: Array, target: Array) -> None:
    for c in range(target.size):
        target[c] = max(target[c], source[c])
