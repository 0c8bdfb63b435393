"""Sliding windows: kernel, strides, dilations and explicit padding from ONNX's attributes."""

from accel_sim.frontend.onnx.operation import Operation
from accel_sim.frontend.onnx.view import NodeFault
from accel_sim.ir import Padding2D
from accel_sim.records import dataclass

Pair = tuple[int, int]
_LARGEST = 1 << 20


@dataclass(frozen=True)
class Window:
    """A window over an image, all sizes as (height, width).

    `hangs_over`: ceil_mode makes the last window reach beyond the padded image; `padding` covers that too.
    """

    kernel: Pair
    strides: Pair
    dilations: Pair
    padding: Padding2D
    output: Pair
    hangs_over: bool = False


def read_window(op: Operation, kernel: Pair, *, pooling: bool = False) -> Window:
    """The window of a convolution or pooling node over its operand 0.

    Padding is made explicit: auto_pad by ONNX's formula, and with ceil_mode as much more at the end as the last window
    hangs over. Where auto_pad SAME comes out negative, a convolution pads nothing and a pool is refused, as in ONNX
    Runtime.

    Raises:
        NodeFault: sizes that contradict each other, or an empty result.
    """
    strides, dilations = pair(op, "strides", 1), pair(op, "dilations", 1)
    if op.has("kernel_shape") and op.integers("kernel_shape") != kernel:
        raise NodeFault(f"kernel_shape {op.integers('kernel_shape')}", f"kernel_shape agrees with the weights {kernel}")
    size = op.shape(0)[2:]
    before, after, output, hangs_over = [], [], [], False
    for axis in (0, 1):
        span = (kernel[axis] - 1) * dilations[axis] + 1
        start, end = _padding(op, axis, size[axis], span, strides[axis], pooling=pooling)
        extent = _extent(size[axis] + start + end - span, strides[axis], ceil=op.flag("ceil_mode"))
        if op.flag("ceil_mode") and (extent - 1) * strides[axis] >= size[axis] + start:
            extent -= 1  # a window may not begin in the padding at the end
        if extent < 1:
            raise NodeFault(f"window {span} over {size[axis]} elements", "a window fits into the padded image")
        overhang = (extent - 1) * strides[axis] + span - (size[axis] + start + end)
        hangs_over |= overhang > 0 and op.flag("ceil_mode")
        before.append(start)
        after.append(end + max(overhang, 0) if op.flag("ceil_mode") else end)
        output.append(extent)
    padding = Padding2D(before[0], after[0], before[1], after[1])
    return Window(kernel, strides, dilations, padding, (output[0], output[1]), hangs_over)


def pair(op: Operation, name: str, default: int | None = None) -> Pair:
    """Two positive integers of an attribute."""
    values = op.integers(name, None if default is None else (default, default))
    if len(values) != 2 or not all(1 <= v <= _LARGEST for v in values):
        raise NodeFault(f"{name} {list(values)}", f"{name} are two positive integers")
    return values[0], values[1]


def _extent(span: int, stride: int, *, ceil: bool) -> int:
    return (-(-span // stride) if ceil else span // stride) + 1 if span >= 0 else 0


def _padding(op: Operation, axis: int, size: int, span: int, stride: int, *, pooling: bool) -> Pair:
    mode = op.text("auto_pad", "NOTSET")
    if mode == "VALID":
        return 0, 0
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        total = (-(-size // stride) - 1) * stride + span - size
        if total < 0 and pooling:
            raise NodeFault(f"stride {stride} over {span} elements", "auto_pad SAME of a pool comes out non-negative")
        total = max(total, 0)
        small, large = total // 2, total - total // 2
        return (small, large) if mode == "SAME_UPPER" else (large, small)
    if mode != "NOTSET":
        raise NodeFault(f"auto_pad {mode}", "auto_pad is NOTSET, VALID, SAME_UPPER or SAME_LOWER")
    start, end = explicit_pads(op)[axis::2]
    return start, end


def explicit_pads(op: Operation) -> tuple[int, int, int, int]:
    """Attribute pads of an image: top, left, bottom, right."""
    pads = op.integers("pads", (0, 0, 0, 0))
    if len(pads) != 4 or not all(0 <= p <= _LARGEST for p in pads):
        raise NodeFault(f"pads {list(pads)}", "pads are four integers, none negative")
    return pads[0], pads[1], pads[2], pads[3]
