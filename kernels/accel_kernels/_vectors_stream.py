"""Several cycles of a grid whose sums move down in one sweep: less memory traffic than cycle by cycle, equal registers.

In DEPTH cycles a sum passes DEPTH PEs. The sweep follows each sum on its way instead of visiting all PEs once a cycle:
every PE still computes its sum of every cycle, which the extremes see, but only the last one is stored. The resting
operands of DEPTH rows stay in vector registers, and are handed from one sum to the next.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types

from accel_kernels import _vectors as v
from accel_kernels.native.tier import AVX512_VNNI, tier

DEPTH = 4
"""Cycles of a sweep; the grid has more rows."""

_PAIRS = ir.VectorType(ir.IntType(16), 2 * v.LANES)


class _Sweep:
    """The code of one sweep: what all its sums need. `x`, `w`, `p`, `held`: inputs, resting, sums, memory."""

    def __init__(self, builder: Any, arrays: dict[str, Any], offset: Any, column: Any) -> None:
        self._b, self.column, self._offset = builder, column, offset
        self.stream, self.x, self.w, self.p, self.held = (arrays[n] for n in ("stream", "x", "w", "p", "held"))

    def columns(self, start: Any) -> list[Any]:
        """Elements of the vectors of these columns, in a row that begins at `start`."""
        return v.halves(self._b, self._b.add(start, self.column))

    def weights(self, row: Any) -> list[Any]:
        """The resting operands of a row, as the low halves of int32."""
        return [self._b.zext(self.w.load(e, v.SHORTS), v.INTS) for e in self.columns(self.w.row(row))]

    def sums(self, array: Any, start: Any) -> list[Any]:
        """Sums from an array's row that begins at `start`."""
        return [array.load(e, v.INTS) for e in self.columns(start)]

    def store(self, array: Any, start: Any, values: list[Any]) -> None:
        """Sums to an array's row that begins at `start`."""
        for element, value in zip(self.columns(start), values, strict=True):
            array.store(element, value)

    def descend(self, values: list[Any], row: Any, cycle: int, weights: list[Any], extremes: list[Any]) -> list[Any]:
        """Sums pass PEs from `row` on, one for each of `weights`, from a cycle of the sweep on: (sums, extremes)."""
        b, half = self._b, len(values)
        for step, resting in enumerate(weights):
            here = b.add(row, v.constant(step))
            start = b.add(self.x.row(here), b.sub(self._offset, v.constant(cycle + step)))
            operands = [self.x.load(e, v.SHORTS) for e in self.columns(start)]
            values = [_accumulate(b, s, x, w) for s, x, w in zip(values, operands, resting, strict=True)]
            extremes = v.widened(b, extremes, values)
        return [*values[:half], *extremes]

    def enter(self, row: Any, first: Any, real: Any) -> None:
        """The operands of one row of the next DEPTH vectors go to its skew registers."""
        b = self._b
        source = b.add(first, row)
        target = b.sub(b.add(self.x.row(row), b.sub(self._offset, v.constant(DEPTH))), row)
        with b.if_then(b.icmp_signed("<", row, real), likely=True):
            for cycle in range(DEPTH):
                place = b.add(source, b.mul(self.stream.shape[2], v.constant(cycle)))
                self.x.store(b.sub(target, v.constant(cycle)), self.stream.load(place, v.SHORT))


def _accumulate(builder: Any, sums: Any, operands: Any, weights: Any) -> Any:
    """sums + operands (int16) * weights (int16 in the low halves of int32)."""
    if tier() is AVX512_VNNI:  # pairs of int16, the second of which is 0
        pairs = builder.bitcast(builder.zext(operands, v.INTS), _PAIRS)
        kind = ir.FunctionType(v.INTS, [v.INTS] * 3)
        name = "llvm.x86.avx512.vpdpwssd.512"
        found = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        return builder.call(found, [sums, builder.bitcast(pairs, v.INTS), weights])
    shift = ir.Constant(v.INTS, [16] * v.LANES)
    signed = builder.ashr(builder.shl(weights, shift), shift)
    return builder.add(sums, builder.mul(builder.sext(operands, v.INTS), signed))


