"""Conv, ConvTranspose, MatMul, Gemm: operators that multiply and accumulate."""

import numpy as np

from accel_sim.frontend.onnx.emitter import CHANNELS_LAST, file_order
from accel_sim.frontend.onnx.grids import FileGrid
from accel_sim.frontend.onnx.model import Array
from accel_sim.frontend.onnx.operation import Operation
from accel_sim.frontend.onnx.operators.windows import explicit_pads, pair, read_window
from accel_sim.frontend.onnx.view import NodeFault
from accel_sim.ir import Conv2D, FullyConnected, MatMul, Padding2D, Transpose, TransposeConv2D

_INT32 = np.iinfo(np.int32)
_MATRIX = 2


def conv(op: Operation) -> None:
    """Conv, QLinearConv, ConvInteger: weights OIHW become OHWI."""
    batch, channels, *_ = op.shape(0)
    outputs, inputs, height, width = op.shape(1)
    groups = _groups(op, channels, outputs)
    if inputs * groups != channels:
        raise NodeFault(f"{inputs} x {groups} groups", f"weights take the operand's {channels} channels")
    window, grid = read_window(op, (height, width)), op.grid(1)
    if grid is not None and grid.axis not in (None, 0):
        raise NodeFault(
            f"scales on axis {grid.axis}", "scales of convolution weights lie on axis 0, the output channels"
        )
    weights = op.constant(1, np.ascontiguousarray(op.array(1).transpose(CHANNELS_LAST)), CHANNELS_LAST)
    operator = Conv2D(window.strides, window.dilations, window.padding, groups, op.activation, op.step.in_float)
    operands = [op.operand(0, CHANNELS_LAST), weights, bias(op, outputs, 0)]
    op.emit(operator, operands, (batch, outputs, *window.output))


