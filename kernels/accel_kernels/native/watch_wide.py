"""Micro-kernels that watch sums of 64 bits of int16 codes and 8-bit weights, addition by addition.

As those of `watch`, block by block of pairs as in `wide_products`: inside a block the distance to the sum before it
fits 32 bits. The caller proves that no sum leaves the accumulator.
"""

from collections.abc import Sequence

from accel_kernels.native.emit import I32, I64, Emitter, Value, held_bytes, vector
from accel_kernels.native.epilogues import load_columns, narrow
from accel_kernels.native.rows import store_columns
from accel_kernels.native.watch_block import Block
from accel_kernels.native.watching import LANES, widen_extremes
from accel_kernels.native.wide_products import BLOCK

_ALIGNMENT = 64
_WIDE = vector(I64, LANES)


class WideBlock(Block):
    """A block of rows and vectors of columns; arguments as of `Block`."""

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        """Its instructions."""
        a, row_bytes, weights, steps, table, stride, first, out, out_bytes, valid, record = arguments
        b, count, width = e.builder, self._rows * self._vectors, 4 * LANES * self._vectors
        held = held_bytes(e, count * LANES * 8)
        places = [e.add(held, index * LANES * 8) for index in range(count)]
        for index, place in enumerate(places):
            column = e.add(first, index % self._vectors * LANES)
            e.store(e.load(e.add(table, e.multiply(column, 8)), _WIDE, 8), place, _ALIGNMENT)

        def block(index: Value, carried: list[Value]) -> list[Value]:
            start, most = e.multiply(index, BLOCK), e.number(BLOCK)
            left = b.sub(steps, start)
            some = b.select(b.icmp_signed("<", left, most), left, most)
            there, resting = e.add(a, e.multiply(start, 4)), e.add(weights, e.multiply(start, width))
            zeros = [e.constant(vector(I32, LANES), 0)] * (3 * count)
            moved = e.loop(some, zeros, self._pair(e, there, row_bytes, resting))
            before = [e.load(place, _WIDE, _ALIGNMENT) for place in places]
            sums, lows, highs = (
                [b.add(base, b.sext(value, _WIDE)) for base, value in zip(before, moved[i::], strict=False)]
                for i in (0, count, 2 * count)
            )
            widen_extremes(e, lows, highs, record)
            for total, place in zip(sums, places, strict=True):
                e.store(total, place, _ALIGNMENT)
            return []

        e.loop(b.sdiv(e.add(steps, BLOCK - 1), e.number(BLOCK)), [], block)
        for index, place in enumerate(places):
            row, j = divmod(index, self._vectors)
            columns = load_columns(e, self._epilogue, table, stride, e.add(first, j * LANES), LANES)
            codes = narrow(e, self._epilogue.apply(e, e.load(place, _WIDE, _ALIGNMENT), columns), self._bits)
            target = e.add(e.add(out, e.multiply(out_bytes, row)), j * LANES * self._bits // 8)
            store_columns(e, codes, target, e.add(valid, -j * LANES))
