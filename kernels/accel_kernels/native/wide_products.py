"""Micro-kernels of products of int16 codes and 8-bit weights whose sums have 64 bits.

As `products` with operands s16, for weights of at most 128 in magnitude: sums of BLOCK pairs fit 32 bits, and block
after block is added to the sums of 64 bits, which lie on the stack. The bias in the table has 64 bits, and the epilogue
is one that takes such accumulators.
"""

from collections.abc import Sequence
from typing import Any

from accel_kernels.native.emit import I32, I64, Emitter, Value, held_bytes, intrinsic, vector
from accel_kernels.native.epilogues import EPILOGUES, Epilogue, load_columns, narrow
from accel_kernels.native.products import ARGUMENTS, add_pairs
from accel_kernels.native.rows import store_columns
from accel_kernels.native.tier import Tier

BLOCK = 255
"""Pairs: 2 * BLOCK * 2^15 * 2^7 < 2^31."""

_ALIGNMENT = 64


def wide_micro_kernel(tier: Tier, rows: int, vectors: int, kind: str, bits: int) -> Any:
    """An intrinsic with the arguments of `products.micro_kernel`."""
    return intrinsic(ARGUMENTS, _Block(tier, rows, vectors, EPILOGUES[kind], bits).emit)


class _Block:
    def __init__(self, tier: Tier, rows: int, vectors: int, epilogue: Epilogue, bits: int) -> None:
        self._lanes, self._rows, self._vectors = tier.lanes, rows, vectors
        self._epilogue, self._bits = epilogue, bits

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        a, row_bytes, weights, groups, table, table_stride, first, out, out_bytes, valid = arguments
        held, b = held_bytes(e, self._rows * self._vectors * self._lanes * 8), e.builder
        for j in range(self._vectors):
            place = e.add(table, e.multiply(e.add(first, j * self._lanes), 8))
            bias = e.load(place, vector(I64, self._lanes), 8)
            for row in range(self._rows):
                e.store(bias, self._place(e, held, row, j), _ALIGNMENT)

        def block(index: Value, carried: list[Value]) -> list[Value]:
            start, most = e.multiply(index, BLOCK), e.number(BLOCK)
            left = b.sub(groups, start)
            count = b.select(b.icmp_signed("<", left, most), left, most)
            width = 4 * self._lanes * self._vectors
            sums = self._sums(
                e, e.add(a, e.multiply(start, 4)), row_bytes, e.add(weights, e.multiply(start, width)), count
            )
            for i, total in enumerate(sums):
                place = self._place(e, held, *divmod(i, self._vectors))
                wide = vector(I64, self._lanes)
                e.store(b.add(e.load(place, wide, _ALIGNMENT), b.sext(total, wide)), place, _ALIGNMENT)
            return []

        e.loop(b.sdiv(e.add(groups, BLOCK - 1), e.number(BLOCK)), [], block)
        self._finish(e, held, (table, table_stride, first), out, out_bytes, valid)

    def _place(self, e: Emitter, held: Value, row: int, j: int) -> Value:
        return e.add(held, (row * self._vectors + j) * self._lanes * 8)

    def _sums(self, e: Emitter, a: Value, row_bytes: Value, weights: Value, count: Value) -> list[Value]:
        lanes, width = self._lanes, 4 * self._lanes * self._vectors
        sources = [e.add(a, e.multiply(row_bytes, row)) for row in range(self._rows)]

        def pair(k: Value, sums: list[Value]) -> list[Value]:
            place, results = e.add(weights, e.multiply(k, width)), []
            columns = [e.load(e.add(place, 4 * lanes * j), vector(I32, lanes), 4 * lanes) for j in range(self._vectors)]
            for row, source in enumerate(sources):
                group = e.splat(e.load(e.add(source, e.multiply(k, 4)), I32), lanes)
                for j, column in enumerate(columns):
                    results.append(add_pairs(e, sums[row * self._vectors + j], group, column))
            return results

        zero = e.constant(vector(I32, lanes), 0)
        return e.loop(count, [zero] * (self._rows * self._vectors), pair)

    def _finish(
        self,
        e: Emitter,
        held: Value,
        parameters: tuple[Value, Value, Value],
        out: Value,
        out_bytes: Value,
        valid: Value,
    ) -> None:
        """Requantize and store."""
        for j in range(self._vectors):
            self._finish_columns(e, held, parameters, j, out, out_bytes, valid)

    def _finish_columns(
        self,
        e: Emitter,
        held: Value,
        parameters: tuple[Value, Value, Value],
        j: int,
        out: Value,
        out_bytes: Value,
        valid: Value,
    ) -> None:
        """One vector of columns, row by row."""
        (table, stride, first), lanes = parameters, self._lanes
        columns = load_columns(e, self._epilogue, table, stride, e.add(first, j * lanes), lanes)
        target, left = e.add(out, j * lanes * self._bits // 8), e.add(valid, -j * lanes)

        def finish(row: Value, carried: list[Value]) -> list[Value]:
            place = e.add(self._place(e, held, 0, j), e.multiply(row, self._vectors * lanes * 8))
            sums = e.load(place, vector(I64, lanes), _ALIGNMENT)
            codes = narrow(e, self._epilogue.apply(e, sums, columns), self._bits)
            store_columns(e, codes, e.add(target, e.multiply(out_bytes, row)), left)
            return []

        e.loop(e.number(self._rows), [], finish)
