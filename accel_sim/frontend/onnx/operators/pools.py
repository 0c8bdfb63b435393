"""MaxPool, AveragePool, their global forms, ReduceMean."""

from accel_sim.frontend.onnx.emitter import CHANNELS_LAST
from accel_sim.frontend.onnx.operation import Operation
from accel_sim.frontend.onnx.operators.windows import pair, read_window
from accel_sim.frontend.onnx.view import NodeFault, in_ranks
from accel_sim.ir import AveragePool2D, GlobalAveragePool2D, MaxPool2D, Mean, Padding2D

_BLOCK = 16  # channels that ONNX Runtime pools together (NCHWc, with AVX-512)
_BY_PIXEL_OPSET = 19  # of AveragePool, whose windows may have gaps since


def max_pool(op: Operation) -> None:
    """MaxPool; what it picks is requantized behind it where its result has another grid."""
    window = read_window(op, pair(op, "kernel_shape"), pooling=True)
    operator = MaxPool2D(window.kernel, window.strides, window.dilations, window.padding, op.activation)
    op.emit_move(operator, op.operand(0, CHANNELS_LAST), (*op.shape(0)[:2], *window.output))


def global_max_pool(op: Operation) -> None:
    """GlobalMaxPool: one window over the whole image."""
    batch, channels, *size = op.shape(0)
    op.emit_move(MaxPool2D((size[0], size[1])), op.operand(0, CHANNELS_LAST), (batch, channels, 1, 1))


def average_pool(op: Operation) -> None:
    """AveragePool, QLinearAveragePool; over the whole image it is the global one, as in ONNX Runtime's arithmetic.

    Between int8 and uint8, or of 16 bits, it is none of both but a float operator, which adds in another order than the
    global one where it strides, where channels are 16 or a multiple, and from version 19 of the operator on.
    """
    window = read_window(op, pair(op, "kernel_shape"), pooling=True)
    whole = window.kernel == op.shape(0)[2:] and window.padding == Padding2D()
    by_pixel = op.opset >= _BY_PIXEL_OPSET
    otherwise = _is_left_in_float(op) and (by_pixel or op.shape(0)[1] % _BLOCK == 0 or window.strides != (1, 1))
    if whole and op.activation.is_identity and not otherwise:
        global_average_pool(op)
        return
    if window.hangs_over and op.flag("count_include_pad") and not op.is_integer:
        raise NodeFault("ceil_mode, count_include_pad", "a float average counts no pixels behind the padding")
    operator = AveragePool2D(
        window.kernel,
        window.strides,
        window.padding,
        op.flag("count_include_pad"),
        op.activation,
        by_pixel=by_pixel,
    )
    op.emit(operator, [op.operand(0, CHANNELS_LAST)], (*op.shape(0)[:2], *window.output))


def _is_left_in_float(op: Operation) -> bool:
    source, result = op.grid(0), op.result_grid()
    if source is None or result is None:
        return False
    return source.dtype != result.dtype or source.dtype.itemsize > 1


def global_average_pool(op: Operation) -> None:
    """GlobalAveragePool, QLinearGlobalAveragePool."""
    op.emit(GlobalAveragePool2D(), [op.operand(0, CHANNELS_LAST)], (*op.shape(0)[:2], 1, 1))


def reduce_mean(op: Operation) -> None:
    """ReduceMean over any axes."""
    value, rank = op.value(0), len(op.shape(0))
    axes = in_ranks(op.listed("axes", 1, ()), rank)
    if not axes:
        if op.flag("noop_with_empty_axes"):
            raise NodeFault("noop_with_empty_axes", "a mean reduces at least one axis")
        axes = tuple(range(rank))
    keep = op.flag("keepdims", default=True)
    operator = Mean(tuple(sorted(value.axes.index(a) for a in axes)), keep)
    if keep:
        shape = tuple(1 if a in axes else n for a, n in enumerate(value.shape))
        op.emit(operator, [value.tensor], shape, value.axes)
        return
    kept = [a for a in range(rank) if a not in axes]
    order = tuple(kept.index(a) for a in value.axes if a in kept)
    op.emit(operator, [value.tensor], tuple(value.shape[a] for a in kept), order)
