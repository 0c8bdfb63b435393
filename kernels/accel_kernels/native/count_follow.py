"""The outputs of counted convolutions that are not certified: listed, followed, counted."""

from collections.abc import Callable

from accel_kernels._types import Int64
from accel_kernels.native.count_blocks import DEPTH, FORMS, NARROW, PLANES, TALLIED, WIDE, Count
from accel_kernels.native.count_flags import FLAG_BYTES
from accel_kernels.native.count_lists import list_products
from accel_kernels.native.count_place import place
from accel_kernels.native.count_screen import SUM_BYTES
from accel_kernels.native.count_tally import SEEN_BYTES, finish, spread, tally
from accel_kernels.native.count_track import track
from accel_kernels.native.fields import field, inline
from accel_kernels.native.memory import load_int64, store_int64
from accel_kernels.native.tables import Field
from accel_kernels.native.tier import tier

LANES = tier().lanes
_BYTES, _HALF = 4 * LANES, NARROW * LANES


def follow_products(policy: str) -> Callable[..., None]:
    """Follow the accumulators that are not certified, whole rows of WIDE vectors, or halves; count; put down sums."""
    wide, narrow_half = _follower(policy, two=False), _follower(policy, two=True)

    @inline
    def follow(
        block: Int64, a: Int64, group: Int64, n: Int64, existing: Int64, rows: Int64, everything: Int64, scratch: Int64
    ) -> None:
        flags = scratch + place(block, Count.FLAGS)
        both = scratch + place(block, Count.CHOSEN)
        low = both + 8 * field(block, Field.PANEL_ROWS)
        high = low + 8 * field(block, Field.PANEL_ROWS)
        halves, ends, starts = existing > _HALF, 0, 0
        packed, wholes = field(block, Field.OUT_CHANNELS) - n, 0
        for m in range(rows):
            first = everything or load_int64(flags + m * FLAG_BYTES) != 0
            second = halves and (everything or load_int64(flags + m * FLAG_BYTES + 8) != 0)
            if first and second:
                store_int64(both + 8 * wholes, m)
                wholes += 1
            elif first:
                store_int64(low + 8 * starts, m)
                starts += 1
            elif second:
                store_int64(high + 8 * ends, m)
                ends += 1
        vectors = WIDE if packed > _HALF else NARROW
        if wholes > 0:
            wide(block, a, group, n, existing, both, wholes, 0, vectors, scratch)
        if starts > 0:
            narrow_half(block, a, group, n, existing, low, starts, 0, vectors, scratch)
        if ends > 0:
            narrow_half(block, a, group, n, existing, high, ends, NARROW, vectors, scratch)

    return follow


