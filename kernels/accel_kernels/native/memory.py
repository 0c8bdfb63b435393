"""Loads, stores and copies by address, for steps."""

from typing import Any

from llvmlite import ir
from numba import types

from accel_kernels._types import Int64
from accel_kernels.native.emit import I8, I16, I64, Emitter, instruction, vector

_BLOCK = 64
"""Bytes that `copy` moves at once."""


def access(kind: Any, *, stores: bool) -> Any:
    """An intrinsic that loads or stores one number of a numba type at any address."""
    if stores:

        @instruction
        def store(typingctx: Any, address: Any, value: Any) -> Any:
            def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
                data = context.get_data_type(kind)
                stored = builder.store(arguments[1], builder.inttoptr(arguments[0], data.as_pointer()))
                stored.align = 1
                return context.get_dummy_value()

            return types.void(types.int64, kind), codegen

        return store

    @instruction
    def load(typingctx: Any, address: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            data = context.get_data_type(kind)
            loaded = builder.load(builder.inttoptr(arguments[0], data.as_pointer()))
            loaded.align = 1
            return loaded

        return kind(types.int64), codegen

    return load


load_int64 = access(types.int64, stores=False)
load_int32 = access(types.int32, stores=False)
load_int16 = access(types.int16, stores=False)
load_int8 = access(types.int8, stores=False)
load_uint8 = access(types.uint8, stores=False)
load_uint16 = access(types.uint16, stores=False)
load_float32 = access(types.float32, stores=False)
store_int16 = access(types.int16, stores=True)
store_int8 = access(types.int8, stores=True)
store_int32 = access(types.int32, stores=True)
store_int64 = access(types.int64, stores=True)

LOADS = {"u8": load_uint8, "s8": load_int8, "s16": load_int16, "u16": load_uint16, "s32": load_int32}


@instruction
def _copy_block(typingctx: Any, target: Any, source: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        e, kind = Emitter(builder), vector(I8, _BLOCK)
        e.store(e.load(arguments[1], kind), arguments[0])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


@instruction
def _widen_block(typingctx: Any, target: Any, source: Any, kind: Any, zero_point: Any) -> Any:
    """Sixteen codes of 8 bits as int16, the zero point subtracted; kind: 1 for int8, 0 for uint8."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        target, source, signed, zero = arguments
        e, shorts = Emitter(builder), vector(ir.IntType(16), 16)
        codes = e.load(source, vector(I8, 16))
        flag = builder.icmp_signed("!=", signed, ir.Constant(I64, 0))
        wide = builder.select(flag, builder.sext(codes, shorts), builder.zext(codes, shorts))
        e.store(builder.sub(wide, e.splat(builder.trunc(zero, ir.IntType(16)), 16)), target)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, types.int64), codegen


@instruction
def _flip_block(typingctx: Any, target: Any, source: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        e, kind = Emitter(builder), vector(I8, _BLOCK)
        e.store(builder.xor(e.load(arguments[1], kind), e.constant(kind, -128)), arguments[0])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


@instruction
def _split_block(typingctx: Any, low: Any, high: Any, source: Any) -> Any:
    """The lower and the upper bytes of 32 codes of 16 bits."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        e, bytes_of_half = Emitter(builder), vector(I8, _BLOCK // 2)
        codes = e.load(arguments[2], vector(I16, _BLOCK // 2))
        e.store(builder.trunc(codes, bytes_of_half), arguments[0])
        e.store(builder.trunc(builder.lshr(codes, e.constant(codes.type, 8)), bytes_of_half), arguments[1])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), codegen


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
