"""Flags of outputs that are not certified: int16 [rows, WIDE], a bit for each column of a vector."""

from llvmlite import ir

from accel_kernels._types import Int64
from accel_kernels.native.count_blocks import NARROW, WIDE
from accel_kernels.native.emit import I64, intrinsic
from accel_kernels.native.fields import inline
from accel_kernels.native.memory import load_int64, store_int64
from accel_kernels.native.tier import tier

FLAG_BYTES = 2 * WIDE
"""Of a row."""
_LANES = tier().lanes
_HALF = 2 * NARROW
_BITS = 16

bits_of = intrinsic(1, lambda e, arguments: e.call("llvm.ctpop.i64", I64, arguments))
"""How many bits of a number are 1."""
first_bit = intrinsic(1, lambda e, arguments: e.call("llvm.cttz.i64", I64, [*arguments, ir.Constant(ir.IntType(1), 0)]))
"""The place of the lowest of them."""


@inline
def column_of(bit: Int64) -> Int64:
    """The column whose flag a bit of a half of a row is, among those of the half."""
    return bit // _BITS * _LANES + bit % _BITS


@inline
def clear_flags(flags: Int64, rows: Int64) -> None:
    """Take all back."""
    for m in range(rows):
        store_int64(flags + m * FLAG_BYTES, 0)
        store_int64(flags + m * FLAG_BYTES + _HALF, 0)


@inline
def flagged_outputs(flags: Int64, rows: Int64) -> Int64:
    """How many there are."""
    found = 0
    for m in range(rows):
        found += bits_of(load_int64(flags + m * FLAG_BYTES)) + bits_of(load_int64(flags + m * FLAG_BYTES + _HALF))
    return found


@inline
def crowded_halves(flags: Int64, rows: Int64, most: Int64) -> Int64:
    """Halves of rows with more flags than `most`."""
    found = 0
    for m in range(rows):
        found += (bits_of(load_int64(flags + m * FLAG_BYTES)) > most) + (
            bits_of(load_int64(flags + m * FLAG_BYTES + _HALF)) > most
        )
    return found
