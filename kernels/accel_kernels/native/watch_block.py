"""Micro-kernels of matrix products that record the extremes of every partial sum (`watching`)."""

from collections.abc import Callable, Sequence

from accel_kernels.native.emit import I32, Emitter, Value, vector
from accel_kernels.native.epilogues import EPILOGUES, load_columns, narrow
from accel_kernels.native.products import add_pairs
from accel_kernels.native.rows import store_columns
from accel_kernels.native.watching import LANES, first_of_pairs, widen_extremes


class Block:
    """A block of rows and vectors of columns; arguments as `products`, and the record."""

    def __init__(self, rows: int, vectors: int, kind: str, bits: int) -> None:
        self._rows, self._vectors, self._epilogue, self._bits = rows, vectors, EPILOGUES[kind], bits

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        """Its instructions."""
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
