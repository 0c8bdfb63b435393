"""Accumulators followed product by product: a list of products of one output, some vectors of columns.

wrap: an accumulator is held as the exact sum + 2^(p-1); it overflows where bit p changes, as a product is smaller than
2^p. A bit that begins as 0 and falls f times changes 2 f times, once more if it ends as 1; of two additions, at most
one makes it fall, which one logical instruction tells.
clamp: held + 2^(p-1) overflows where bit p is set, before it is clamped.
saturate: held * 2^(32-p), so that the instruction that saturates to 32 bits does what the accumulator does; what it
leaves in the lower 32 - p bits never reaches the upper ones. Overflow is where it differs from the sum that wraps.

A mask of a bit for each column is written for each addition (wrap: for each two). `tally` sums them up, bit by bit, in
numbers whose digits lie in vectors; `spread` reads the numbers.
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from accel_kernels.native.count_blocks import NARROW, WIDE
from accel_kernels.native.emit import I32, I64, Emitter, Value, intrinsic, vector
from accel_kernels.native.products import add_pairs
from accel_kernels.native.tier import tier

LANES = tier().lanes
_WIDE = vector(I32, LANES)
_BYTES = 4 * LANES
_MASK = ir.IntType(LANES)
ADDED = WIDE * LANES // 8
"""Bytes of the masks of an addition."""
GATHERED = 7
"""Masks that three full adders and one sum up."""
_FALLS = 0x5C
"""Truth table of (middle & ~last) | (before & ~middle) for the operands middle, before, last."""
ADDITIONS = {"wrap": 2, "saturate": 1, "clamp": 1}
"""That a mask tells of."""


def limits(e: Emitter, p: Value) -> tuple[Value, Value, Value]:
    """Vectors of 2^(p-1), 2^p, 2^p - 1."""
    builder, one = e.builder, ir.Constant(I32, 1)
    bits = builder.trunc(p, I32)
    power = builder.shl(one, bits)
    half = builder.shl(one, builder.sub(bits, one))
    return e.splat(half, LANES), e.splat(power, LANES), e.splat(builder.sub(power, one), LANES)


class _Track:
    """Two halves of NARROW vectors: of two outputs, or the columns of one that lie side by side.

    Arguments: list of the first half, of the second, bytes of a list's values, pairs of them, weights, vectors that lie
    side by side in these, p, accumulators of both before and after, masks.
    """

    ARGUMENTS = 12

    def __init__(self, policy: str, *, two: bool) -> None:
        self._policy, self._two = policy, two

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        first, second, size, pairs, weights, multiple, p, before, before_2, after, after_2, masks = arguments
        builder = e.builder
        _, bit, top = limits(e, p)
        zero = e.constant(_WIDE, 0)

        def operands(entry: Value) -> list[tuple[Value, Value]]:
            found = []
            for half, values in enumerate((first, second)):
                if not half or self._two:
                    codes = e.splat(e.load(e.add(values, entry), I32), LANES)
                    place = builder.zext(e.load(e.add(e.add(values, size), entry), I32), I64)
                    source = e.add(weights, builder.mul(place, multiple))
                beside = 0 if self._two else half * NARROW
                found += [(codes, e.load(e.add(source, _BYTES * (beside + j)), _WIDE)) for j in range(NARROW)]
            return found

        def note(flags: list[Value], place: Value) -> None:
            for j, flag in enumerate(flags):
                e.store(builder.bitcast(flag, _MASK), e.add(e.add(masks, place), j * LANES // 8))

        def added(held: list[Value], products: list[tuple[Value, Value]]) -> list[Value]:
            return [add_pairs(e, value, *product) for value, product in zip(held, products, strict=True)]

        def clamped(held: list[Value], products: list[tuple[Value, Value]], place: Value) -> list[Value]:
            sums = added(held, products)
            note([builder.icmp_signed("!=", builder.and_(s, bit), zero) for s in sums], place)
            return [e.elementwise("smin", e.elementwise("smax", s, zero), top) for s in sums]

        def saturated(held: list[Value], products: list[tuple[Value, Value]], place: Value) -> list[Value]:
            both = [(value, *product) for value, product in zip(held, products, strict=True)]
            sums = [_wrapping(e, *three) for three in both]
            name = f"llvm.x86.avx512.vpdpwssds.{32 * LANES}"
            results = [e.call(name, _WIDE, three) for three in both]
            note([builder.icmp_signed("!=", s, r) for s, r in zip(sums, results, strict=True)], place)
            return results

        def wrapped(index: Value, held: list[Value]) -> list[Value]:
            products = [operands(e.add(e.multiply(index, 8), 4 * i)) for i in range(2)]
            middle = added(held, products[0])
            last = added(middle, products[1])
            falls = [_falls(e, *three) for three in zip(held, middle, last, strict=True)]
            note([builder.icmp_signed("!=", builder.and_(f, bit), zero) for f in falls], e.multiply(index, ADDED))
            return last

        def limited(index: Value, held: list[Value]) -> list[Value]:
            add = saturated if self._policy == "saturate" else clamped
            for i in range(2):
                place = e.add(e.multiply(index, 2 * ADDED), ADDED * i)
                held = add(held, operands(e.add(e.multiply(index, 8), 4 * i)), place)
            return held

        def vectors(*places: Value) -> list[Value]:
            return [e.add(place, _BYTES * j) for place in places for j in range(NARROW)]

        begin = [e.load(place, _WIDE) for place in vectors(before, before_2)]
        held = e.loop(pairs, begin, wrapped if self._policy == "wrap" else limited)
        for value, place in zip(held, vectors(after, after_2), strict=True):
            e.store(value, place)
        end = e.add(masks, e.multiply(pairs, ADDED * (2 // ADDITIONS[self._policy])))
        for i in range(GATHERED):
            e.store(zero, e.add(end, _BYTES * i))


def _wrapping(e: Emitter, sums: Value, a: Value, b: Value) -> Value:
    """As add_pairs, beyond the reach of LLVM, which would make two instructions of it to shorten its latency."""
    if LANES < 16:
        return add_pairs(e, sums, a, b)
    kind = ir.FunctionType(_WIDE, [_WIDE] * 3)
    return e.builder.call(ir.InlineAsm(kind, "vpdpwssd $3, $2, $0", "=v,0,v,v"), [sums, a, b])


def _falls(e: Emitter, before: Value, middle: Value, last: Value) -> Value:
    builder = e.builder
    if LANES == 16:
        return ternary(e, _FALLS, middle, before, last)
    return builder.or_(builder.and_(middle, builder.not_(last)), builder.and_(before, builder.not_(middle)))


def ternary(e: Emitter, table: int, a: Value, b: Value, c: Value) -> Value:
    """The bit of a truth table that three bits choose, for 16 lanes."""
    return e.call("llvm.x86.avx512.pternlog.d.512", _WIDE, [a, b, c, ir.Constant(I32, table)])


def track(policy: str, *, two: bool) -> Any:
    """The micro-kernel that follows accumulators."""
    return intrinsic(_Track.ARGUMENTS, _Track(policy, two=two).emit)
