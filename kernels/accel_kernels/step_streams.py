"""The streaming operand of a grid whose sums move down, as the grid takes it: row by row, the last vector first."""

from numba import types

from accel_kernels import _vectors_turn
from accel_kernels._jit import lean_kernel, part
from accel_kernels._types import Array, Int64

BLOCK = _vectors_turn.BLOCK


@lean_kernel
def turn_streams(streams: Array, turned: Array) -> None:
    """Streams to slices of the reduction: turned[p * slices + s, i, length - 1 - m] = streams[p, m, s * size + i].

    Operands:
        streams: int16 or int32 [products, length, K].
        turned: the same type [products * slices, size, length]; where the last slice is shorter it stays as it is.
    """
    slices, size = turned.shape[0] // streams.shape[0], turned.shape[1]
    for n in range(turned.shape[0]):
        product, first = n // slices, n % slices * size
        turn(streams[product], first, min(size, streams.shape[2] - first), turned[n])


def turn_loops(vectors: Array, first: Int64, size: Int64, turned: Array) -> None:
    """Elements first to first + size - 1 of vectors [length, K] to the rows of turned [.., length], backwards."""
    length = vectors.shape[0]
    for m in range(length):
        for i in range(size):
            turned[i, length - 1 - m] = vectors[m, first + i]


@part()
def turn_pieces(vectors: Array, first: Int64, size: Int64, turned: Array) -> None:
    """`turn_loops`, where no block fits."""
    for m in range(vectors.shape[0]):
        for i in range(size):
            turned[i, vectors.shape[0] - 1 - m] = vectors[m, first + i]


def turn_vectors(vectors: Array, first: Int64, size: Int64, turned: Array) -> None:
    """As `turn_loops` for int16, in blocks; where they do not fill an edge, the last one overlaps another."""
    length = vectors.shape[0]
    if length < BLOCK or size < BLOCK:
        turn_pieces(vectors, first, size, turned)
    else:
        for m in range(0, length, BLOCK):
            for i in range(0, size, BLOCK):
                _vectors_turn.turn_block(vectors, min(m, length - BLOCK), first, min(i, size - BLOCK), turned)


@part(lambda vectors, *others: turn_vectors if vectors.dtype == types.int16 else turn_loops)
def turn(vectors: Array, first: Int64, size: Int64, turned: Array) -> None:
    """`turn_loops`, whatever the element type."""
    turn_loops(vectors, first, size, turned)