def _sweep_cycles(*, entering: bool) -> Any:
    """The intrinsic for the first columns of a grid, where operands of the next sweep enter, or for any others."""

    @v.intrinsic
    def sweep(
        typingctx: Any,
        streams: Any,
        first: Any,
        real: Any,
        inputs: Any,
        offset: Any,
        weights: Any,
        sums: Any,
        memory: Any,
        read: Any,
        write: Any,
        low: Any,
        high: Any,
        column: Any,
    ) -> Any:
        """DEPTH cycles of columns column to column + WIDTH - 1; operands as `step_sweeps.stream_down_vectors`.

        `first` is the first element of the vector that enters in the first cycle of the next sweep; those of this one
        are in the skew registers.
        """
        int64 = types.int64
        signature = types.void(
            streams, int64, int64, inputs, int64, weights, sums, memory, int64, int64, low, high, int64
        )

        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            stream, x, w, p, held, lows, highs = (
                v.Array(context, builder, signature.args[i], arguments[i]) for i in (0, 3, 5, 6, 7, 10, 11)
            )
            first, real, offset, read, write, column = (arguments[i] for i in (1, 2, 4, 8, 9, 12))
            arrays = {"stream": stream, "x": x, "w": w, "p": p, "held": held}
            code = _Sweep(builder, arrays, offset, column)

            def feed(row: Any) -> None:
                if entering:
                    code.enter(row, first, real)

            extremes = [a.load(e, v.INTS) for a in (lows, highs) for e in v.halves(builder, column)]
            v.store_extremes(builder, lows, highs, column, _all_sums(builder, code, read, write, feed, extremes))
            return context.get_dummy_value()

        return signature, codegen

    return sweep


def _all_sums(
    builder: Any, code: _Sweep, read: Any, write: Any, feed: Callable[[Any], None], extremes: list[Any]
) -> list[Any]:
    """Every sum that is in the grid or enters it, the lowest first; the extremes."""
    half, rows, lanes = len(extremes) // 2, code.w.shape[0], code.p.shape[1]

    def at(start: Any, cycle: int) -> Any:
        return builder.add(start, builder.mul(lanes, v.constant(cycle)))

    weights: list[list[Any]] = []
    for left in range(1, DEPTH):  # sums that leave within the sweep
        row = builder.sub(rows, v.constant(left))
        feed(row)
        weights.insert(0, code.weights(row))
        passed = code.descend(code.sums(code.p, code.p.row(row)), row, 0, weights, extremes)
        code.store(code.held, at(write, left - 1), passed[:half])
        extremes = passed[half:]

    def body(index: Any, carried: list[Any]) -> list[Any]:
        """The sum above PE row index + 1; carried: extremes, resting operands of the rows below."""
        row = builder.add(index, v.constant(1))
        feed(row)
        below = [carried[2 * half + half * n : 2 * half + half * (n + 1)] for n in range(DEPTH - 1)]
        resting = [code.weights(row), *below]
        passed = code.descend(code.sums(code.p, code.p.row(row)), row, 0, resting, carried[: 2 * half])
        code.store(code.p, code.p.row(builder.add(row, v.constant(DEPTH))), passed[:half])
        return [*passed[half:], *(w for row_weights in resting[:-1] for w in row_weights)]

    flat = [w for row_weights in weights for w in row_weights]
    carried = v.downwards(builder, builder.sub(rows, v.constant(DEPTH)), [*extremes, *flat], body)
    extremes = carried[: 2 * half]
    code.store(code.held, at(write, DEPTH - 1), code.sums(code.p, code.p.row(rows)))
    feed(v.constant(0))
    weights = [code.weights(v.constant(0))] + [
        carried[2 * half + half * n : 2 * half + half * (n + 1)] for n in range(DEPTH - 1)
    ]
    for cycle in range(DEPTH):  # sums that enter
        entered = code.sums(code.held, at(read, cycle))
        passed = code.descend(entered, v.constant(0), cycle, weights[: DEPTH - cycle], extremes)
        code.store(code.p, code.p.row(v.constant(DEPTH - cycle)), passed[:half])
        extremes = passed[half:]
    code.store(code.p, v.constant(0), code.sums(code.held, at(read, DEPTH - 1)))
    return extremes


sweep_entering = _sweep_cycles(entering=True)
sweep_entered = _sweep_cycles(entering=False)
