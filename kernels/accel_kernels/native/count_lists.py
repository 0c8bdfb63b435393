"""The products of an output that are not 0, as a list: adding 0 overflows nowhere.

An entry is a relative code in that half of an int16 pair which its weight has in the packed weights, and the place of
that pair: 64 bytes (a vector) for each pair of products. Lists end in zeros, and have an even number of entries.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from accel_kernels._types import Int64
from accel_kernels.native.emit import I8, I16, I32, Emitter, Value, intrinsic, vector
from accel_kernels.native.fields import inline
from accel_kernels.native.memory import load_uint8, store_int32, store_int64
from accel_kernels.native.tier import tier

LANES = tier().lanes
_ARGUMENTS = 8
_COMPRESSED = 16
"""Lanes of registers that have an instruction to push chosen elements together."""


def _emit(e: Emitter, arguments: Sequence[Value]) -> None:
    """Arguments: codes, how many, zero point, shift, place of the first pair, values, places, where to put pairs."""
    codes, count, zero, shift, first, values, places, pairs = arguments
    builder, wide = e.builder, vector(I32, _COMPRESSED)
    lanes = ir.Constant(wide, list(range(_COMPRESSED)))
    halves = ir.Constant(wide, [lane % 2 * 16 for lane in range(_COMPRESSED)])
    kept = ir.Constant(wide, [-1 if lane % 2 else 0xFFFF for lane in range(_COMPRESSED)])
    steps = ir.Constant(wide, [lane // 2 * 4 * LANES for lane in range(_COMPRESSED)])
    shifts = builder.add(e.splat(builder.trunc(shift, I32), _COMPRESSED), halves)
    zeros = e.splat(builder.trunc(zero, I32), _COMPRESSED)

    def compress(data: Value, mask: Value) -> Value:
        nothing = e.constant(wide, 0)
        return e.call("llvm.x86.avx512.mask.compress.v16i32", wide, [data, nothing, mask])

    def some(index: Value, carried: list[Value]) -> list[Value]:
        (done,) = carried
        start = e.multiply(index, _COMPRESSED)
        x = builder.sub(builder.zext(e.load(e.add(codes, start), vector(I8, _COMPRESSED)), wide), zeros)
        left = e.splat(builder.trunc(builder.sub(count, start), I32), _COMPRESSED)
        mask = builder.and_(builder.icmp_signed("!=", x, e.constant(wide, 0)), builder.icmp_signed("<", lanes, left))
        place = e.splat(builder.trunc(e.add(first, e.multiply(start, 2 * LANES)), I32), _COMPRESSED)
        e.store(compress(builder.and_(builder.shl(x, shifts), kept), mask), e.add(values, done))
        e.store(compress(builder.add(place, steps), mask), e.add(places, done))
        found = e.call("llvm.ctpop.i16", I16, [builder.bitcast(mask, I16)])
        return [e.add(done, e.multiply(builder.zext(found, ir.IntType(64)), 4))]

    chunks = builder.sdiv(e.add(count, _COMPRESSED - 1), e.number(_COMPRESSED))
    (end,) = e.loop(chunks, [e.number(0)], some)
    for array in (values, places):
        e.store(e.constant(vector(I32, 2), 0), e.add(array, end))
    found = builder.sdiv(e.add(end, 4), e.number(8))
    none = builder.icmp_signed("==", found, e.number(0))
    e.store(builder.select(none, e.number(1), found), pairs)


@inline
def _listed_singly(
    codes: Int64, count: Int64, zero: Int64, shift: Int64, first: Int64, values: Int64, places: Int64, pairs: Int64
) -> None:
    end = 0
    for k in range(count):
        x = load_uint8(codes + k) - zero
        store_int32(values + end, x << (shift + 16) if k % 2 else (x << shift) & 0xFFFF)
        store_int32(places + end, first + k // 2 * 4 * LANES)
        end += 4 * (x != 0)
    store_int64(values + end, 0)
    store_int64(places + end, 0)
    store_int64(pairs, max((end + 4) // 8, 1))


list_products: Callable[..., Any] = intrinsic(_ARGUMENTS, _emit) if LANES == _COMPRESSED else _listed_singly
"""List the products of up to DEPTH codes of an output; `pairs` gets how many pairs of entries there are, at least 1."""
