"""Outputs that are not certified, few among their neighbours: followed one by one.

A vector's lanes go side by side through the segments in which `count_scan` lays the products of an output. It tells the
exact sum before each segment, from which an accumulator that wraps is known. What one that saturates does in a segment
is known from three numbers: what the products add, and what it holds at the end if it begins with the least and with
the most that it can hold, as it never does more than clamp a sum between these.

An accumulator is held as the sum + 2^(p-1), between 0 and 2^p.
"""

from collections.abc import Callable, Sequence
from typing import Any

from accel_kernels._types import Int64
from accel_kernels.native.count_blocks import NARROW, WIDE, Count
from accel_kernels.native.count_flags import FLAG_BYTES, bits_of, column_of, first_bit
from accel_kernels.native.count_place import place
from accel_kernels.native.count_scan import lay_row, overflows
from accel_kernels.native.count_screen import SUM_BYTES
from accel_kernels.native.count_track import falls
from accel_kernels.native.emit import I32, I64, Emitter, Value, held_bytes, intrinsic, vector
from accel_kernels.native.fields import field, inline
from accel_kernels.native.memory import load_int32, load_int64, store_int32, store_int64
from accel_kernels.native.tables import Field
from accel_kernels.native.tier import tier

LANES = tier().lanes
_WIDE = vector(I32, LANES)
_BYTES = 4 * LANES
_ARGUMENTS = 6
"""Codes and weights as int8 [groups, lanes, 4], groups, p, where sums before each segment are, the last sum. What comes
out has what the accumulator holds at the end in its upper half, and events in its lower one."""
_FIRST, _EACH = [0xFF, 0xFFFF, 0xFFFFFF, -1], [0xFF, 0xFF00, 0xFF0000, -0x1000000]
"""Masks of the first ones of 4 codes, and of each."""


def _operands(e: Emitter, arguments: Sequence[Value], index: Value) -> tuple[Value, Value]:
    """4 codes and weights of each segment."""
    offset = e.multiply(index, _BYTES)
    codes, weights = (e.load(e.add(address, offset), _WIDE) for address in arguments[:2])
    return codes, weights


def _added(e: Emitter, begin: Value, operands: tuple[Value, Value], mask: int) -> Value:
    """A sum and the products of some of 4 codes."""
    codes, weights = operands
    some = codes if mask == -1 else e.builder.and_(codes, e.constant(_WIDE, mask))
    return e.call(f"llvm.x86.avx512.vpdpbusd.{32 * LANES}", _WIDE, [begin, some, weights])


def _counted(e: Emitter, counts: Value, where: Value) -> Value:
    return e.builder.add(counts, e.builder.zext(where, _WIDE))


def _total(e: Emitter, counts: Value) -> Value:
    return e.builder.zext(e.call(f"llvm.vector.reduce.add.v{LANES}i32", I32, [counts]), I64)


def _wrapped(e: Emitter, arguments: Sequence[Value]) -> Value:
    """An accumulator that wraps; overflow is counted as `count_track` says."""
    _, _, groups, p, starts, last = arguments
    builder, zero = e.builder, e.constant(_WIDE, 0)
    half = builder.shl(e.number(1), e.add(p, -1))
    bit = e.splat(builder.trunc(builder.shl(half, e.number(1)), I32), LANES)

    def group(index: Value, held: list[Value]) -> list[Value]:
        (before, counts), operands = held, _operands(e, arguments, index)
        sums = [_added(e, before, operands, mask) for mask in _FIRST]
        for three in ([before, *sums[:2]], sums[1:]):
            fell = builder.icmp_signed("!=", builder.and_(falls(e, *three), bit), zero)
            counts = _counted(e, counts, fell)
        return [sums[-1], counts]

    begin = builder.add(e.load(starts, _WIDE), e.splat(builder.trunc(half, I32), LANES))
    _, counts = e.loop(groups, [begin, zero], group)
    end = builder.add(last, half)
    odd = builder.and_(builder.ashr(end, p), e.number(1))
    kept = builder.and_(end, builder.sub(builder.shl(half, e.number(1)), e.number(1)))
    return _both(e, kept, e.add(e.multiply(_total(e, counts), 2), odd))


def _both(e: Emitter, held: Value, events: Value) -> Value:
    """Two numbers in one."""
    return e.builder.or_(e.builder.shl(held, e.number(32)), events)


