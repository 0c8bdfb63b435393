"""Resting operands on their way to the load path as vector code: blocks transposed in registers.

Cycle by cycle, a column gets the elements of its operand from the last to the first. Column j is j cycles late: in one
cycle its element lies j further on than that of column 0. Where it has not begun in the first block, and where it has
ended in the one behind the last block, the load path carries other loads.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from accel_kernels import _vectors as v
from accel_kernels._vectors_turn import transposed

_BIT, _I32 = ir.IntType(1), ir.IntType(32)
_MASK = ir.VectorType(_BIT, v.WIDTH)


def _sends(first: bool, last: bool) -> Any:  # noqa: FBT001 - private; three uses below, with names
    """The intrinsic of the first, the last or any other block."""

    def own(cycle: int, column: int) -> bool:
        """Whether what a column gets in a cycle of the block belongs to this load."""
        return not (first and cycle < column) and not (last and cycle >= column)

    @v.intrinsic
    def send(typingctx: Any, rests: Any, across: Any, k: Any, arriving: Any, time: Any, column: Any) -> Any:
        """arriving[(time + c) % depth, column + j] = rests[across + j, k + WIDTH - 1 + j - c] for c, j below WIDTH.

        The ring's depth is at least WIDTH.
        """
        int64 = types.int64
        signature = types.void(rests, int64, int64, arriving, int64, int64)

        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            source, ring = (v.Array(context, builder, signature.args[i], arguments[i]) for i in (0, 3))
            across, k, time, column = (arguments[i] for i in (1, 2, 4, 5))
            rows = []
            for j in range(v.WIDTH):
                element = builder.add(source.row(builder.add(across, v.constant(j))), builder.add(k, v.constant(j)))
                mask = [own(v.WIDTH - 1 - place, j) for place in range(v.WIDTH)]
                rows.append(_load(builder, source.pointer(element, v.ALL_SHORTS), mask))
            turned = transposed(builder, rows)
            depth = ring.shape[0]
            begin = builder.urem(time, depth)
            for c in range(v.WIDTH):
                row = builder.add(begin, v.constant(c))
                around = builder.icmp_signed(">=", row, depth)
                row = builder.select(around, builder.sub(row, depth), row)
                pointer = ring.pointer(builder.add(ring.row(row), column), v.ALL_SHORTS)
                _store(builder, turned[v.WIDTH - 1 - c], pointer, [own(c, j) for j in range(v.WIDTH)])
            return context.get_dummy_value()

        return signature, codegen

    return send


def _load(builder: Any, pointer: Any, mask: list[bool]) -> Any:
    """Elements of a vector of int16; memory that the mask does not name is not touched."""
    kind = ir.FunctionType(v.ALL_SHORTS, [pointer.type, _I32, _MASK, v.ALL_SHORTS])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.load.v{v.WIDTH}i16.p0")
    nothing = ir.Constant(v.ALL_SHORTS, None)
    return builder.call(function, [pointer, ir.Constant(_I32, 2), ir.Constant(_MASK, mask), nothing])


def _store(builder: Any, value: Any, pointer: Any, mask: list[bool]) -> None:
    """The same for a store."""
    kind = ir.FunctionType(ir.VoidType(), [v.ALL_SHORTS, pointer.type, _I32, _MASK])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.store.v{v.WIDTH}i16.p0")
    builder.call(function, [value, pointer, ir.Constant(_I32, 2), ir.Constant(_MASK, mask)])


send_first = _sends(first=True, last=False)
send_block = _sends(first=False, last=False)
send_last = _sends(first=False, last=True)
