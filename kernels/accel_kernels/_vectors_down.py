"""Cycles of a grid whose sums move down, as vector code: several in one sweep, with the registers of cycle by cycle.

In `depth` cycles a sum passes as many PEs. A sweep follows each sum on its way instead of visiting all PEs once a
cycle: every PE still computes its sum of every cycle, which the extremes see, but only the last one is stored. The
resting operands of the rows that a sum passes stay in vector registers, and are handed from one sum to the next.

Where the first vector of a fold passes, PEs take over their next operand: those that the token in `takes` has reached.
The token moves right and down with that vector's sums, so that one mask serves a sum for all of its way, and columns of
which it names none go as in other cycles.
"""

from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types

from accel_kernels import _vectors as v
from accel_kernels.native.tier import tier

DEPTH = 4
"""Cycles of a long sweep; the grid has more rows."""

_PAIRS = ir.VectorType(ir.IntType(16), 2 * v.LANES)

_HALVES = range(v.WIDTH // v.LANES)

Vectors = list[Any]
"""One for each half of the columns."""


class _Sweep:
    """The code of one sweep of some columns."""

    def __init__(
        self,
        builder: Any,
        arrays: dict[str, v.Array],
        offset: Any,
        first: Any,
        column: Any,
        depth: int,
        halves: range = _HALVES,
    ) -> None:
        self._b, self._column, self._offset, self._first, self._depth = builder, column, offset, first, depth
        self._halves = halves
        self._alone = (
            [_Sweep(builder, arrays, offset, first, column, depth, range(n, n + 1)) for n in halves]
            if len(halves) > 1
            else [self]
        )
        self._x, self._w, self._p = arrays["inputs"], arrays["resting"], arrays["sums"]
        self._top, self._bottom = arrays["top"], arrays["bottom"]
        self._shadow, self._takes = arrays.get("shadow"), arrays.get("takes")

    def all_sums(self, extremes: Vectors) -> Vectors:
        """Every sum that is in the grid or enters it, the lowest first; the extremes."""
        b, depth, rows, half = self._b, self._depth, self._w.shape[0], len(extremes) // 2
        weights: list[Vectors] = []
        for left in range(1, depth):  # sums that leave within the sweep
            row = b.sub(rows, v.constant(left))
            weights.insert(0, self._weights(row))
            passed, extremes = self._descend(self._load(self._p, row), row, 0, weights, extremes)
            self._store(self._bottom, self._port(left - 1), passed)

        def body(index: Any, carried: Vectors) -> Vectors:
            """The sum above PE row index + 1; carried: extremes, resting operands of the rows below."""
            row = b.add(index, v.constant(1))
            below = [carried[half * n : half * (n + 1)] for n in range(2, depth + 1)]
            resting = [self._weights(row), *below]
            passed, extremes = self._descend_by_halves(self._load(self._p, row), row, resting, carried[: 2 * half])
            self._store(self._p, b.add(row, v.constant(depth)), passed)
            self._last_visit(b.add(row, v.constant(depth - 1)), resting[-1])
            return [*extremes, *(w for row_weights in resting[:-1] for w in row_weights)]

        flat = [w for row_weights in weights for w in row_weights]
        carried = v.downwards(b, b.sub(rows, v.constant(depth)), [*extremes, *flat], body, perhaps_none=depth == 1)
        extremes, below = carried[: 2 * half], [carried[half * n : half * (n + 1)] for n in range(2, depth + 1)]
        weights = [self._weights(v.constant(0)), *below]
        for cycle in range(depth):  # sums that enter
            entered, here = self._load(self._top, self._port(cycle)), weights[: depth - cycle]
            passed, extremes = self._descend(entered, v.constant(0), cycle, here, extremes)
            self._store(self._p, v.constant(depth - cycle), passed)
            self._last_visit(v.constant(depth - 1 - cycle), here[-1])
            weights[: depth - cycle] = here
        self._store(self._p, v.constant(0), self._load(self._top, self._port(depth - 1)))
        self._store(self._bottom, self._port(depth - 1), self._load(self._p, rows))
        return extremes

    def _descend_by_halves(
        self, values: Vectors, row: Any, weights: list[Vectors], extremes: Vectors
    ) -> tuple[Vectors, Vectors]:
        """As `_descend` from the first cycle on: columns take over operands only where the token is."""
        taking, half = self._taking(row, 0), len(extremes) // 2
        if not taking:
            return self._descend(values, row, 0, weights, extremes)
        passed: list[Vectors] = []
        for n, (alone, mask) in enumerate(zip(self._alone, taking, strict=True)):
            passed.append(
                alone.descend_where(mask, values[n], row, [w[n] for w in weights], [extremes[n], extremes[half + n]])
            )
        for step, held in enumerate(weights):
            held[:] = [own[3 + step] for own in passed]
        return [own[0] for own in passed], [own[1] for own in passed] + [own[2] for own in passed]

    def descend_where(self, mask: Any, value: Any, row: Any, weights: Vectors, extremes: Vectors) -> Vectors:
        """The same for one half, with the columns that take over: its sum, both extremes, what its PEs hold."""

        def descend(taking: Vectors) -> Vectors:
            held = [[w] for w in weights]
            passed, seen = self._pass([value], row, 0, held, extremes, taking)
            return [*passed, *seen, *(w for step in held for w in step)]

        return v.either(self._b, v.any_of(self._b, mask), lambda: descend([mask]), lambda: descend([]))

    def _descend(
        self, values: Vectors, row: Any, cycle: int, weights: list[Vectors], extremes: Vectors
    ) -> tuple[Vectors, Vectors]:
        """Sums pass PEs from `row` on, one for each of `weights`, from a cycle of the sweep on: (sums, extremes).

        `weights` become what these PEs now hold.
        """
        return self._pass(values, row, cycle, weights, extremes, self._taking(row, cycle))

    def _pass(
        self, values: Vectors, row: Any, cycle: int, weights: list[Vectors], extremes: Vectors, taking: Vectors
    ) -> tuple[Vectors, Vectors]:
        """As `_descend`; PEs take over operands in the columns that `taking` names, if any."""
        b = self._b
        for step in range(len(weights)):
            here = b.add(row, v.constant(step))
            if taking:
                shadow = self._weights(here, self._shadow)
                weights[step] = [b.select(t, s, w) for t, s, w in zip(taking, shadow, weights[step], strict=True)]
            start = b.add(self._x.row(here), b.sub(self._offset, v.constant(cycle + step)))
            operands = [self._x.load(e, v.INTS) for e in self._columns(start)]
            values = [_accumulate(b, s, x, w) for s, x, w in zip(values, operands, weights[step], strict=True)]
            extremes = v.widened(b, extremes, values)
        return values, extremes

    def _taking(self, row: Any, cycle: int) -> Vectors:
        """The columns where the sum that is above PE row `row` in a cycle has PEs take over; none if none can."""
        if self._takes is None:
            return []
        b, none = self._b, ir.Constant(v.INTS, None)
        token = b.add(b.sub(self._offset, v.constant(cycle)), row)
        return [b.icmp_signed("!=", self._takes.load(e, v.INTS), none) for e in self._columns(token)]

    def _last_visit(self, row: Any, weights: Vectors) -> None:
        """A row has seen all cycles of the sweep; where operands were taken over, its registers keep them."""
        if self._takes is not None:
            self._store(self._w, row, [self._b.trunc(w, v.SHORTS) for w in weights])

    def _weights(self, row: Any, array: v.Array | None = None) -> Vectors:
        """The operands of a row as int32: with VNNI in the low halves, else with their sign."""
        extend = self._b.zext if _pairs() else self._b.sext
        return [extend(w, v.INTS) for w in self._load(array or self._w, row, v.SHORTS)]

    def _port(self, cycle: int) -> Any:
        return self._b.add(self._first, v.constant(cycle))

    def _columns(self, start: Any) -> Vectors:
        return [v.halves(self._b, self._b.add(start, self._column))[n] for n in self._halves]

    def _load(self, array: v.Array, row: Any, kind: Any = v.INTS) -> Vectors:
        return [array.load(e, kind) for e in self._columns(array.row(row))]

    def _store(self, array: v.Array, row: Any, values: Vectors) -> None:
        for element, value in zip(self._columns(array.row(row)), values, strict=True):
            array.store(element, value)


def _pairs() -> bool:
    """Whether there is an instruction that adds products of int16 in pairs to int32."""
    return "avx512vnni" in tier().needs


def _accumulate(builder: Any, sums: Any, operands: Any, weights: Any) -> Any:
    """sums + operands (int16 as int32) * weights (as `_Sweep._weights` gives them)."""
    if _pairs():  # the second of each pair is 0 in the weights; as text, or LLVM makes two slower instructions of it
        llvm.initialize_native_asmparser()
        kind = ir.FunctionType(v.INTS, [v.INTS] * 3)
        return builder.asm(kind, "vpdpwssd $3, $2, $0", "=v,0,v,v", [sums, weights, operands], side_effect=False)
    return builder.add(sums, builder.mul(operands, weights))


def _sweep(depth: int, *, taking: bool) -> Any:
    """The intrinsic of a sweep of `depth` cycles, for cycles in which PEs take over operands or for all others."""

    @v.intrinsic
    def sweep(
        typingctx: Any,
        inputs: Any,
        offset: Any,
        resting: Any,
        shadow: Any,
        takes: Any,
        sums: Any,
        top: Any,
        bottom: Any,
        low: Any,
        high: Any,
        first: Any,
        column: Any,
    ) -> Any:
        """Columns column to column + WIDTH - 1 of `step_down.sweep_down`, from the ports' row `first` on."""
        int64 = types.int64
        signature = types.void(inputs, int64, resting, shadow, takes, sums, top, bottom, low, high, int64, int64)

        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            names = {"inputs": 0, "resting": 2, "sums": 5, "top": 6, "bottom": 7, "low": 8, "high": 9}
            names |= {"shadow": 3, "takes": 4} if taking else {}
            arrays = {n: v.Array(context, builder, signature.args[i], arguments[i]) for n, i in names.items()}
            offset, first, column = arguments[1], arguments[10], arguments[11]
            extremes = [arrays[n].load(e, v.INTS) for n in ("low", "high") for e in v.halves(builder, column)]
            extremes = _Sweep(builder, arrays, offset, first, column, depth).all_sums(extremes)
            v.store_extremes(builder, arrays["low"], arrays["high"], column, extremes)
            return context.get_dummy_value()

        return signature, codegen

    return sweep


sweep_long = _sweep(DEPTH, taking=False)
sweep_long_taking = _sweep(DEPTH, taking=True)
sweep_short = _sweep(1, taking=True)
