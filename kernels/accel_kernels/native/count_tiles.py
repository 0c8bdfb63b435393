"""The screen on tile registers."""

from collections.abc import Callable, Sequence

from accel_kernels.native.count_blocks import BLOCK, FEW, SCREEN_BYTES
from accel_kernels.native.count_screen import note, part, parts
from accel_kernels.native.emit import I32, Emitter, Value, vector
from accel_kernels.native.tier import TILE_BYTES, TILE_ROWS
from accel_kernels.native.tiles import pointer, tile

_WIDE = vector(I32, TILE_BYTES // 4)
_PAIR = 2 * TILE_BYTES
_MOST_KEPT = 6
assert 2 * TILE_ROWS * (FEW * _PAIR + _MOST_KEPT * TILE_BYTES) <= SCREEN_BYTES

Vectors = list[Value]
LEAST, MOST = -(1 << 31), (1 << 31) - 1


class TileScreen:
    """A block of `down` tiles of rows; registers: sums of positive and of negative products, a, weights of both signs.

    The sums of some blocks of products are stored one after the other, positive beside negative, and then looked at
    row by row. Where these are all blocks, what is known of a row stays in registers.
    """

    def __init__(self, down: int) -> None:
        self._down, self._rows = down, down * TILE_ROWS

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        """Its instructions; arguments as of `Screen`."""
        a, row_bytes, weights, groups, span, *special, p, sums, flags, rows, memory = arguments
        builder = e.builder
        steps, block = (builder.sdiv(number, e.number(BLOCK)) for number in (groups, span))
        held, state = memory, e.add(memory, FEW * self._rows * _PAIR)
        for register in range(2 * self._down):
            tile(e, "tilezero", register)
        begin, blocks, several = self._begin(e), parts(e, steps, block), e.number(FEW)
        columns = self._columns(e, special)

        def multiply_all(first: Value, count: Value) -> None:
            def multiply(k: Value, carried: Vectors) -> Vectors:
                number = builder.add(first, k)
                begin, these = builder.mul(number, block), part(e, steps, block, number)
                out = e.add(held, e.multiply(k, self._rows * _PAIR))
                self._multiply(e, (a, row_bytes, weights), begin, these, out)
                return []

            e.loop(count, [], multiply)

        def look(first: Value, count: Value, read: Callable[..., Vectors], write: Callable[..., None]) -> None:
            def widen(row: Value, limits: Vectors) -> None:
                write(row, self._widen(e, e.add(held, e.multiply(row, _PAIR)), count, read(row), limits))

            self._each(e, first, special, lambda limits: each(lambda row: widen(row, limits)))

        def each(act: Callable[[Value], None]) -> None:
            def body(row: Value, carried: Vectors) -> Vectors:
                act(row)
                return []

            e.loop(rows, [], body)

        def place(row: Value, i: int) -> Value:
            return e.add(e.add(state, e.multiply(row, len(begin) * TILE_BYTES)), TILE_BYTES * i)

        def recall(row: Value) -> Vectors:
            return [e.load(place(row, i), _WIDE, TILE_BYTES) for i in range(len(begin))]

        def keep(row: Value, known: Vectors) -> None:
            for i, value in enumerate(known):
                e.store(value, place(row, i), TILE_BYTES)

        def finish(row: Value, known: Vectors) -> None:
            self._finish(e, row, known, columns, p, (sums, flags))

        def chunk(index: Value, carried: Vectors) -> Vectors:
            first, count = e.multiply(index, FEW), part(e, blocks, several, index)
            multiply_all(first, count)
            look(first, count, recall, keep)
            return []

        with builder.if_else(builder.icmp_signed("<=", blocks, several)) as (then, otherwise):
            with then:
                multiply_all(e.number(0), blocks)
                look(e.number(0), blocks, lambda row: begin, finish)
            with otherwise:
                each(lambda row: keep(row, begin))
                e.loop(parts(e, blocks, several), [], chunk)
                each(lambda row: finish(row, recall(row)))

    def _multiply(
        self, e: Emitter, operands: tuple[Value, Value, Value], first: Value, count: Value, out: Value
    ) -> None:
        """A block of products; the sums after it."""
        a, row_bytes, weights = operands

        def step(k: Value, carried: Vectors) -> Vectors:
            now = e.builder.add(first, k)
            place = e.add(weights, e.multiply(now, TILE_ROWS * _PAIR))
            for beside in range(2):
                source = pointer(e, e.add(place, TILE_BYTES * beside))
                tile(e, "tileloadd64", 6 + beside, source, e.number(_PAIR))
            for i in range(self._down):
                source = e.add(e.add(a, e.multiply(row_bytes, TILE_ROWS * i)), e.multiply(now, TILE_BYTES))
                tile(e, "tileloadd64", 4 + i, pointer(e, source), row_bytes)
                for beside in range(2):
                    tile(e, "tdpbusd", 2 * i + beside, 4 + i, 6 + beside)
            return []

        e.loop(count, [], step)
        for i in range(self._down):
            for beside in range(2):
                target = pointer(e, e.add(out, i * TILE_ROWS * _PAIR + TILE_BYTES * beside))
                tile(e, "tilestored64", 2 * i + beside, target, e.number(_PAIR))

    def _block(self, e: Emitter, source: Value, k: Value) -> Vectors:
        """The two vectors of sums of a row after a block."""
        now = e.add(source, e.multiply(k, self._rows * _PAIR))
        return [e.load(e.add(now, TILE_BYTES * beside), _WIDE, TILE_BYTES) for beside in range(2)]

    def _begin(self, e: Emitter) -> Vectors:
        """What is known of a row before the first block."""
        return [e.constant(_WIDE, number) for number in (0, 0, LEAST, MOST)]

    def _columns(self, e: Emitter, special: Vectors) -> Vectors:
        """What is known of columns: what makes a bias of sums of codes, and how much of it bounds do not hold yet."""
        bounds, bounds_bytes, _ = special
        folded = e.load(bounds, _WIDE)
        uniform = e.builder.icmp_signed("==", bounds_bytes, e.number(0))
        return [folded, e.builder.select(uniform, folded, e.constant(_WIDE, 0))]

    def _each(self, e: Emitter, first: Value, special: Vectors, look: Callable[[Vectors], None]) -> None:
        """Look at all rows, with where a first block's bounds are and bytes between rows of these, if they differ."""
        bounds, bounds_bytes, _ = special
        limits = e.add(bounds, e.multiply(bounds_bytes, e.add(e.multiply(first, 2), 1)))
        with e.builder.if_else(e.builder.icmp_signed("==", bounds_bytes, e.number(0))) as (then, otherwise):
            with then:
                look([])
            with otherwise:
                look([limits, bounds_bytes])

    def _widen(self, e: Emitter, source: Value, count: Value, known: Vectors, limits: Vectors) -> Vectors:
        """Of a row, the sums after some blocks, and the extremes with the bounds of these included."""
        builder = e.builder

        def block(k: Value, carried: Vectors) -> Vectors:
            positive, negative, high, low = carried
            more, less = self._block(e, source, k)
            top, bottom = builder.add(more, negative), builder.add(less, positive)
            if limits:
                limit = e.add(limits[0], e.multiply(limits[1], e.multiply(k, 2)))
                top = builder.add(top, e.load(limit, _WIDE))
                bottom = builder.add(bottom, e.load(e.add(limit, limits[1]), _WIDE))
            return [more, less, e.elementwise("smax", high, top), e.elementwise("smin", low, bottom)]

        return e.loop(count, known, block)

    def _finish(
        self, e: Emitter, row: Value, known: Vectors, columns: Vectors, p: Value, out: tuple[Value, Value]
    ) -> None:
        (positive, negative, *extremes), (folded, missing) = known, columns
        total = e.builder.add(e.builder.add(positive, negative), folded)
        high, low = (e.builder.add(extreme, missing) for extreme in extremes)
        note(e, row, total, (high, low), p, out)