def _follower(policy: str, *, two: bool) -> Callable[..., None]:
    """WIDE vectors of columns of some rows; or NARROW from the `half`th on, of two rows at a time."""
    kernel, add_up, end, form = track(policy, two=two), tally(), finish(policy), FORMS[policy]
    read, masks_of_pair, each = spread(policy, two=two), 2 // form.additions, 2 if two else 1
    vectors, half_bytes, half_seen = NARROW if two else WIDE, form.vectors(NARROW) * _BYTES, _HALF // 8
    size, list_row = form.bits // 8, _list_row(short=form.short)

    @inline
    def follower(
        block: Int64,
        a: Int64,
        group: Int64,
        n: Int64,
        existing: Int64,
        chosen: Int64,
        rows: Int64,
        half: Int64,
        packed: Int64,
        scratch: Int64,
    ) -> None:
        p, reduction = field(block, Field.HIGH), place(block, Count.REDUCTION)
        passes, column = (reduction + DEPTH - 1) // DEPTH, group * field(block, Field.OUT_CHANNELS) + n
        entries, empty = 4 * place(block, Count.ENTRIES), place(block, Count.EMPTY)
        lists, lengths = scratch + place(block, Count.LISTS), scratch + place(block, Count.LENGTHS)
        held, seen = scratch + place(block, Count.HELD), scratch + place(block, Count.SEEN)
        sums, masks = scratch + place(block, Count.SUMS), scratch + place(block, Count.MASKS)
        planes, record_bytes = scratch + place(block, Count.COUNTED), field(block, Field.TABLE_STRIDE) // 2
        record = scratch + field(block, Field.RECORD) + 4 * (column + half * LANES)
        starts = place(block, Count.STARTS) + size * (column + half * LANES)
        weights = field(block, Field.WEIGHTS) + group * field(block, Field.GROUP_WEIGHTS)
        weights += n * field(block, Field.STEPS) * size + half * LANES * size
        beside, offset, tallied = half * LANES // 8, half * LANES * size, 0
        for i in range(0, PLANES * _BYTES, 8):
            store_int64(planes + i, 0)
        for i in range(rows):
            m = load_int64(chosen + 8 * i)
            store_int64(seen + SEEN_BYTES * m, 0)
            store_int64(seen + SEEN_BYTES * m + 8, 0)
            if load_int64(lengths + 8 * passes * m) == 0:
                list_row(block, a, m, lists + 2 * entries * passes * m, lengths + 8 * passes * m)
        for k in range(passes):
            for i in range(0, rows, each):
                m = load_int64(chosen + 8 * i)
                x, pairs = lists + 2 * entries * (passes * m + k), load_int64(lengths + 8 * (passes * m + k))
                before = held + m * SUM_BYTES + offset
                flag, y, after, other = seen + SEEN_BYTES * m + beside, x, before + half_bytes, half_seen
                if two:
                    o, found = empty, 0
                    if i + 1 < rows:
                        o = load_int64(chosen + 8 * i + 8)
                        found = load_int64(lengths + 8 * (passes * o + k))
                    y, after = lists + 2 * entries * (passes * o + k), held + o * SUM_BYTES + offset
                    other = SEEN_BYTES * (o - m)
                    _extend(x, entries, pairs, found)
                    _extend(y, entries, found, pairs)
                    pairs = max(pairs, found)
                z = starts if k == 0 else before
                w = (starts if two else starts + half_bytes) if k == 0 else after
                kernel(x, y, entries, pairs, weights, packed * size // 4, p, z, w, before, after, masks)
                add_up(masks, pairs * masks_of_pair, planes, flag, flag + other)
                tallied += 1
                if tallied % TALLIED == 0:
                    read(planes, PLANES, record)
        read(planes, PLANES, record)
        for j in range(min(vectors, (existing + LANES - 1) // LANES - half)):
            x, y, z = held + offset + j * LANES * size, seen + beside + j * LANES // 8, sums + (half + j) * _BYTES
            valid = existing - (half + j) * LANES
            end(chosen, rows, x, y, z, record + j * _BYTES, record_bytes, p, valid)

    return follower


@inline
def _extend(values: Int64, entries: Int64, pairs: Int64, wanted: Int64) -> None:
    """Make a list of pairs as long as another one."""
    for i in range(8 * pairs, 8 * wanted, 8):
        store_int64(values + i, 0)
        store_int64(values + entries + i, 0)


def _list_row(*, short: bool) -> Callable[..., None]:
    """The products of a row, DEPTH codes to a list."""
    make = list_products(short=short)

    @inline
    def list_row(block: Int64, a: Int64, row: Int64, lists: Int64, lengths: Int64) -> None:
        reduction, entries = place(block, Count.REDUCTION), 4 * place(block, Count.ENTRIES)
        zero, shift = place(block, Count.ZERO), place(block, Count.SHIFT)
        codes = a + row * field(block, Field.PANEL_STRIDE)
        for k in range((reduction + DEPTH - 1) // DEPTH):
            count, target = min(DEPTH, reduction - k * DEPTH), lists + 2 * entries * k
            first = (k * DEPTH + 1) * _BYTES if short else k * (DEPTH // 2) * _BYTES
            make(codes + k * DEPTH, count, zero, shift, first, target, target + entries, lengths + 8 * k)

    return list_row
