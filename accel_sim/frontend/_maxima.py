"""Maxima over axes, as one window of a max pool over the same bytes under another shape."""

from math import prod

Shape = tuple[int, ...]


def image_of_maxima(shape: Shape, axes: tuple[int, ...]) -> tuple[Shape, tuple[int, int]] | None:
    """The image [N, P, B, Q] in which a window of one row and B columns covers the axes, and that window.

    Args:
        shape: as stored; the first axis is the batch.
        axes: sorted positions in `shape`.

    Returns:
        None where axes lie between those that are reduced, or a batch of several is one of them.
    """
    long = [axis for axis in axes if shape[axis] != 1]
    if not long:
        return (shape[0], 1, 1, prod(shape[1:])), (1, 1)
    first, last = long[0], long[-1]
    block = prod(shape[first : last + 1])
    if first == 0 or block != prod(shape[axis] for axis in axes):
        return None
    return (shape[0], prod(shape[1:first]), block, prod(shape[last + 1 :])), (1, block)