def _saturated(e: Emitter, arguments: Sequence[Value]) -> Value:
    """One that saturates."""
    _, _, groups, p, starts, last = arguments
    builder, zero = e.builder, e.constant(_WIDE, 0)
    half = builder.shl(e.number(1), e.add(p, -1))
    most = builder.trunc(builder.sub(builder.shl(half, e.number(1)), e.number(1)), I32)
    top = e.splat(most, LANES)

    def clamped(sums: Value) -> Value:
        return e.elementwise("smin", e.elementwise("smax", sums, zero), top)

    def extremes(index: Value, held: list[Value]) -> list[Value]:
        operands = _operands(e, arguments, index)
        for mask in _EACH:
            product = _added(e, zero, operands, mask)
            held = [clamped(builder.add(value, product)) for value in held]
        return held

    def follow(index: Value, held: list[Value]) -> list[Value]:
        (value, counts), operands = held, _operands(e, arguments, index)
        for mask in _EACH:
            total = builder.add(value, _added(e, zero, operands, mask))
            value = clamped(total)
            counts = _counted(e, counts, builder.icmp_signed("!=", value, total))
        return [value, counts]

    low, high = e.loop(groups, [zero, top], extremes)
    begin = builder.add(e.load(starts, I32), builder.trunc(half, I32))
    values, end = _through_segments(e, begin, starts, (low, high), builder.trunc(last, I32))
    _, counts = e.loop(groups, [values, zero], follow)
    return _both(e, builder.zext(end, I64), _total(e, counts))


def _through_segments(
    e: Emitter, begin: Value, starts: Value, ends: tuple[Value, Value], last: Value
) -> tuple[Value, Value]:
    """What an accumulator holds before each segment, and at the end."""
    builder, values = e.builder, held_bytes(e, 3 * _BYTES)
    for i, extreme in enumerate(ends):
        e.store(extreme, e.add(values, _BYTES * (1 + i)))
    e.store(last, e.add(starts, _BYTES))

    def segment(index: Value, held: list[Value]) -> list[Value]:
        (value,), at = held, e.multiply(index, 4)
        place, source = e.add(values, at), e.add(starts, at)
        e.store(value, place)
        more = builder.sub(e.load(e.add(source, 4), I32), e.load(source, I32))
        least, most = (e.load(e.add(place, _BYTES * (1 + i)), I32) for i in range(2))
        value = builder.add(value, more)
        value = builder.select(builder.icmp_signed("<", value, least), least, value)
        return [builder.select(builder.icmp_signed(">", value, most), most, value)]

    (end,) = e.loop(e.number(LANES), [begin], segment)
    return e.load(values, _WIDE), end


def single_out(policy: str, most: int) -> Callable[..., None]:
    """Look at the flagged outputs of halves of rows that have at most so many; count, put down what accumulators hold.

    Their flags are taken back.
    """
    held_and_events: Any = intrinsic(_ARGUMENTS, _wrapped if policy.startswith("wrap") else _saturated)

    @inline
    def follow(block: Int64, codes: Int64, weights: Int64, column: Int64, there: Int64, scratch: Int64) -> None:
        p, starts = field(block, Field.HIGH), scratch + place(block, Count.SEGMENT_STARTS)
        half, last = 1 << (p - 1), load_int32(there)
        found = held_and_events(codes, weights, place(block, Count.SEGMENTS), p, starts, last)
        events, outside = found & 0xFFFFFFFF, last < -half or last >= half
        record, record_bytes = scratch + field(block, Field.RECORD) + 4 * column, field(block, Field.TABLE_STRIDE) // 2
        store_int32(record, load_int32(record) + events)
        store_int32(record + record_bytes, load_int32(record + record_bytes) + (events > 0))
        store_int32(record + 2 * record_bytes, load_int32(record + 2 * record_bytes) + outside)
        store_int32(there, (found >> 32) - half)

    @inline
    def single(block: Int64, a: Int64, base: Int64, rows: Int64, scratch: Int64) -> None:
        groups, p = place(block, Count.SEGMENTS), field(block, Field.HIGH)
        starts, bias = scratch + place(block, Count.SEGMENT_STARTS), place(block, Count.BOUNDS)
        for m in range(rows):
            for half in range(0, WIDE, NARROW):
                flags = scratch + place(block, Count.FLAGS) + m * FLAG_BYTES + 2 * half
                found = load_int64(flags)
                if found != 0 and bits_of(found) <= most:
                    store_int64(flags, 0)
                    codes = lay_row(block, a, m, scratch)
                    n = half * LANES + column_of(first_bit(found))
                    while found != 0:
                        found, column = found & (found - 1), n
                        n = half * LANES + column_of(first_bit(found)) if found else n
                        weights = place(block, Count.BY_OUTPUT) + (base + column) * groups * _BYTES
                        ahead = weights + (n - column) * groups * _BYTES
                        first = load_int32(bias + 4 * (base + column))
                        if overflows(codes, weights, groups, first, p, starts, ahead):
                            there = scratch + place(block, Count.SUMS) + m * SUM_BYTES + 4 * column
                            follow(block, codes, weights, base + column, there, scratch)

    return single
