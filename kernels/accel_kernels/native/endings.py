"""Ends of micro-kernels: accumulators of a block of rows and columns become codes in memory."""

from collections.abc import Sequence
from typing import Any, Protocol

from accel_kernels.native.emit import I32, Emitter, Value, vector
from accel_kernels.native.epilogues import EPILOGUES, load_columns, narrow
from accel_kernels.native.held import HeldEnding
from accel_kernels.native.line import LineEnding
from accel_kernels.native.packed import PackedEnding
from accel_kernels.native.tier import tier


class Ending(Protocol):
    """See the module."""

    def load(self, e: Emitter, table: Value, stride: Value, first: Value) -> Any:
        """The parameters of the columns `first` and on; `stride` is the bytes of a row of the table."""

    def finish(
        self,
        e: Emitter,
        held: Value,
        rows: Value,
        parameters: Any,
        out: Value,
        out_bytes: Value,
        valid: Value,
        row_bytes: int | None = None,
    ) -> None:
        """Requantize and store.

        Args:
            e: where.
            held: address of the accumulators (`held.hold`), row after row.
            rows: how many, at least 1; a group of rows more may be read.
            parameters: from `load`.
            out: where the first row goes.
            out_bytes: between rows.
            valid: columns that exist.
            row_bytes: between rows of accumulators; by default they are whole vectors one after the other.
        """

    def finish_sums(
        self, e: Emitter, sums: Sequence[Value], parameters: Any, out: Value, out_bytes: Value, valid: Value
    ) -> None:
        """The same for accumulators in registers: row after row of whole vectors."""


class _PlainEnding(HeldEnding):
    """Each vector by itself, by an epilogue."""

    def __init__(self, kind: str, vectors: int, bits: int) -> None:
        super().__init__(vectors)
        self._epilogue, self._bits, self._lanes = EPILOGUES[kind], bits, tier().lanes

    def load(self, e: Emitter, table: Value, stride: Value, first: Value) -> Any:
        """See `Ending`."""
        lanes = self._lanes
        return [
            load_columns(e, self._epilogue, table, stride, e.add(first, j * lanes), lanes) for j in range(self._vectors)
        ]

    def finish(
        self,
        e: Emitter,
        held: Value,
        rows: Value,
        parameters: Any,
        out: Value,
        out_bytes: Value,
        valid: Value,
        row_bytes: int | None = None,
    ) -> None:
        """See `Ending`."""
        width, kind = 4 * self._lanes, vector(I32, self._lanes)
        between = row_bytes or width * self._vectors

        def finish_row(row: Value, *, whole: bool) -> list[Value]:
            place, target = e.add(held, e.multiply(row, between)), e.add(out, e.multiply(out_bytes, row))
            for j, columns in enumerate(parameters):
                sums = e.load(e.add(place, j * width), kind, width)
                codes = narrow(e, self._epilogue.apply(e, sums, columns), self._bits)
                part = e.add(target, j * self._lanes * (self._bits // 8))
                if whole:
                    e.store(codes, part)
                else:
                    e.store_some(codes, part, e.add(valid, -j * self._lanes))
            return []

        fits = e.builder.icmp_signed(">=", valid, e.number(self._vectors * self._lanes))
        with e.builder.if_else(fits) as (then, otherwise):
            with then:
                e.loop(rows, [], lambda row, carried: finish_row(row, whole=True))
            with otherwise:
                e.loop(rows, [], lambda row, carried: finish_row(row, whole=False))


def ending(kind: str, vectors: int, bits: int) -> Ending:
    """The ending of a kind of epilogue, for rows of so many vectors."""
    if kind.startswith(("line_", "bent_")):
        return LineEnding(kind, vectors)
    return PackedEnding(kind, vectors) if kind.startswith("packed_") else _PlainEnding(kind, vectors, bits)
