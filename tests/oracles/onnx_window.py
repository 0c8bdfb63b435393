"""Random attributes of sliding windows: kernel, strides, dilations, padding, with a non-empty output."""

from typing import Any

from oracles.onnx_draw import Draw


def output_extent(
    size: int, kernel: int, stride: int, dilation: int, before: int, after: int, *, ceil: bool = False
) -> int:
    """Output size of one axis as ONNX defines it."""
    span = size + before + after - dilation * (kernel - 1) - 1
    if span < 0:
        return 0
    extent = (-(-span // stride) if ceil else span // stride) + 1
    if ceil and (extent - 1) * stride >= size + before:
        extent -= 1
    return extent


def window(draw: Draw, size: tuple[int, int], *, dilated: bool = True, pooling: bool = False) -> dict[str, Any]:
    """Attributes of a convolution or pooling over an image of `size` (height, width)."""
    while True:
        kernel = draw.integers(1, 4, 2)
        strides = draw.integers(1, 3, 2)
        dilations = draw.integers(1, 2, 2) if dilated and draw.chance(0.3) else (1, 1)
        attributes: dict[str, Any] = {"kernel_shape": list(kernel), "strides": list(strides)}
        if dilated:
            attributes["dilations"] = list(dilations)
        ceil = pooling and draw.chance(0.3)
        if ceil:
            attributes["ceil_mode"] = 1
        if draw.chance(0.25):
            mode = draw.pick(("SAME_UPPER", "SAME_LOWER", "VALID"))
            attributes["auto_pad"] = mode
            pads = (0, 0, 0, 0)
            if mode != "VALID":
                skips = any(s > k for s, k in zip(strides, kernel, strict=True))
                if not ceil and dilations == (1, 1) and not (pooling and skips):  # a pool would get negative padding
                    return attributes
                continue
        else:
            pads = tuple(draw.integer(0, min(2, k - 1)) for k in kernel * 2)
            attributes["pads"] = list(pads)
        extents = [
            output_extent(size[i], kernel[i], strides[i], dilations[i], pads[i], pads[i + 2], ceil=ceil) for i in (0, 1)
        ]
        if min(extents) > 0:
            return attributes
