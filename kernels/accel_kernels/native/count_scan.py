"""A closer look at single outputs that the screen does not certify, before their neighbours are followed with them.

The products of an output are cut into as many segments as a vector has lanes, which go through their segments side by
side, 4 products at a time; what is added between two such groups lies between what the positive products add and what
the negative ones do. Then segments are put one behind the other. Codes have no zero point.
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from accel_kernels._types import Int64
from accel_kernels.native.count_blocks import NARROW, WIDE, Count
from accel_kernels.native.count_flags import FLAG_BYTES, column_of, first_bit
from accel_kernels.native.count_place import place
from accel_kernels.native.emit import I1, I8, I32, I64, Emitter, Value, intrinsic, vector
from accel_kernels.native.fields import field, inline
from accel_kernels.native.memory import load_int32, load_int64, store_int64
from accel_kernels.native.tables import Field
from accel_kernels.native.tier import tier

LANES = tier().lanes
_WIDE = vector(I32, LANES)
_BYTES = 4 * LANES


def _scan(e: Emitter, arguments: Sequence[Value]) -> Value:
    """Whether a partial sum of one output may leave p bits.

    Arguments: codes and weights as int8 [groups, lanes, 4], groups, what is added to sums, p, where the sums before
    each segment are put, weights that are wanted next.
    """
    codes, weights, groups, bias, p, starts, ahead = arguments
    builder, zero = e.builder, e.constant(_WIDE, 0)

    def group(index: Value, held: list[Value]) -> list[Value]:
        total, high, low = held
        offset = e.multiply(index, _BYTES)
        e.prefetch(e.add(ahead, offset))
        x, w = (e.load(e.add(address, offset), vector(I8, _BYTES)) for address in (codes, weights))
        x, none = builder.bitcast(x, _WIDE), e.constant(w.type, 0)
        name = f"llvm.x86.avx512.vpdpbusd.{32 * LANES}"
        top, bottom = (
            e.call(name, _WIDE, [total, x, builder.bitcast(e.elementwise(kind, w, none), _WIDE)])
            for kind in ("smax", "smin")
        )
        after = e.call(name, _WIDE, [total, x, builder.bitcast(w, _WIDE)])
        return [after, e.elementwise("smax", high, top), e.elementwise("smin", low, bottom)]

    total, high, low = e.loop(groups, [zero] * 3, group)
    start = builder.add(builder.sub(_running(e, total), total), e.splat(builder.trunc(bias, I32), LANES))
    e.store(start, starts)
    half = builder.shl(ir.Constant(I32, 1), builder.sub(builder.trunc(p, I32), ir.Constant(I32, 1)))
    most, least = e.splat(builder.sub(half, ir.Constant(I32, 1)), LANES), e.splat(builder.neg(half), LANES)
    above = builder.icmp_signed(">", builder.add(start, high), most)
    below = builder.icmp_signed("<", builder.add(start, low), least)
    mask = builder.bitcast(builder.or_(above, below), ir.IntType(LANES))
    return builder.zext(builder.icmp_unsigned("!=", mask, ir.Constant(mask.type, 0)), I64)


def _running(e: Emitter, values: Value) -> Value:
    """Of each lane, the sum of all up to it."""
    shift, none = 1, e.constant(_WIDE, 0)
    while shift < LANES:
        order = ir.Constant(_WIDE, [LANES + lane - shift if lane >= shift else 0 for lane in range(LANES)])
        values = e.builder.add(values, e.builder.shuffle_vector(none, values, order))
        shift *= 2
    return values


overflows: Any = intrinsic(7, _scan)


def _lay(e: Emitter, arguments: Sequence[Value]) -> None:
    """Put segments side by side. Arguments: codes, where to, groups of a segment."""
    codes, target, groups = arguments
    every, lanes = e.constant(_WIDE, -1), ir.Constant(_WIDE, list(range(LANES)))
    places = e.builder.mul(lanes, e.splat(e.builder.trunc(groups, I32), LANES))
    four = ir.Constant(I8, 4)

    def group(index: Value, _: list[Value]) -> list[Value]:
        source = e.builder.inttoptr(e.add(codes, e.multiply(index, 4)), I8.as_pointer())
        if LANES == 16:
            name, mask = "llvm.x86.avx512.mask.gather.dpi.512", ir.Constant(vector(I1, LANES), [1] * LANES)
            found = e.call(name, _WIDE, [e.constant(_WIDE, 0), source, places, mask, ir.Constant(I32, 4)])
        else:
            name = "llvm.x86.avx2.gather.d.d.256"
            found = e.call(name, _WIDE, [e.constant(_WIDE, 0), source, places, every, four])
        e.store(found, e.add(target, e.multiply(index, _BYTES)))
        return []

    e.loop(groups, [], group)


_lay_segments: Any = intrinsic(3, _lay)


@inline
def lay_row(block: Int64, a: Int64, row: Int64, scratch: Int64) -> Int64:
    """Where the codes of a row lie in segments; they are laid there if they are not yet."""
    groups, laid = place(block, Count.SEGMENTS), scratch + place(block, Count.LAID) + 8 * row
    target = scratch + place(block, Count.BY_SEGMENT) + row * groups * _BYTES
    if load_int64(laid) == 0:
        _lay_segments(a + row * field(block, Field.PANEL_STRIDE), target, groups)
        store_int64(laid, 1)
    return target


@inline
def scan_flagged(block: Int64, a: Int64, column: Int64, rows: Int64, scratch: Int64) -> None:
    """Take flags of outputs back that are certified after all."""
    groups, p = place(block, Count.SEGMENTS), field(block, Field.HIGH)
    starts, bias = scratch + place(block, Count.SEGMENT_STARTS), place(block, Count.BOUNDS)
    for m in range(rows):
        for half in range(0, WIDE, NARROW):
            there = scratch + place(block, Count.FLAGS) + m * FLAG_BYTES + 2 * half
            left, kept = load_int64(there), 0
            while left != 0:
                n = column + half * LANES + column_of(first_bit(left))
                codes, weights = lay_row(block, a, m, scratch), place(block, Count.BY_OUTPUT) + n * groups * _BYTES
                if overflows(codes, weights, groups, load_int32(bias + 4 * n), p, starts, weights):
                    kept = kept | (left & -left)
                left = left & (left - 1)
            store_int64(there, kept)
