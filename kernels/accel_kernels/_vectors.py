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
ALL_SHORTS = ir.VectorType(SHORT, WIDTH)
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

    def pointer(self, element: Any, vector: Any) -> Any:
        """The address of a vector, or of one element."""
        b = self._builder
        address = b.add(self._data, b.mul(element, constant(self._item)))
        return b.inttoptr(address, vector.as_pointer())

    def load(self, element: Any, vector: Any) -> Any:
        """A vector, or one element."""
        loaded = self._builder.load(self.pointer(element, vector))
        loaded.align = self._item
        return loaded

    def store(self, element: Any, value: Any) -> None:
        """A vector, or one element."""
        stored = self._builder.store(value, self.pointer(element, value.type))
        stored.align = self._item


def constant(value: int) -> Any:
    """An index."""
    return ir.Constant(_I64, value)


def halves(builder: Any, element: Any) -> list[Any]:
    """The first elements of the WIDTH columns' vectors, from a first element on."""
    return [builder.add(element, constant(half * LANES)) for half in _HALVES]


def downwards(
    builder: Any,
    count: Any,
    carried: list[Any],
    body: Callable[[Any, list[Any]], list[Any]],
    *,
    perhaps_none: bool = False,
) -> list[Any]:
    """for i = count - 1 down to 0: carried = body(i, carried); count is at least 1, or perhaps 0."""
    before = builder.block
    loop, done = builder.append_basic_block("rows"), builder.append_basic_block("rows.done")
    if perhaps_none:
        builder.cbranch(builder.icmp_signed(">", count, constant(0)), loop, done)
    else:
        builder.branch(loop)
    builder.position_at_end(loop)
    left = builder.phi(_I64)
    phis = [builder.phi(value.type) for value in carried]
    left.add_incoming(count, before)
    for phi, value in zip(phis, carried, strict=True):
        phi.add_incoming(value, before)
    index = builder.sub(left, constant(1))
    results = body(index, list(phis))
    left.add_incoming(index, builder.block)
    for phi, value in zip(phis, results, strict=True):
        phi.add_incoming(value, builder.block)
    last = builder.block
    builder.cbranch(builder.icmp_signed(">", index, constant(0)), loop, done)
    builder.position_at_end(done)
    if not perhaps_none:
        return results
    outcomes = [builder.phi(value.type) for value in carried]
    for outcome, value, result in zip(outcomes, carried, results, strict=True):
        outcome.add_incoming(value, before)
        outcome.add_incoming(result, last)
    return outcomes


def upwards(builder: Any, count: Any, carried: list[Any], body: Callable[[Any, list[Any]], list[Any]]) -> list[Any]:
    """for i = 0 to count - 1: carried = body(i, carried); count is at least 1."""
    last = builder.sub(count, constant(1))
    return downwards(builder, count, carried, lambda left, values: body(builder.sub(last, left), values))


def either(
    builder: Any, condition: Any, then: Callable[[], list[Any]], otherwise: Callable[[], list[Any]]
) -> list[Any]:
    """then() if condition else otherwise(): as many values, of equal types."""
    with builder.if_else(condition) as (yes, no):
        with yes:
            ones = then()
            from_yes = builder.block
        with no:
            others = otherwise()
            from_no = builder.block
    outcomes = [builder.phi(value.type) for value in ones]
    for outcome, one, other in zip(outcomes, ones, others, strict=True):
        outcome.add_incoming(one, from_yes)
        outcome.add_incoming(other, from_no)
    return outcomes


def any_of(builder: Any, mask: Any) -> Any:
    """Whether an element of a vector of truth values holds."""
    bits = ir.IntType(mask.type.count)
    return builder.icmp_unsigned("!=", builder.bitcast(mask, bits), ir.Constant(bits, 0))


def splat(builder: Any, value: Any, lanes: int) -> Any:
    """A vector whose elements are all `value`."""
    undefined = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    single = builder.insert_element(undefined, value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(single, undefined, ir.Constant(ir.VectorType(_I32, lanes), [0] * lanes))


def _smaller(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.icmp_signed("<", a, b), a, b)


def _larger(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.icmp_signed(">", a, b), a, b)


def _product(builder: Any, x: Any, w: Any) -> Any:
    return builder.mul(builder.sext(x, INTS), builder.sext(w, INTS))


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


def largest(builder: Any, values: Any) -> Any:
    """The largest of WIDTH int16."""
    kind = ir.FunctionType(SHORT, [ALL_SHORTS])
    name = f"llvm.vector.reduce.smax.v{WIDTH}i16"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [values])
