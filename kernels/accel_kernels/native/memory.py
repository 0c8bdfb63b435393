"""Loads, stores and copies by address, for steps."""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from accel_kernels._types import Int64
from accel_kernels.native.emit import I8, I16, I64, Emitter, Value, intrinsic, vector

_BLOCK = 64
"""Bytes that `copy` moves at once."""


def load(operands: str) -> Any:
    """An intrinsic that loads a number from any address: "u8", "s8", "s16", ..., "s64"."""
    kind, extend = ir.IntType(int(operands[1:])), "zext" if operands[0] == "u" else "sext"

    def emit(e: Emitter, arguments: Sequence[Value]) -> Value:
        return getattr(e.builder, extend)(e.load(arguments[0], kind), I64)

    return intrinsic(1, emit)


def store(bits: int) -> Any:
    """An intrinsic (address, number) that stores the lowest bits of a number at any address."""

    def emit(e: Emitter, arguments: Sequence[Value]) -> None:
        e.store(e.builder.trunc(arguments[1], ir.IntType(bits)), arguments[0])

    return intrinsic(2, emit)


LOADS = {operands: load(operands) for operands in ("u8", "s8", "u16", "s16", "s32", "s64")}
STORES = {bits: store(bits) for bits in (8, 16, 32, 64)}
load_uint8, load_int32, load_int64 = LOADS["u8"], LOADS["s32"], LOADS["s64"]
load_int8, load_int16, store_int8, store_int16 = LOADS["s8"], LOADS["s16"], STORES[8], STORES[16]
store_int32, store_int64 = STORES[32], STORES[64]


def _emit_copy(e: Emitter, arguments: Sequence[Value]) -> None:
    target, source = arguments
    e.store(e.load(source, vector(I8, _BLOCK)), target)


def fill_block(bits: int) -> Any:
    """An intrinsic (address, number) that stores the lowest bits of a number 64 bytes long."""
    kind = ir.IntType(bits)

    def emit(e: Emitter, arguments: Sequence[Value]) -> None:
        e.store(e.splat(e.builder.trunc(arguments[1], kind), 8 * _BLOCK // bits), arguments[0])

    return intrinsic(2, emit)


def _emit_flip(e: Emitter, arguments: Sequence[Value]) -> None:
    target, source = arguments
    kind = vector(I8, _BLOCK)
    e.store(e.builder.xor(e.load(source, kind), e.constant(kind, -128)), target)


def _emit_widen(e: Emitter, arguments: Sequence[Value]) -> None:
    """Sixteen codes of 8 bits as int16, the zero point subtracted; signed: 1 for int8, 0 for uint8."""
    target, source, signed, zero = arguments
    builder, shorts = e.builder, vector(I16, 16)
    codes = e.load(source, vector(I8, 16))
    flag = builder.icmp_signed("!=", signed, ir.Constant(I64, 0))
    wide = builder.select(flag, builder.sext(codes, shorts), builder.zext(codes, shorts))
    e.store(builder.sub(wide, e.splat(builder.trunc(zero, I16), 16)), target)


def _emit_split(e: Emitter, arguments: Sequence[Value]) -> None:
    """The lower and the upper bytes of 32 codes of 16 bits."""
    (low, high, source), bytes_of_half = arguments, vector(I8, _BLOCK // 2)
    codes = e.load(source, vector(I16, _BLOCK // 2))
    e.store(e.builder.trunc(codes, bytes_of_half), low)
    e.store(e.builder.trunc(e.builder.lshr(codes, e.constant(codes.type, 8)), bytes_of_half), high)


_copy_block, _flip_block, _widen_block = intrinsic(2, _emit_copy), intrinsic(2, _emit_flip), intrinsic(4, _emit_widen)
_split_block = intrinsic(3, _emit_split)


def split(low: Int64, high: Int64, source: Int64, size: Int64) -> None:
    """The lower and the upper bytes of `size` bytes of 16-bit codes, 32 codes at a time: up to 31 more are written."""
    for i in range(0, size, _BLOCK):
        _split_block(low + i // 2, high + i // 2, source + i)


def flip(target: Int64, source: Int64, size: Int64) -> None:
    """As `copy`, each int8 as the uint8 that is 128 higher."""
    for i in range(0, size, _BLOCK):
        _flip_block(target + i, source + i)


def copy(target: Int64, source: Int64, size: Int64) -> None:
    """Copy bytes in whole blocks: up to 63 bytes beyond `size` are read and written too."""
    for i in range(0, size, _BLOCK):
        _copy_block(target + i, source + i)


def widen(target: Int64, source: Int64, count: Int64, signed: Int64, zero_point: Int64) -> None:
    """int16 of codes of 8 bits, relative to their zero point, in blocks of 16: up to 15 more are read and written."""
    for i in range(0, count, 16):
        _widen_block(target + 2 * i, source + i, signed, zero_point)
