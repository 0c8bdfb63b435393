"""Matrix products on the tile registers of AMX: one instruction multiplies 16 rows of 64 codes by 16 columns.

The operands and packed weights are those of `products`, whose rows hold whole steps of 64 codes; weights are 0 where a
reduction ends before, so that what `a` holds there does not matter. Sums begin with the bias and wrap modulo 2^32.
Registers 0 to 3 hold the sums of a block, 4 and 5 rows of `a`, 6 and 7 columns of weights. A block of rows stays in the
first-level cache while weights pass over it; the first time, weights are brought into the second-level one before they
are needed. Rows are not: what lies behind them may be another thread's, which would have to fetch it back.
"""

from collections.abc import Callable, Sequence

from llvmlite import ir

from accel_kernels._types import Int64
from accel_kernels.native.emit import I8, I16, Emitter, Value, intrinsic, vector
from accel_kernels.native.endings import Ending, ending
from accel_kernels.native.fields import inline
from accel_kernels.native.held import hold
from accel_kernels.native.tier import TILE_BYTES, TILE_ROWS

_LANES = TILE_BYTES // 4
_CONFIGURATION = 64
_REGISTERS = 8
_ARGUMENTS = 12
_LINE = 64
_AHEAD = 4
"""Steps that weights are fetched ahead."""


def tile(e: Emitter, name: str, *operands: int | Value) -> None:
    """A tile instruction; registers are given as int."""
    values = [ir.Constant(I8, operand) if isinstance(operand, int) else operand for operand in operands]
    e.call(f"llvm.x86.{name}", ir.VoidType(), values)


def pointer(e: Emitter, address: Value) -> Value:
    """An address as tile instructions take it."""
    return e.builder.inttoptr(address, I8.as_pointer())


def configure_tiles(e: Emitter, arguments: Sequence[Value]) -> None:
    """All registers as (rows) x 64 bytes, those of weights with 16 rows."""
    (rows,) = arguments
    start = e.room(_CONFIGURATION)
    e.store(e.constant(vector(I8, _CONFIGURATION), 0), start)
    e.store(ir.Constant(I8, 1), start)
    for register in range(_REGISTERS):
        e.store(ir.Constant(I16, TILE_BYTES), e.add(start, 16 + 2 * register))
        count = ir.Constant(I8, TILE_ROWS) if register >= 6 else e.builder.trunc(rows, I8)
        e.store(count, e.add(start, 48 + register))
    tile(e, "ldtilecfg", pointer(e, start))


def release_tiles(e: Emitter, arguments: Sequence[Value]) -> None:
    """Give the registers up, which makes switching threads cheaper."""
    tile(e, "tilerelease")


class _Block:
    """A block of `down` x `across` registers of sums.

    Arguments: a, bytes between its rows, weights, steps of 64 codes, table, bytes of a table row, first column in the
    table, out, bytes between its rows, columns that exist, rows to store, whether weights are read for the first time.
    """

    def __init__(self, down: int, across: int, operands: str, ending: Ending) -> None:
        self._down, self._across, self._ending = down, across, ending
        self._instruction = "tdpbusd" if operands == "u8" else "tdpbssd"

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        a, row_bytes, weights, steps, table, table_stride, first, out, out_bytes, valid, rows, cold = arguments
        biases = e.add(table, e.multiply(first, 4))
        sums = [(i, j) for i in range(self._down) for j in range(self._across)]
        for i, j in sums:
            tile(e, "tileloadd64", 2 * i + j, pointer(e, e.add(biases, TILE_BYTES * j)), e.number(0))
        width, fetches = TILE_BYTES * self._across, e.builder.icmp_signed("!=", cold, e.number(0))
        below = [e.add(a, e.multiply(row_bytes, TILE_ROWS * i)) for i in range(self._down)]

        def step(k: Value, carried: list[Value]) -> list[Value]:
            place = e.add(weights, e.multiply(k, TILE_ROWS * width))
            with e.builder.if_then(fetches):
                for line in range(0, TILE_ROWS * width, _LINE):
                    e.prefetch(e.add(place, _AHEAD * TILE_ROWS * width + line), 2)
            for j in range(self._across):
                tile(e, "tileloadd64", 6 + j, pointer(e, e.add(place, TILE_BYTES * j)), e.number(width))
            for i, source in enumerate(below):
                codes = e.add(source, e.multiply(k, TILE_BYTES))
                tile(e, "tileloadd64", 4 + i, pointer(e, codes), row_bytes)
                for j in range(self._across):
                    tile(e, self._instruction, 2 * i + j, 4 + i, 6 + j)
            return []

        e.loop(steps, [], step)
        held = hold(e, self._down * TILE_ROWS, self._across)
        for i, j in sums:
            place = e.add(held, i * TILE_ROWS * width + TILE_BYTES * j)
            tile(e, "tilestored64", 2 * i + j, pointer(e, place), e.number(width))
        parameters = self._ending.load(e, table, table_stride, first)
        self._ending.finish(e, held, rows, parameters, out, out_bytes, valid)


_WEIGHTS_TOGETHER = 1 << 19
"""Bytes of weights that pass over one block of rows after the other."""


def multiply_tiles(operands: str, kind: str, bits: int) -> Callable[..., None]:
    """As `convolve._multiply`; the last rows are computed with some before them once more, where that fills a block."""
    blocks = {
        (down, across): intrinsic(_ARGUMENTS, _Block(down, across, operands, ending(kind, across, bits)).emit)
        for down in (1, 2)
        for across in (1, 2)
    }
    low_narrow, low_wide, high_narrow, high_wide = (blocks[key] for key in ((1, 1), (1, 2), (2, 1), (2, 2)))
    configure, release = intrinsic(1, configure_tiles), intrinsic(0, release_tiles)
    width, tile = bits // 8, 2 * _LANES
    one, two = TILE_ROWS, 2 * TILE_ROWS

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
        configure(min(rows, one))
        whole = steps // 16
        together = max(_WEIGHTS_TOGETHER // (steps * 4 * tile), 1) * tile
        for first in range(left, right, together):
            m = 0
            while m < rows:
                high = rows - m > one and rows >= two
                start = min(m, rows - two) if high else max(min(m, rows - one), 0)
                x, y, count = a + start * stride, out + start * out_bytes, min(rows, one)
                cold, m = 1 if m == 0 else 0, start + two if high else start + one
                for n in range(first, min(first + together, right), tile):
                    w, o, valid, place = weights + n * steps * 4, y + n * width, right - n, base + n
                    if high and valid > _LANES:
                        high_wide(x, stride, w, whole, table, table_stride, place, o, out_bytes, valid, two, cold)
                    elif high:
                        high_narrow(x, stride, w, whole, table, table_stride, place, o, out_bytes, valid, two, cold)
                    elif valid > _LANES:
                        low_wide(x, stride, w, whole, table, table_stride, place, o, out_bytes, valid, count, cold)
                    else:
                        low_narrow(x, stride, w, whole, table, table_stride, place, o, out_bytes, valid, count, cold)
        release()

    return multiply
