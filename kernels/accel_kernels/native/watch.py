"""Convolutions that watch 32-bit lanes which cannot overflow, addition by addition.

Variants are OPERANDS:EPILOGUE:BITS. As `convolve` with operands w8u, w8s and s16, except that sums start with the bias
and the extremes of every partial sum, in the order of the window, are recorded (`watching`). The caller proves that no
partial sum leaves the accumulator.
"""

from collections.abc import Callable, Sequence
from typing import Any

from accel_kernels._types import Int64
from accel_kernels.native.convolve import gather_codes, gather_wide, share
from accel_kernels.native.emit import I32, Emitter, Value, intrinsic, vector
from accel_kernels.native.epilogues import EPILOGUES, load_columns, narrow
from accel_kernels.native.fields import field, inline, input_address, output_address
from accel_kernels.native.products import add_pairs
from accel_kernels.native.rows import store_columns
from accel_kernels.native.tables import Field
from accel_kernels.native.watching import LANES, first_of_pairs, widen_extremes

_ARGUMENTS = 11
_TALL = 4 if LANES == 16 else 1


class _Block:
    """A block of rows and vectors of columns; arguments as `products`, and the record."""

    def __init__(self, rows: int, vectors: int, kind: str, bits: int) -> None:
        self._rows, self._vectors, self._epilogue, self._bits = rows, vectors, EPILOGUES[kind], bits

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        a, row_bytes, weights, steps, table, stride, first, out, out_bytes, valid, record = arguments
        columns = [
            load_columns(e, self._epilogue, table, stride, e.add(first, j * LANES), LANES) for j in range(self._vectors)
        ]
        start = [column["bias"] for _ in range(self._rows) for column in columns]
        held = e.loop(steps, [*start, *start, *start], self._pair(e, a, row_bytes, weights))
        count = len(start)
        widen_extremes(e, held[count : 2 * count], held[2 * count :], record)
        for index, total in enumerate(held[:count]):
            row, j = divmod(index, self._vectors)
            codes = narrow(e, self._epilogue.apply(e, total, columns[j]), self._bits)
            place = e.add(e.add(out, e.multiply(out_bytes, row)), j * LANES * self._bits // 8)
            store_columns(e, codes, place, e.add(valid, -j * LANES))

    def _pair(self, e: Emitter, a: Value, row_bytes: Value, weights: Value) -> Callable[..., list[Value]]:
        sources = [e.add(a, e.multiply(row_bytes, row)) for row in range(self._rows)]
        width, count = 4 * LANES * self._vectors, self._rows * self._vectors

        def body(k: Value, held: list[Value]) -> list[Value]:
            place, offset = e.add(weights, e.multiply(k, width)), e.multiply(k, 4)
            both = [e.load(e.add(place, 4 * LANES * j), vector(I32, LANES)) for j in range(self._vectors)]
            one = [first_of_pairs(e, w) for w in both]
            groups = [e.splat(e.load(e.add(source, offset), I32), LANES) for source in sources]
            sums, lows, highs = held[:count], held[count : 2 * count], held[2 * count :]
            for index in range(count):
                row, j = divmod(index, self._vectors)
                before = sums[index]
                for w in (one[j], both[j]):
                    sums[index] = add_pairs(e, before, groups[row], w)
                    lows[index] = e.elementwise("smin", lows[index], sums[index])
                    highs[index] = e.elementwise("smax", highs[index], sums[index])
            return [*sums, *lows, *highs]

        return body


def build(variant: str) -> Callable[..., None]:
    """The step of a variant."""
    operands, kind, bits_text = variant.split(":")
    bits = int(bits_text)
    multiply = multiply_watched(kind, bits)
    gather = gather_codes() if operands == "s16" else gather_wide(signed=operands == "w8s")

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


def multiply_watched(kind: str, bits: int) -> Callable[..., None]:
    """All rows of a panel times columns left to right - 1 of a group."""
    tall: Any = intrinsic(_ARGUMENTS, _Block(_TALL, 2, kind, bits).emit)
    single: Any = intrinsic(_ARGUMENTS, _Block(1, 2, kind, bits).emit)
    narrow_single: Any = intrinsic(_ARGUMENTS, _Block(1, 1, kind, bits).emit)
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
