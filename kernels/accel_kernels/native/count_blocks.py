"""What counted convolutions and those who prepare them agree on; nothing here needs numba."""

from enum import IntEnum, auto

BLOCK = 16
"""The screen bounds all partial sums of so many groups of 4 products at once, or of a multiple."""
DEPTH = 240
"""Products that are tracked in one go: no more than a byte counts, whole groups of 16, weights within a cache."""
WIDE, NARROW = 8, 4
"""Vectors of columns that are tracked together: weights are packed for as many, the last ones for 4 where they do."""
PLANES, TALLIED = 10, 16
"""Binary digits of counts, and how many times masks of DEPTH additions can be added to them: there are at most
2 (DEPTH + 2) / 8 vectors of masks at a time."""
SPARE = 32
"""Entries that a list of products has more than products: what is written of whole vectors, and an end of zeros."""
SCREEN_BYTES = 1 << 15
"""Of memory for what tiles hold, from an address on at which a vector begins."""
SATURATING_BITS = 17
"""Narrowest accumulator that fills 32 bits with relative codes times 2^7 and weights times 2^8."""


class Count(IntEnum):
    """Places in the int64 table at EXTRA. Addresses, then offsets into scratch memory, then numbers."""

    STARTS = 0
    """int32 [columns]: accumulators as they are held before the first product."""
    BOUNDS = auto()
    """int32 [1 + 2 blocks, columns]: what makes a bias of sums of codes; for each block, most and least of bias and
    zero point's share."""
    SIGNS = auto()
    """int8 [tiles, groups of 4, positive and negative, lanes, 4]."""
    PLAIN = auto()
    """Weights as `pack_weights` packs them, and their bias."""
    PLAIN_TABLE = auto()
    LISTS = auto()
    """[rows, passes] lists of products: int32 [entries] codes in their half of a pair, then of weights' places."""
    LENGTHS = auto()
    """int64 [rows, passes]: pairs of entries; 0 where a row is not listed yet."""
    HELD = auto()
    """int32 [rows, WIDE, lanes]: accumulators."""
    SUMS = auto()
    """int32 [rows, WIDE, lanes]: exact sums, then what accumulators hold at the end."""
    FLAGS = auto()
    """int16 [rows, WIDE]: not 0 where the screen does not certify a vector."""
    SEEN = auto()
    """One bit for each column of [rows, WIDE, lanes], 16 bytes a row: whether it has overflowed."""
    MASKS = auto()
    """Overflow of one row, addition by addition."""
    COUNTED = auto()
    """PLANES vectors."""
    SCREEN = auto()
    """What the screen on tiles needs."""
    CHOSEN = auto()
    """int64 [3, rows]: rows of which all vectors, the first half, the second half are to be tracked."""
    EMPTY = auto()
    """A row behind the last one, of which all products are 0."""
    PLAIN_BYTES = auto()
    """Of a group's plain weights."""
    BOUNDS_BYTES = auto()
    """Between rows of bounds; 0 where all are the bias."""
    SPAN = auto()
    """Groups of 4 products of a block."""
    ENTRIES = auto()
    """Of a list."""
    REDUCTION = auto()
    ZERO = auto()
    """The zero point of codes as they are laid out."""
    SHIFT = auto()
    """Bits by which relative codes are shifted, so that accumulators fill 32 bits."""
