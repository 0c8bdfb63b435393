"""The tiles that Gemmini's own library chooses (gemmini-rocc-tests, include/gemmini.h), and how long it searches.

- `convolution_tile`: tiled_conv_auto. From the whole layer, shrink the longest dimension until weights and inputs fit
  half the scratchpad and outputs half the accumulator memory; then widen output columns, then every dimension in turn.
- `product_tile`: tiled_matmul_auto. From a square of blocks that fills the accumulators, widen columns, rows, depth.

Both count the steps of their search. Half of each memory, because loads and stores are double-buffered.
"""

import math
from collections.abc import Callable

from accel_sim.records import dataclass
from accel_sim.sim.timing.gemmini import ARRAY, GemminiLayer, GemminiMapping

_BATCH, _ROWS, _COLUMNS, _OUT, _KERNEL_ROWS, _KERNEL_COLUMNS, _IN = range(7)  # in the library's order


@dataclass(frozen=True)
class GemminiMemory:
    """Rows of 16 elements that half of each memory holds."""

    scratchpad_rows: int = (256 << 10) // ARRAY // 2
    accumulator_rows: int = (64 << 10) // (4 * ARRAY) // 2


def own_mapping(layer: GemminiLayer, memory: GemminiMemory | None = None) -> GemminiMapping:
    """The mapping that the library gives a layer: a matrix product where it has one output row and a 1x1 kernel."""
    memory = memory or GemminiMemory()
    if layer.Q == 1 and layer.R == 1 and layer.S == 1:
        tile, steps = product_tile(layer, memory)
    else:
        tile, steps = convolution_tile(layer, memory)
    return GemminiMapping.nested(layer, tile, "NQPKRSC", steps)


def convolution_tile(layer: GemminiLayer, memory: GemminiMemory) -> tuple[tuple[int, ...], int]:
    """The tile in the order of DIMENSIONS, and the steps of the search."""
    most = [layer.N, layer.Q, layer.P, layer.K, layer.R, layer.S, layer.C]

    def fits(tile: list[int]) -> bool:
        operands, outputs = _rows_needed(layer, tile)
        return operands <= memory.scratchpad_rows and outputs <= memory.accumulator_rows

    tile, shrinking = _shrink(most, fits)
    tile, widening = _widen(tile, most, fits, [_COLUMNS])
    tile, growing = _grow(tile, most, fits)
    n, q, p, k, r, s, c = tile
    return (r, s, p, q, c, k, n), shrinking + widening + growing


def _rows_needed(layer: GemminiLayer, tile: list[int]) -> tuple[int, int]:
    """Rows of the scratchpad for weights and inputs, of the accumulator memory for outputs."""
    n, q, p, k, r, s, c = tile
    image = (q * layer.stride_h + r - 1) * (p * layer.stride_w + s - 1)
    inputs, weights = -(-c // ARRAY) * n * image, -(-k // ARRAY) * s * r * c
    return inputs + weights, -(-k // ARRAY) * n * q * p


def _shrink(most: list[int], fits: Callable[[list[int]], bool]) -> tuple[list[int], int]:
    tile, steps = list(most), 0
    while not fits(tile) and max(tile) > 1:  # a single element is taken even where its stride reaches too far
        steps += 1
        _make_smaller(tile)
    return tile, steps


def _make_smaller(tile: list[int]) -> None:
    """Takes one, or a block of 16 channels, from the longest dimension; the first of equals."""
    candidates = [i for i in range(7) if not (i == _COLUMNS and tile[_COLUMNS] <= ARRAY and tile[_ROWS] > 1)]
    longest = max(candidates, key=lambda i: tile[i])
    if longest in (_OUT, _IN):
        rest = tile[longest] % ARRAY
        tile[longest] = max(tile[longest] - (rest or ARRAY), 1)
    else:
        tile[longest] -= 1


def _widen(
    tile: list[int], most: list[int], fits: Callable[[list[int]], bool], dimensions: list[int]
) -> tuple[list[int], int]:
    """Adds one to each of the dimensions once, or, to a single one, as often as it fits."""
    steps = 0
    for dimension in dimensions:
        while True:
            steps += 1
            wider = list(tile)
            wider[dimension] += 1
            if wider[dimension] > most[dimension] or not fits(wider):
                break
            tile = wider
            if len(dimensions) > 1:
                break
    return tile, steps


def _grow(tile: list[int], most: list[int], fits: Callable[[list[int]], bool]) -> tuple[list[int], int]:
    """Adds one to every dimension in turn until none fits."""
    steps = 0
    while True:
        wider, tried = _widen(tile, most, fits, list(range(7)))
        steps += tried
        if wider == tile:
            return tile, steps
        tile = wider


def product_tile(layer: GemminiLayer, memory: GemminiMemory) -> tuple[tuple[int, ...], int]:
    """The tile in the order of DIMENSIONS, and the steps of the search."""
    rows, columns, reduction = (-(-size // ARRAY) for size in (layer.P * layer.Q * layer.N, layer.K, layer.C))
    side = max(math.isqrt(memory.accumulator_rows // ARRAY), 1)
    depth = max(memory.scratchpad_rows // 2 // ARRAY // side, 1)
    i, j, k = min(rows, side), min(columns, side), min(reduction, depth)
    steps = 0

    def fits(i: int, j: int, k: int) -> bool:
        return (i + j) * k * ARRAY <= memory.scratchpad_rows and i * j * ARRAY <= memory.accumulator_rows

    while True:
        steps, before = steps + 1, (i, j, k)
        j += j < columns and fits(i, j + 1, k)
        i += i < rows and fits(i + 1, j, k)
        k += k < reduction and fits(i, j, k + 1)
        if (i, j, k) == before:
            return (1, 1, i * ARRAY, 1, k * ARRAY, j * ARRAY, 1), steps
