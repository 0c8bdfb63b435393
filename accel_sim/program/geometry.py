"""The matrix product inside a matrix command: what the tiler cuts and the clock counts.

A command is `batches` independent products [rows x reduction] @ [reduction x columns]:

- Convolve: one per group; rows = N*Ho*Wo output pixels, reduction = kh*kw*Ci/groups, columns = Co/groups.
- TransposeConvolve, as sub-pixel convolutions: one per group and output phase. An output row oy receives the kernel
  rows ky with (oy + pad_top - ky*dh) divisible by sh, so rows fall into sh/gcd(sh, dh) phases with
  ceil(kh / phases) kernel rows each (columns likewise), and a phase has ceil(Ho/sh) x ceil(Wo/sw) pixels.
- MatrixMultiply: one per index of the broadcast leading axes.
"""

from dataclasses import dataclass
from math import gcd, prod

from accel_sim.program.commands import Convolve, MatrixMultiply, TransposeConvolve
from accel_sim.program.operands import Operand

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


def weight_zero_points(command: MatrixCommand) -> tuple[int, ...]:
    """Zero points of the second operand; any that is not 0 costs the data-dependent term of eq 13."""
    return command.b_zero_point if isinstance(command, MatrixMultiply) else command.weight_zero_point


def input_rows(command: Convolve | TransposeConvolve, first: int, last: int) -> tuple[int, int]:
    """The image rows [begin, end), counted over all images, that matrix rows first..last (inclusive) read."""
    images, height, _, _ = command.input.shape
    _, out_height, out_width, _ = command.output_to.shape
    if isinstance(command, TransposeConvolve):  # a matrix row is a pixel of one phase
        out_height, out_width = (
            -(-out_height // command.window.strides[0]),
            -(-out_width // command.window.strides[1]),
        )
    (image_a, row_a), (image_b, row_b) = (divmod(pixel // out_width, out_height) for pixel in (first, last))
    begin = image_a * height + min(max(_taps(command, row_a)[0], 0), height)
    end = image_b * height + min(max(_taps(command, row_b)[1] + 1, 0), height)
    return begin, max(begin, min(end, images * height))


def _taps(command: Convolve | TransposeConvolve, row: int) -> tuple[int, int]:
    """Lowest and highest input row of an output row, or of a stride-high block of output rows; may lie outside."""
    window = command.window
    stride, reach = window.strides[0], (window.kernel[0] - 1) * window.dilations[0]
    if isinstance(command, Convolve):
        return row * stride - window.pad_top, row * stride - window.pad_top + reach
    return (row * stride + window.pad_top - reach) // stride, (row * stride + window.pad_top + stride - 1) // stride
