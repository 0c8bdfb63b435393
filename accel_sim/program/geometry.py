"""The matrix product inside a matrix command: what the tiler cuts and the clock counts.

A command is `batches` independent products [rows x reduction] @ [reduction x columns]:

- Convolve: one per group; rows = N*Ho*Wo output pixels, reduction = kh*kw*Ci/groups, columns = Co/groups.
- TransposeConvolve, as sub-pixel convolutions: one per group and output phase. An output row oy receives the kernel
  rows ky with (oy + pad_top - ky*dh) divisible by sh, so rows fall into sh/gcd(sh, dh) phases with
  ceil(kh / phases) kernel rows each (columns likewise), and a phase has ceil(Ho/sh) x ceil(Wo/sw) pixels.
- MatrixMultiply: one per index of the broadcast leading axes.
"""

from math import gcd, prod

import numpy as np

from accel_sim.program.commands import Convolve, MatrixMultiply, TransposeConvolve
from accel_sim.program.operands import Operand
from accel_sim.records import dataclass

MatrixCommand = Convolve | TransposeConvolve | MatrixMultiply


@dataclass(frozen=True)
class MatrixShape:
    """`batches` products [rows x reduction] @ [reduction x columns]."""

    batches: int
    rows: int
    reduction: int
    columns: int


def matrix_shape(command: MatrixCommand) -> MatrixShape:
    """The products of a matrix command."""
    if isinstance(command, MatrixMultiply):
        *leading, rows, columns = command.output_to.shape
        return MatrixShape(prod(leading), rows, command.a.shape[-2 if command.transpose_a else -1], columns)
    n, height, width, channels = command.output_to.shape
    _, kernel_height, kernel_width, group_channels = command.weights.shape
    columns = channels // command.groups
    if isinstance(command, Convolve):
        return MatrixShape(command.groups, n * height * width, kernel_height * kernel_width * group_channels, columns)
    phases, pixels, taps = 1, n, group_channels
    for axis, (extent, kernel) in enumerate(((height, kernel_height), (width, kernel_width))):
        stride = command.window.strides[axis]
        axis_phases = stride // gcd(stride, command.window.dilations[axis])
        phases *= axis_phases
        pixels *= -(-extent // stride)
        taps *= -(-kernel // axis_phases)
    return MatrixShape(command.groups * phases, pixels, taps, columns)


def multiply_accumulates(command: MatrixCommand) -> int:
    """Multiply-accumulates of the command's loop nest, those on padding included."""
    if isinstance(command, TransposeConvolve):
        n, height, width, _ = command.input.shape
        return n * height * width * command.weights.size
    shape = matrix_shape(command)
    return shape.batches * shape.rows * shape.reduction * shape.columns


def matrix_operands(command: MatrixCommand) -> tuple[Operand, Operand]:
    """The streamed operand (inputs) and the other (weights)."""
    if isinstance(command, MatrixMultiply):
        return command.a, command.b
    return command.input, command.weights


def is_depthwise(command: MatrixCommand) -> bool:
    """Whether it is a convolution whose groups have one input and one output channel."""
    if isinstance(command, MatrixMultiply):
        return False
    return command.weights.shape[3] == 1 and command.weights.shape[0] == command.groups


def weight_zero_points(command: MatrixCommand) -> tuple[int, ...]:
    """Zero points of the second operand; any that is not 0 costs the data-dependent term of eq 13."""
    return command.b_zero_point if isinstance(command, MatrixMultiply) else command.weight_zero_point


def block_input_bytes(command: MatrixCommand, first: int, last: int) -> int:
    """Bytes of input that matrix rows first..last (inclusive) read, all groups: whole image rows, or a part of one."""
    item = np.dtype(matrix_operands(command)[0].dtype).itemsize
    if isinstance(command, MatrixMultiply):
        return (last - first + 1) * matrix_shape(command).reduction * item
    begin, end = input_rows(command, first, last)
    return (end - begin) * _columns_read(command, first, last) * command.input.shape[3] * item


def blocks_input_bytes(command: MatrixCommand) -> tuple[list[int], list[int]]:
    """For each block of `tiling.rows` matrix rows: the bytes it reads, and those that the block before did not."""
    shape, size = matrix_shape(command), command.tiling.rows
    held, new = [], []
    before_end = 0
    for first in range(0, shape.rows, size):
        last = min(first + size, shape.rows) - 1
        held.append(block_input_bytes(command, first, last))
        new.append(held[-1])
        if not isinstance(command, MatrixMultiply):
            begin, end = input_rows(command, first, last)
            if end > begin and _columns_read(command, first, last) == command.input.shape[2]:
                new[-1] = held[-1] // (end - begin) * max(end - max(begin, before_end), 0)
                before_end = end
    return held, new


def input_rows(command: Convolve | TransposeConvolve, first: int, last: int) -> tuple[int, int]:
    """The image rows [begin, end), counted over all images, that matrix rows first..last (inclusive) read."""
    images, height, _, _ = command.input.shape
    (image_a, row_a), (image_b, row_b) = _output_row(command, first), _output_row(command, last)
    begin = image_a * height + min(max(_taps(command, row_a)[0], 0), height)
    end = image_b * height + min(max(_taps(command, row_b)[1] + 1, 0), height)
    return begin, max(begin, min(end, images * height))


def pixel_grid(command: Convolve | TransposeConvolve) -> tuple[int, int]:
    """Height and width that matrix rows count: output pixels, or those of one phase."""
    _, height, width, _ = command.output_to.shape
    if isinstance(command, Convolve):
        return height, width
    return -(-height // command.window.strides[0]), -(-width // command.window.strides[1])


def _output_row(command: Convolve | TransposeConvolve, pixel: int) -> tuple[int, int]:
    """Image and row of a matrix row."""
    height, width = pixel_grid(command)
    return divmod(pixel // width, height)


def _columns_read(command: Convolve | TransposeConvolve, first: int, last: int) -> int:
    """Image columns that matrix rows first..last read: all of them, or, inside one output row, a part."""
    width, window = command.input.shape[2], command.window
    if _output_row(command, first) != _output_row(command, last) or pixel_grid(command)[1] == last - first + 1:
        return width
    steps, reach = last - first, (window.kernel[1] - 1) * window.dilations[1]
    if isinstance(command, Convolve):
        return min(width, steps * window.strides[1] + reach + 1)
    return min(width, steps + reach // window.strides[1] + 2)


def _taps(command: Convolve | TransposeConvolve, row: int) -> tuple[int, int]:
    """Lowest and highest input row of an output row, or of a stride-high block of output rows; may lie outside."""
    window = command.window
    stride, reach = window.strides[0], (window.kernel[0] - 1) * window.dilations[0]
    if isinstance(command, Convolve):
        return row * stride - window.pad_top, row * stride - window.pad_top + reach
    return (row * stride + window.pad_top - reach) // stride, (row * stride + window.pad_top + stride - 1) // stride
