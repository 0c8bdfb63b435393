"""Matrix products on the tile registers of AMX: one instruction multiplies 16 rows of 64 codes by 16 columns.

The operands and packed weights are those of `products`, whose rows hold whole steps of 64 codes; weights are 0 where a
reduction ends before, so that what `a` holds there does not matter. Sums begin with the bias and wrap modulo 2^32.
Registers 0 to 3 hold the sums of a block, 4 and 5 rows of `a`, 6 and 7 columns of weights.
"""

from collections.abc import Callable, Sequence

from llvmlite import ir

from accel_kernels._types import Int64
from accel_kernels.native.emit import I8, I16, I32, Emitter, Value, intrinsic, vector
from accel_kernels.native.epilogues import EPILOGUES, Epilogue, load_columns, narrow
from accel_kernels.native.fields import inline
from accel_kernels.native.rows import store_columns
from accel_kernels.native.tier import TILE_BYTES, TILE_ROWS

_LANES = TILE_BYTES // 4
_UNROLLED = 4
_CONFIGURATION = 64
_REGISTERS = 8
_ARGUMENTS = 11


def tile(e: Emitter, name: str, *operands: int | Value) -> None:
    """A tile instruction; registers are given as int."""
    values = [ir.Constant(I8, operand) if isinstance(operand, int) else operand for operand in operands]
    e.call(f"llvm.x86.{name}", ir.VoidType(), values)


def pointer(e: Emitter, address: Value) -> Value:
    """An address as tile instructions take it."""
    return e.builder.inttoptr(address, I8.as_pointer())


def held_bytes(e: Emitter, size: int) -> Value:
    """The address of memory on the stack, which begins where a vector register's does."""
    return e.builder.and_(e.add(e.room(size + TILE_BYTES), TILE_BYTES - 1), e.number(-TILE_BYTES))


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
    table, out, bytes between its rows, columns that exist, rows to store.
    """

    def __init__(self, down: int, across: int, operands: str, epilogue: Epilogue, bits: int) -> None:
        self._down, self._across, self._epilogue, self._bits = down, across, epilogue, bits
        self._instruction = "tdpbusd" if operands == "u8" else "tdpbssd"

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        a, row_bytes, weights, steps, table, table_stride, first, out, out_bytes, valid, rows = arguments
        biases = e.add(table, e.multiply(first, 4))
        sums = [(i, j) for i in range(self._down) for j in range(self._across)]
        for i, j in sums:
            tile(e, "tileloadd64", 2 * i + j, pointer(e, e.add(biases, TILE_BYTES * j)), e.number(0))
        width = TILE_BYTES * self._across
        below = [e.add(a, e.multiply(row_bytes, TILE_ROWS * i)) for i in range(self._down)]

        def step(k: Value, carried: list[Value]) -> list[Value]:
            place = e.add(weights, e.multiply(k, TILE_ROWS * width))
            for j in range(self._across):
                tile(e, "tileloadd64", 6 + j, pointer(e, e.add(place, TILE_BYTES * j)), e.number(width))
            for i, source in enumerate(below):
                codes = e.add(source, e.multiply(k, TILE_BYTES))
                tile(e, "tileloadd64", 4 + i, pointer(e, codes), row_bytes)
                for j in range(self._across):
                    tile(e, self._instruction, 2 * i + j, 4 + i, 6 + j)
            return []

        e.loop(steps, [], step)
        held = held_bytes(e, self._down * self._across * TILE_ROWS * TILE_BYTES)
        for i, j in sums:
            place = e.add(held, i * TILE_ROWS * width + TILE_BYTES * j)
            tile(e, "tilestored64", 2 * i + j, pointer(e, place), e.number(width))
        self._finish(e, held, (table, table_stride, first), out, out_bytes, valid, rows)

    def _finish(
        self,
        e: Emitter,
        held: Value,
        parameters: tuple[Value, Value, Value],
        out: Value,
        out_bytes: Value,
        valid: Value,
        rows: Value,
    ) -> None:
        """Requantize and store the rows."""
        table, stride, first = parameters
        width, kind = TILE_BYTES * self._across, vector(I32, _LANES)
        columns = [
            load_columns(e, self._epilogue, table, stride, e.add(first, j * _LANES), _LANES)
            for j in range(self._across)
        ]

        def finish(row: Value, *, whole: bool) -> None:
            for j, numbers in enumerate(columns):
                sums = e.load(e.add(e.add(held, e.multiply(row, width)), TILE_BYTES * j), kind, TILE_BYTES)
                codes = narrow(e, self._epilogue.apply(e, sums, numbers), self._bits)
                place = e.add(e.add(out, e.multiply(out_bytes, row)), j * _LANES * (self._bits // 8))
                if whole:
                    e.store(codes, place)
                else:
                    store_columns(e, codes, place, e.add(valid, -j * _LANES))

        def fourfold(index: Value, carried: list[Value]) -> list[Value]:
            for i in range(_UNROLLED):
                finish(e.add(e.multiply(index, _UNROLLED), i), whole=True)
            return []

        def single(index: Value, carried: list[Value]) -> list[Value]:
            finish(index, whole=False)
            return []

        fits = e.builder.icmp_signed(">=", valid, e.number(self._across * _LANES))
        even = e.builder.icmp_signed("==", e.builder.and_(rows, e.number(_UNROLLED - 1)), e.number(0))
        with e.builder.if_else(e.builder.and_(fits, even)) as (then, otherwise):
            with then:
                e.loop(e.builder.sdiv(rows, e.number(_UNROLLED)), [], fourfold)
            with otherwise:
                e.loop(rows, [], single)


def multiply_tiles(operands: str, kind: str, bits: int) -> Callable[..., None]:
    """As `convolve._multiply`; the last rows are computed with some before them once more, where that fills a block."""
    blocks = {
        (down, across): intrinsic(_ARGUMENTS, _Block(down, across, operands, EPILOGUES[kind], bits).emit)
        for down in (1, 2)
        for across in (1, 2)
    }
    low_narrow, low_wide, high_narrow, high_wide = (blocks[key] for key in ((1, 1), (1, 2), (2, 1), (2, 2)))
    configure, release = intrinsic(1, configure_tiles), intrinsic(0, release_tiles)
    width = bits // 8
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
        for n in range(left, right, 2 * _LANES):
            w, o, valid, place = weights + n * steps * 4, out + n * width, right - n, base + n
            m = 0
            while m < rows:
                if rows - m > one and rows >= two:
                    start = min(m, rows - two)
                    x, y = a + start * stride, o + start * out_bytes
                    if valid > _LANES:
                        high_wide(x, stride, w, whole, table, table_stride, place, y, out_bytes, valid, two)
                    else:
                        high_narrow(x, stride, w, whole, table, table_stride, place, y, out_bytes, valid, two)
                    m = start + two
                else:
                    start = max(min(m, rows - one), 0)
                    x, y, count = a + start * stride, o + start * out_bytes, min(rows, one)
                    if valid > _LANES:
                        low_wide(x, stride, w, whole, table, table_stride, place, y, out_bytes, valid, count)
                    else:
                        low_narrow(x, stride, w, whole, table, table_stride, place, y, out_bytes, valid, count)
                    m = start + one
        release()

    return multiply
