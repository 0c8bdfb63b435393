"""Accumulators in memory between products and codes, for endings that read them from there."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from accel_kernels.native.emit import Emitter, Value, held_bytes
from accel_kernels.native.tier import tier

_MOST_ROWS = 4  # that are read at once


class HeldEnding(ABC):
    """An ending that takes accumulators from registers by way of memory: a block of many rows has few registers left.

    Args:
        vectors: of columns in each row.
    """

    def __init__(self, vectors: int) -> None:
        self._vectors = vectors

    @abstractmethod
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
        """See `endings.Ending`."""

    def finish_sums(
        self, e: Emitter, sums: Sequence[Value], parameters: Any, out: Value, out_bytes: Value, valid: Value
    ) -> None:
        """See `endings.Ending`."""
        count = len(sums) // self._vectors
        held = hold(e, count, self._vectors)
        width = 4 * tier().lanes
        for index, value in enumerate(sums):
            e.store(value, e.add(held, index * width), width)
        self.finish(e, held, e.number(count), parameters, out, out_bytes, valid)


def hold(e: Emitter, rows: int, vectors: int) -> Value:
    """The address of memory for the accumulators of a block."""
    return held_bytes(e, max(rows, _MOST_ROWS) * vectors * tier().lanes * 4)
