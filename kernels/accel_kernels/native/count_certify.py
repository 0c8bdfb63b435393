"""Sums of a panel, and which of them are certified: by `count_screen`, or sooner by `count_glance`."""

from collections.abc import Callable
from typing import Any

from accel_kernels._types import Int64
from accel_kernels.native.count_blocks import Count
from accel_kernels.native.count_flags import FLAG_BYTES, clear_flags
from accel_kernels.native.count_glance import glance as glance_at
from accel_kernels.native.count_glance import row_norm
from accel_kernels.native.count_place import place
from accel_kernels.native.count_screen import ARGUMENTS, SUM_BYTES, Screen
from accel_kernels.native.count_tiles import TileScreen
from accel_kernels.native.emit import intrinsic
from accel_kernels.native.fields import field, inline
from accel_kernels.native.tables import Field
from accel_kernels.native.tier import TILE_ROWS, tier
from accel_kernels.native.tiles import configure_tiles, release_tiles

LANES = tier().lanes
_BYTES = 4 * LANES
_HEIGHTS = (2 * TILE_ROWS, TILE_ROWS, TILE_ROWS) if tier().tiles else (14, 7, 1)
_NORM_BYTES = 4


def _screen(rows: int) -> Any:
    return intrinsic(ARGUMENTS, TileScreen(rows // TILE_ROWS).emit if tier().tiles else Screen(rows).emit)


def _over_rows(make: Callable[[int], Any]) -> Callable[..., None]:
    """A micro-kernel over all rows; the last ones are computed with some before them once more where there are tiles.

    Arguments: as of the micro-kernels.
    """
    tall, low, single = (make(height) for height in _HEIGHTS)
    large, small, tiled = _HEIGHTS[0], _HEIGHTS[1], tier().tiles

    @inline
    def over_rows(
        a: Int64,
        stride: Int64,
        w: Int64,
        groups: Int64,
        span: Int64,
        bounds: Int64,
        second: Int64,
        norms: Int64,
        p: Int64,
        sums: Int64,
        flags: Int64,
        rows: Int64,
        memory: Int64,
    ) -> None:
        m = 0
        while m < rows:
            high = rows - m > small and rows >= large if tiled else rows - m >= large
            if tiled:
                m = min(m, rows - large) if high else max(min(m, rows - small), 0)
            x, y, z, r = a + m * stride, sums + m * SUM_BYTES, flags + m * FLAG_BYTES, norms + m * _NORM_BYTES
            if high:
                tall(x, stride, w, groups, span, bounds, second, r, p, y, z, large, memory)
                m += large
            elif tiled or rows - m >= small:
                low(x, stride, w, groups, span, bounds, second, r, p, y, z, min(rows, small), memory)
                m += small
            else:
                single(x, stride, w, groups, span, bounds, second, r, p, y, z, 1, memory)
                m += 1

    return over_rows


def certify_sums() -> Callable[..., None]:
    """Sums of a panel and WIDE vectors of columns, with flags."""
    over_rows, tiled = _over_rows(_screen), tier().tiles
    configure: Any = intrinsic(1, configure_tiles)
    release: Any = intrinsic(0, release_tiles)

    @inline
    def certify(block: Int64, a: Int64, group: Int64, n: Int64, existing: Int64, rows: Int64, scratch: Int64) -> None:
        columns, groups, p = field(block, Field.OUT_CHANNELS), field(block, Field.OTHER), field(block, Field.HIGH)
        tiles, span, bounds_bytes = (
            (columns + LANES - 1) // LANES,
            place(block, Count.SPAN),
            place(block, Count.BOUNDS_BYTES),
        )
        stride, flags = field(block, Field.PANEL_STRIDE), scratch + place(block, Count.FLAGS)
        sums, memory = scratch + place(block, Count.SUMS), scratch + place(block, Count.SCREEN)
        if tiled:
            configure(min(rows, TILE_ROWS))
        clear_flags(flags, rows)
        for j in range((existing + LANES - 1) // LANES):
            w = place(block, Count.SIGNS) + (group * tiles + n // LANES + j) * groups * 8 * LANES
            bounds, s, f = (
                place(block, Count.BOUNDS) + 4 * (group * columns + n + j * LANES),
                sums + j * _BYTES,
                flags + 2 * j,
            )
            over_rows(a, stride, w, groups, span, bounds, bounds_bytes, 0, p, s, f, rows, memory)
        if tiled:
            release()

    return certify


def glance_at_sums() -> Callable[..., None]:
    """The same, for codes without zero point and whole tiles of two vectors; norms of rows are known."""
    over_rows, tiled = _over_rows(glance_at), tier().tiles
    configure: Any = intrinsic(1, configure_tiles)
    release: Any = intrinsic(0, release_tiles)

    @inline
    def glance(block: Int64, a: Int64, group: Int64, n: Int64, existing: Int64, rows: Int64, scratch: Int64) -> None:
        columns, groups, p = field(block, Field.OUT_CHANNELS), field(block, Field.OTHER), field(block, Field.HIGH)
        span, weights = place(block, Count.GLANCED), place(block, Count.PLAIN) + group * place(block, Count.PLAIN_BYTES)
        stride, flags = field(block, Field.PANEL_STRIDE), scratch + place(block, Count.FLAGS)
        sums, memory = scratch + place(block, Count.SUMS), scratch + place(block, Count.SCREEN)
        norms = scratch + place(block, Count.ROW_NORMS)
        if tiled:
            configure(min(rows, TILE_ROWS))
        clear_flags(flags, rows)
        for j in range(0, (existing + LANES - 1) // LANES, 2):
            w, column = weights + (n + j * LANES) * groups * 4, 4 * (group * columns + n + j * LANES)
            bias, lengths = place(block, Count.BOUNDS) + column, place(block, Count.COLUMN_NORMS) + column
            over_rows(
                a, stride, w, groups, span, bias, lengths, norms, p, sums + j * _BYTES, flags + 2 * j, rows, memory
            )
        if tiled:
            release()

    return glance


@inline
def measure_rows(block: Int64, a: Int64, rows: Int64, scratch: Int64) -> None:
    """The norms of a panel's rows."""
    stride, groups, span = field(block, Field.PANEL_STRIDE), field(block, Field.OTHER), place(block, Count.GLANCED)
    for m in range(rows):
        row_norm(a + m * stride, groups, span, scratch + place(block, Count.ROW_NORMS) + m * _NORM_BYTES)
