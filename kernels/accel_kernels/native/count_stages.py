"""Convolutions in accumulators of any stages, with overflow counted: what `count` is not made for.

Variants are OPERANDS:EPILOGUE:BITS:FORM, operands w8u or w8s as `watch` has them, a form of `stages`. Weights are int16
[tiles of two vectors of columns, STEPS, columns], the last of which is 0. RECORD and its counts are `count`'s. EXTRA is
the address of the table of `stages`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from accel_kernels._types import Int64
from accel_kernels.native.convolve import gather_wide, share
from accel_kernels.native.emit import I16, I32, Emitter, Value, intrinsic
from accel_kernels.native.fields import field, inline, input_address, output_address
from accel_kernels.native.stages import LANES, Finish, Place, Stages, codes_of, products
from accel_kernels.native.tables import Field

_ARGUMENTS = 11
_ROWS, _VECTORS = 2, 2


class _Block:
    """Rows times two vectors of columns.

    Arguments: operands, bytes between rows, weights, epilogue's table, bytes of its rows, first column, out, bytes
    between its rows, columns that exist, table of `stages`, record of the first column.
    """

    def __init__(self, rows: int, kind: str, bits: int, form: str) -> None:
        self._rows, self._finish, self._form = rows, Finish(kind, bits), form

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        a, row_bytes, weights, table, stride, first, out, out_bytes, valid, extra, record = arguments
        stages = Stages(e, self._form, extra)
        begin = e.add(stages.entry(Place.STARTS), e.multiply(first, 4))
        starts = self._finish.starts(e, begin, valid, _VECTORS) * self._rows

        def product(k: Value) -> list[Value]:
            place = e.add(weights, e.multiply(k, 2 * _VECTORS * LANES))
            sources = [e.add(e.add(a, e.multiply(row_bytes, row)), e.multiply(k, 2)) for row in range(self._rows)]
            codes = [e.splat(e.builder.sext(e.load(source, I16), I32), LANES) for source in sources]
            return products(e, codes, [codes_of(e, e.add(place, 2 * LANES * j)) for j in range(_VECTORS)])

        sums = stages.accumulate(product, starts)
        self._finish.emit(e, stages, sums, _VECTORS, (table, stride, first), (out, out_bytes, valid), record)


def build(variant: str) -> Callable[..., None]:
    """The step of a variant."""
    operands, kind, bits_text, form = variant.split(":")
    width = int(bits_text) // 8
    several: Any = intrinsic(_ARGUMENTS, _Block(_ROWS, kind, int(bits_text), form).emit)
    single: Any = intrinsic(_ARGUMENTS, _Block(1, kind, int(bits_text), form).emit)
    gather = gather_wide(signed=operands == "w8s")

    @inline
    def multiply(
        block: Int64, group: Int64, out: Int64, rows: Int64, left: Int64, right: Int64, scratch: Int64
    ) -> None:
        steps, stride = field(block, Field.STEPS), field(block, Field.PANEL_STRIDE)
        table, table_stride = field(block, Field.TABLE), field(block, Field.TABLE_STRIDE)
        extra, out_bytes = field(block, Field.EXTRA), field(block, Field.OUT_DEPTH) * width
        base = group * field(block, Field.OUT_CHANNELS)
        weights = field(block, Field.WEIGHTS) + group * field(block, Field.GROUP_WEIGHTS)
        for n in range(left, right, _VECTORS * LANES):
            w, o, valid, c, m = weights + n * steps * 2, out + (base + n) * width, right - n, base + n, 0
            record = scratch + field(block, Field.RECORD) + 4 * c
            while m + _ROWS <= rows:
                a, b = scratch + m * stride, o + m * out_bytes
                several(a, stride, w, table, table_stride, c, b, out_bytes, valid, extra, record)
                m += _ROWS
            while m < rows:
                a, b = scratch + m * stride, o + m * out_bytes
                single(a, stride, w, table, table_stride, c, b, out_bytes, valid, extra, record)
                m += 1

    def count(block: Int64, arena: Int64, constants: Int64, scratch: Int64, part: Int64, parts: Int64) -> None:
        image, out = input_address(block, arena), output_address(block, arena)
        rows = field(block, Field.IMAGES) * field(block, Field.OUT_HEIGHT) * field(block, Field.OUT_WIDTH)
        first, last, left, right = share(rows, field(block, Field.OUT_CHANNELS), part, parts)
        if first >= last or left >= right:
            return
        out_bytes, most = field(block, Field.OUT_DEPTH) * width, field(block, Field.PANEL_ROWS)
        for group in range(field(block, Field.GROUPS)):
            for row in range(first, last, most):
                some = min(most, last - row)
                gather(block, image, group * field(block, Field.CHANNELS), row, some, scratch)
                multiply(block, group, out + row * out_bytes, some, left, right, scratch)

    return count
