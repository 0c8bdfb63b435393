"""Exact sums of many outputs, and which of them may have overflowed on the way.

Each sum is computed in two halves, the products that are >= 0 and those that are <= 0. What is added between two
blocks of products lies between what the halves add, so all partial sums are bounded, block by block.

Variants compute 14, 7 or 1 rows times a vector of columns in vector registers; or 32 or 16 in tile registers, of which
each instruction multiplies a block.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from accel_kernels.native.count_blocks import BLOCK, SCREEN_BYTES, WIDE
from accel_kernels.native.emit import I16, I32, Emitter, Value, intrinsic, vector
from accel_kernels.native.tier import TILE_BYTES, TILE_ROWS, tier
from accel_kernels.native.tiles import pointer, tile

LANES = tier().lanes
_WIDE = vector(I32, LANES)
_BYTES = 4 * LANES
SUM_BYTES = WIDE * _BYTES
"""Of a row of sums."""
FLAG_BYTES = 2 * WIDE
"""Of a row of flags."""
ARGUMENTS = 12
"""a, bytes between its rows, weights, groups of 4 products, those of a block, bounds of the vector of columns, bytes
between their rows (0: one is all), p, sums, flags, rows (at most the kernel's; LLVM would unroll loops over a
constant), memory for SCREEN_BYTES."""


def _note(
    e: Emitter, row: Value, total: Value, extremes: tuple[Value, Value], p: Value, out: tuple[Value, Value]
) -> None:
    """Store the sum of a row, and a flag that is 0 where partial sums between two extremes fit p bits."""
    builder, (high, low) = e.builder, extremes
    sums, flags = out
    half = builder.shl(ir.Constant(I32, 1), builder.sub(builder.trunc(p, I32), ir.Constant(I32, 1)))
    least, most = e.splat(builder.neg(half), LANES), e.splat(builder.sub(half, ir.Constant(I32, 1)), LANES)
    e.store(total, e.add(sums, e.multiply(row, SUM_BYTES)))
    either = builder.or_(builder.icmp_signed(">", high, most), builder.icmp_signed("<", low, least))
    mask = builder.bitcast(either, ir.IntType(LANES))
    e.store(builder.zext(mask, I16) if LANES < 16 else mask, e.add(flags, e.multiply(row, FLAG_BYTES)))


def _parts(e: Emitter, count: Value, each: Value) -> Value:
    """How many parts of a size there are."""
    return e.builder.sdiv(e.builder.sub(e.builder.add(count, each), e.number(1)), each)


def _part(e: Emitter, count: Value, each: Value, index: Value) -> Value:
    """The size of one of them."""
    left = e.builder.sub(count, e.builder.mul(index, each))
    return e.builder.select(e.builder.icmp_signed("<", left, each), left, each)


class _Screen:
    """A block of rows in vector registers."""

    def __init__(self, rows: int) -> None:
        self._rows = rows

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        a, row_bytes, weights, groups, span, bounds, bounds_bytes, p, sums, flags, _, _ = arguments
        sources = [e.add(a, e.multiply(row_bytes, row)) for row in range(self._rows)]
        zero = e.constant(_WIDE, 0)
        blocks = _parts(e, groups, span)

        def block(index: Value, held: list[Value]) -> list[Value]:
            done = e.builder.mul(index, span)
            count = _part(e, groups, span, index)
            begin, totals = e.add(weights, e.multiply(done, 2 * _BYTES)), held[: self._rows]
            starts = [e.add(source, e.multiply(done, 4)) for source in sources]
            halves = e.loop(count, [*totals, *totals], self._group(e, starts, begin))
            place = e.add(bounds, e.multiply(bounds_bytes, e.add(e.multiply(index, 2), 1)))
            above, below = e.load(place, _WIDE), e.load(e.add(place, bounds_bytes), _WIDE)
            tops, bottoms = halves[: self._rows], halves[self._rows :]
            parts = zip(totals, tops, bottoms, strict=True)
            totals = [e.builder.sub(e.builder.add(top, bottom), s) for s, top, bottom in parts]
            tops = [e.builder.add(top, above) for top in tops]
            bottoms = [e.builder.add(bottom, below) for bottom in bottoms]
            highs = [e.elementwise("smax", *pair) for pair in zip(held[self._rows : 2 * self._rows], tops, strict=True)]
            lows = [e.elementwise("smin", *pair) for pair in zip(held[2 * self._rows :], bottoms, strict=True)]
            return [*totals, *highs, *lows]

        held = e.loop(blocks, [zero] * (3 * self._rows), block)
        folded = e.load(bounds, _WIDE)
        for row in range(self._rows):
            extremes = held[self._rows + row], held[2 * self._rows + row]
            _note(e, e.number(row), e.builder.add(held[row], folded), extremes, p, (sums, flags))

    def _group(self, e: Emitter, sources: list[Value], weights: Value) -> Callable[..., list[Value]]:
        def body(k: Value, held: list[Value]) -> list[Value]:
            place = e.add(weights, e.multiply(k, 2 * _BYTES))
            halves = [e.load(e.add(place, _BYTES * sign), _WIDE) for sign in range(2)]
            results = list(held)
            for row, source in enumerate(sources):
                codes = e.splat(e.load(e.add(source, e.multiply(k, 4)), I32), LANES)
                for sign, half in enumerate(halves):
                    at = sign * self._rows + row
                    name = f"llvm.x86.avx512.vpdpbusd.{32 * LANES}"
                    results[at] = e.call(name, _WIDE, [held[at], codes, half])
            return results

        return body


_CHUNK = 4
_PAIR = 2 * TILE_BYTES
_STATE = 4 * TILE_BYTES
assert 2 * TILE_ROWS * (_CHUNK * _PAIR + _STATE) <= SCREEN_BYTES


_Limits = tuple[Value, Value] | None
"""Where the bounds of a first block lie, and bytes between rows of bounds; None where all are the same."""


class _TileScreen:
    """A block of `down` tiles of rows; registers: sums of positive and of negative products, a, weights of both signs.

    The sums of some blocks of products are stored one after the other, positive beside negative, and then looked at
    row by row. Where these are all blocks, what is known of a row stays in registers.
    """

    def __init__(self, down: int) -> None:
        self._down, self._rows = down, down * TILE_ROWS

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        a, row_bytes, weights, groups, span, bounds, bounds_bytes, p, sums, flags, rows, memory = arguments
        builder = e.builder
        steps, block = (builder.sdiv(number, e.number(BLOCK)) for number in (groups, span))
        held, state = memory, e.add(memory, _CHUNK * self._rows * _PAIR)
        for register in range(2 * self._down):
            tile(e, "tilezero", register)
        begin = [e.constant(_WIDE, number) for number in (0, 0, -(1 << 31), (1 << 31) - 1)]
        blocks, several = _parts(e, steps, block), e.number(_CHUNK)
        uniform = builder.icmp_signed("==", bounds_bytes, e.number(0))
        folded = e.load(bounds, _WIDE)
        missing = builder.select(uniform, folded, e.constant(_WIDE, 0))

        def multiply_all(first: Value, count: Value) -> None:
            def multiply(k: Value, carried: list[Value]) -> list[Value]:
                number = builder.add(first, k)
                begin, these = builder.mul(number, block), _part(e, steps, block, number)
                out = e.add(held, e.multiply(k, self._rows * _PAIR))
                self._multiply(e, (a, row_bytes, weights), begin, these, out)
                return []

            e.loop(count, [], multiply)

        def finish(row: Value, known: list[Value]) -> None:
            positive, negative, *extremes = known
            total = builder.add(builder.add(positive, negative), folded)
            high, low = (builder.add(extreme, missing) for extreme in extremes)
            _note(e, row, total, (high, low), p, (sums, flags))

        def look(first: Value, count: Value, read: Callable[..., list[Value]], write: Callable[..., None]) -> None:
            limits = e.add(bounds, e.multiply(bounds_bytes, e.add(e.multiply(first, 2), 1)))

            def every(limits: _Limits) -> None:
                def widen(row: Value, carried: list[Value]) -> list[Value]:
                    write(row, self._widen(e, e.add(held, e.multiply(row, _PAIR)), count, read(row), limits))
                    return []

                e.loop(rows, [], widen)

            with builder.if_else(uniform) as (then, otherwise):
                with then:
                    every(None)
                with otherwise:
                    every((limits, bounds_bytes))

        def place(row: Value, i: int) -> Value:
            return e.add(e.add(state, e.multiply(row, _STATE)), TILE_BYTES * i)

        def recall(row: Value) -> list[Value]:
            return [e.load(place(row, i), _WIDE, TILE_BYTES) for i in range(4)]

        def keep(row: Value, known: list[Value]) -> None:
            for i, value in enumerate(known):
                e.store(value, place(row, i), TILE_BYTES)

        def chunk(index: Value, carried: list[Value]) -> list[Value]:
            first, count = e.multiply(index, _CHUNK), _part(e, blocks, several, index)
            multiply_all(first, count)
            look(first, count, recall, keep)
            return []

        def each(act: Callable[[Value], None]) -> None:
            def body(row: Value, carried: list[Value]) -> list[Value]:
                act(row)
                return []

            e.loop(rows, [], body)

        with builder.if_else(builder.icmp_signed("<=", blocks, several)) as (then, otherwise):
            with then:
                multiply_all(e.number(0), blocks)
                look(e.number(0), blocks, lambda row: begin, finish)
            with otherwise:
                each(lambda row: keep(row, begin))
                e.loop(_parts(e, blocks, several), [], chunk)
                each(lambda row: finish(row, recall(row)))

    def _multiply(
        self, e: Emitter, operands: tuple[Value, Value, Value], first: Value, count: Value, out: Value
    ) -> None:
        """A block of products; the sums after it."""
        a, row_bytes, weights = operands

        def step(k: Value, carried: list[Value]) -> list[Value]:
            now = e.builder.add(first, k)
            place = e.add(weights, e.multiply(now, TILE_ROWS * _PAIR))
            for sign in range(2):
                source = pointer(e, e.add(place, TILE_BYTES * sign))
                tile(e, "tileloadd64", 6 + sign, source, e.number(_PAIR))
            for i in range(self._down):
                source = e.add(e.add(a, e.multiply(row_bytes, TILE_ROWS * i)), e.multiply(now, TILE_BYTES))
                tile(e, "tileloadd64", 4 + i, pointer(e, source), row_bytes)
                for sign in range(2):
                    tile(e, "tdpbusd", 2 * i + sign, 4 + i, 6 + sign)
            return []

        e.loop(count, [], step)
        for i in range(self._down):
            for sign in range(2):
                target = pointer(e, e.add(out, i * TILE_ROWS * _PAIR + TILE_BYTES * sign))
                tile(e, "tilestored64", 2 * i + sign, target, e.number(_PAIR))

    def _widen(self, e: Emitter, source: Value, count: Value, known: list[Value], limits: _Limits) -> list[Value]:
        """Of a row, the sums after some blocks, and the extremes with the bounds of these included."""
        builder = e.builder

        def block(k: Value, carried: list[Value]) -> list[Value]:
            positive, negative, high, low = carried
            now = e.add(source, e.multiply(k, self._rows * _PAIR))
            more, less = (e.load(e.add(now, TILE_BYTES * sign), _WIDE, TILE_BYTES) for sign in range(2))
            top, bottom = builder.add(more, negative), builder.add(less, positive)
            if limits:
                limit = e.add(limits[0], e.multiply(limits[1], e.multiply(k, 2)))
                top = builder.add(top, e.load(limit, _WIDE))
                bottom = builder.add(bottom, e.load(e.add(limit, limits[1]), _WIDE))
            return [more, less, e.elementwise("smax", high, top), e.elementwise("smin", low, bottom)]

        return e.loop(count, known, block)


def screen(rows: int) -> Any:
    """The micro-kernel for so many rows: 14, 7, 1; on tiles 32, 16."""
    return intrinsic(ARGUMENTS, _TileScreen(rows // TILE_ROWS).emit if tier().tiles else _Screen(rows).emit)
