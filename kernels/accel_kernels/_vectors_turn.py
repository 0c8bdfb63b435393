"""Blocks of int16 transposed in vector registers."""

from typing import Any

from llvmlite import ir
from numba import types

from accel_kernels import _vectors as v

BLOCK = v.WIDTH
"""Rows and columns of a block."""


@v.intrinsic
def turn_block(typingctx: Any, vectors: Any, m: Any, first: Any, i: Any, turned: Any) -> Any:
    """turned[i + r, length - 1 - m - c] = vectors[m + c, first + i + r] for r, c below BLOCK; int16 [length, ..]."""
    int64 = types.int64
    signature = types.void(vectors, int64, int64, int64, turned)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, target = (v.Array(context, builder, signature.args[n], arguments[n]) for n in (0, 4))
        m, first, i = arguments[1:4]

        def start(array: v.Array, row: Any, column: Any) -> Any:
            return builder.add(array.row(row), column)

        column = builder.add(first, i)
        rows = [
            source.load(start(source, builder.add(m, v.constant(BLOCK - 1 - r)), column), v.ALL_SHORTS)
            for r in range(BLOCK)
        ]
        column = builder.sub(builder.sub(source.shape[0], v.constant(BLOCK)), m)
        for r, row in enumerate(transposed(builder, rows)):
            target.store(start(target, builder.add(i, v.constant(r)), column), row)
        return context.get_dummy_value()

    return signature, codegen


def transposed(builder: Any, rows: list[Any]) -> list[Any]:
    """Rows and columns change places: first in blocks of half the size, then inside of these, and so on."""
    step = BLOCK // 2
    while step:
        for r in range(BLOCK):
            if r & step == 0:
                rows[r], rows[r + step] = _exchanged(builder, rows[r], rows[r + step], step)
        step //= 2
    return rows


def _exchanged(builder: Any, upper: Any, lower: Any, step: int) -> tuple[Any, Any]:
    """The second of each pair of groups of `step` elements of the upper row, for the first of the lower row."""
    places = range(BLOCK)
    first = [place if place & step == 0 else BLOCK + place - step for place in places]
    second = [place + step if place & step == 0 else BLOCK + place for place in places]
    order = ir.VectorType(ir.IntType(32), BLOCK)
    return (
        builder.shuffle_vector(upper, lower, ir.Constant(order, first)),
        builder.shuffle_vector(upper, lower, ir.Constant(order, second)),
    )
