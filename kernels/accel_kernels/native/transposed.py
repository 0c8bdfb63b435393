"""Transposed convolutions, phase by phase. Variants are OPERANDS:EPILOGUE:BITS, and the same with :watched.

Output rows whose distance to the padding leaves the same remainder by the stride meet the same kernel rows; columns
likewise. Such a phase is an ordinary product: pixels of the phase times the taps that they meet, input pixels
ascending. Its results lie apart in the output, so they are computed side by side in scratch memory and then copied.

EXTRA is the address of EXTRA_2 phases, int64[FIELDS] each (`transposed_fields`). Operands, DEPTH and CHANNELS are as in
`convolve`, or real numbers of codes, "real-u8" and "real-s8" (`transposed_real`); with :watched as in `watch`. Scratch
memory holds a panel and, from byte SIZE on, results.
"""

from collections.abc import Callable

from accel_kernels._types import Int64
from accel_kernels.native.convolve import multiply_panel, share, uses_tiles
from accel_kernels.native.fields import field, inline, input_address, output_address
from accel_kernels.native.memory import copy, flip, load_int8, load_int64, store_int8, store_int64, widen
from accel_kernels.native.tables import Field
from accel_kernels.native.transposed_fields import FIELDS, Phase
from accel_kernels.native.transposed_real import multiply_real, put_real
from accel_kernels.native.watch import multiply_watched

_copy, _flip, _widen = inline(copy), inline(flip), inline(widen)


def build(variant: str) -> Callable[..., None]:
    """The step of a variant."""
    operands, kind, bits_text, *watched = variant.split(":")
    width, size = int(bits_text) // 8, 8 * FIELDS
    gather = _gather(operands, flips=operands == "s8" and not uses_tiles(operands))
    multiply = _multiply(operands, kind, int(bits_text), watched=bool(watched))

    def transposed(block: Int64, arena: Int64, constants: Int64, scratch: Int64, part: Int64, parts: Int64) -> None:
        image, out = input_address(block, arena), output_address(block, arena)
        columns, images = field(block, Field.OUT_CHANNELS), field(block, Field.IMAGES)
        results, groups = scratch + field(block, Field.SIZE), field(block, Field.GROUPS)
        for index in range(field(block, Field.EXTRA_2)):
            phase = field(block, Field.EXTRA) + index * size
            rows = images * field(phase, Phase.ROWS) * field(phase, Phase.COLUMNS)
            first, last, left, right = share(rows, columns, part, parts)
            most = field(phase, Phase.PANEL_ROWS)
            for group in range(groups if left < right else 0):
                row = first
                while row < last:
                    count = min(most, last - row)
                    gather(block, phase, image, group * field(block, Field.CHANNELS), row, count, scratch)
                    multiply(block, phase, group, scratch, results, count, left, right)
                    _scatter(
                        block, phase, row, count, results, out + group * columns * width, columns, left, right, width
                    )
                    row += count

    return transposed


def _multiply(operands: str, kind: str, bits: int, *, watched: bool) -> Callable[..., None]:
    """A panel of a phase times columns left to right - 1, to rows of results side by side."""
    width = bits // 8
    if watched:
        product = multiply_watched(kind, bits)
    else:
        product = multiply_real(bits) if kind == "real" else multiply_panel(operands, kind, bits)

    @inline
    def multiply(
        block: Int64, phase: Int64, group: Int64, panel: Int64, results: Int64, rows: Int64, left: Int64, right: Int64
    ) -> None:
        steps, columns = field(phase, Phase.STEPS), field(block, Field.OUT_CHANNELS)
        weights = field(phase, Phase.WEIGHTS) + group * field(phase, Phase.GROUP_WEIGHTS)
        table, stride = field(phase, Phase.TABLE), field(block, Field.TABLE_STRIDE)
        base, out_bytes = group * columns, columns * width
        product(panel, 4 * steps, weights, steps, table, stride, base, results, out_bytes, rows, left, right)

    @inline
    def multiply_and_watch(
        block: Int64, phase: Int64, group: Int64, panel: Int64, results: Int64, rows: Int64, left: Int64, right: Int64
    ) -> None:
        steps, columns = field(phase, Phase.STEPS), field(block, Field.OUT_CHANNELS)
        weights = field(phase, Phase.WEIGHTS) + group * field(phase, Phase.GROUP_WEIGHTS)
        table, stride = field(phase, Phase.TABLE), field(block, Field.TABLE_STRIDE)
        base, out_bytes, record = group * columns, columns * width, panel + field(block, Field.RECORD)
        product(panel, 4 * steps, weights, steps, table, stride, base, results, out_bytes, rows, left, right, record)

    @inline
    def multiply_reals(
        block: Int64, phase: Int64, group: Int64, panel: Int64, results: Int64, rows: Int64, left: Int64, right: Int64
    ) -> None:
        steps, columns, taps = (
            field(phase, Phase.STEPS),
            field(block, Field.OUT_CHANNELS),
            field(phase, Phase.TAP_COUNT),
        )
        weights = field(phase, Phase.WEIGHTS) + group * field(phase, Phase.GROUP_WEIGHTS)
        table, stride = field(phase, Phase.TABLE), field(block, Field.TABLE_STRIDE)
        base, out_bytes, channels = group * columns, columns * width, field(block, Field.CHANNELS)
        product(
            panel,
            4 * steps,
            weights,
            steps,
            taps,
            channels,
            table,
            stride,
            base,
            results,
            out_bytes,
            rows,
            left,
            right,
        )

    if kind == "real":
        return multiply_reals
    return multiply_and_watch if watched else multiply


