"""The ports of the accumulator memory as vector code: rows of it, of those columns that a fold has to do with.

A port sees column j of the fold's row s + c in a cycle c when vector s + c - j exists: not yet, now, or no longer.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from accel_kernels import _vectors as v

_MASKS = ir.VectorType(ir.IntType(1), v.LANES)
_I32 = ir.IntType(32)


class _Port:
    """The code of a port for one fold."""

    def __init__(self, builder: Any, memory: v.Array, arguments: Any) -> None:
        self._b, self._memory = builder, memory
        self._first, self._s, self._length, self._columns, self._column = arguments

    def masks(self, cycle: Any, half: int) -> tuple[Any, Any]:
        """(columns that the fold has reached, those of them that it has not passed) in a cycle."""
        b = self._b
        columns = ir.Constant(v.INTS, [half * v.LANES + lane for lane in range(v.LANES)])
        here = b.add(columns, v.splat(b, b.trunc(self._column, _I32), v.LANES))
        s = b.trunc(b.add(self._s, cycle), _I32)
        passed = b.sub(s, b.trunc(self._length, _I32))
        inside = b.icmp_signed("<", here, v.splat(b, b.trunc(self._columns, _I32), v.LANES))
        reached = b.and_(inside, b.icmp_signed("<=", here, v.splat(b, s, v.LANES)))
        return reached, b.and_(reached, b.icmp_signed(">", here, v.splat(b, passed, v.LANES)))

    def pointer(self, cycle: Any, half: int) -> Any:
        """Where the memory's row of a cycle is."""
        b = self._b
        row = b.add(self._first, b.mul(b.add(self._s, cycle), self._memory.shape[2]))
        return self._memory.pointer(b.add(b.add(row, self._column), v.constant(half * v.LANES)), v.INTS)


@v.intrinsic
def read_port(
    typingctx: Any, memory: Any, first: Any, s: Any, length: Any, columns: Any, held: Any, top: Any, column: Any
) -> Any:
    """Columns column to column + WIDTH - 1 of `step_ports.read_port`; the slot begins at element `first`."""
    int64 = types.int64
    signature = types.void(memory, int64, int64, int64, int64, held, top, int64)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, kept, rows = (v.Array(context, builder, signature.args[i], arguments[i]) for i in (0, 5, 6))
        column = arguments[7]
        port = _Port(builder, source, [*arguments[1:5], column])

        def body(cycle: Any, carried: list[Any]) -> list[Any]:
            row = builder.add(rows.row(cycle), column)
            seen = []
            for half, (element, before) in enumerate(zip(v.halves(builder, row), carried, strict=True)):
                reached, now = port.masks(cycle, half)
                value = masked_load(builder, port.pointer(cycle, half), now, before)
                rows.store(element, builder.select(reached, value, rows.load(element, v.INTS)))
                seen.append(value)
            return seen

        v.upwards(builder, rows.shape[0], [kept.load(e, v.INTS) for e in v.halves(builder, column)], body)
        return context.get_dummy_value()

    return signature, codegen


@v.intrinsic
def write_port(
    typingctx: Any, memory: Any, first: Any, s: Any, length: Any, columns: Any, bottom: Any, column: Any
) -> Any:
    """Columns column to column + WIDTH - 1 of `step_ports.write_port`; the slot begins at element `first`."""
    int64 = types.int64
    signature = types.void(memory, int64, int64, int64, int64, bottom, int64)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        target, rows = (v.Array(context, builder, signature.args[i], arguments[i]) for i in (0, 5))
        column = arguments[6]
        port = _Port(builder, target, [*arguments[1:5], column])

        def body(cycle: Any, carried: list[Any]) -> list[Any]:
            for half, element in enumerate(v.halves(builder, builder.add(rows.row(cycle), column))):
                now = port.masks(cycle, half)[1]
                masked_store(builder, rows.load(element, v.INTS), port.pointer(cycle, half), now)
            return carried

        v.upwards(builder, rows.shape[0], [], body)
        return context.get_dummy_value()

    return signature, codegen


def masked_load(builder: Any, pointer: Any, mask: Any, otherwise: Any) -> Any:
    """The elements of a vector of int32 that a mask names; elsewhere memory is not touched."""
    kind = ir.FunctionType(v.INTS, [pointer.type, _I32, _MASKS, v.INTS])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.load.v{v.LANES}i32.p0")
    return builder.call(function, [pointer, ir.Constant(_I32, 4), mask, otherwise])


def masked_store(builder: Any, value: Any, pointer: Any, mask: Any) -> None:
    """The same for a store."""
    kind = ir.FunctionType(ir.VoidType(), [v.INTS, pointer.type, _I32, _MASKS])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.store.v{v.LANES}i32.p0")
    builder.call(function, [value, pointer, ir.Constant(_I32, 4), mask])
