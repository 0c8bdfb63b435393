"""What accumulators that were followed have to tell: masks become counts, and the last values are looked at."""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from accel_kernels.native.count_blocks import FORMS, NARROW, PLANES
from accel_kernels.native.count_screen import SUM_BYTES
from accel_kernels.native.count_track import ADDED, GATHERED, LANES, limits, ternary
from accel_kernels.native.emit import I8, I16, I32, I64, Emitter, Value, intrinsic, vector

_WIDE = vector(I32, LANES)
_BYTES = 4 * LANES
_MASK = ir.IntType(LANES)
SEEN_BYTES = 16
"""Of a row of masks of columns that have overflowed."""
_ODD, _MOST = 0x96, 0xE8
"""Truth tables of sum and carry."""


def _tally(e: Emitter, arguments: Sequence[Value]) -> None:
    """Add masks to what was counted: bit i of the number of each column lies in vector i of `planes`.

    Arguments: masks, how many (0 behind them), planes, columns of both halves that have overflowed.
    """
    masks, count, planes, seen, seen_2 = arguments
    builder, each = e.builder, GATHERED * _BYTES // ADDED
    groups = builder.sdiv(e.add(count, each - 1), e.number(each))

    def gather(index: Value, held: list[Value]) -> list[Value]:
        start = e.add(masks, e.multiply(index, GATHERED * _BYTES))
        numbers = _summed(e, [e.load(e.add(start, _BYTES * i), _WIDE) for i in range(GATHERED)])
        either, carry, totals = held[-1], None, []
        for i, total in enumerate(held[:-1]):
            terms = [total, *numbers[i : i + 1], *([carry] if carry else [])]
            total, carry = _added(e, *terms)
            totals.append(total)
        for number in numbers:
            either = builder.or_(either, number)
        return [*totals, either]

    places = [e.add(planes, _BYTES * i) for i in range(PLANES)]
    begin = [e.load(place, _WIDE) for place in places]
    *totals, either = e.loop(groups, [*begin, e.constant(_WIDE, 0)], gather)
    for total, place in zip(totals, places, strict=True):
        e.store(total, place)
    lanes = LANES
    while 4 * lanes > ADDED // 2:
        lanes //= 2
        halves = [_lanes(e, either, at, lanes) for at in (0, lanes)]
        if 4 * lanes > ADDED // 2:
            either = builder.or_(*halves)
    for place, half in zip((seen, seen_2), halves, strict=True):
        e.store(builder.or_(e.load(place, half.type), half), place)


def _lanes(e: Emitter, value: Value, first: int, count: int) -> Value:
    order = ir.Constant(vector(I32, count), list(range(first, first + count)))
    return e.builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), order)


