"""Row sweeps of the stepped grid as vector code: what numba's loops do not become by themselves.

Each intrinsic emits plain LLVM vector operations on LANES elements (load, extend, multiply, add, minimum, select): no
instruction of one processor, so that every target compiles them. Where kernels run as plain Python there are none;
`step_sweeps` holds the same sweeps as loops.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils

LANES = 16
"""Elements of a vector."""
WIDTH = 32
"""Columns that an intrinsic handles: two vectors, whose extremes stay in registers over all rows."""

SHORT, _I32, _I64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
SHORTS, INTS = ir.VectorType(SHORT, LANES), ir.VectorType(_I32, LANES)
_HALVES = range(WIDTH // LANES)


def intrinsic(function: Callable[..., Any]) -> Callable[..., Any]:
    """numba's decorator, with a type: what comes out is called without the typing context."""
    compiled: Callable[..., Any] = extending.intrinsic(function)
    return compiled


class Array:
    """A C-contiguous array argument: addresses of vectors in it."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any) -> None:
        array = context.make_array(kind)(context, builder, value=value)
        self._builder = builder
        self._data = builder.ptrtoint(array.data, _I64)
        self.shape = cgutils.unpack_tuple(builder, array.shape, kind.ndim)
        self._item = kind.dtype.bitwidth // 8

    def row(self, index: Any) -> Any:
        """The address of a row of a 2-D array, in elements from its beginning."""
        return self._builder.mul(index, self.shape[1])

    def _pointer(self, element: Any, vector: Any) -> Any:
        b = self._builder
        address = b.add(self._data, b.mul(element, constant(self._item)))
        return b.inttoptr(address, vector.as_pointer())

    def load(self, element: Any, vector: Any) -> Any:
        """A vector, or one element."""
        loaded = self._builder.load(self._pointer(element, vector))
        loaded.align = self._item
        return loaded

    def store(self, element: Any, value: Any) -> None:
        """A vector, or one element."""
        stored = self._builder.store(value, self._pointer(element, value.type))
        stored.align = self._item


def constant(value: int) -> Any:
    """An index."""
    return ir.Constant(_I64, value)


def halves(builder: Any, element: Any) -> list[Any]:
    """The first elements of the WIDTH columns' vectors, from a first element on."""
    return [builder.add(element, constant(half * LANES)) for half in _HALVES]


def downwards(builder: Any, count: Any, carried: list[Any], body: Callable[[Any, list[Any]], list[Any]]) -> list[Any]:
    """for i = count - 1 down to 0: carried = body(i, carried); count is at least 1."""
    before = builder.block
    loop, done = builder.append_basic_block("rows"), builder.append_basic_block("rows.done")
    builder.branch(loop)
    builder.position_at_end(loop)
    left = builder.phi(_I64)
    phis = [builder.phi(value.type) for value in carried]
    left.add_incoming(count, before)
    for phi, value in zip(phis, carried, strict=True):
        phi.add_incoming(value, before)
    index = builder.sub(left, constant(1))
    results = body(index, phis)
    left.add_incoming(index, builder.block)
    for phi, value in zip(phis, results, strict=True):
        phi.add_incoming(value, builder.block)
    builder.cbranch(builder.icmp_signed(">", index, constant(0)), loop, done)
    builder.position_at_end(done)
    return results


def _splat(builder: Any, value: Any) -> Any:
    """A vector of int16 whose elements are all `value`."""
    undefined = ir.Constant(SHORTS, ir.Undefined)
    single = builder.insert_element(undefined, value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(single, undefined, ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES))


def _smaller(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.icmp_signed("<", a, b), a, b)


def _larger(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.icmp_signed(">", a, b), a, b)


def _product(builder: Any, x: Any, w: Any) -> Any:
    return builder.mul(builder.sext(x, INTS), builder.sext(w, INTS))


def _row_down(
    builder: Any, x: Array, w: Array, p: Array, i: Any, operands: Any, column: Any, carried: list[Any]
) -> list[Any]:
    """Row i of a grid whose sums move down; the extremes with its sums."""
    resting = halves(builder, builder.add(w.row(i), column))
    above = halves(builder, builder.add(p.row(i), column))
    below = halves(builder, builder.add(p.row(builder.add(i, constant(1))), column))
    values = [
        builder.add(p.load(a, INTS), _product(builder, x.load(o, SHORTS), w.load(r, SHORTS)))
        for a, o, r in zip(above, halves(builder, operands), resting, strict=True)
    ]
    for element, value in zip(below, values, strict=True):
        p.store(element, value)
    return widened(builder, carried, values)


def widened(builder: Any, extremes: list[Any], values: list[Any]) -> list[Any]:
    """Minima, then maxima, of each half with new values."""
    half = len(values)
    return [_smaller(builder, c, v) for c, v in zip(extremes[:half], values, strict=True)] + [
        _larger(builder, c, v) for c, v in zip(extremes[half:], values, strict=True)
    ]


def store_extremes(builder: Any, lows: Array, highs: Array, column: Any, extremes: list[Any]) -> None:
    """Minima and maxima of the columns from `column` on to their arrays."""
    half = len(extremes) // 2
    for array, values in ((lows, extremes[:half]), (highs, extremes[half:])):
        for element, value in zip(halves(builder, column), values, strict=True):
            array.store(element, value)


