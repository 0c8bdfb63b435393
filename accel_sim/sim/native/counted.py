"""Convolutions whose overflow is counted as native steps: accumulators of one stage, added to product by product."""

from math import prod

import numpy as np
from numpy.typing import NDArray

from accel_kernels.native.count_blocks import BLOCK
from accel_kernels.native.packing import aligned_copy
from accel_kernels.native.tables import Field
from accel_kernels.native.tier import tier
from accel_sim.sim.memory import aligned_size
from accel_sim.sim.multiply_accumulate import code_span
from accel_sim.sim.native.convolution_job import SIGN, ConvolutionJob
from accel_sim.sim.native.step import NativeStep, pinned
from accel_sim.sim.structured import StructureEngine

_PANEL_BYTES = 1 << 18
_SLACK = 128
_ROWS = 56  # whole blocks of 14, 8 and 7
_WIDEST = 30
_ROOM = 1 << 30
"""What sums of codes may reach in magnitude, so that bounds can be compared in 32 bits."""


def counted_convolution(job: ConvolutionJob, engine: StructureEngine) -> NativeStep | None:
    """The step of a dense or grouped convolution; None for what `accel_kernels.count_structure` is to count."""
    if not _fits(job, engine):
        return None
    command, window, lanes = job.command, job.command.window, tier().lanes
    groups, depth, size = command.groups, job.weights.shape[3], job.channels // command.groups
    reduction = prod(job.weights.shape[1:])
    quads, pairs, columns = -(-reduction // 4), -(-reduction // 2), job.channels + tier().columns
    one_pixel = window.kernel == (1, 1) and window.strides == (1, 1) and groups == 1
    plain = one_pixel and command.input.shape[1:3] == command.output_to.shape[1:3] and depth == 4 * quads
    stride = 4 * quads
    rows = min(max(_PANEL_BYTES // stride // _ROWS, 1) * _ROWS, prod(command.output_to.shape[:3]))
    wide = aligned_size(rows * stride + _SLACK)
    flags = wide + aligned_size(rows * 4 * pairs + _SLACK)
    table, bounds = job.table(job.bias, columns), pinned(_bounds(job, columns))
    parts = [job.weights[g * size : (g + 1) * size].reshape(size, reduction) for g in range(groups)]
    signs = aligned_copy(np.concatenate([_by_sign(part, lanes) for part in parts]))
    weights = aligned_copy(np.concatenate([_in_pairs(part, lanes) for part in parts]))
    padding = pinned(np.full(window.kernel[1] * command.input.shape[3], command.input_zero_point, command.input.dtype))
    values = {
        **job.geometry(),
        Field.WEIGHTS: weights.ctypes.data,
        Field.EXTRA_2: signs.ctypes.data,
        Field.TABLE: table.ctypes.data,
        Field.TABLE_STRIDE: table.strides[0],
        Field.EXTRA: bounds.ctypes.data,
        Field.PADDING: padding.ctypes.data,
        Field.CHANNELS: depth,
        Field.OUT_CHANNELS: size,
        Field.STEPS: pairs,
        Field.OTHER: quads,
        Field.PANEL_STRIDE: stride,
        Field.EXTRA_3: 4 * pairs,
        Field.PANEL_ROWS: rows,
        Field.SIZE: wide,
        Field.LOW: flags,
        Field.HIGH: engine.structure.final.bits,
        Field.DIRECT: (1 if job.codes == "u8" else 2) if plain else 0,
        Field.GROUPS: groups,
    }
    policy = engine.structure.final.policy.value
    kept = (weights, signs, table, bounds, padding, *job.source.kept)
    scratch = flags + 8 * rows + 256
    name = f"count:{job.codes}:{job.epilogue.kind}:{job.bits}:{policy}"
    return NativeStep(name, values, scratch, kept, counted=job.channels, columns=columns)


def _fits(job: ConvolutionJob, engine: StructureEngine) -> bool:
    structure, weights, bias = engine.structure, job.weights, job.bias
    is_depthwise = job.command.groups > 1 and weights.shape[3] == 1
    if len(structure.stages) > 1 or engine.tree > 1 or not tier().quads or is_depthwise:
        return False
    bits = structure.final.bits
    if bits > _WIDEST or weights.min() < -SIGN or weights.max() >= SIGN:
        return False
    largest = max(map(abs, code_span(job.command.input.dtype, job.command.input_zero_point)))
    product = largest * max(abs(int(weights.min())), abs(int(weights.max())))
    held = all(structure.final.holds(int(b)) for b in (bias.min(), bias.max()))
    reach = 2 * prod(weights.shape[1:]) * 2 * SIGN * SIGN + int(np.abs(bias).max())
    counted = prod(job.command.output_to.shape[:3]) * prod(weights.shape[1:])
    return product < 1 << bits and product < 1 << 15 and held and reach < _ROOM and counted < 1 << 31


def _bounds(job: ConvolutionJob, columns: int) -> NDArray[np.int32]:
    """[1 + 2 blocks, columns]: what makes a bias of sums of codes; for each block, what is added to partial sums.

    The most and the least that bias and zero point add, of all products in the block.
    """
    offset = job.command.input_zero_point + (SIGN if job.codes == "s8" else 0)
    flat = job.weights.reshape(job.channels, -1).astype(np.int64)
    share = np.zeros((job.channels, flat.shape[1] + 1), np.int64)
    np.cumsum(-offset * flat, axis=1, out=share[:, 1:])
    size = 4 * BLOCK
    bounds = np.zeros((1 + 2 * -(-flat.shape[1] // size), columns), np.int32)
    bounds[0, : job.channels] = job.folded_bias(flipped=True)
    for block in range(len(bounds) // 2):
        part = share[:, block * size : (block + 1) * size + 1]
        bounds[1 + 2 * block, : job.channels] = job.bias + part.max(axis=1)
        bounds[2 + 2 * block, : job.channels] = job.bias + part.min(axis=1)
    return bounds


def _by_sign(weights: NDArray[np.generic], lanes: int) -> NDArray[np.int8]:
    """[N, K] as int8 [tiles, groups of 4, positive and negative, lanes, 4], flat; what does not exist is 0."""
    padded = _padded(weights, lanes, 4)
    halves = np.stack([np.maximum(padded, 0), np.minimum(padded, 0)])
    ordered = halves.reshape(2, padded.shape[0] // lanes, lanes, -1, 4).transpose(1, 3, 0, 2, 4)
    return ordered.astype(np.int8).ravel()


def _in_pairs(weights: NDArray[np.generic], lanes: int) -> NDArray[np.int16]:
    """[N, K] as int16 [tiles, pairs, lanes, 2], flat."""
    padded = _padded(weights, lanes, 2)
    return padded.reshape(padded.shape[0] // lanes, lanes, -1, 2).transpose(0, 2, 1, 3).astype(np.int16).ravel()


def _padded(weights: NDArray[np.generic], lanes: int, each: int) -> NDArray[np.int16]:
    n, k = weights.shape
    padded = np.zeros((-(-n // lanes) * lanes, -(-k // each) * each), np.int16)
    padded[:n, :k] = weights
    return padded
