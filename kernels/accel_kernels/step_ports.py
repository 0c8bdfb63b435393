"""The two ports of the accumulator memory of a grid whose sums move down: read above the grid, write below it.

The memory holds vector m of a fold for column j in row m + j of a slot. A port is at row s + c of it in cycle c, for
those columns whose vector s + c - j exists. As loops, for any element type, and as vector code (`_vectors_ports`).
"""

from numba import types

from accel_kernels import _vectors, _vectors_ports
from accel_kernels._jit import part
from accel_kernels._types import Array, Int64


def read_port_loops(
    memory: Array, slot: Int64, s: Int64, length: Int64, columns: Int64, held: Array, top: Array
) -> None:
    """What the read port gives to a fold's columns in the cycles of `top`.

    A column keeps its last value after its last vector, and what `top` has before its first.

    Operands:
        memory: int32 or int64 [slots, rows, lanes]. slot, s, length: of the fold: where it is, row, vectors.
        held: [lanes]; what the port gave in the cycle before. top: [cycles, lanes].
    """
    for c in range(top.shape[0]):
        row = s + c
        for j in range(min(columns, row + 1)):
            if row - j < length:
                top[c, j] = memory[slot, row, j]
            else:
                top[c, j] = top[c - 1, j] if c > 0 else held[j]


def write_port_loops(memory: Array, slot: Int64, s: Int64, length: Int64, columns: Int64, bottom: Array) -> None:
    """A fold's sums of each cycle, [cycles, lanes], to the memory; operands as `read_port_loops`."""
    for c in range(bottom.shape[0]):
        row = s + c
        for j in range(max(0, row - length + 1), min(columns, row + 1)):
            memory[slot, row, j] = bottom[c, j]


def read_port_vectors(
    memory: Array, slot: Int64, s: Int64, length: Int64, columns: Int64, held: Array, top: Array
) -> None:
    """As `read_port_loops` for int32; lanes are a multiple of `_vectors.WIDTH`."""
    first = slot * memory.shape[1] * memory.shape[2]
    for column in range(0, memory.shape[2], _vectors.WIDTH):
        _vectors_ports.read_port(memory, first, s, length, columns, held, top, column)


def write_port_vectors(memory: Array, slot: Int64, s: Int64, length: Int64, columns: Int64, bottom: Array) -> None:
    """As `write_port_loops` for int32; lanes are a multiple of `_vectors.WIDTH`."""
    first = slot * memory.shape[1] * memory.shape[2]
    for column in range(0, memory.shape[2], _vectors.WIDTH):
        _vectors_ports.write_port(memory, first, s, length, columns, bottom, column)


@part(lambda memory, *others: read_port_vectors if memory.dtype == types.int32 else read_port_loops)
def read_port(memory: Array, slot: Int64, s: Int64, length: Int64, columns: Int64, held: Array, top: Array) -> None:
    """`read_port_loops`, whatever the element type."""
    read_port_loops(memory, slot, s, length, columns, held, top)


@part(lambda memory, *others: write_port_vectors if memory.dtype == types.int32 else write_port_loops)
def write_port(memory: Array, slot: Int64, s: Int64, length: Int64, columns: Int64, bottom: Array) -> None:
    """`write_port_loops`, whatever the element type."""
    write_port_loops(memory, slot, s, length, columns, bottom)
