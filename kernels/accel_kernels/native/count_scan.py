"""A closer look at single outputs that the screen does not certify, before their neighbours are followed with them.

The products of an output are cut into as many segments as a vector has lanes, which go through their segments side by
side, 4 products at a time; what is added between two such groups lies between what the positive products add and what
the negative ones do. Then segments are put one behind the other. Codes have no zero point.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from accel_kernels._types import Int64
from accel_kernels.native.count_blocks import NARROW, WIDE, Count
from accel_kernels.native.count_place import place
from accel_kernels.native.count_screen import FLAG_BYTES
from accel_kernels.native.count_single import GATHERS, bits_of
from accel_kernels.native.emit import I8, I32, I64, Emitter, Value, intrinsic, vector
from accel_kernels.native.fields import field, inline
from accel_kernels.native.memory import load_int32, load_int64, store_int32, store_int64
from accel_kernels.native.tables import Field
from accel_kernels.native.tier import tier

LANES = tier().lanes
_WIDE = vector(I32, LANES)
_BYTES = 4 * LANES
_MOST = 24
"""Outputs of a half that are looked at; where a screen leaves more, usually more than FEW of them may overflow."""
FEW = 3 if GATHERS else 0
"""Outputs of a half that are followed on their own (`count_single`)."""


def _scan(e: Emitter, arguments: Sequence[Value]) -> Value:
    """Whether a partial sum of one output may leave p bits.

    Arguments: codes and weights as int8 [groups, lanes, 4], groups, what is added to sums, p.
    """
    codes, weights, groups, bias, p = arguments
    builder, zero = e.builder, e.constant(_WIDE, 0)

    def group(index: Value, held: list[Value]) -> list[Value]:
        total, high, low = held
        offset = e.multiply(index, _BYTES)
        x, w = (e.load(e.add(address, offset), vector(I8, _BYTES)) for address in (codes, weights))
        x, none = builder.bitcast(x, _WIDE), e.constant(w.type, 0)
        name = f"llvm.x86.avx512.vpdpbusd.{32 * LANES}"
        more, less = (
            e.call(name, _WIDE, [zero, x, builder.bitcast(e.elementwise(kind, w, none), _WIDE)])
            for kind in ("smax", "smin")
        )
        top, bottom = builder.add(total, more), builder.add(total, less)
        return [builder.add(top, less), e.elementwise("smax", high, top), e.elementwise("smin", low, bottom)]

    total, high, low = e.loop(groups, [zero] * 3, group)
    start = builder.add(builder.sub(_running(e, total), total), e.splat(builder.trunc(bias, I32), LANES))
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


def scan_flagged() -> Callable[..., Int64]:
    """Take flags of outputs back that are certified after all; how many halves of rows keep more than FEW."""
    overflows: Any = intrinsic(5, _scan)

    @inline
    def look(block: Int64, codes: Int64, column: Int64, flags: Int64) -> Int64:
        """How many flagged outputs of a half may overflow; flags of these are kept, or all, where these are many."""
        groups, p = place(block, Count.SEGMENTS), field(block, Field.HIGH)
        weights, bias = place(block, Count.BY_OUTPUT) + column * groups * _BYTES, place(block, Count.BOUNDS)
        left, kept = 0, 0
        for j in range(NARROW):
            mask = load_int32(flags + 2 * j) & 0xFFFF
            i = 0
            while mask != 0:
                if mask & 1 and overflows(
                    codes,
                    weights + (j * LANES + i) * groups * _BYTES,
                    groups,
                    load_int32(bias + 4 * (column + j * LANES + i)),
                    p,
                ):
                    left, kept = left + 1, kept | (1 << (16 * j + i))
                    if left > FEW:
                        return left
                mask, i = mask >> 1, i + 1
        store_int64(flags, kept)
        return left

    @inline
    def scan(block: Int64, a: Int64, column: Int64, rows: Int64, scratch: Int64) -> Int64:
        flags, laid = scratch + place(block, Count.FLAGS), scratch + place(block, Count.LAID)
        size, left = place(block, Count.SEGMENTS) * _BYTES, 0
        for m in range(rows):
            for half in range(0, WIDE, NARROW):
                there = flags + m * FLAG_BYTES + 2 * half
                found = load_int64(there)
                if found != 0:
                    if bits_of(found) > _MOST:
                        left += 1
                        continue
                    codes = scratch + place(block, Count.BY_SEGMENT) + m * size
                    if load_int64(laid + 8 * m) == 0:
                        _lay(a + m * field(block, Field.PANEL_STRIDE), codes, place(block, Count.SEGMENTS))
                        store_int64(laid + 8 * m, 1)
                    left += look(block, codes, column + half * LANES, there) > FEW
        return left

    return scan


@inline
def _lay(codes: Int64, target: Int64, groups: Int64) -> None:
    """Segments side by side."""
    for g in range(groups):
        for lane in range(LANES):
            store_int32(target + g * _BYTES + 4 * lane, load_int32(codes + 4 * (lane * groups + g)))
