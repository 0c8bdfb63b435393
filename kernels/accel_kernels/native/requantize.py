"""Codes from one grid to another. Variants are OPERANDS:EPILOGUE:BITS.

The operand is a matrix of SIZE rows and CHANNELS columns. With one grid for all, CHANNELS is a vector's elements and
EXTRA those of an incomplete last row, which SIZE does not count.
"""

from collections.abc import Callable

from accel_kernels._types import Int64
from accel_kernels.native.fields import field, input_address, output_address
from accel_kernels.native.rows import LANES, requantize_rows
from accel_kernels.native.tables import Field


def build(variant: str) -> Callable[..., None]:
    """The step of a variant."""
    operands, kind, bits = variant.split(":")
    convert = requantize_rows(operands, kind, int(bits))
    width, out_width = int(operands[1:]) // 8, int(bits) // 8

    def requantize(block: Int64, arena: Int64, constants: Int64, scratch: Int64, part: Int64, parts: Int64) -> None:
        x, y = input_address(block, arena), output_address(block, arena)
        rows, channels, rest = field(block, Field.SIZE), field(block, Field.CHANNELS), field(block, Field.EXTRA)
        table, stride = field(block, Field.TABLE), field(block, Field.TABLE_STRIDE)
        first, end = rows * part // parts, rows * (part + 1) // parts
        step, out_step = channels * width, channels * out_width
        if first < end:
            for c in range(0, channels, LANES):
                a, b = x + first * step + c * width, y + first * out_step + c * out_width
                convert(a, step, end - first, table, stride, c, b, out_step, channels - c)
        if rest > 0 and part == parts - 1:
            convert(x + rows * step, step, 1, table, stride, 0, y + rows * out_step, out_step, rest)

    return requantize
