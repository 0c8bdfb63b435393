"""Sums of a panel of counted convolutions become codes."""

from collections.abc import Callable, Sequence
from typing import Any

from accel_kernels._types import Int64
from accel_kernels.native.count_blocks import Count
from accel_kernels.native.count_place import place
from accel_kernels.native.count_screen import SUM_BYTES
from accel_kernels.native.emit import I32, Emitter, Value, intrinsic, vector
from accel_kernels.native.epilogues import EPILOGUES, load_columns, narrow
from accel_kernels.native.fields import field, inline
from accel_kernels.native.rows import store_columns
from accel_kernels.native.tables import Field
from accel_kernels.native.tier import tier

LANES = tier().lanes
_UNROLLED = 4


class _Encode:
    """A vector of columns of all rows.

    Arguments: sums, rows, table, bytes of its rows, first column, out, bytes between its rows, columns that exist.
    """

    ARGUMENTS = 8

    def __init__(self, kind: str, bits: int) -> None:
        self._epilogue, self._bits = EPILOGUES[kind], bits

    def emit(self, e: Emitter, arguments: Sequence[Value]) -> None:
        sums, rows, table, stride, first, out, out_bytes, valid = arguments
        columns = load_columns(e, self._epilogue, table, stride, first, LANES)

        def finish(row: Value) -> None:
            total = e.load(e.add(sums, e.multiply(row, SUM_BYTES)), vector(I32, LANES))
            codes = narrow(e, self._epilogue.apply(e, total, columns), self._bits)
            store_columns(e, codes, e.add(out, e.multiply(row, out_bytes)), valid)

        def some(index: Value, carried: list[Value]) -> list[Value]:
            for i in range(_UNROLLED):
                finish(e.add(e.multiply(index, _UNROLLED), i))
            return []

        def single(index: Value, carried: list[Value]) -> list[Value]:
            finish(e.add(whole, index))
            return []

        whole = e.builder.and_(rows, e.number(-_UNROLLED))
        e.loop(e.builder.sdiv(rows, e.number(_UNROLLED)), [], some, perhaps_empty=True)
        e.loop(e.builder.sub(rows, whole), [], single, perhaps_empty=True)


def encode_sums(kind: str, bits: int) -> Callable[..., None]:
    """Sums of a panel become codes."""
    kernel: Any = intrinsic(_Encode.ARGUMENTS, _Encode(kind, bits).emit)

    @inline
    def encode(
        block: Int64, column: Int64, existing: Int64, rows: Int64, out: Int64, out_bytes: Int64, scratch: Int64
    ) -> None:
        sums = scratch + place(block, Count.SUMS)
        table, stride = field(block, Field.TABLE), field(block, Field.TABLE_STRIDE)
        for j in range(0, existing, LANES):
            kernel(sums + 4 * j, rows, table, stride, column + j, out + j * bits // 8, out_bytes, existing - j)

    return encode
