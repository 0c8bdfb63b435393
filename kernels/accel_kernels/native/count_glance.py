"""A cheaper screen, of exact sums alone: tried first, where codes have no zero point.

Twice a partial sum in a block is the sum before it and the sum after it, and what its products up to there add more
than those behind take away: at most what positive weights add up to there and negative ones take away behind. That is
at most the Euclidean norm of the block's codes times that of these weights (Cauchy and Schwarz), of the place where
they are most; downwards it is the same with signs changed. The largest of all blocks of an output, r, is known from one
number of its row and one of its column: a partial sum differs by no more than r / 2 from the middle of the sums before
and after its block.

Variants compute two vectors of columns. Their arguments are those of `count_screen`, but what makes a bias, norms of
columns and norms of rows in place of bounds. Norms are float32, those of columns enough larger that rounding does not
matter.
"""

from collections.abc import Callable, Sequence
from typing import Any

from accel_kernels.native.count_screen import ARGUMENTS, Screen, note, part, parts
from accel_kernels.native.count_tiles import LEAST, MOST, TileScreen, Vectors
from accel_kernels.native.emit import F32, I8, I16, I32, Emitter, Value, intrinsic, vector
from accel_kernels.native.products import add_pairs
from accel_kernels.native.tier import TILE_ROWS, tier

LANES = tier().lanes
_WIDE = vector(I32, LANES)
_BYTES = 4 * LANES
_FLAGS = 2
"""Bytes of a vector's flags."""


def _note(
    e: Emitter, row: Value, known: Vectors, columns: Vectors, norms: Value, p: Value, out: tuple[Value, Value]
) -> None:
    """As `count_screen.note`, for two vectors; known: last sums, largest, smallest sums before and after a block."""
    builder, one = e.builder, e.constant(_WIDE, 1)
    norm = e.splat(e.load(e.add(norms, e.multiply(row, 4)), F32), LANES)
    for j in range(2):
        bias, most = columns[j], builder.fptosi(builder.fmul(norm, columns[2 + j]), _WIDE)
        reach = builder.add(most, e.constant(_WIDE, 2))
        high = builder.add(builder.ashr(builder.add(known[2 + j], reach), one), bias)
        low = builder.add(builder.ashr(builder.sub(known[4 + j], reach), one), bias)
        place = e.add(out[0], _BYTES * j), e.add(out[1], _FLAGS * j)
        note(e, row, builder.add(known[j], bias), (high, low), p, place)


def _columns(e: Emitter, bias: Value, norms: Value) -> Vectors:
    both = [e.load(e.add(bias, _BYTES * j), _WIDE) for j in range(2)]
    return both + [e.load(e.add(norms, _BYTES * j), vector(F32, LANES)) for j in range(2)]


def _included(e: Emitter, before: Vectors, after: Vectors, highs: Vectors, lows: Vectors) -> Vectors:
    """Sums after a block, and the extremes with it."""
    middles = [e.builder.add(*both) for both in zip(before, after, strict=True)]
    highs = [e.elementwise("smax", *both) for both in zip(highs, middles, strict=True)]
    return [*after, *highs, *(e.elementwise("smin", *both) for both in zip(lows, middles, strict=True))]


class _Glance(Screen):
    """Rows in vector registers."""

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        a, row_bytes, weights, groups, span, bias, column_norms, norms, p, sums, flags, _, _ = arguments
        sources = [e.add(a, e.multiply(row_bytes, row)) for row in range(self._rows)]
        count = 2 * self._rows

        def block(index: Value, held: Vectors) -> Vectors:
            done, before = e.builder.mul(index, span), held[:count]
            begin = e.add(weights, e.multiply(done, 2 * _BYTES))
            starts = [e.add(source, e.multiply(done, 4)) for source in sources]
            after = e.loop(part(e, groups, span, index), before, self.group(e, starts, begin))
            return _included(e, before, after, held[count : 2 * count], held[2 * count :])

        begin = [e.constant(_WIDE, number) for number in (0, LEAST, MOST) for _ in range(count)]
        held = e.loop(parts(e, groups, span), begin, block)
        columns = _columns(e, bias, column_norms)
        for row in range(self._rows):
            _note(e, e.number(row), held[row :: self._rows], columns, norms, p, (sums, flags))


class _TileGlance(TileScreen):
    """Rows in tile registers; weights of two vectors of columns in place of those of both signs."""

    def _begin(self, e: Emitter) -> Vectors:
        return [e.constant(_WIDE, number) for number in (0, 0, LEAST, LEAST, MOST, MOST)]

    def _columns(self, e: Emitter, special: Vectors) -> Vectors:
        bias, column_norms, norms = special
        return [*_columns(e, bias, column_norms), norms]

    def _each(self, e: Emitter, first: Value, special: Vectors, look: Callable[[Vectors], None]) -> None:
        look([])

    def _widen(self, e: Emitter, source: Value, count: Value, known: Vectors, limits: Vectors) -> Vectors:
        def block(k: Value, held: Vectors) -> Vectors:
            return _included(e, held[:2], self._block(e, source, k), held[2:4], held[4:])

        return e.loop(count, known, block)

    def _finish(
        self, e: Emitter, row: Value, known: Vectors, columns: Vectors, p: Value, out: tuple[Value, Value]
    ) -> None:
        _note(e, row, known, columns[:4], columns[4], p, out)


def glance(rows: int) -> Any:
    """The micro-kernel for so many rows: 14, 7, 1; on tiles 32, 16."""
    return intrinsic(ARGUMENTS, _TileGlance(rows // TILE_ROWS).emit if tier().tiles else _Glance(rows).emit)


_CODES = 2 * LANES
_WHOLE = 64
"""Codes that blocks are a multiple of."""


def _norm(e: Emitter, arguments: Sequence[Value]) -> None:
    """Arguments: codes, groups of 4 of them, those of a block (a multiple of 16), where the largest norm is put."""
    codes, groups, span, out = arguments
    builder = e.builder
    block = builder.sdiv(span, e.number(_WHOLE // 4))
    wholes = builder.sdiv(e.add(groups, _WHOLE // 4 - 1), e.number(_WHOLE // 4))

    def of_block(index: Value, carried: Vectors) -> Vectors:
        first = builder.mul(index, block)

        def whole(k: Value, totals: Vectors) -> Vectors:
            (total,) = totals
            start = e.add(codes, e.multiply(builder.add(first, k), _WHOLE))
            for i in range(0, _WHOLE, _CODES):
                x = builder.zext(e.load(e.add(start, i), vector(I8, _CODES)), vector(I16, _CODES))
                x = builder.bitcast(x, _WIDE)
                total = add_pairs(e, total, x, x)
            return [total]

        (total,) = e.loop(part(e, wholes, block, index), [e.constant(_WIDE, 0)], whole)
        found = e.call(f"llvm.vector.reduce.add.v{LANES}i32", I32, [total])
        return [builder.select(builder.icmp_signed(">", found, carried[0]), found, carried[0])]

    (most,) = e.loop(parts(e, wholes, block), [e.constant(I32, 0)], of_block)
    e.store(e.call("llvm.sqrt.f32", F32, [builder.sitofp(most, F32)]), out)


row_norm = intrinsic(4, _norm)
"""The largest Euclidean norm of a row's blocks, rounded."""
