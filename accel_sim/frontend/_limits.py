"""Bounds that keep a hostile file from costing more memory or time than its size can justify."""

from math import prod

MAX_FILE_BYTES = 1 << 30
MAX_TENSOR_BYTES = 1 << 30
MAX_RANK = 8


def fits_memory(shape: tuple[int, ...], item_bytes: int) -> bool:
    """Whether a tensor of this shape may be held in memory at all; axes are non-negative."""
    return prod(shape) * item_bytes <= MAX_TENSOR_BYTES
