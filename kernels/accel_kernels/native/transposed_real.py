"""Products of transposed convolutions in float32, in the order of `accel_kernels.transpose_float32`.

::

    out[m, n] = epilogue(sum over taps of (sum over blocks of 128 channels of a chain of fused multiply-adds) + bias[n])

Rows of `a` hold the real numbers of one tap's channels after the other; a tap that an output pixel does not meet is 0,
which changes no sum, as none is -0. Weights are tiles of columns, number after number, the columns side by side.
"""

from collections.abc import Callable, Sequence
from typing import Any

from accel_kernels._types import Int64
from accel_kernels.native.emit import F32, I32, Emitter, Value, held_bytes, intrinsic, vector
from accel_kernels.native.epilogues import EPILOGUES, load_columns, narrow
from accel_kernels.native.fields import field, inline
from accel_kernels.native.rows import LANES, load_wide, store_columns
from accel_kernels.native.tables import Field
from accel_kernels.native.tier import tier

_CHAIN = 128
_ALIGNMENT = 64
_REALS = vector(F32, LANES)
_ARGUMENTS = 11
"""a, bytes between its rows, weights, taps, channels, table, bytes of a table row, first column, out, bytes between its
rows, columns that exist."""


class _Block:
    """Some rows of some vectors of columns."""

    def __init__(self, rows: int, vectors: int, bits: int) -> None:
        self._rows, self._vectors, self._bits = rows, vectors, bits

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        a, row_bytes, weights, taps, channels, table, stride, first, out, out_bytes, valid = arguments
        b, count, width = e.builder, self._rows * self._vectors, 4 * LANES * self._vectors
        held = held_bytes(e, 2 * count * 4 * LANES)
        products, totals = ([e.add(held, (i + index) * 4 * LANES) for index in range(count)] for i in (0, count))
        zero = e.constant(_REALS, 0.0)
        self._store(e, totals, [zero] * count)

        def tap(index: Value, carried: list[Value]) -> list[Value]:
            self._store(e, products, [zero] * count)
            begin = e.builder.mul(index, channels)

            def block(part: Value, nothing: list[Value]) -> list[Value]:
                start = e.add(begin, e.multiply(part, _CHAIN))
                left = b.sub(channels, e.multiply(part, _CHAIN))
                some = b.select(b.icmp_signed("<", left, e.number(_CHAIN)), left, e.number(_CHAIN))
                there, resting = e.add(a, e.multiply(start, 4)), e.add(weights, e.multiply(start, width))
                self._add(e, products, self._chains(e, there, row_bytes, resting, some))
                return []

            e.loop(b.sdiv(e.add(channels, _CHAIN - 1), e.number(_CHAIN)), [], block)
            self._add(e, totals, self._load(e, products))
            return []

        e.loop(taps, [], tap, perhaps_empty=True)
        for index, total in enumerate(self._load(e, totals)):
            row, j = divmod(index, self._vectors)
            columns = load_columns(e, EPILOGUES["real"], table, stride, e.add(first, j * LANES), LANES)
            sums = b.fadd(total, b.bitcast(columns["bias"], _REALS))
            codes = narrow(e, EPILOGUES["real"].apply(e, sums, columns), self._bits)
            target = e.add(e.add(out, e.multiply(out_bytes, row)), j * LANES * self._bits // 8)
            store_columns(e, codes, target, e.add(valid, -j * LANES))

    def _store(self, e: Emitter, places: list[Value], values: list[Value]) -> None:
        for place, value in zip(places, values, strict=True):
            e.store(value, place, _ALIGNMENT if LANES == 16 else 4)

    def _load(self, e: Emitter, places: list[Value]) -> list[Value]:
        return [e.load(place, _REALS, 4) for place in places]

    def _add(self, e: Emitter, places: list[Value], values: list[Value]) -> None:
        before = self._load(e, places)
        self._store(e, places, [e.builder.fadd(x, y) for x, y in zip(before, values, strict=True)])

    def _chains(self, e: Emitter, a: Value, row_bytes: Value, weights: Value, count: Value) -> list[Value]:
        width = 4 * LANES * self._vectors
        sources = [e.add(a, e.multiply(row_bytes, row)) for row in range(self._rows)]

        def term(k: Value, sums: list[Value]) -> list[Value]:
            place, results = e.add(weights, e.multiply(k, width)), []
            columns = [e.load(e.add(place, 4 * LANES * j), _REALS, 4) for j in range(self._vectors)]
            for row, source in enumerate(sources):
                number = e.splat(e.load(e.add(source, e.multiply(k, 4)), F32, 4), LANES)
                for j, column in enumerate(columns):
                    results.append(e.elementwise("fma", column, number, sums[row * self._vectors + j]))
            return results

        return e.loop(count, [e.constant(_REALS, 0.0)] * (self._rows * self._vectors), term)


def multiply_real(bits: int) -> Callable[..., None]:
    """All rows of a panel times columns left to right - 1."""
    tall = tier().rows[0]
    many, one, narrow_many, narrow_one = (
        intrinsic(_ARGUMENTS, _Block(rows, vectors, bits).emit)
        for rows, vectors in ((tall, 2), (1, 2), (tall, 1), (1, 1))
    )
    width = bits // 8

    @inline
    def multiply(
        a: Int64,
        stride: Int64,
        weights: Int64,
        steps: Int64,
        taps: Int64,
        channels: Int64,
        table: Int64,
        table_stride: Int64,
        base: Int64,
        out: Int64,
        out_bytes: Int64,
        rows: Int64,
        left: Int64,
        right: Int64,
    ) -> None:
        for n in range(left, right, 2 * LANES):
            w, o, valid, c, m = weights + n * steps * 4, out + n * width, right - n, base + n, 0
            while m + tall <= rows:
                x, y = a + m * stride, o + m * out_bytes
                if valid > LANES:
                    many(x, stride, w, taps, channels, table, table_stride, c, y, out_bytes, valid)
                else:
                    narrow_many(x, stride, w, taps, channels, table, table_stride, c, y, out_bytes, valid)
                m += tall
            while m < rows:
                x, y = a + m * stride, o + m * out_bytes
                if valid > LANES:
                    one(x, stride, w, taps, channels, table, table_stride, c, y, out_bytes, valid)
                else:
                    narrow_one(x, stride, w, taps, channels, table, table_stride, c, y, out_bytes, valid)
                m += 1

    return multiply


def put_real(operands: str) -> Callable[..., None]:
    """f32((q - zero point) * scale) of codes; ZERO_POINT is in the row of arguments, the scale at EXTRA_3, float32."""

    def emit(e: Emitter, arguments: Sequence[Value]) -> None:
        target, source, zero_point, scale = arguments
        b = e.builder
        codes = b.sub(load_wide(e, source, operands), e.splat(b.trunc(zero_point, I32), LANES))
        real = b.fmul(b.sitofp(codes, _REALS), e.splat(e.load(scale, F32, 4), LANES))
        e.store(real, target)

    convert: Any = intrinsic(4, emit)

    @inline
    def put(block: Int64, target: Int64, source: Int64, channels: Int64) -> None:
        zero_point, scale = field(block, Field.ZERO_POINT), field(block, Field.EXTRA_3)
        for c in range(0, channels, LANES):
            convert(target + 4 * c, source + c, zero_point, scale)

    return put
