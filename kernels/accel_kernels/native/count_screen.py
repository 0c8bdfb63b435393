"""Exact sums of many outputs, and which of them may have overflowed on the way.

Each sum is computed in two halves, the products that are >= 0 and those that are <= 0. What is added between two
blocks of products lies between what the halves add, so all partial sums are bounded, block by block.

Here rows are in vector registers; in `count_tiles` they are in tile registers, of which each instruction multiplies a
block.
"""

from collections.abc import Callable, Sequence

from llvmlite import ir

from accel_kernels.native.count_blocks import WIDE
from accel_kernels.native.count_flags import FLAG_BYTES
from accel_kernels.native.emit import I16, I32, Emitter, Value, vector
from accel_kernels.native.tier import tier

LANES = tier().lanes
_WIDE = vector(I32, LANES)
_BYTES = 4 * LANES
SUM_BYTES = WIDE * _BYTES
"""Of a row of sums."""
ARGUMENTS = 13
"""a, bytes between its rows, weights, groups of 4 products, those of a block, bounds of the vector of columns, bytes
between their rows (0: one is all), what only `count_glance` needs, p, sums, flags, rows (at most the kernel's; LLVM
would unroll loops over a constant), memory for SCREEN_BYTES."""


def note(
    e: Emitter, row: Value, total: Value, extremes: tuple[Value, Value], p: Value, out: tuple[Value, Value]
) -> None:
    """Store the sum of a row, and a flag that is 0 where partial sums between two extremes fit p bits."""
    builder, (high, low) = e.builder, extremes
    sums, flags = out
    half = builder.shl(ir.Constant(I32, 1), builder.sub(builder.trunc(p, I32), ir.Constant(I32, 1)))
    least, most = e.splat(builder.neg(half), LANES), e.splat(builder.sub(half, ir.Constant(I32, 1)), LANES)
    e.store(total, e.add(sums, e.multiply(row, SUM_BYTES)))
    either = builder.or_(builder.icmp_signed(">", high, most), builder.icmp_signed("<", low, least))
    note_flags(e, either, e.add(flags, e.multiply(row, FLAG_BYTES)))


def note_flags(e: Emitter, flags: Value, place: Value) -> None:
    """Store those of a vector."""
    mask = e.builder.bitcast(flags, ir.IntType(LANES))
    e.store(e.builder.zext(mask, I16) if LANES < 16 else mask, place)


def parts(e: Emitter, count: Value, each: Value) -> Value:
    """How many parts of a size there are."""
    return e.builder.sdiv(e.builder.sub(e.builder.add(count, each), e.number(1)), each)


def part(e: Emitter, count: Value, each: Value, index: Value) -> Value:
    """The size of one of them."""
    left = e.builder.sub(count, e.builder.mul(index, each))
    return e.builder.select(e.builder.icmp_signed("<", left, each), left, each)


class Screen:
    """A block of rows in vector registers."""

    def __init__(self, rows: int) -> None:
        self._rows = rows

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        """Its instructions."""
        a, row_bytes, weights, groups, span, bounds, bounds_bytes, _, p, sums, flags, _, _ = arguments
        sources = [e.add(a, e.multiply(row_bytes, row)) for row in range(self._rows)]
        zero = e.constant(_WIDE, 0)
        blocks = parts(e, groups, span)

        def block(index: Value, held: list[Value]) -> list[Value]:
            done = e.builder.mul(index, span)
            count = part(e, groups, span, index)
            begin, totals = e.add(weights, e.multiply(done, 2 * _BYTES)), held[: self._rows]
            starts = [e.add(source, e.multiply(done, 4)) for source in sources]
            halves = e.loop(count, [*totals, *totals], self.group(e, starts, begin))
            place = e.add(bounds, e.multiply(bounds_bytes, e.add(e.multiply(index, 2), 1)))
            above, below = e.load(place, _WIDE), e.load(e.add(place, bounds_bytes), _WIDE)
            tops, bottoms = halves[: self._rows], halves[self._rows :]
            three = zip(totals, tops, bottoms, strict=True)
            totals = [e.builder.sub(e.builder.add(top, bottom), s) for s, top, bottom in three]
            tops = [e.builder.add(top, above) for top in tops]
            bottoms = [e.builder.add(bottom, below) for bottom in bottoms]
            highs = [e.elementwise("smax", *pair) for pair in zip(held[self._rows : 2 * self._rows], tops, strict=True)]
            lows = [e.elementwise("smin", *pair) for pair in zip(held[2 * self._rows :], bottoms, strict=True)]
            return [*totals, *highs, *lows]

        held = e.loop(blocks, [zero] * (3 * self._rows), block)
        folded = e.load(bounds, _WIDE)
        for row in range(self._rows):
            extremes = held[self._rows + row], held[2 * self._rows + row]
            note(e, e.number(row), e.builder.add(held[row], folded), extremes, p, (sums, flags))

    def group(self, e: Emitter, sources: list[Value], weights: Value) -> Callable[..., list[Value]]:
        """The products of a group with two vectors of weights that lie side by side."""

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
