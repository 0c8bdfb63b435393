"""Convolutions whose overflow is counted as native steps: accumulators of one stage, added to product by product."""

from math import prod

import numpy as np
from numpy.typing import NDArray

from accel_kernels.native.count_blocks import (
    BLOCK,
    DEPTH,
    FEW,
    FORMS,
    PLANES,
    SCREEN_BYTES,
    SHORT_BITS,
    SPARE,
    WIDE,
    Count,
)
from accel_kernels.native.packing import aligned_copy, pack_weights
from accel_kernels.native.tables import Field, epilogue_table
from accel_kernels.native.tier import TILE_ROWS, tier
from accel_sim.numerics.accumulators import OverflowPolicy
from accel_sim.sim.memory import aligned_size
from accel_sim.sim.multiply_accumulate import code_span
from accel_sim.sim.native.convolution_job import SIGN, ConvolutionJob
from accel_sim.sim.native.counted_orders import by_sign, in_pairs, in_rows, in_segments, segments
from accel_sim.sim.native.step import NativeStep, pinned
from accel_sim.sim.structured import StructureEngine

_PANEL_BYTES = 1 << 18
_LIST_BYTES = 1 << 19
_SLACK = 128
_ROWS = 64 if tier().tiles else 56
"""Whole blocks of the largest micro-kernels."""
_WIDEST = 30
_USUAL_CODE = 40
"""What codes are on average, about: only speed depends on it."""
_USUAL_NORM = 75
"""Their root mean square, about."""
_USUAL_SHARE = 0.45
"""Of what `count_glance` knows of a block, a half of what weights of one sign leave, and a little more as norms
differ."""
_MOST_UNSAFE = 0.1
"""Columns that usual codes are too large for, where `count_guard` is of use."""
_DEVIATIONS = 3
"""Of sums, which are usually less."""
_ROOM = 1 << 30
"""What sums of codes may reach in magnitude, so that bounds can be compared in 32 bits."""