def conv_transpose(op: Operation) -> None:
    """ConvTranspose: weights [Ci, Co / groups, kh, kw] become [Co, kh, kw, Ci / groups]."""
    batch, channels, *size = op.shape(0)
    inputs, per_group, *kernel = op.shape(1)
    groups = op.integer("group", 1)
    if inputs != channels or groups < 1 or channels % groups:
        raise NodeFault(
            f"weights {list(op.shape(1))}, {groups} groups", f"weights take the operand's {channels} channels"
        )
    strides, dilations = pair(op, "strides", 1), pair(op, "dilations", 1)
    spans = [(kernel[i] - 1) * dilations[i] + 1 for i in (0, 1)]
    padding, output = _transposed_extent(op, size, spans, strides)
    stored = op.array(1).reshape(groups, channels // groups, per_group, *kernel)
    stored = stored.transpose(0, 2, 3, 4, 1).reshape(groups * per_group, *kernel, channels // groups)
    weights = op.constant(1, np.ascontiguousarray(stored), (0, 1, 2, 3), _regrouped(op.grid(1), groups))
    operands = [op.operand(0, CHANNELS_LAST), weights, bias(op, groups * per_group, 1, repeats=groups)]
    operator = TransposeConv2D(strides, dilations, padding, groups, op.activation)
    op.emit(operator, operands, (batch, groups * per_group, *output))


def _groups(op: Operation, channels: int, outputs: int) -> int:
    groups = op.integer("group", 1)
    if groups < 1 or channels % groups or outputs % groups:
        raise NodeFault(f"group {groups}", f"groups divide {channels} input and {outputs} output channels")
    return groups


def _transposed_extent(
    op: Operation, size: list[int], spans: list[int], strides: tuple[int, int]
) -> tuple[Padding2D, tuple[int, int]]:
    extra = op.integers("output_padding", (0, 0))
    if len(extra) != 2 or not all(
        0 <= e < max(s, d) for e, s, d in zip(extra, strides, pair(op, "dilations", 1), strict=True)
    ):
        raise NodeFault(f"output_padding {list(extra)}", "output padding is smaller than the stride or the dilation")
    full = [strides[i] * (size[i] - 1) + extra[i] + spans[i] for i in (0, 1)]
    mode = op.text("auto_pad", "NOTSET")
    if mode == "NOTSET" and not op.has("output_shape"):
        top, left, bottom, right = explicit_pads(op)
        output = (full[0] - top - bottom, full[1] - left - right)
        return Padding2D(top, bottom, left, right), _positive(output)
    if mode == "VALID":
        return Padding2D(), _positive((full[0], full[1]))
    stated = op.integers("output_shape")[-2:] if op.has("output_shape") else ()
    wanted = stated if len(stated) == 2 else tuple(size[i] * strides[i] for i in (0, 1))
    total = [max(full[i] - wanted[i], 0) for i in (0, 1)]
    first = [t // 2 if mode == "SAME_UPPER" else t - t // 2 for t in total]
    padding = Padding2D(first[0], total[0] - first[0], first[1], total[1] - first[1])
    return padding, _positive((wanted[0], wanted[1]))


def _positive(output: tuple[int, int]) -> tuple[int, int]:
    if min(output) < 1:
        raise NodeFault(f"output {list(output)}", "no result is empty")
    return output


def _regrouped(grid: FileGrid | None, groups: int) -> FileGrid | None:
    """A grid over the channels of one group (axis 1 in the file), over all output channels (axis 0)."""
    if grid is None or grid.axis is None:
        return grid
    if grid.axis != 1:
        raise NodeFault(f"scales on axis {grid.axis}", "scales of transposed-convolution weights lie on axis 1")
    return FileGrid(grid.scale * groups, grid.zero_point * groups, grid.dtype, 0)


def bias(op: Operation, channels: int, axis: int, *, repeats: int = 1) -> str:
    """The bias operand as a tensor of `channels` numbers, or "".

    Args:
        op: the operation; operand 1 are its weights, operand 2 its bias.
        channels: output channels.
        axis: the weights' output-channel axis in the file.
        repeats: how often the weights' scales repeat over the output channels.
    """
    if not op.given(2):
        return ""
    array, shape = op.array(2), op.shape(2)
    if array.size not in (1, channels) or (shape and shape[-1] != array.size):
        raise NodeFault(f"bias {list(shape)}", f"a bias has one number per output channel ({channels})")
    array = np.broadcast_to(array.reshape(-1), (channels,))
    if not op.is_integer:
        return op.constant(2, np.ascontiguousarray(array * array.dtype.type(op.real("beta", 1.0))), (0,))
    grid = _bias_grid(op, axis, repeats)
    if array.dtype == np.float32:
        array = grid.quantize(array)
    return op.constant(2, np.ascontiguousarray(array), (0,), grid)


def _bias_grid(op: Operation, axis: int, repeats: int) -> FileGrid:
    """The file's own grid of the bias, else scale s_x * s_w (products in float32)."""
    stated, inputs, weights = op.grid(2), op.grid(0), op.grid(1)
    if stated is not None:
        return FileGrid(stated.scale, stated.zero_point, stated.dtype, None if len(stated.scale) == 1 else 0)
    if inputs is None or weights is None or weights.axis not in (None, axis):
        raise NodeFault(op.name(2), "a bias belongs to quantized operands, with scales per output channel")
    with np.errstate(all="ignore"):
        products = np.float32(inputs.scale[0]) * np.array(weights.scale * repeats, np.float32)
    if not np.all(np.isfinite(products) & (products > 0)):
        raise NodeFault(f"s_x {inputs.scale[0]:g}", "the scale of a bias, s_x * s_w, is a positive finite float32")
    scales = tuple(float(p) for p in products)
    return FileGrid(scales, (0,) * len(scales), np.dtype(np.int32), None if len(scales) == 1 else 0)


def matmul(op: Operation) -> None:
    """MatMul, QLinearMatMul, MatMulInteger: a constant matrix on the right makes it fully connected."""
    left, right = op.shape(0), op.shape(1)
    if len(left) < _MATRIX or len(right) < _MATRIX or left[-1] != right[-2]:
        raise NodeFault(
            f"{list(left)} x {list(right)}", "the columns of the left matrices are the rows of the right ones"
        )
    if op.is_constant(1) and len(right) == _MATRIX and not op.is_constant(0):
        _dense(op, op.array(1).T, 1, (*left[:-1], right[-1]))
        return
    batch = np.broadcast_shapes(left[:-2], right[:-2])
    rank = len(batch) + _MATRIX
    shape = (*batch, left[-2], right[-1])
    operands = [op.operand(i, file_order(len(s))) for i, s in ((0, left), (1, right))]
    op.emit(MatMul(in_float=op.step.in_float), operands, shape, file_order(rank))


def gemm(op: Operation) -> None:
    """Gemm, QGemm: x w + b, with either matrix stored transposed."""
    left, right = op.shape(0), op.shape(1)
    if len(left) != _MATRIX or len(right) != _MATRIX:
        raise NodeFault(f"{list(left)} x {list(right)}", "both operands are matrices")
    transposed = op.flag("transB")
    weights = op.array(1) if transposed else op.array(1).T
    rows, inner = left[::-1] if op.flag("transA") else left
    if inner != weights.shape[1]:
        raise NodeFault(f"{list(left)} x {list(right)}", "the columns of the left matrix are the rows of the right one")
    alpha = op.real("alpha", 1.0)
    if alpha != 1 and not op.is_integer:
        weights = weights * np.float32(alpha)
    _dense(op, weights, 0 if transposed else 1, (rows, weights.shape[0]))


def _dense(op: Operation, weights: Array, axis: int, shape: tuple[int, ...]) -> None:
    """A fully connected step; `weights` [Co, K], whose rows lie on `axis` in the file."""
    grid = op.grid(1)
    if grid is not None and grid.axis is not None:
        if grid.axis != axis:
            raise NodeFault(
                f"scales on axis {grid.axis}", f"scales of these weights lie on axis {axis}, the output channels"
            )
        grid = FileGrid(grid.scale, grid.zero_point, grid.dtype, 0)
    order = file_order(len(op.shape(0)))
    data = op.operand(0, order)
    if op.step.operator == "Gemm" and op.flag("transA"):
        data = _transposed(op)
    stored = np.ascontiguousarray(weights)
    operands = [data, op.constant(1, stored, (0, 1), grid), bias(op, weights.shape[0], axis)]
    op.emit(FullyConnected(op.activation, op.step.in_float, by_rows=axis == 0), operands, shape, file_order(len(shape)))


def _transposed(op: Operation) -> str:
    """The left matrix with rows and columns exchanged."""
    value = op.value(0)
    source = op.operand(0, (0, 1))
    result = op.emitter.like(f"{value.tensor}/transposed", value, value.shape[::-1], (0, 1))
    op.emitter.node(result.tensor, Transpose((1, 0)), [source], [result])
    return result.tensor
