"""Products of int16 codes and int8 weights on the tile registers of AMX, which multiply bytes.

A code is 256 times its upper byte, which is signed, plus its lower byte, which is not:

    sum of x * w = 256 * (sum of upper * w) + (sum of lower * w)

Rows of operands hold lower bytes, rounded up to whole steps of 64, then room, then upper bytes; packed weights are
those of 8-bit codes. Both sums fit 32 bits up to MOST_TERMS; their combination is exact modulo 2^32, or in 64 bits.
Registers 0 and 1 hold the sums of lower bytes, 2 and 3 of upper ones, 4 and 5 operands, 6 and 7 columns of weights.
"""

from collections.abc import Callable, Sequence

from accel_kernels._types import Int64
from accel_kernels.native.emit import I32, I64, Emitter, Value, held_bytes, intrinsic, vector
from accel_kernels.native.epilogues import EPILOGUES, Epilogue, load_columns, narrow
from accel_kernels.native.fields import inline
from accel_kernels.native.rows import store_columns
from accel_kernels.native.tier import TILE_BYTES, TILE_ROWS
from accel_kernels.native.tiles import configure_tiles, pointer, release_tiles, tile

_LANES = TILE_BYTES // 4
_ARGUMENTS = 11


class _Block:
    """Sixteen rows of sums, `across` vectors wide; arguments as of the blocks in `tiles`."""

    def __init__(self, across: int, epilogue: Epilogue, bits: int, *, wide: bool) -> None:
        self._across, self._epilogue, self._bits, self._wide = across, epilogue, bits, wide

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        a, row_bytes, weights, steps, table, table_stride, first, out, out_bytes, valid, rows = arguments
        for register in range(4):
            tile(e, "tilezero", register)
        width, upper = TILE_BYTES * self._across, e.builder.ashr(row_bytes, e.number(1))

        def step(k: Value, carried: list[Value]) -> list[Value]:
            place, codes = e.add(weights, e.multiply(k, TILE_ROWS * width)), e.add(a, e.multiply(k, TILE_BYTES))
            tile(e, "tileloadd64", 4, pointer(e, codes), row_bytes)
            tile(e, "tileloadd64", 5, pointer(e, e.add(codes, upper)), row_bytes)
            for j in range(self._across):
                tile(e, "tileloadd64", 6 + j, pointer(e, e.add(place, TILE_BYTES * j)), e.number(width))
                tile(e, "tdpbusd", j, 4, 6 + j)
                tile(e, "tdpbssd", 2 + j, 5, 6 + j)
            return []

        e.loop(steps, [], step)
        held = held_bytes(e, 4 * TILE_ROWS * TILE_BYTES)
        for register in (*range(self._across), *range(2, 2 + self._across)):
            place = e.add(held, register * TILE_ROWS * TILE_BYTES)
            tile(e, "tilestored64", register, pointer(e, place), e.number(TILE_BYTES))
        for j in range(self._across):
            self._finish(
                e, e.add(held, j * TILE_ROWS * TILE_BYTES), (table, table_stride, first), j, out, out_bytes, valid, rows
            )

    def _finish(
        self,
        e: Emitter,
        held: Value,
        parameters: tuple[Value, Value, Value],
        j: int,
        out: Value,
        out_bytes: Value,
        valid: Value,
        rows: Value,
    ) -> None:
        """Requantize and store one vector of columns, row by row."""
        table, stride, first = parameters
        columns = load_columns(e, self._epilogue, table, stride, e.add(first, j * _LANES), _LANES)
        bias = columns["bias"]
        if self._wide:
            bias = e.load(e.add(table, e.multiply(e.add(first, j * _LANES), 8)), vector(I64, _LANES), 8)
        target, left = e.add(out, j * _LANES * self._bits // 8), e.add(valid, -j * _LANES)

        def finish(row: Value, carried: list[Value]) -> list[Value]:
            sums = self._sum(e, e.add(held, e.multiply(row, TILE_BYTES)), bias)
            codes = narrow(e, self._epilogue.apply(e, sums, columns), self._bits)
            store_columns(e, codes, e.add(target, e.multiply(out_bytes, row)), left)
            return []

        e.loop(rows, [], finish)

    def _sum(self, e: Emitter, place: Value, bias: Value) -> Value:
        b, kind = e.builder, vector(I32, _LANES)
        lower, upper = (e.load(e.add(place, i * 2 * TILE_ROWS * TILE_BYTES), kind, TILE_BYTES) for i in range(2))
        if self._wide:
            lower, upper = (b.sext(half, vector(I64, _LANES)) for half in (lower, upper))
        return b.add(bias, b.add(lower, b.shl(upper, e.constant(upper.type, 8))))


def multiply_split(kind: str, bits: int, *, wide: bool) -> Callable[..., None]:
    """As `convolve.multiply_panel`; the last rows are computed with some before them once more, where there are any."""
    alone, both = (intrinsic(_ARGUMENTS, _Block(across, EPILOGUES[kind], bits, wide=wide).emit) for across in (1, 2))
    configure, release = intrinsic(1, configure_tiles), intrinsic(0, release_tiles)
    width, most = bits // 8, TILE_ROWS

    @inline
    def multiply(
        a: Int64,
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
    ) -> None:
        count = min(rows, most)
        configure(count)
        whole = steps // 16
        for n in range(left, right, 2 * _LANES):
            w, o, valid, place = weights + n * steps * 4, out + n * width, right - n, base + n
            m = 0
            while m < rows:
                start = max(min(m, rows - most), 0)
                x, y = a + start * stride, o + start * out_bytes
                if valid > _LANES:
                    both(x, stride, w, whole, table, table_stride, place, y, out_bytes, valid, count)
                else:
                    alone(x, stride, w, whole, table, table_stride, place, y, out_bytes, valid, count)
                m = start + most
        release()

    return multiply
