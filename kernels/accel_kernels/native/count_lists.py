"""The products of an output that are not 0, as a list: adding 0 overflows nowhere.

An entry is a relative code in that half of an int16 pair which its weight has in the packed weights, and the place of
that pair: a vector's bytes for each pair of products. For accumulators of 16 bits the code is in both halves, and there
is a place for each product, behind one of zeros. Lists end in zeros, and have an even number of entries.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from accel_kernels._types import Int64
from accel_kernels.native.emit import I8, I16, I32, I64, Emitter, Value, intrinsic, vector
from accel_kernels.native.fields import inline
from accel_kernels.native.memory import load_uint8, store_int32, store_int64
from accel_kernels.native.tier import tier

LANES = tier().lanes
_BYTES = 4 * LANES
_ARGUMENTS = 8
_COMPRESSED = 16
"""Lanes of registers that have an instruction to push chosen elements together."""
_WIDE = vector(I32, _COMPRESSED)


class _List:
    """Arguments: codes, how many, zero point, shift, place of the first product, values, places, where to put pairs."""

    def __init__(self, *, short: bool) -> None:
        self._short = short

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        codes, count, zero, shift, first, values, places, pairs = arguments
        builder, each = e.builder, _COMPRESSED
        lanes = ir.Constant(_WIDE, list(range(each)))
        steps = ir.Constant(_WIDE, [(lane if self._short else lane // 2) * _BYTES for lane in range(each)])
        zeros, chunk = e.splat(builder.trunc(zero, I32), each), e.number((each if self._short else each // 2) * _BYTES)
        shifts = e.splat(builder.trunc(shift, I32), each)

        def some(index: Value, carried: list[Value]) -> list[Value]:
            (done,) = carried
            start = e.multiply(index, each)
            x = builder.sub(builder.zext(e.load(e.add(codes, start), vector(I8, each)), _WIDE), zeros)
            left = e.splat(builder.trunc(builder.sub(count, start), I32), each)
            there = builder.icmp_signed("<", lanes, left)
            mask = builder.and_(builder.icmp_signed("!=", x, e.constant(_WIDE, 0)), there)
            place = e.splat(builder.trunc(e.add(first, builder.mul(index, chunk)), I32), each)
            e.store(_compress(e, self._value(e, x, shifts), mask), e.add(values, done))
            e.store(_compress(e, builder.add(place, steps), mask), e.add(places, done))
            found = e.call("llvm.ctpop.i16", I16, [builder.bitcast(mask, I16)])
            return [e.add(done, e.multiply(builder.zext(found, I64), 4))]

        chunks = builder.sdiv(e.add(count, each - 1), e.number(each))
        (end,) = e.loop(chunks, [e.number(0)], some)
        for array in (values, places):
            e.store(e.constant(vector(I32, 2), 0), e.add(array, end))
        found = builder.sdiv(e.add(end, 4), e.number(8))
        none = builder.icmp_signed("==", found, e.number(0))
        e.store(builder.select(none, e.number(1), found), pairs)

    def _value(self, e: Emitter, x: Value, shifts: Value) -> Value:
        builder = e.builder
        if self._short:
            return builder.or_(builder.and_(x, e.constant(_WIDE, 0xFFFF)), builder.shl(x, e.constant(_WIDE, 16)))
        halves = ir.Constant(_WIDE, [lane % 2 * 16 for lane in range(_COMPRESSED)])
        kept = ir.Constant(_WIDE, [-1 if lane % 2 else 0xFFFF for lane in range(_COMPRESSED)])
        return builder.and_(builder.shl(x, builder.add(shifts, halves)), kept)


def _compress(e: Emitter, data: Value, mask: Value) -> Value:
    return e.call("llvm.x86.avx512.mask.compress.v16i32", _WIDE, [data, e.constant(_WIDE, 0), mask])


def _listed_singly(*, short: bool) -> Callable[..., None]:
    @inline
    def listed(
        codes: Int64, count: Int64, zero: Int64, shift: Int64, first: Int64, values: Int64, places: Int64, pairs: Int64
    ) -> None:
        end = 0
        for k in range(count):
            x = load_uint8(codes + k) - zero
            if short:
                store_int32(values + end, (x << 16) | (x & 0xFFFF))
                store_int32(places + end, first + k * _BYTES)
            else:
                store_int32(values + end, x << (shift + 16) if k % 2 else (x << shift) & 0xFFFF)
                store_int32(places + end, first + k // 2 * _BYTES)
            end += 4 * (x != 0)
        store_int64(values + end, 0)
        store_int64(places + end, 0)
        store_int64(pairs, max((end + 4) // 8, 1))

    return listed


def list_products(*, short: bool) -> Callable[..., Any]:
    """List the products of up to DEPTH codes of an output; `pairs` gets how many pairs of entries, at least 1."""
    if LANES == _COMPRESSED:
        made: Callable[..., Any] = intrinsic(_ARGUMENTS, _List(short=short).emit)
        return made
    return _listed_singly(short=short)
