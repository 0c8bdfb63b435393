"""Micro-kernels of matrix products: a few rows of operands times a few vectors of columns, requantized at the end.

::

    out[m, n] = epilogue(bias[n] + sum over k of a[m, k] * w[k, n])      m < rows, n < columns of the kernel

Operands: `a` holds, in each row, groups of codes that fill 4 bytes: 4 codes of 8 bits (`quads`), or 2 of 16. Weights
are packed by `pack_weights` so that the groups of a vector's columns lie side by side. Sums wrap modulo 2^32, which is
the accumulator's own arithmetic, so the order in which products are added does not matter.

Memory is fetched before it is needed: the rows that follow the block's, and weights ahead of those being multiplied.
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from accel_kernels.native.emit import I16, I32, Emitter, Value, intrinsic, vector
from accel_kernels.native.endings import Ending, ending
from accel_kernels.native.epilogues import load_bias
from accel_kernels.native.tier import Tier, tier

ARGUMENTS = 10
"""a, bytes between its rows, weights, groups, table, bytes of a table row, first column in the table, out, bytes
between its rows, columns that exist."""


_AHEAD = 48
"""Groups after which weights are needed that are fetched now; those of the next tile of columns follow the last."""


def micro_kernel(tier: Tier, rows: int, vectors: int, operands: str, kind: str, bits: int) -> Any:
    """An intrinsic of ARGUMENTS int64.

    Args:
        tier: of the processor.
        rows: of the block that it computes.
        vectors: of the block's columns.
        operands: "u8" (with weights of int8, for tiers with quads), or "s16" (both int16).
        kind: of the epilogue.
        bits: of the results as they are stored, 8, 16 or 32.
    """
    block = _Block(tier, rows, vectors, operands, ending(kind, vectors, bits))
    return intrinsic(ARGUMENTS, block.emit)


class _Block:
    def __init__(self, tier: Tier, rows: int, vectors: int, operands: str, ending: Ending) -> None:
        self._tier, self._rows, self._vectors = tier, rows, vectors
        self._operands, self._ending = operands, ending

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        a, row_bytes, weights, groups, table, table_stride, first, out, out_bytes, valid = arguments
        lanes = self._tier.lanes
        places = [e.add(first, j * lanes) for j in range(self._vectors)]
        biases = [load_bias(e, table, place, lanes) for place in places]
        sources = [e.add(a, e.multiply(row_bytes, row)) for row in range(self._rows)]
        width = 4 * lanes * self._vectors
        following = e.add(a, e.multiply(row_bytes, self._rows))

        def body(k: Value, sums: list[Value]) -> list[Value]:
            place = e.add(weights, e.multiply(k, width))
            columns = [e.load(e.add(place, 4 * lanes * j), vector(I32, lanes), 4 * lanes) for j in range(self._vectors)]
            offset, results = e.multiply(k, 4), []
            e.prefetch(e.add(following, e.multiply(k, 4 * self._rows)))
            for j in range(self._vectors * lanes // 16):
                e.prefetch(e.add(place, _AHEAD * width + 64 * j))
            for row, source in enumerate(sources):
                group = e.splat(e.load(e.add(source, offset), I32), lanes)
                for j, column in enumerate(columns):
                    results.append(self._accumulate(e, sums[row * self._vectors + j], group, column))
            return results

        sums = e.loop(groups, biases * self._rows, body)
        parameters = self._ending.load(e, table, table_stride, first)
        self._ending.finish_sums(e, sums, parameters, out, out_bytes, valid)

    def _accumulate(self, e: Emitter, sums: Value, group: Value, weights: Value) -> Value:
        if self._operands != "s16":
            name = f"llvm.x86.avx512.vpdpbusd.{32 * self._tier.lanes}"
            return e.call(name, sums.type, [sums, group, weights])
        return add_pairs(e, sums, group, weights)


def add_pairs(e: Emitter, sums: Value, a: Value, b: Value) -> Value:
    """sums + a0 * b0 + a1 * b1 of the int16 pairs in each lane, wrapped to 32 bits."""
    if tier().quads:
        return e.call(f"llvm.x86.avx512.vpdpwssd.{32 * sums.type.count}", sums.type, [sums, a, b])
    return e.builder.add(sums, pair_products(e, a, b))


def pair_products(e: Emitter, a: Value, b: Value) -> Value:
    """a0 * b0 + a1 * b1 of the int16 pairs in each lane, wrapped to 32 bits (pmaddwd where a processor has it)."""
    builder, lanes = e.builder, a.type.count
    shorts, wide = vector(I16, 2 * lanes), vector(I32, 2 * lanes)
    product = builder.mul(
        builder.sext(builder.bitcast(a, shorts), wide), builder.sext(builder.bitcast(b, shorts), wide)
    )
    undefined = ir.Constant(wide, ir.Undefined)
    even, odd = (ir.Constant(vector(I32, lanes), list(range(start, 2 * lanes, 2))) for start in (0, 1))
    return builder.add(
        builder.shuffle_vector(product, undefined, even), builder.shuffle_vector(product, undefined, odd)
    )
