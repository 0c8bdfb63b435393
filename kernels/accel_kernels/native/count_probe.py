"""Screens that are tried on some rows and columns of a panel first, where the last one was of no use."""

from collections.abc import Callable

from accel_kernels._types import Int64
from accel_kernels.native.count_blocks import NARROW, Count
from accel_kernels.native.count_flags import crowded_halves, flagged_outputs
from accel_kernels.native.count_place import place
from accel_kernels.native.fields import inline
from accel_kernels.native.tier import TILE_ROWS, tier

_HALF = NARROW * tier().lanes
_PROBED = TILE_ROWS
"""Rows on which a screen is tried."""
_LEAST_SPARSE = 2
"""A screen is of use where at least one half of a row in so many keeps few outputs."""
_MOST_DOUBTED = 8
"""The cheaper screen is of use where it leaves at most so many outputs of a half of a row, on average."""


def probing(screen: Callable[..., None], is_of_use: Callable[..., Int64]) -> Callable[..., tuple[Int64, Int64]]:
    """Whether a screen of a panel and WIDE vectors of columns is of use, and whether all of these passed it.

    `trusted` is whether the last one was of use. `few` is what `is_of_use` wants to know.
    """

    @inline
    def probe(
        block: Int64,
        a: Int64,
        group: Int64,
        n: Int64,
        existing: Int64,
        rows: Int64,
        scratch: Int64,
        trusted: Int64,
        few: Int64,
    ) -> tuple[Int64, Int64]:
        flags = scratch + place(block, Count.FLAGS)
        if not trusted and (rows > _PROBED or existing > _HALF):
            across, probed = min(existing, _HALF), min(rows, _PROBED)
            screen(block, a, group, n, across, probed, scratch)
            if not is_of_use(flags, across, probed, few):
                return 0, 0
        screen(block, a, group, n, existing, rows, scratch)
        return is_of_use(flags, existing, rows, few), 1

    return probe


@inline
def is_sparse(flags: Int64, existing: Int64, rows: Int64, few: Int64) -> Int64:
    """Whether enough halves of rows keep at most `few` outputs."""
    halves = _halves(existing, rows)
    return (halves - crowded_halves(flags, rows, few)) * _LEAST_SPARSE >= halves


@inline
def is_hardly_doubted(flags: Int64, existing: Int64, rows: Int64, few: Int64) -> Int64:
    """Whether few outputs are left."""
    return flagged_outputs(flags, rows) <= _halves(existing, rows) * _MOST_DOUBTED


@inline
def _halves(existing: Int64, rows: Int64) -> Int64:
    return (existing + _HALF - 1) // _HALF * rows
