"""Convolutions that watch 32-bit lanes which cannot overflow, addition by addition.

Variants are OPERANDS:EPILOGUE:BITS. As `convolve` with operands w8u, w8s and s16, except that sums start with the bias
and the extremes of every partial sum, in the order of the window, are recorded (`watching`). The caller proves that no
partial sum leaves the accumulator. Operands s16w are s16 with sums of 64 bits (`watch_wide`).
"""

from collections.abc import Callable
from typing import Any

from accel_kernels._types import Int64
from accel_kernels.native.convolve import gather_codes, gather_wide, share
from accel_kernels.native.emit import intrinsic
from accel_kernels.native.fields import field, inline, input_address, output_address
from accel_kernels.native.tables import Field
from accel_kernels.native.watch_block import Block
from accel_kernels.native.watch_wide import WideBlock
from accel_kernels.native.watching import LANES

_ARGUMENTS = 11
_TALL = 4 if LANES == 16 else 1


def build(variant: str) -> Callable[..., None]:
    """The step of a variant."""
    operands, kind, bits_text = variant.split(":")
    bits = int(bits_text)
    multiply = multiply_watched(kind, bits, wide=operands == "s16w")
    gather = gather_codes() if operands.startswith("s16") else gather_wide(signed=operands == "w8s")

    def watch(block: Int64, arena: Int64, constants: Int64, scratch: Int64, part: Int64, parts: Int64) -> None:
        image, out = input_address(block, arena), output_address(block, arena)
        rows = field(block, Field.IMAGES) * field(block, Field.OUT_HEIGHT) * field(block, Field.OUT_WIDTH)
        columns, channels = field(block, Field.OUT_CHANNELS), field(block, Field.CHANNELS)
        first, last, left, right = share(rows, columns, part, parts)
        if first >= last or left >= right:
            return
        out_bytes, most = field(block, Field.OUT_DEPTH) * (bits // 8), field(block, Field.PANEL_ROWS)
        steps, stride = field(block, Field.STEPS), field(block, Field.PANEL_STRIDE)
        table, table_stride = field(block, Field.TABLE), field(block, Field.TABLE_STRIDE)
        record = scratch + field(block, Field.RECORD)
        for group in range(field(block, Field.GROUPS)):
            target = out + group * columns * (bits // 8)
            weights = field(block, Field.WEIGHTS) + group * field(block, Field.GROUP_WEIGHTS)
            for row in range(first, last, most):
                count = min(most, last - row)
                gather(block, image, group * channels, row, count, scratch)
                multiply(
                    scratch,
                    stride,
                    weights,
                    steps,
                    table,
                    table_stride,
                    group * columns,
                    target + row * out_bytes,
                    out_bytes,
                    count,
                    left,
                    right,
                    record,
                )

    return watch


def multiply_watched(kind: str, bits: int, *, wide: bool = False) -> Callable[..., None]:
    """All rows of a panel times columns left to right - 1 of a group; `wide`: in sums of 64 bits."""
    made = WideBlock if wide else Block
    tall: Any = intrinsic(_ARGUMENTS, made(_TALL, 2, kind, bits).emit)
    single: Any = intrinsic(_ARGUMENTS, made(1, 2, kind, bits).emit)
    narrow_single: Any = intrinsic(_ARGUMENTS, made(1, 1, kind, bits).emit)
    width = bits // 8

    @inline
    def multiply(
        panel: Int64,
        stride: Int64,
        weights: Int64,
        steps: Int64,
        table: Int64,
        table_stride: Int64,
        base: Int64,
        out: Int64,
        out_bytes: Int64,
        rows: Int64,
        left: Int64,
        right: Int64,
        record: Int64,
    ) -> None:
        for n in range(left, right, 2 * LANES):
            w, o, valid, c, m = weights + n * steps * 4, out + n * width, right - n, base + n, 0
            if valid > LANES:
                while m + _TALL <= rows:
                    a, b = panel + m * stride, o + m * out_bytes
                    tall(a, stride, w, steps, table, table_stride, c, b, out_bytes, valid, record)
                    m += _TALL
            while m < rows:
                a, b = panel + m * stride, o + m * out_bytes
                if valid > LANES:
                    single(a, stride, w, steps, table, table_stride, c, b, out_bytes, valid, record)
                else:
                    narrow_single(a, stride, w, steps, table, table_stride, c, b, out_bytes, valid, record)
                m += 1

    return multiply