def _gather(operands: str, *, flips: bool) -> Callable[..., None]:
    """Rows of the panel: what pixels first, first + 1, ... of a phase meet, tap after tap."""
    put, wider = _put(operands, flips=flips), {"w8": 2, "re": 4}.get(operands[:2], 1)

    @inline
    def gather(
        block: Int64, phase: Int64, image: Int64, channel: Int64, first: Int64, rows: Int64, panel: Int64
    ) -> None:
        height, width, depth = field(block, Field.HEIGHT), field(block, Field.WIDTH), field(block, Field.DEPTH)
        channels, padding = field(block, Field.CHANNELS), field(block, Field.PADDING)
        down, across = field(phase, Phase.ROWS), field(phase, Phase.COLUMNS)
        taps, count = field(phase, Phase.TAPS), field(phase, Phase.TAP_COUNT)
        stride = 4 * field(phase, Phase.STEPS)
        for i in range(rows):
            pixel, target = first + i, panel + i * stride
            y0 = field(phase, Phase.INPUT_ROW) + pixel // across % down
            x0 = field(phase, Phase.INPUT_COLUMN) + pixel % across
            plane = pixel // (across * down) * height
            for tap in range(count):
                y, x = y0 - load_int64(taps + 16 * tap), x0 - load_int64(taps + 16 * tap + 8)
                outside = y < 0 or y >= height or x < 0 or x >= width
                source = padding if outside else image + ((plane + y) * width + x) * depth + channel
                put(block, target, source, channels)
                target += channels * wider

    return gather


def _put(operands: str, *, flips: bool) -> Callable[..., None]:
    """Codes as the products take them."""
    kind = int(operands == "w8s")

    @inline
    def put_wide(block: Int64, target: Int64, source: Int64, channels: Int64) -> None:
        _widen(target, source, channels, kind, field(block, Field.ZERO_POINT))

    @inline
    def put_flipped(block: Int64, target: Int64, source: Int64, channels: Int64) -> None:
        _flip(target, source, channels)

    @inline
    def put(block: Int64, target: Int64, source: Int64, channels: Int64) -> None:
        _copy(target, source, channels)

    if operands.startswith("real"):
        return put_real(operands[5:])
    return put_wide if operands.startswith("w8") else put_flipped if flips else put


@inline
def _scatter(
    block: Int64,
    phase: Int64,
    first: Int64,
    rows: Int64,
    results: Int64,
    out: Int64,
    columns: Int64,
    left: Int64,
    right: Int64,
    width: Int64,
) -> None:
    """Results of pixels first, first + 1, ... of a phase to their places."""
    down, across = field(phase, Phase.ROWS), field(phase, Phase.COLUMNS)
    out_height, out_width = field(block, Field.OUT_HEIGHT), field(block, Field.OUT_WIDTH)
    pixel_bytes = field(block, Field.OUT_DEPTH) * width
    begin, end = left * width, right * width
    for i in range(rows):
        pixel = first + i
        oy = field(phase, Phase.OUTPUT_ROW) + pixel // across % down * field(block, Field.STRIDE_HEIGHT)
        ox = field(phase, Phase.OUTPUT_COLUMN) + pixel % across * field(block, Field.STRIDE_WIDTH)
        target = out + ((pixel // (across * down) * out_height + oy) * out_width + ox) * pixel_bytes
        source = results + i * columns * width
        place = begin
        while place + 8 <= end:
            store_int64(target + place, load_int64(source + place))
            place += 8
        while place < end:
            store_int8(target + place, load_int8(source + place))
            place += 1