@intrinsic
def sweep_down(
    typingctx: Any, inputs: Any, offset: Any, weights: Any, sums: Any, low: Any, high: Any, column: Any
) -> Any:
    """Columns column to column + WIDTH - 1 of `step_sweeps.sweep_down_safe`."""
    signature = types.void(inputs, types.int64, weights, sums, low, high, types.int64)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        x, w, p, lows, highs = (Array(context, builder, kinds[i], arguments[i]) for i in (0, 2, 3, 4, 5))
        offset, column = arguments[1], arguments[6]
        extremes = [a.load(e, INTS) for a in (lows, highs) for e in halves(builder, column)]

        def row(i: Any, carried: list[Any]) -> list[Any]:
            return _row_down(builder, x, w, p, i, builder.add(x.row(i), builder.add(offset, column)), column, carried)

        store_extremes(builder, lows, highs, column, downwards(builder, w.shape[0], extremes, row))
        return context.get_dummy_value()

    return signature, codegen


def _sweep_streaming(*, entering: bool) -> Any:
    """The intrinsic for the first columns of a grid, where operands enter, or for the others."""

    @intrinsic
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
        """As `sweep_down`, fed by element `first` and on of streams, and from and to the accumulator memory."""
        int64 = types.int64
        signature = types.void(
            streams, int64, int64, inputs, int64, weights, sums, memory, int64, int64, low, high, int64
        )

        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            stream, x, w, p, held, lows, highs = (
                Array(context, builder, signature.args[i], arguments[i]) for i in (0, 3, 5, 6, 7, 10, 11)
            )
            first, real, offset, read, write, column = (arguments[i] for i in (1, 2, 4, 8, 9, 12))
            top = halves(builder, column)
            for element, source in zip(top, halves(builder, builder.add(read, column)), strict=True):
                p.store(element, held.load(source, INTS))
            extremes = [a.load(e, INTS) for a in (lows, highs) for e in top]

            def row(i: Any, carried: list[Any]) -> list[Any]:
                start = builder.add(x.row(i), offset)
                if entering:
                    inside = builder.icmp_signed("<", i, real)
                    index = builder.select(inside, i, constant(0))
                    operand = stream.load(builder.add(first, index), SHORT)
                    x.store(builder.sub(start, i), builder.select(inside, operand, ir.Constant(SHORT, 0)))
                return _row_down(builder, x, w, p, i, builder.add(start, column), column, carried)

            extremes = downwards(builder, w.shape[0], extremes, row)
            bottom = halves(builder, builder.add(p.row(w.shape[0]), column))
            for element, target in zip(bottom, halves(builder, builder.add(write, column)), strict=True):
                held.store(target, p.load(element, INTS))
            store_extremes(builder, lows, highs, column, extremes)
            return context.get_dummy_value()

        return signature, codegen

    return sweep


sweep_first_columns = _sweep_streaming(entering=True)
sweep_other_columns = _sweep_streaming(entering=False)


@intrinsic
def sweep_resting(
    typingctx: Any, inputs: Any, offset: Any, weights: Any, below: Any, sums: Any, low: Any, high: Any, column: Any
) -> Any:
    """Columns column to column + WIDTH - 1 of `step_sweeps.sweep_resting_safe`."""
    signature = types.void(inputs, types.int64, weights, types.int64, sums, low, high, types.int64)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        x, w, p, lows, highs = (Array(context, builder, kinds[i], arguments[i]) for i in (0, 2, 4, 5, 6))
        offset, first, column = arguments[1], arguments[3], arguments[7]
        extremes = [a.load(e, INTS) for a in (lows, highs) for e in halves(builder, column)]

        def row(i: Any, carried: list[Any]) -> list[Any]:
            operands = halves(builder, builder.add(x.row(i), builder.add(offset, column)))
            moving = halves(builder, builder.add(w.row(builder.add(first, i)), column))
            here = halves(builder, builder.add(p.row(i), column))
            values = [
                builder.add(p.load(h, INTS), _product(builder, x.load(o, SHORTS), w.load(m, SHORTS)))
                for h, o, m in zip(here, operands, moving, strict=True)
            ]
            for element, value in zip(here, values, strict=True):
                p.store(element, value)
            return widened(builder, carried, values)

        store_extremes(builder, lows, highs, column, downwards(builder, p.shape[0], extremes, row))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def shift_down(typingctx: Any, chain: Any, loads: Any, offset: Any, arriving: Any, cycle: Any, column: Any) -> Any:
    """Columns column to column + WIDTH - 1 of `step_sweeps.shift_loads`, for int16 chains."""
    signature = types.void(chain, loads, types.int64, arriving, types.int64, types.int64)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        registers, counters, top = (Array(context, builder, kinds[i], arguments[i]) for i in (0, 1, 3))
        offset, cycle, column = arguments[2], arguments[4], arguments[5]
        seen = [counters.load(e, SHORTS) for e in halves(builder, builder.add(offset, column))]

        def move(source: Array, above: Any, target: Any) -> None:
            """Row `target` takes the elements from `above` on in `source`, where its columns are being loaded."""
            number = _splat(builder, builder.trunc(target, SHORT))
            here = halves(builder, builder.add(registers.row(target), column))
            for a, h, s in zip(halves(builder, above), here, seen, strict=True):
                moves = builder.icmp_signed(">=", s, number)
                registers.store(h, builder.select(moves, source.load(a, SHORTS), registers.load(h, SHORTS)))

        def row(i: Any, carried: list[Any]) -> list[Any]:
            move(registers, builder.add(registers.row(i), column), builder.add(i, constant(1)))
            return carried

        several = builder.icmp_signed(">", registers.shape[0], constant(1))
        with builder.if_then(several):
            downwards(builder, builder.sub(registers.shape[0], constant(1)), [], row)
        move(top, builder.add(top.row(cycle), column), constant(0))
        return context.get_dummy_value()

    return signature, codegen