def counted_convolution(job: ConvolutionJob, engine: StructureEngine) -> NativeStep | None:
    """The step of a dense or grouped convolution; None for what `accel_kernels.count_structure` is to count."""
    if not _fits(job, engine):
        return None
    command, window, chosen = job.command, job.command.window, tier()
    groups, depth, size = command.groups, job.weights.shape[3], job.channels // command.groups
    reduction = prod(job.weights.shape[1:])
    quads, columns = -(-reduction // chosen.codes) * (chosen.codes // 4), job.channels + WIDE * chosen.lanes
    one_pixel = window.kernel == (1, 1) and window.strides == (1, 1) and groups == 1
    plain = one_pixel and command.input.shape[1:3] == command.output_to.shape[1:3]
    direct = plain and job.codes == "u8" and (chosen.tiles or depth == 4 * quads)
    stride = depth if direct else 4 * quads
    entries = aligned_size(min(reduction, DEPTH)) + SPARE
    fitting = min(_PANEL_BYTES // stride, _LIST_BYTES // (8 * entries * _passes(reduction)))
    rows = min(max(fitting // _ROWS, 1) * _ROWS, prod(command.output_to.shape[:3]))
    policy, bits = _policy(job, engine), engine.structure.final.bits
    packed, safe, job = _Packed(job, policy, bits, columns), _safe_norms(job, bits), job.packed_plainly(1 << (bits - 1))
    table = job.table(job.folded_bias(flipped=True), columns)
    places, scratch = _layout(0 if direct else rows * stride + _SLACK, rows, reduction, entries)
    shift, _ = _shifts(policy, bits)
    places |= {Count.ENTRIES: entries, Count.REDUCTION: reduction, Count.SHIFT: shift}
    places |= {Count.SEGMENTS: segments(reduction)}
    places |= {Count.ZERO: _offset(job), **packed.addresses}
    places |= {Count.SAFE_NORMS: safe.ctypes.data, Count.GUARDED: int(_is_guarded(job, safe))}
    counting = pinned(np.array([places[place] for place in Count], np.int64))
    padding = job.outside(window.kernel[1] * command.input.shape[3])
    values = {
        **job.geometry(),
        Field.WEIGHTS: packed.tracked.ctypes.data,
        Field.GROUP_WEIGHTS: len(packed.tracked) // groups,
        Field.TABLE: table.ctypes.data,
        Field.TABLE_STRIDE: table.strides[0],
        Field.EXTRA: counting.ctypes.data,
        Field.PADDING: padding.ctypes.data,
        Field.CHANNELS: depth,
        Field.OUT_CHANNELS: size,
        Field.STEPS: 1 + reduction if FORMS[policy].short else -(-reduction // 2),
        Field.OTHER: quads,
        Field.PANEL_STRIDE: stride,
        Field.PANEL_ROWS: rows,
        Field.HIGH: bits,
        Field.DIRECT: 1 if direct else 2 if plain and depth == 4 * quads else 0,
        Field.GROUPS: groups,
    }
    kept = (*packed.kept, table, safe, counting, padding, *job.source.kept)
    name = f"count:{job.codes}:{job.epilogue.kind}:{job.bits}:{policy}"
    return NativeStep(name, values, scratch, kept, counted=job.channels, columns=columns)


def _passes(reduction: int) -> int:
    return -(-reduction // DEPTH)


def _policy(job: ConvolutionJob, engine: StructureEngine) -> str:
    """As `accel_kernels.native.count_track` names it."""
    final = engine.structure.final
    short = final.bits <= SHORT_BITS
    fits = final.holds(_largest_product(job))
    if final.policy is not OverflowPolicy.SATURATE:
        return "wrap16" if short and fits else "wrap"
    if not short:
        return "saturate"
    return "saturate16" if fits else "clamp16"


def _largest_product(job: ConvolutionJob) -> int:
    largest = max(map(abs, code_span(job.command.input.dtype, job.command.input_zero_point)))
    return largest * max(abs(int(job.weights.min())), abs(int(job.weights.max())))


def _shifts(policy: str, bits: int) -> tuple[int, int]:
    """By how many bits relative codes and weights are shifted, so that accumulators fill their lanes."""
    if policy in ("wrap", "clamp16"):
        return 0, 0
    rest = FORMS[policy].bits - bits
    weights = rest if FORMS[policy].short else min(8, rest)
    return rest - weights, weights


def _layout(begin: int, rows: int, reduction: int, entries: int) -> tuple[dict[Count, int], int]:
    """Where the parts of scratch memory begin, and its size."""
    lanes, passes, empty = tier().lanes, _passes(reduction), max(rows, TILE_ROWS)
    rows = empty + 1
    sizes = {
        Count.LISTS: rows * passes * 8 * entries,
        Count.LENGTHS: rows * passes * 8,
        Count.HELD: rows * WIDE * lanes * 4,
        Count.SUMS: rows * WIDE * lanes * 4,
        Count.FLAGS: rows * 2 * WIDE,
        Count.SEEN: rows * 16,
        Count.MASKS: (DEPTH + 2) * WIDE * lanes // 8 + 7 * 64,
        Count.COUNTED: PLANES * lanes * 4,
        Count.SCREEN: SCREEN_BYTES,
        Count.ROW_NORMS: rows * 4,
        Count.WHOLE_NORMS: rows * 4,
        Count.LAID: rows * 8,
        Count.BY_SEGMENT: rows * segments(reduction) * 4 * lanes,
        Count.SEGMENT_STARTS: 4 * (lanes + 1),
        Count.CHOSEN: 3 * rows * 8,
    }
    places, end = {Count.EMPTY: empty}, aligned_size(begin)
    for place, size in sizes.items():
        places[place] = end
        end += aligned_size(size + _SLACK)
    return places, end


class _Packed:
    """Constants of a job in the orders in which the kernels read them.

    Attributes:
        tracked: weights of products that are followed. addresses: of all the rest. kept: what must stay in memory.
    """

    def __init__(self, job: ConvolutionJob, policy: str, bits: int, columns: int) -> None:
        parts, shift, chosen, form = job.groups, _shifts(policy, bits), tier(), FORMS[policy]
        starts = np.zeros(columns, np.int16 if form.short else np.int32)
        starts[: job.channels] = job.bias + (1 << (bits - 1)) if policy == "wrap" else job.bias << sum(shift)
        span = _span(job, bits)
        bounds, folded = _bounds(job, columns, span), job.folded_bias(flipped=True)
        signs = aligned_copy(np.concatenate([by_sign(part, chosen) for part in parts]))
        plain = [pack_weights(part, chosen, quads=True) for part in parts]
        table = epilogue_table("raw", folded.astype(np.int32), {}, columns)
        order = in_rows if form.short else in_pairs
        self.tracked = aligned_copy(np.concatenate([order(part, chosen.lanes, shift[1]) for part in parts]))
        by_output = in_segments(job.weights.reshape(job.channels, -1), chosen.lanes)
        glanced = _glanced(job, bits)
        norms = pinned(_norms(job, 4 * glanced, columns))
        every = (
            pinned(starts),
            pinned(bounds),
            signs,
            aligned_copy(np.concatenate(plain)),
            pinned(table),
            by_output,
            norms,
        )
        places = (
            Count.STARTS,
            Count.BOUNDS,
            Count.SIGNS,
            Count.PLAIN,
            Count.PLAIN_TABLE,
            Count.BY_OUTPUT,
            Count.COLUMN_NORMS,
        )
        self.addresses = {place: array.ctypes.data for place, array in zip(places, every, strict=True)}
        self.addresses |= {Count.PLAIN_BYTES: len(plain[0]), Count.SPAN: span, Count.GLANCED: glanced}
        self.addresses[Count.BOUNDS_BYTES] = bounds.strides[0] if len(bounds) > 1 else 0
        self.kept = (self.tracked, *every)


def _fits(job: ConvolutionJob, engine: StructureEngine) -> bool:
    structure, weights, bias = engine.structure, job.weights, job.bias
    is_depthwise = job.command.groups > 1 and weights.shape[3] == 1
    if len(structure.stages) > 1 or engine.tree > 1 or not tier().quads or is_depthwise:
        return False
    bits = structure.final.bits
    if bits > _WIDEST or weights.min() < -SIGN or weights.max() >= SIGN:
        return False
    product = _largest_product(job)
    held = all(structure.final.holds(int(b)) for b in (bias.min(), bias.max()))
    reach = 2 * prod(weights.shape[1:]) * 2 * SIGN * SIGN + int(np.abs(bias).max())
    counted = prod(job.command.output_to.shape[:3]) * prod(weights.shape[1:])
    return product < 1 << bits and product < 1 << 15 and held and reach < _ROOM and counted < 1 << 31


def _offset(job: ConvolutionJob) -> int:
    """The zero point of codes as they are laid out, unsigned."""
    return job.command.input_zero_point + (SIGN if job.codes == "s8" else 0)


def _span(job: ConvolutionJob, bits: int) -> int:
    """Groups of 4 products of a block of the screen: as many as add much less than accumulators hold, as codes go."""
    usual = _USUAL_CODE * float(np.abs(job.weights, dtype=np.float64).mean()) * 2 * BLOCK
    return BLOCK * max(int((1 << (bits - 3)) / max(usual, 1.0)), 1)


def _glanced(job: ConvolutionJob, bits: int) -> int:
    """As `_span`, for `count_glance`; 0 where that is of no use.

    Its blocks add at most as much as usual sums leave of what accumulators hold. They are smaller than those of the
    other screen, which is quicker where they are many and the other's few.
    """
    size, tile, reduction = job.channels // job.command.groups, tier().columns, prod(job.weights.shape[1:])
    if _offset(job) or 0 < size % tile <= tier().lanes:
        return 0
    usual = max(_USUAL_NORM * float(np.sqrt(np.square(job.weights, dtype=np.float64).mean())), 1.0)
    left = (1 << (bits - 1)) - _DEVIATIONS * usual * reduction**0.5
    span = BLOCK * max(int(left / (_USUAL_SHARE * usual * 4 * BLOCK)), 1)
    few, others = (-(-reduction // (4 * each)) <= FEW for each in (span, _span(job, bits)))
    fits = _USUAL_SHARE * usual * 4 * span < 1 << (bits - 1)
    return span if fits and (few or not others or not tier().tiles) else 0


def _safe_norms(job: ConvolutionJob, bits: int) -> NDArray[np.float32]:
    """As `count_guard` reads them, a little less than they might be; infinite for columns that do not exist."""
    size, tile, half = job.channels // job.command.groups, WIDE * tier().lanes, 1 << (bits - 1)
    flat = job.weights.reshape(job.channels, -1).astype(np.float64)
    signs = (flat, flat) if _offset(job) else (np.maximum(flat, 0), np.minimum(flat, 0))
    safe = np.full((job.command.groups, -(-size // tile) * tile), np.inf, np.float32)
    for sign, room in zip(signs, (half - 1 - job.bias, job.bias + half), strict=True):
        norms = np.sqrt(np.square(sign).sum(axis=1)) * (1 + 2.0**-16)
        limits = np.divide(room, norms, out=np.full(len(norms), np.inf), where=norms > 0)
        safe[:, :size] = np.minimum(safe[:, :size], limits.reshape(-1, size))
    return safe


def _is_guarded(job: ConvolutionJob, safe: NDArray[np.float32]) -> bool:
    """Whether rows usually are within what is safe for most columns."""
    usual = _USUAL_NORM * float(np.sqrt(prod(job.weights.shape[1:])))
    existing = safe[np.isfinite(safe)]
    return not len(existing) or bool(np.quantile(existing, _MOST_UNSAFE) > usual)


def _norms(job: ConvolutionJob, size: int, columns: int) -> NDArray[np.float32]:
    """As `count_glance` reads them: the largest of blocks of so many weights, of each channel, and a little more."""
    norms, flat = np.zeros(columns, np.float32), job.weights.reshape(job.channels, -1).astype(np.int32)
    for first in range(0, flat.shape[1] if size else 0, max(size, 1)):
        squares = flat[:, first : first + size] * np.abs(flat[:, first : first + size])
        sums, every = np.cumsum(squares, axis=1), np.abs(squares).sum(axis=1)
        positive, negative = (every + sums[:, -1]) // 2, (every - sums[:, -1]) // 2
        most = np.maximum(negative + sums.max(axis=1, initial=0), positive - sums.min(axis=1, initial=0))
        norms[: job.channels] = np.maximum(norms[: job.channels], np.sqrt(most) * (1 + 2.0**-16))
    return norms


def _bounds(job: ConvolutionJob, columns: int, span: int) -> NDArray[np.int32]:
    """[1 + 2 blocks, columns]: what makes a bias of sums of codes; for each block, what is added to partial sums.

    The most and the least that bias and zero point add, of all products in the block. Without a zero point, one row.
    """
    offset = _offset(job)
    flat = job.weights.reshape(job.channels, -1).astype(np.int64)
    size = 4 * span
    blocks = -(-flat.shape[1] // size) if offset else 0
    bounds = np.zeros((1 + 2 * blocks, columns), np.int32)
    bounds[0, : job.channels] = job.folded_bias(flipped=True)
    share = np.zeros((job.channels, flat.shape[1] + 1), np.int64)
    if offset:
        np.cumsum(-offset * flat, axis=1, out=share[:, 1:])
    for block in range(blocks):
        part = share[:, block * size : (block + 1) * size + 1]
        bounds[1 + 2 * block, : job.channels] = job.bias + part.max(axis=1)
        bounds[2 + 2 * block, : job.channels] = job.bias + part.min(axis=1)
    return bounds
