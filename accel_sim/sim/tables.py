"""Lookup: functions of one code by table."""

import numpy as np

from accel_kernels.lookup import lookup, lookup_indexed
from accel_sim.program import Lookup
from accel_sim.sim.memory import Array, Memory
from accel_sim.sim.preparation import Context, Operation, Record, Run, prepares, refusal


@prepares(Lookup)
def prepare_lookup(command: Lookup, context: Context) -> Operation:
    """The operation of a table."""
    tables, first = covering_tables(command, context)
    if command.table_index is None:
        return _single(command, tables, first)
    index = selected_tables(command, context, tables)

    def bind(memory: Memory, record: Record) -> Run:
        x, codes = memory.view(command.input).reshape(-1), memory.view(command.output_to).reshape(-1)
        return lambda: lookup_indexed(x, tables, index, first, codes)

    return Operation(bind)


def _single(command: Lookup, table: Array, first: int) -> Operation:
    def bind(memory: Memory, record: Record) -> Run:
        x, codes = memory.view(command.input).reshape(-1), memory.view(command.output_to).reshape(-1)
        return lambda: lookup(x, table, first, codes)

    return Operation(bind)


def selected_tables(command: Lookup, context: Context, tables: Array) -> Array:
    """The index of each element's table, [n]; empty where there is one table."""
    if command.table_index is None:
        return np.zeros(0, np.int32)
    index = _index(command, context, len(tables))
    return np.ascontiguousarray(np.broadcast_to(index, command.input.shape)).reshape(-1)


def covering_tables(command: Lookup, context: Context) -> tuple[Array, int]:
    """The table (or tables) with an entry for every code of the input's type, and its first code.

    Codes outside the grid of a tensor of fewer bits do not occur; entries for them repeat the table's ends.
    """
    limits = np.iinfo(command.input.dtype)
    if limits.bits > 16:
        raise refusal("input", command.input.dtype, "holds codes of at most 16 bits")
    table = context.constant(command.table, "table")
    if not table.shape[-1]:
        raise refusal("table", str(table.shape), "has entries")
    entries = np.clip(np.arange(limits.min, limits.max + 1) - command.first_code, 0, table.shape[-1] - 1)
    return np.ascontiguousarray(table[..., entries]), int(limits.min)


def _index(command: Lookup, context: Context, tables: int) -> Array:
    assert command.table_index is not None
    index = context.constant(command.table_index, "table_index")
    if index.size and not 0 <= int(index.min()) <= int(index.max()) < tables:
        raise refusal("table_index", f"{index.min()} to {index.max()}", f"selects one of {tables} tables")
    return index
