"""Outputs that are not certified, few among their neighbours: followed as many at once as a vector has lanes.

They wait, with whatever row and column they have, until there are enough; codes and weights are then gathered from
where `count_scan` has laid them, 4 products at a time. An accumulator is held as the sum + 2^(p-1), between 0 and 2^p.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from accel_kernels._types import Int64
from accel_kernels.native.count_blocks import NARROW, WIDE, Count
from accel_kernels.native.count_place import place
from accel_kernels.native.count_screen import FLAG_BYTES, SUM_BYTES
from accel_kernels.native.emit import I8, I32, I64, Emitter, Value, intrinsic, vector
from accel_kernels.native.fields import field, inline
from accel_kernels.native.memory import load_int32, load_int64, store_int32, store_int64
from accel_kernels.native.tables import Field
from accel_kernels.native.tier import tier

LANES = tier().lanes
_WIDE = vector(I32, LANES)
_BYTES = 4 * LANES
_CODES, _WEIGHTS, _HELD, _EVENTS, _ROWS, _COLUMNS, _COUNT = (_BYTES * i for i in range(7))
"""Of what waits: places of codes and of weights, accumulators, events, rows, columns; how many."""
GATHERS = LANES == 16
"""Whether there are registers that can be gathered."""


class _Single:
    """Arguments: codes, weights, groups of 4 products of a segment, p, what waits."""

    ARGUMENTS = 5

    def __init__(self, *, wraps: bool) -> None:
        self._wraps = wraps

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        codes, weights, groups, p, waiting = arguments
        builder, zero = e.builder, e.constant(_WIDE, 0)
        power = builder.shl(ir.Constant(I32, 1), builder.trunc(p, I32))
        top = e.splat(builder.sub(power, ir.Constant(I32, 1)), LANES)
        sources = [(base, e.load(e.add(waiting, at), _WIDE)) for base, at in ((codes, _CODES), (weights, _WEIGHTS))]

        def segment(index: Value, held: list[Value]) -> list[Value]:
            def group(number: Value, held: list[Value]) -> list[Value]:
                offset = e.add(e.multiply(number, _BYTES), e.multiply(index, 4))
                x, w = (_gathered(e, e.add(base, offset), places) for base, places in sources)
                value, events = held
                for i in range(4):
                    one = builder.and_(x, e.constant(_WIDE, (0xFF << 8 * i) - (1 << 32 if i == 3 else 0)))
                    product = e.call(f"llvm.x86.avx512.vpdpbusd.{32 * LANES}", _WIDE, [zero, one, w])
                    total = builder.add(value, product)
                    value = self._kept(e, total, top)
                    events = builder.add(events, builder.zext(builder.icmp_signed("!=", value, total), _WIDE))
                return [value, events]

            return e.loop(groups, held, group)

        begin = [e.load(e.add(waiting, _HELD), _WIDE), zero]
        held, events = e.loop(e.number(LANES), begin, segment)
        e.store(held, e.add(waiting, _HELD))
        e.store(events, e.add(waiting, _EVENTS))

    def _kept(self, e: Emitter, total: Value, top: Value) -> Value:
        if self._wraps:
            return e.builder.and_(total, top)
        return e.elementwise("smin", e.elementwise("smax", total, e.constant(_WIDE, 0)), top)


def _gathered(e: Emitter, base: Value, places: Value) -> Value:
    every = ir.Constant(vector(ir.IntType(1), LANES), [1] * LANES)
    pointer, nothing = e.builder.inttoptr(base, I8.as_pointer()), e.constant(_WIDE, 0)
    name = "llvm.x86.avx512.mask.gather.dpi.512"
    return e.call(name, _WIDE, [nothing, pointer, places, every, ir.Constant(I32, 1)])


@inline
def wait(block: Int64, row: Int64, base: Int64, column: Int64, scratch: Int64) -> None:
    """Put down an output: its row, the tile's first column among all, and its own in the tile. There is room for it."""
    waiting, size = scratch + place(block, Count.WAITING), place(block, Count.SEGMENTS) * _BYTES
    count = load_int64(waiting + _COUNT)
    here = waiting + 4 * count
    bias = load_int32(place(block, Count.BOUNDS) + 4 * (base + column))
    store_int32(here + _CODES, row * size)
    store_int32(here + _WEIGHTS, (base + column) * size)
    store_int32(here + _HELD, bias + (1 << (field(block, Field.HIGH) - 1)))
    store_int32(here + _ROWS, row)
    store_int32(here + _COLUMNS, column)
    store_int64(waiting + _COUNT, count + 1)


def follow_waiting(policy: str) -> Callable[..., None]:
    """Follow what waits, if there are at least as many; count, and put down what accumulators hold at the end."""
    kernel: Any = intrinsic(_Single.ARGUMENTS, _Single(wraps=policy.startswith("wrap")).emit)

    @inline
    def follow(block: Int64, base: Int64, least: Int64, scratch: Int64) -> None:
        waiting = scratch + place(block, Count.WAITING)
        count, p = load_int64(waiting + _COUNT), field(block, Field.HIGH)
        if count >= least:
            for i in range(count, LANES):
                for at in range(_CODES, _EVENTS, _BYTES):
                    store_int32(waiting + at + 4 * i, load_int32(waiting + at))
            codes, half = scratch + place(block, Count.BY_SEGMENT), 1 << (p - 1)
            kernel(codes, place(block, Count.BY_OUTPUT), place(block, Count.SEGMENTS), p, waiting)
            record_bytes = field(block, Field.TABLE_STRIDE)
            for i in range(count):
                events, column = load_int32(waiting + _EVENTS + 4 * i), load_int32(waiting + _COLUMNS + 4 * i)
                there = (
                    scratch + place(block, Count.SUMS) + load_int32(waiting + _ROWS + 4 * i) * SUM_BYTES + 4 * column
                )
                exact, record = load_int32(there) + half, scratch + field(block, Field.RECORD) + 4 * (base + column)
                outside = exact < 0 or exact >= 2 * half
                store_int32(record, load_int32(record) + events)
                store_int32(record + record_bytes // 2, load_int32(record + record_bytes // 2) + (events > 0))
                store_int32(record + record_bytes, load_int32(record + record_bytes) + outside)
                store_int32(there, load_int32(waiting + _HELD + 4 * i) - half)
            store_int64(waiting + _COUNT, 0)

    return follow


def single_out(policy: str, few: int) -> Callable[..., None]:
    """Follow the flagged outputs of halves of rows that have at most so many, and take their flags back."""
    follow = follow_waiting(policy)

    @inline
    def single(block: Int64, base: Int64, rows: Int64, scratch: Int64) -> None:
        store_int64(scratch + place(block, Count.WAITING) + _COUNT, 0)
        for m in range(rows):
            for half in range(0, WIDE, NARROW):
                there = scratch + place(block, Count.FLAGS) + m * FLAG_BYTES + 2 * half
                found = load_int64(there)
                if found != 0 and bits_of(found) <= few:
                    store_int64(there, 0)
                    while found != 0:
                        wait(block, m, base, half * LANES + first_bit(found), scratch)
                        follow(block, base, LANES, scratch)
                        found = found & (found - 1)
        follow(block, base, 1, scratch)

    return single


bits_of = intrinsic(1, lambda e, arguments: e.call("llvm.ctpop.i64", I64, arguments))
"""How many bits of a number are 1."""
first_bit = intrinsic(1, lambda e, arguments: e.call("llvm.cttz.i64", I64, [*arguments, ir.Constant(ir.IntType(1), 0)]))
"""The place of the lowest of them."""
