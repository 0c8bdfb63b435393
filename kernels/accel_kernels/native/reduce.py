"""Sums over a range of axes, requantized. Variants are OPERANDS:EPILOGUE:BITS.

The operand is [IMAGES, SIZE, CHANNELS]; the sum over its SIZE rows must fit 32 bits.
"""

from collections.abc import Callable

from accel_kernels._types import Int64
from accel_kernels.native.fields import field, input_address, output_address
from accel_kernels.native.rows import LANES, sum_rows
from accel_kernels.native.tables import Field


def build(variant: str) -> Callable[..., None]:
    """The step of a variant."""
    operands, kind, bits = variant.split(":")
    total = sum_rows(operands, kind, int(bits))
    width, out_width = int(operands[1:]) // 8, int(bits) // 8

    def reduce(block: Int64, arena: Int64, constants: Int64, scratch: Int64, part: Int64, parts: Int64) -> None:
        x, y = input_address(block, arena), output_address(block, arena)
        rows, channels = field(block, Field.SIZE), field(block, Field.CHANNELS)
        table, stride = field(block, Field.TABLE), field(block, Field.TABLE_STRIDE)
        vectors = (channels + LANES - 1) // LANES
        blocks = field(block, Field.IMAGES) * vectors
        for index in range(blocks * part // parts, blocks * (part + 1) // parts):
            image, c = index // vectors, index % vectors * LANES
            a, b = x + (image * rows * channels + c) * width, y + (image * channels + c) * out_width
            total(a, channels * width, rows, table, stride, c, b, 0, channels - c)

    return reduce