class _Spread:
    """Add what planes hold to the events of their columns, and make them 0.

    Arguments: planes, how many, events. The two halves are the same columns, or lie side by side.
    """

    ARGUMENTS = 3

    def __init__(self, policy: str, *, two: bool) -> None:
        self._events, self._two = FORMS[policy].additions, two

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        planes, count, record = arguments
        builder, bits = e.builder, 8 * ADDED // 2
        kind = vector(I8, bits)

        def plane(index: Value, held: list[Value]) -> list[Value]:
            place, counts = e.add(planes, e.multiply(index, _BYTES)), [e.constant(kind, 0)] * 2
            for at in range(0, _BYTES, ADDED // 2):
                mask = builder.bitcast(e.load(e.add(place, at), ir.IntType(bits)), vector(ir.IntType(1), bits))
                half = at // (ADDED // 2) % 2
                counts[half] = builder.add(counts[half], builder.zext(mask, kind))
            e.store(e.constant(_WIDE, 0), place)
            shift = e.splat(builder.trunc(index, I32), LANES)
            results = list(held)
            for j in range(2 * NARROW):
                columns = _lanes(e, counts[j // NARROW], j % NARROW * LANES, LANES)
                at = j % len(held)
                results[at] = builder.add(results[at], builder.shl(builder.zext(columns, _WIDE), shift))
            return results

        totals = e.loop(count, [e.constant(_WIDE, 0)] * (NARROW if self._two else 2 * NARROW), plane)
        for j, total in enumerate(totals):
            place = e.add(record, _BYTES * j)
            events = builder.mul(total, e.constant(_WIDE, self._events))
            e.store(builder.add(e.load(place, _WIDE), events), place)


def _summed(e: Emitter, masks: list[Value]) -> tuple[Value, Value, Value]:
    """The bits of 7 masks, bit by bit: how many ones, twos and fours there are."""
    first, second = _added(e, *masks[:3]), _added(e, *masks[3:6])
    ones, third = _added(e, first[0], second[0], masks[6])
    twos, fours = _added(e, first[1], second[1], third)
    return ones, twos, fours


def _added(e: Emitter, a: Value, b: Value, c: Value | None = None) -> tuple[Value, Value]:
    """Sum and carry of two or three masks."""
    either, both = e.builder.xor(a, b), e.builder.and_(a, b)
    if c is None:
        return either, both
    if LANES == 16:
        return ternary(e, _ODD, a, b, c), ternary(e, _MOST, a, b, c)
    return e.builder.xor(either, c), e.builder.or_(both, e.builder.and_(either, c))


class _Finish:
    """One vector of columns of some rows: what is left to be counted; sums become what accumulators hold.

    Arguments: rows (int64), how many, accumulators, columns that have overflowed, sums, record, bytes between its
    rows, p, columns that exist.
    """

    ARGUMENTS = 9

    def __init__(self, policy: str) -> None:
        self._policy, self._form = policy, FORMS[policy]

    def _held(self, e: Emitter, place: Value) -> Value:
        if self._form.short:
            return e.builder.sext(e.load(place, vector(I16, LANES)), _WIDE)
        return e.load(place, _WIDE)

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        rows, count, held, seen, sums, record, record_bytes, p, valid = arguments
        builder, zero = e.builder, e.constant(_WIDE, 0)
        half, _, top = limits(e, p)
        bits = e.splat(builder.trunc(p, I32), LANES)
        rest = builder.sub(e.constant(_WIDE, self._form.bits), bits)
        lanes = ir.Constant(_WIDE, list(range(LANES)))
        exist = builder.icmp_signed("<", lanes, e.splat(builder.trunc(valid, I32), LANES))

        def finish(index: Value, tallies: list[Value]) -> list[Value]:
            row = e.load(e.add(rows, e.multiply(index, 8)), I64)
            place = e.add(sums, e.multiply(row, SUM_BYTES))
            value = self._held(e, e.add(held, e.multiply(row, SUM_BYTES)))
            mask = e.load(e.add(seen, e.multiply(row, SEEN_BYTES)), _MASK)
            overflowed, last = builder.bitcast(mask, vector(ir.IntType(1), LANES)), zero
            if self._policy == "wrap":
                last = builder.and_(builder.lshr(value, bits), e.constant(_WIDE, 1))
                overflowed = builder.or_(overflowed, builder.icmp_signed("!=", last, zero))
                kept = builder.sub(builder.and_(value, top), half)
                outside = builder.icmp_signed("!=", builder.and_(value, builder.not_(top)), zero)
            else:
                exact = builder.add(e.load(place, _WIDE), half)
                kept = value if self._policy == "clamp16" else builder.ashr(value, rest)
                outside = builder.icmp_signed("!=", builder.and_(exact, builder.not_(top)), zero)
            e.store(kept, place)
            persistent = builder.and_(outside, exist)
            new = last, builder.zext(overflowed, _WIDE), builder.zext(persistent, _WIDE)
            return [builder.add(*pair) for pair in zip(tallies, new, strict=True)]

        tallies = e.loop(count, [zero] * 3, finish)
        for i, tally in enumerate(tallies):
            place = e.add(record, e.multiply(record_bytes, i))
            e.store(builder.add(e.load(place, _WIDE), tally), place)


def tally() -> Any:
    """The one that sums up what they wrote."""
    return intrinsic(5, _tally)


def spread(policy: str, *, two: bool) -> Any:
    """The one that adds the sums to the events of columns."""
    return intrinsic(_Spread.ARGUMENTS, _Spread(policy, two=two).emit)


def finish(policy: str) -> Any:
    """The one that looks at what they hold at the end."""
    return intrinsic(_Finish.ARGUMENTS, _Finish(policy).emit)
