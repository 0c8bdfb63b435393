"""Sliding windows: output extents, and SAME padding made explicit (TFLite's kernels/padding.h)."""

from accel_sim.frontend.tflite.rules import Call
from accel_sim.ir import Padding2D
from accel_sim.records import dataclass

_SAME = 0


@dataclass(frozen=True)
class Window:
    """One spatial axis.

    Attributes:
        size: input length.
        extent: kernel length, dilated.
        output: number of positions; at most 0 where the window does not fit.
        before, after: padding.
    """

    size: int
    extent: int
    output: int
    before: int
    after: int


def window(size: int, kernel: int, stride: int, dilation: int, *, same: bool) -> Window:
    """The window of one axis. SAME: ceil(size / stride) positions, the odd pixel of padding behind."""
    extent = (kernel - 1) * dilation + 1
    if not same:
        return Window(size, extent, (size - extent) // stride + 1, 0, 0)
    output = -(-size // stride)
    total = max((output - 1) * stride + extent - size, 0)
    return Window(size, extent, output, total // 2, total - total // 2)


def windows(call: Call, image: tuple[int, ...], kernel: tuple[int, int], *, dilated: bool) -> tuple[Window, Window]:
    """Both axes of an operator with the attributes Padding, StrideH, StrideW (and dilations)."""
    strides = call.options.integer("StrideH"), call.options.integer("StrideW")
    factors = ("DilationHFactor", "DilationWFactor")
    dilations = [call.options.integer(f) if dilated else 1 for f in factors]
    same = call.options.integer("Padding") == _SAME
    rows = window(image[1], kernel[0], strides[0], dilations[0], same=same)
    return rows, window(image[2], kernel[1], strides[1], dilations[1], same=same)


def padding(rows: Window, columns: Window) -> Padding2D:
    """The padding of both axes."""
    return Padding2D(rows.before, rows.after, columns.before, columns.after)


def misfit(rows: Window, columns: Window) -> str | None:
    """How a window is larger than its image, or None."""
    for name, axis in (("height", rows), ("width", columns)):
        if axis.output < 1:
            return f"{name} {axis.size}, window {axis.extent}"
    return None
