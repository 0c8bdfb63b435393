"""A vector of columns, row after row: what requantizing codes and summing over pixels have in common."""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from accel_kernels.native.emit import F32, F64, I32, I64, Emitter, Value, intrinsic, vector
from accel_kernels.native.epilogues import EPILOGUES, Columns, Epilogue, load_columns, narrow
from accel_kernels.native.tier import tier

LANES = tier().lanes
_ELEMENTS = {"i32": I32, "i64": I64, "f32": F32, "f64": F64}

ARGUMENTS = 9
"""source, bytes between its rows, rows, table, bytes of a table row, first column in the table, out, bytes between its
rows, columns that exist."""


def load_wide(e: Emitter, address: Value, operands: str) -> Value:
    """int32 of a vector of codes: "u8", "s8" or "s16"."""
    codes = e.load(address, vector(ir.IntType(int(operands[1:])), LANES))
    wide = vector(I32, LANES)
    return e.builder.zext(codes, wide) if operands[0] == "u" else e.builder.sext(codes, wide)


def load_numbers(e: Emitter, table: Value, fields: Sequence[tuple[str, str]], first: int = 0) -> dict[str, Value]:
    """Vectors of equal elements: the numbers of a `number_table`, of which the first is entry `first`."""
    return {
        name: e.splat(e.load(e.add(table, 8 * (first + index)), _ELEMENTS[kind], 8), LANES)
        for index, (name, kind) in enumerate(fields)
    }


def store_columns(e: Emitter, codes: Value, address: Value, valid: Value) -> None:
    """A vector of codes, or the `valid` first of them."""
    whole = e.builder.icmp_signed(">=", valid, e.number(codes.type.count))
    with e.builder.if_else(whole) as (then, otherwise):
        with then:
            e.store(codes, address)
        with otherwise:
            e.store_some(codes, address, valid)


def requantize_rows(operands: str, kind: str, bits: int) -> Any:
    """out[r, c] = epilogue(bias[c] + source[r, c]) for a vector of columns."""

    def emit(e: Emitter, arguments: Sequence[Value]) -> None:
        source, step, rows, table, stride, first, out, out_step, valid = arguments
        columns = load_columns(e, EPILOGUES[kind], table, stride, first, LANES)

        def row(index: Value, carried: list[Value]) -> list[Value]:
            sums = load_wide(e, e.add(source, e.multiply(index, step)), operands)
            codes = _finished(e, sums, EPILOGUES[kind], columns, bits)
            store_columns(e, codes, e.add(out, e.multiply(index, out_step)), valid)
            return []

        e.loop(rows, [], row)

    return intrinsic(ARGUMENTS, emit)


def sum_rows(operands: str, kind: str, bits: int) -> Any:
    """out[c] = epilogue(bias[c] + sum over r of source[r, c]) for a vector of columns."""

    def emit(e: Emitter, arguments: Sequence[Value]) -> None:
        source, step, rows, table, stride, first, out, _, valid = arguments

        def row(index: Value, sums: list[Value]) -> list[Value]:
            return [e.builder.add(sums[0], load_wide(e, e.add(source, e.multiply(index, step)), operands))]

        (total,) = e.loop(rows, [e.constant(vector(I32, LANES), 0)], row)
        columns = load_columns(e, EPILOGUES[kind], table, stride, first, LANES)
        store_columns(e, _finished(e, total, EPILOGUES[kind], columns, bits), out, valid)

    return intrinsic(ARGUMENTS, emit)


def _finished(e: Emitter, sums: Value, epilogue: Epilogue, columns: Columns, bits: int) -> Value:
    return narrow(e, epilogue.apply(e, e.builder.add(sums, columns["bias"]), columns), bits)
