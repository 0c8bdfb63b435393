"""What counted convolutions and those who prepare them agree on; nothing here needs numba."""

from dataclasses import dataclass
from enum import IntEnum, auto

BLOCK = 16
"""The screen bounds all partial sums of so many groups of 4 products at once, or of a multiple."""
FEW = 4
"""Blocks whose sums the screen on tiles holds at a time."""
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
SHORT_BITS = 16
"""Widest accumulator that is held in 16 bits; those that saturate fill 32 with relative codes times 2^7 and weights
times 2^8 if they are wider."""


@dataclass(frozen=True)
class Form:
    """How accumulators are held that do what a policy says when they overflow (`count_track`).

    Attributes:
        bits: of a lane.
        additions: that a mask of a bit for each column tells of.
    """

    bits: int
    additions: int = 1

    @property
    def short(self) -> bool:
        """Whether twice as many fit a vector, so that half as many vectors hold as many columns."""
        return self.bits == SHORT_BITS

    def vectors(self, wide: int) -> int:
        """Vectors that hold the columns of as many vectors of 32-bit lanes."""
        return wide * self.bits // 32


FORMS = {
    "wrap": Form(32, additions=2),
    "saturate": Form(32),
    "wrap16": Form(16),
    "saturate16": Form(16),
    "clamp16": Form(16),
}
"""By policy and, for accumulators of at most SHORT_BITS, the bits that they are held in."""


class Count(IntEnum):
    """Places in the int64 table at EXTRA. Addresses, then offsets into scratch memory, then numbers."""

    STARTS = 0
    """[columns], of a form's bits: accumulators as they are held before the first product."""
    BOUNDS = auto()
    """int32 [1 + 2 blocks, columns]: what makes a bias of sums of codes; for each block, most and least of bias and
    zero point's share."""
    SIGNS = auto()
    """int8 [tiles, groups of 4, positive and negative, lanes, 4]."""
    PLAIN = auto()
    """Weights as `pack_weights` packs them, and their bias."""
    PLAIN_TABLE = auto()
    SAFE_NORMS = auto()
    """float32 [groups, tiles of WIDE vectors, columns of these]: of codes, so that an output cannot overflow."""
    COLUMN_NORMS = auto()
    """float32 [columns]: the largest Euclidean norm of a block's weights (GLANCED), of one sign up to some place and of
    the other behind it, rounded up."""
    BY_OUTPUT = auto()
    """int8 [columns, SEGMENTS, lanes, 4]: weights of each output, in as many segments as a vector has lanes."""
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
    ROW_NORMS = auto()
    """float32 [rows]: the same of codes."""
    WHOLE_NORMS = auto()
    """float32 [rows]: of all relative codes."""
    LAID = auto()
    """int64 [rows]: whether a row's codes lie in BY_SEGMENT."""
    BY_SEGMENT = auto()
    """uint8 [rows, SEGMENTS, lanes, 4]: codes as weights in BY_OUTPUT."""
    SEGMENT_STARTS = auto()
    """int32 [lanes + 1]: the sums of an output before each of its segments, and the last one."""
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
    GLANCED = auto()
    """The same for `count_glance`; 0 where that is of no use."""
    GUARDED = auto()
    """Whether `count_guard` is of use."""
    SEGMENTS = auto()
    """Groups of 4 products of a segment."""
    ENTRIES = auto()
    """Of a list."""
    REDUCTION = auto()
    ZERO = auto()
    """The zero point of codes as they are laid out."""
    SHIFT = auto()
    """Bits by which relative codes are shifted, so that accumulators fill 32 bits."""
