"""MaxPool, AveragePool, their global forms, ReduceMean, ReduceMax."""

from accel_sim.frontend._maxima import image_of_maxima
from accel_sim.frontend.onnx.emitter import CHANNELS_LAST, Axes, Shape, Value, file_order
from accel_sim.frontend.onnx.operation import Operation
from accel_sim.frontend.onnx.operators.windows import pair, read_window
from accel_sim.frontend.onnx.view import NodeFault, in_ranks
from accel_sim.ir import AveragePool2D, Clip, GlobalAveragePool2D, MaxPool2D, Mean, Padding2D, Reshape

_BLOCK = 16  # channels that ONNX Runtime pools together (NCHWc, with AVX-512)
_BY_PIXEL_OPSET = 19  # of AveragePool, whose windows may have gaps since


def max_pool(op: Operation) -> None:
    """MaxPool; what it picks is requantized behind it where its result has another grid."""
    window = read_window(op, pair(op, "kernel_shape"), pooling=True)
    source, shape, grid = op.operand(0, CHANNELS_LAST), (*op.shape(0)[:2], *window.output), op.result_grid()
    sizes = window.kernel, window.strides, window.dilations, window.padding
    if op.activation.is_identity or grid is None or grid.stored() == op.emitter.tensors[source].quant:
        op.emit_move(MaxPool2D(*sizes, op.activation), source, shape)
        return
    # A clamp between two grids rounds once, on the second: its bounds need not lie on the first.
    picked = op.emitter.like(f"{op.step.outputs[0]}/pooled", Value(source, shape, CHANNELS_LAST), shape, CHANNELS_LAST)
    op.emitter.node(picked.tensor, MaxPool2D(*sizes), [source], [picked])
    op.emit(Clip(op.activation), [picked.tensor], shape)


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
    op.emit(GlobalAveragePool2D(op.step.in_float), [op.operand(0, CHANNELS_LAST)], (*op.shape(0)[:2], 1, 1))


def reduce_mean(op: Operation) -> None:
    """ReduceMean over any axes."""
    axes, shape, order = _reduced(op)
    op.emit(Mean(axes, op.flag("keepdims", default=True)), [op.value(0).tensor], shape, order)


def reduce_max(op: Operation) -> None:
    """ReduceMax: one window of a max pool; what it picks is requantized behind it where its result has another grid."""
    axes, shape, order = _reduced(op)
    value = op.value(0)
    found = image_of_maxima(value.stored, axes)
    if found is None:
        raise NodeFault(f"stored axes {list(axes)} of {list(value.stored)}", "maxima are over neighbouring axes")
    image, kernel = found
    result, order_of_image = op.step.outputs[0], file_order(len(image))
    whole = op.emitter.like(f"{result}/image", value, image, order_of_image)
    picked = op.emitter.like(f"{result}/maxima", value, (*image[:2], 1, image[3]), order_of_image)
    op.emitter.node(whole.tensor, Reshape(), [value.tensor], [whole])
    op.emitter.node(picked.tensor, MaxPool2D(kernel), [whole.tensor], [picked])
    op.emit_move(Reshape(), picked.tensor, shape, order)


def _reduced(op: Operation) -> tuple[Axes, Shape, Axes]:
    """The reduced axes as stored, the result's shape, and the order in which its axes are stored."""
    value, rank = op.value(0), len(op.shape(0))
    axes = in_ranks(op.listed("axes", 1, ()), rank)
    if not axes:
        if op.flag("noop_with_empty_axes"):
            raise NodeFault("noop_with_empty_axes", "at least one axis is reduced")
        axes = tuple(range(rank))
    stored = tuple(sorted(value.axes.index(a) for a in axes))
    if op.flag("keepdims", default=True):
        return stored, tuple(1 if a in axes else n for a, n in enumerate(value.shape)), value.axes
    kept = [a for a in range(rank) if a not in axes]
    order = tuple(kept.index(a) for a in value.axes if a in kept)
    return stored, tuple(value.shape[a] for a in kept), order
