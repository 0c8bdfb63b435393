"""The cheapest screen, of no sums at all: an output whose operands are too small to overflow.

What is added to a bias, from the first product to any other, is at most the Euclidean norm of the output's relative
codes times that of its weights (Cauchy and Schwarz); where relative codes are not negative, times that of the weights
of one sign. So each column has a largest norm of codes that is safe.
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from accel_kernels._types import Int64
from accel_kernels.native.count_blocks import WIDE, Count
from accel_kernels.native.count_flags import FLAG_BYTES, flagged_outputs
from accel_kernels.native.count_place import place
from accel_kernels.native.count_scan import scan_flagged
from accel_kernels.native.count_screen import note_flags
from accel_kernels.native.emit import F32, I8, I16, I32, Emitter, Value, intrinsic, vector
from accel_kernels.native.fields import field, inline
from accel_kernels.native.products import add_pairs
from accel_kernels.native.tables import Field
from accel_kernels.native.tier import tier

LANES = tier().lanes
_WIDE = vector(I32, LANES)
_BYTES, _COLUMNS, _CODES = 4 * LANES, WIDE * LANES, 2 * LANES
_FEW_OF = 32
"""Outputs are looked at more closely where at most one in so many is not safe."""


def _norm(e: Emitter, arguments: Sequence[Value]) -> None:
    """Arguments: codes, how many, zero point, where the norm is put."""
    codes, count, zero, out = arguments
    builder, kind = e.builder, vector(I16, _CODES)
    zeros, lanes = e.splat(builder.trunc(zero, I16), _CODES), ir.Constant(kind, list(range(_CODES)))

    def relative(index: Value) -> Value:
        x = e.load(e.add(codes, e.multiply(index, _CODES)), vector(I8, _CODES))
        return builder.sub(builder.zext(x, kind), zeros)

    def squared(total: Value, x: Value) -> Value:
        x = builder.bitcast(x, _WIDE)
        return add_pairs(e, total, x, x)

    wholes = builder.sdiv(count, e.number(_CODES))
    begin = [e.constant(_WIDE, 0)]
    (total,) = e.loop(wholes, begin, lambda i, totals: [squared(totals[0], relative(i))], perhaps_empty=True)
    left = e.splat(builder.trunc(builder.sub(count, e.multiply(wholes, _CODES)), I16), _CODES)
    last = builder.select(builder.icmp_signed("<", lanes, left), relative(wholes), e.constant(kind, 0))
    square = e.call(f"llvm.vector.reduce.add.v{LANES}i32", I32, [squared(total, last)])
    e.store(e.call("llvm.sqrt.f32", F32, [builder.sitofp(square, F32)]), out)


def _compare(e: Emitter, arguments: Sequence[Value]) -> None:
    """Arguments: a row's norm, safe norms, flags of WIDE vectors."""
    norm, safe, flags = arguments
    norms = e.splat(e.load(norm, F32), LANES)
    for j in range(WIDE):
        limits = e.load(e.add(safe, _BYTES * j), vector(F32, LANES))
        note_flags(e, e.builder.fcmp_unordered(">", norms, limits), e.add(flags, 2 * j))


_row_norm: Any = intrinsic(4, _norm)
_compare_row: Any = intrinsic(3, _compare)


@inline
def measure_whole_rows(block: Int64, a: Int64, rows: Int64, scratch: Int64) -> None:
    """The norms of a panel's rows."""
    stride, count, zero = field(block, Field.PANEL_STRIDE), place(block, Count.REDUCTION), place(block, Count.ZERO)
    for m in range(rows):
        _row_norm(a + m * stride, count, zero, scratch + place(block, Count.WHOLE_NORMS) + 4 * m)


@inline
def guard(block: Int64, a: Int64, group: Int64, n: Int64, existing: Int64, rows: Int64, scratch: Int64) -> Int64:
    """Whether no output of a panel and WIDE vectors of columns overflows; the few that may are looked at."""
    columns, flags = field(block, Field.OUT_CHANNELS), scratch + place(block, Count.FLAGS)
    tiles = (columns + _COLUMNS - 1) // _COLUMNS
    safe = place(block, Count.SAFE_NORMS) + (group * tiles * _COLUMNS + n) * 4
    for m in range(rows):
        _compare_row(scratch + place(block, Count.WHOLE_NORMS) + 4 * m, safe, flags + m * FLAG_BYTES)
    found = flagged_outputs(flags, rows)
    if found > 0 and place(block, Count.ZERO) == 0 and found * _FEW_OF <= existing * rows:
        scan_flagged(block, a, group * columns + n, rows, scratch)
        found = flagged_outputs(flags, rows)
    return found == 0
