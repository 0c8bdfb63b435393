"""Accumulators followed product by product: a list of products of one output, some vectors of columns.

wrap: an accumulator is held as the exact sum + 2^(p-1); it overflows where bit p changes, as a product is smaller than
2^p. A bit that begins as 0 and falls f times changes 2 f times, once more if it ends as 1; of two additions, at most
one makes it fall, which one logical instruction tells.
saturate: held * 2^(32-p), so that the instruction that saturates to 32 bits does what the accumulator does; what it
leaves in the lower 32 - p bits never reaches the upper ones. Overflow is where it differs from the sum that wraps.

Accumulators of at most 16 bits are held in lanes of 16, twice as many to an instruction, with weights shifted.
saturate16, wrap16: held * 2^(16-p), where all products fit p bits: the sum that saturates and the one that wraps differ
where there is overflow. clamp16: held as they are; the sum saturates to 16 bits, and is clamped to p.

A mask of a bit for each column is written for each addition (wrap: for each two). `tally` sums them up, bit by bit, in
numbers whose digits lie in vectors; `spread` reads the numbers.
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from accel_kernels.native.count_blocks import FORMS, NARROW, WIDE
from accel_kernels.native.emit import I16, I32, I64, Emitter, Value, intrinsic, vector
from accel_kernels.native.products import add_pairs
from accel_kernels.native.tier import tier

LANES = tier().lanes
_WIDE = vector(I32, LANES)
_BYTES = 4 * LANES
_SHORT = vector(I16, 2 * LANES)
ADDED = WIDE * LANES // 8
"""Bytes of the masks of an addition."""
GATHERED = 7
"""Masks that three full adders and one sum up."""
_FALLS = 0x5C
"""Truth table of (middle & ~last) | (before & ~middle) for the operands middle, before, last."""


def limits(e: Emitter, p: Value) -> tuple[Value, Value, Value]:
    """Vectors of 2^(p-1), 2^p, 2^p - 1."""
    builder, one = e.builder, ir.Constant(I32, 1)
    bits = builder.trunc(p, I32)
    power = builder.shl(one, bits)
    half = builder.shl(one, builder.sub(bits, one))
    return e.splat(half, LANES), e.splat(power, LANES), e.splat(builder.sub(power, one), LANES)


Products = list[tuple[Value, Value]]
"""Operands for each vector of accumulators."""


class _Track:
    """Two halves of NARROW vectors (short: half as many): of two outputs, or the columns of one that lie side by side.

    Arguments: list of the first half, of the second, bytes of a list's values, pairs of them, weights, vectors that lie
    side by side in these, p, accumulators of both before and after, masks.
    """

    ARGUMENTS = 12

    def __init__(self, policy: str, *, two: bool) -> None:
        self._policy, self._two, form = policy, two, FORMS[policy]
        self._vectors, self._each, self._short = form.vectors(NARROW), form.additions, form.short
        self._kind = _SHORT if form.short else _WIDE

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        first, second, size, pairs, weights, multiple, p, before, before_2, after, after_2, masks = arguments
        lists = (first, second) if self._two else (first,)
        self._lists = [(_address(e, values), _address(e, e.add(values, size))) for values in lists]
        self._bits, self._multiple = e.builder.trunc(p, I32), multiple
        self._weights, self._masks = _address(e, weights), _address(e, masks)
        additions = {"wrap": self._wrapped, "clamp16": self._clamped}
        add = additions.get(self._policy, self._saturated)

        def pair(index: Value, held: list[Value]) -> list[Value]:
            entry = e.multiply(index, 8)
            for i in range(0, 2, self._each):
                entries = [e.add(entry, 4 * (i + k)) for k in range(self._each)]
                place = e.add(e.multiply(index, 2 // self._each * ADDED), i * ADDED)
                held = add(e, held, entries, place)
            return held

        begin = [e.load(place, self._kind) for place in self._vectors_at(e, before, before_2)]
        held = e.loop(pairs, begin, pair)
        for value, place in zip(held, self._vectors_at(e, after, after_2), strict=True):
            e.store(value, place)
        end = e.add(masks, e.multiply(pairs, ADDED * (2 // self._each)))
        for i in range(GATHERED):
            e.store(e.constant(_WIDE, 0), e.add(end, _BYTES * i))

    def _vectors_at(self, e: Emitter, *halves: Value) -> list[Value]:
        return [e.add(half, _BYTES * j) for half in halves for j in range(self._vectors)]

    def _operands(self, e: Emitter, entry: Value) -> Products:
        """Codes and weights of an entry."""
        found = []
        for values, places in self._lists:
            codes = e.builder.bitcast(e.splat(e.load(e.add(values, entry), I32), LANES), self._kind)
            place = e.builder.zext(e.load(e.add(places, entry), I32), I64)
            row = e.add(self._weights, e.builder.mul(place, self._multiple))
            count = self._vectors if self._two else 2 * self._vectors
            found += [(codes, e.load(e.add(row, _BYTES * j), self._kind)) for j in range(count)]
        return found

    def _note(self, e: Emitter, flags: list[Value], place: Value) -> None:
        count = flags[0].type.count
        for j, flag in enumerate(flags):
            e.store(e.builder.bitcast(flag, ir.IntType(count)), e.add(e.add(self._masks, place), j * count // 8))

    def _wrapped(self, e: Emitter, held: list[Value], entries: list[Value], place: Value) -> list[Value]:
        middle, last = held, held
        for entry in entries:
            operands = self._operands(e, entry)
            middle, last = last, [add_pairs(e, value, *both) for value, both in zip(last, operands, strict=True)]
        bit = e.splat(e.builder.shl(ir.Constant(I32, 1), self._bits), LANES)
        fell = [e.builder.and_(falls(e, *three), bit) for three in zip(held, middle, last, strict=True)]
        self._note(e, [e.builder.icmp_signed("!=", f, e.constant(_WIDE, 0)) for f in fell], place)
        return last

    def _saturated(self, e: Emitter, held: list[Value], entries: list[Value], place: Value) -> list[Value]:
        operands = self._operands(e, entries[0])
        if self._short:
            products = [(value, e.builder.mul(*both)) for value, both in zip(held, operands, strict=True)]
            sums = [e.builder.add(*both) for both in products]
            results = [e.elementwise("sadd.sat", *both) for both in products]
        else:
            both = [(value, *operand) for value, operand in zip(held, operands, strict=True)]
            sums = [_wrapping(e, *three) for three in both]
            results = [e.call(f"llvm.x86.avx512.vpdpwssds.{32 * LANES}", _WIDE, three) for three in both]
        self._note(e, [e.builder.icmp_signed("!=", s, r) for s, r in zip(sums, results, strict=True)], place)
        return sums if self._policy == "wrap16" else results

    def _clamped(self, e: Emitter, held: list[Value], entries: list[Value], place: Value) -> list[Value]:
        half = e.builder.shl(ir.Constant(I32, 1), e.builder.sub(self._bits, ir.Constant(I32, 1)))
        least, most = e.builder.neg(half), e.builder.sub(half, ir.Constant(I32, 1))
        low, high = (e.splat(e.builder.trunc(limit, I16), 2 * LANES) for limit in (least, most))
        operands = zip(held, self._operands(e, entries[0]), strict=True)
        sums = [e.elementwise("sadd.sat", value, e.builder.mul(*both)) for value, both in operands]
        results = [e.elementwise("smin", e.elementwise("smax", s, low), high) for s in sums]
        self._note(e, [e.builder.icmp_signed("!=", s, r) for s, r in zip(sums, results, strict=True)], place)
        return results


def _address(e: Emitter, value: Value) -> Value:
    """An address that LLVM cannot take apart again, so that it stays in a register of its own."""
    return e.builder.call(ir.InlineAsm(ir.FunctionType(I64, [I64]), "", "=r,0"), [value])


def _wrapping(e: Emitter, sums: Value, a: Value, b: Value) -> Value:
    """As add_pairs, beyond the reach of LLVM, which would make two instructions of it to shorten its latency."""
    if LANES < 16:
        return add_pairs(e, sums, a, b)
    kind = ir.FunctionType(_WIDE, [_WIDE] * 3)
    return e.builder.call(ir.InlineAsm(kind, "vpdpwssd $3, $2, $0", "=v,0,v,v"), [sums, a, b])


def falls(e: Emitter, before: Value, middle: Value, last: Value) -> Value:
    """Bits that fall from 1 to 0 in one of two additions."""
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
