"""Resting operands that shift in from the top, as vector code: one cycle of all rows, or several at once.

In cycle c a column's load counter is n: row i takes over what is above it where n is at least i. Counters of a column
follow one another while it is being loaded, and are negative before and after. So in a group of cycles, of which `a`
load a column and the last does so with counter n, rows 0 to n move down by `a` rows: row i has what was in row i - a,
and rows above the grid are what arrived.
"""

from typing import Any

from llvmlite import ir
from numba import types

from accel_kernels import _vectors as v

TOGETHER = 4
"""Cycles of a group; between two loads of a column there are as many in which it is not loaded."""

Rows = list[Any]


class _Chain:
    """The code that shifts WIDTH columns of a chain."""

    def __init__(self, builder: Any, registers: v.Array, top: v.Array, column: Any) -> None:
        self._b, self._registers, self._top, self._column = builder, registers, top, column

    def one(self, seen: Any, cycle: Any) -> None:
        """A cycle in which the columns' counters are `seen`."""
        b = self._b
        highest = b.sext(v.largest(b, seen), ir.IntType(64))  # rows further down are not reached yet

        def row(i: Any, carried: Rows) -> Rows:
            below = b.add(i, v.constant(1))
            self._store(below, self._moved(seen, below, self._row(i), self._row(below)))
            return carried

        with b.if_then(b.icmp_signed(">", highest, v.constant(0))):
            v.downwards(b, highest, [], row)
        with b.if_then(b.icmp_signed(">=", highest, v.constant(0))):
            first = v.constant(0)
            self._store(first, self._moved(seen, first, self._arriving(cycle), self._row(first)))

    def several(self, seen: Rows, cycle: Any) -> None:
        """A group of cycles, whose counters are `seen`; the chain has more rows."""
        b, depth = self._b, len(seen)
        idle = ir.Constant(v.ALL_SHORTS, [-1] * v.WIDTH)
        last, moves = seen[0], ir.Constant(v.ALL_SHORTS, None)
        for counters in seen:
            last = b.select(b.icmp_signed(">", counters, last), counters, last)
            moves = b.sub(moves, b.sext(b.icmp_signed(">", counters, idle), v.ALL_SHORTS))
        by = [b.icmp_signed("==", moves, v.splat(b, ir.Constant(v.SHORT, n), v.WIDTH)) for n in range(depth)]
        highest = b.sext(v.largest(b, last), ir.IntType(64))

        def row(furthest: Any, above: Rows) -> Rows:
            """Row furthest + depth; carried: what is in it, and in the rows above it, nearest first."""
            i = b.add(furthest, v.constant(depth))
            further = self._row(furthest)
            value = further
            for n in range(1, depth):
                value = b.select(by[n], above[n], value)
            self._store(i, self._moved(last, i, value, above[0]))
            return [*above[1:], further]

        with b.if_then(b.icmp_signed(">=", highest, v.constant(depth))):
            lowest = [self._row(b.sub(highest, v.constant(n))) for n in range(depth)]
            v.downwards(b, b.sub(highest, v.constant(depth - 1)), lowest, row)
        with b.if_then(b.icmp_signed(">=", highest, v.constant(0))):
            self._highest_rows(seen, cycle)

    def _highest_rows(self, seen: Rows, cycle: Any) -> None:
        """What arrives goes through the first rows, cycle by cycle."""
        held = [self._row(v.constant(i)) for i in range(len(seen))]
        for passed, counters in enumerate(seen):
            above = [self._arriving(self._b.add(cycle, v.constant(passed))), *held]
            held = [self._moved(counters, v.constant(i), above[i], held[i]) for i in range(len(held))]
        for i, value in enumerate(held):
            self._store(v.constant(i), value)

    def _moved(self, seen: Any, row: Any, above: Any, kept: Any) -> Any:
        """What is in a row after a move of the columns whose counters have reached it."""
        b = self._b
        return b.select(b.icmp_signed(">=", seen, v.splat(b, b.trunc(row, v.SHORT), v.WIDTH)), above, kept)

    def _arriving(self, cycle: Any) -> Any:
        place = self._top.row(self._b.urem(cycle, self._top.shape[0]))
        return self._top.load(self._b.add(place, self._column), v.ALL_SHORTS)

    def _row(self, row: Any) -> Any:
        return self._registers.load(self._b.add(self._registers.row(row), self._column), v.ALL_SHORTS)

    def _store(self, row: Any, value: Any) -> None:
        self._registers.store(self._b.add(self._registers.row(row), self._column), value)


def _shift(together: int) -> Any:
    """The intrinsic of `together` cycles."""

    @v.intrinsic
    def shift(typingctx: Any, chain: Any, loads: Any, offset: Any, arriving: Any, cycle: Any, column: Any) -> Any:
        """Columns column to column + WIDTH - 1 of `step_loads.shift_loads`, for int16 chains."""
        int64 = types.int64
        signature = types.void(chain, loads, int64, arriving, int64, int64)

        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            registers, counters, top = (v.Array(context, builder, signature.args[i], arguments[i]) for i in (0, 1, 3))
            offset, cycle, column = (arguments[i] for i in (2, 4, 5))
            begin = builder.add(offset, column)
            seen = [counters.load(builder.sub(begin, v.constant(c)), v.ALL_SHORTS) for c in range(together)]
            chain = _Chain(builder, registers, top, column)
            if together == 1:
                chain.one(seen[0], cycle)
            else:
                chain.several(seen, cycle)
            return context.get_dummy_value()

        return signature, codegen

    return shift


shift_one = _shift(1)
shift_several = _shift(TOGETHER)
