"""Gemmini's time: a tile-level model of UC Berkeley's 16 x 16 systolic array, fitted to cycles of its RTL on FireSim.

A layer is cut into tiles; each tile loads its weights and inputs, executes, and, with the last part of its reduction,
stores its outputs. Loads, execution and stores of neighbouring tiles overlap, but not perfectly:

    tile    = longest + serial_share * (load + execute + store - longest),  longest = max(load, execute, store)
    load    = sum over weights and inputs of lines * (line_cycles + misses * miss_cycles) + bytes / 16
    execute = ceil(k/16) r s ceil(c/16) * max(rows, block_cycles * blocks + rows / 2, 16)
    store   = 2 * rows * ceil(k/16)
    layer   = sum of tiles + fill_share * (min(load, execute) of the first tile + its 2 * rows * ceil(k/16))

- rows = p q output pixels of the tile, in blocks of at most 16 along p: blocks = q ceil(p/16). The array takes blocks
  at a limited rate, which short blocks feel.
- lines: 64-byte lines of memory that a tile touches. A pixel's slice of b of its channels begins anywhere on a 16-byte
  boundary and touches (b + 48) / 64 lines on average, unless b is a multiple of 64; whole pixels are contiguous.
- misses: 0, 1 or 2 (second-level cache, last-level cache), by the bytes moved since the slice was last touched. A first
  touch counts as none. Every tile loads both operands, also where the tile before held them: the loop instructions do.
- Gemmini's own library searches its tiles at run time, on the CPU, which also floors what a tile takes: in `OWN_TILER`
  search_cycles for each step of the search (`timing/gemmini_tiler`) are added, and no tile takes less than 500 cycles.

benchmarks/score_gemmini.py fits the named parameters and prints how good the model is.
"""

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from accel_sim.records import dataclass

DIMENSIONS = "RSPQCKN"
"""Kernel height and width, output columns and rows, input and output channels, batch: letters as in Timeloop."""
ARRAY = 16
BUS_BYTES = 16
LINE_BYTES = 64
STORE_CYCLES = 2
SECOND_LEVEL_BYTES = 512 << 10
LAST_LEVEL_BYTES = 4 << 20
CPU_TILE_CYCLES = 500

Real = NDArray[np.float64]


@dataclass(frozen=True)
class GemminiParameters:
    """The fitted parameters.

    Attributes:
        line_cycles: load, for each 64-byte line touched.
        miss_cycles: load, for each line and level of cache that misses.
        block_cycles: the array accepts a block of up to 16 rows every so many cycles (less half of its rows).
        serial_share: of what tiles could hide, the part that they do not.
        fill_share: of the first tile's load and of the store, the part that nothing hides.
        search_cycles: of the CPU, for each step of the tile search; 0 for a given mapping.
    """

    line_cycles: float
    miss_cycles: float
    block_cycles: float
    serial_share: float
    fill_share: float
    search_cycles: float = 0.0


GIVEN_MAPPING = GemminiParameters(2.249, 3.679, 5.379, 0.141, 0.786)
"""Fitted to cycles with a mapping that was given."""
OWN_TILER = GemminiParameters(2.372, 0.0, 5.75, 0.349, 0.859, 74.26)
"""Fitted to cycles with the library's own tiles; no tile takes less than CPU_TILE_CYCLES. These cycles tell nothing of
misses: a fit with them gives 0."""


@dataclass(frozen=True)
class GemminiLayer:
    """A convolution (a matrix product is one with a 1x1 kernel over P rows): extents of DIMENSIONS, and strides."""

    R: int
    S: int
    P: int
    Q: int
    C: int
    K: int
    N: int = 1
    stride_w: int = 1
    stride_h: int = 1

    def extent(self, dimension: str) -> int:
        """The extent of a dimension by its letter."""
        return int(getattr(self, dimension))


@dataclass(frozen=True)
class GemminiMapping:
    """How a layer is cut: the tile's extents in the order of DIMENSIONS, the loops over tiles from the outermost."""

    tile: tuple[int, ...]
    loops: tuple[tuple[str, int], ...]
    search_steps: int = 0

    @classmethod
    def nested(cls, layer: GemminiLayer, tile: Sequence[int], order: str, search_steps: int = 0) -> "GemminiMapping":
        """Loops over all tiles of a layer, dimensions in `order` from the outermost."""
        sizes = dict(zip(DIMENSIONS, tile, strict=True))
        return cls(tuple(tile), tuple((d, -(-layer.extent(d) // sizes[d])) for d in order), search_steps)


@dataclass(frozen=True)
class GemminiSteps:
    """The kinds of tiles of a layer, the first tile's first; arrays [kinds].

    Attributes:
        count: tiles of the kind.
        weight_lines, weight_bytes, weight_misses; input_lines, input_bytes, input_misses: of the loads.
        passes: how often a block of rows passes the array. rows, blocks: output pixels, in blocks.
        store_rows: 16-channel rows of outputs. stores: whether they are stored (1) or not (0).
        floor: least cycles of a tile.
    """

    count: Real
    weight_lines: Real
    weight_bytes: Real
    weight_misses: Real
    input_lines: Real
    input_bytes: Real
    input_misses: Real
    passes: Real
    rows: Real
    blocks: Real
    store_rows: Real
    stores: Real
    floor: Real

    def load(self, p: GemminiParameters) -> Real:
        """Load cycles of a tile of each kind."""
        weights = self.weight_lines * (p.line_cycles + self.weight_misses * p.miss_cycles)
        inputs = self.input_lines * (p.line_cycles + self.input_misses * p.miss_cycles)
        return weights + inputs + (self.weight_bytes + self.input_bytes) / BUS_BYTES

    def execute(self, p: GemminiParameters) -> Real:
        """Cycles of the array for a tile of each kind."""
        rate = p.block_cycles * self.blocks + self.rows / 2
        return self.passes * np.maximum(np.maximum(self.rows, rate), ARRAY)

    def cycles(self, p: GemminiParameters, starts: Sequence[int] = (0,)) -> Real:
        """Cycles of the layers whose kinds begin at `starts`, one after the other; without the search."""
        load, execute, drain = self.load(p), self.execute(p), STORE_CYCLES * self.store_rows
        store = self.stores * drain
        longest = np.maximum(np.maximum(load, execute), store)
        tiles = np.maximum(longest + p.serial_share * (load + execute + store - longest), self.floor)
        fill = p.fill_share * (np.minimum(load, execute) + drain)
        return np.asarray(np.add.reduceat(self.count * tiles, starts) + fill[list(starts)])


def stacked(parts: Sequence[GemminiSteps]) -> tuple[GemminiSteps, list[int]]:
    """Several layers' kinds in one, and where each begins."""
    starts = [0, *itertools.accumulate(part.count.size for part in parts)][:-1]
    columns = [np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(GemminiSteps)]
    return GemminiSteps(*columns), starts


def lines_touched(slices: int, size_bytes: int, stride_bytes: int) -> float:
    """64-byte lines of `slices` pieces of `size_bytes`, `stride_bytes` apart, each on a 16-byte boundary."""
    if size_bytes >= stride_bytes:
        return math.ceil(slices * size_bytes / LINE_BYTES)
    if size_bytes % LINE_BYTES == 0:
        return slices * size_bytes / LINE_BYTES
    return slices * (size_bytes + LINE_BYTES - BUS_BYTES) / LINE_BYTES


def gemmini_steps(layer: GemminiLayer, mapping: GemminiMapping, floor: float = 0.0) -> GemminiSteps:
    """The tiles of a layer in a mapping's order, counted by kind."""
    kinds: Counter[tuple[int, ...]] = Counter()
    clock, touched_weights, touched_inputs = 0, dict[tuple[int, ...], int](), dict[tuple[int, ...], int]()
    for index, last in _tile_indices(mapping):
        r, s, p, q, c, k, n = _piece(layer, mapping.tile, index)
        r_i, s_i, p_i, q_i, c_i, k_i, n_i = index
        rows_read, columns_read = (q - 1) * layer.stride_h + r, (p - 1) * layer.stride_w + s
        misses = []
        for key, seen, size in (
            ((k_i, c_i, r_i, s_i), touched_weights, r * s * c * k),
            ((p_i, q_i, c_i, r_i, s_i, n_i), touched_inputs, n * rows_read * columns_read * c),
        ):
            misses.append(_levels_missed(clock - seen.get(key, clock)))
            clock += size
            seen[key] = clock
        clock += last * n * q * p * k
        kinds[(r, s, p, q, c, k, n, int(last), *misses)] += 1
    return GemminiSteps(*np.array([_figures(layer, kind, n, floor) for kind, n in kinds.items()], float).T)


def _tile_indices(mapping: GemminiMapping) -> "list[tuple[tuple[int, ...], bool]]":
    """Index of each tile in every dimension, and whether it ends its reduction."""
    found = []
    for counters in itertools.product(*(range(n) for _, n in mapping.loops)):
        index, last = dict.fromkeys(DIMENSIONS, 0), True
        for (dimension, n), i in zip(mapping.loops, counters, strict=True):
            index[dimension] = index[dimension] * n + i
            last &= dimension not in "CRS" or i == n - 1
        found.append((tuple(index.values()), last))
    return found


def _piece(layer: GemminiLayer, tile: tuple[int, ...], index: tuple[int, ...]) -> tuple[int, ...]:
    """A tile's extents: at the end of a dimension, what is left."""
    return tuple(min(size, layer.extent(d) - i * size) for d, size, i in zip(DIMENSIONS, tile, index, strict=True))


def _levels_missed(distance_bytes: int) -> int:
    """Levels of cache that a slice has left, so many bytes after it was last touched."""
    return (distance_bytes >= SECOND_LEVEL_BYTES) + (distance_bytes >= LAST_LEVEL_BYTES)


def _figures(layer: GemminiLayer, kind: tuple[int, ...], count: int, floor: float) -> tuple[float, ...]:
    """The fields of GemminiSteps for one kind of tile."""
    r, s, p, q, c, k, n, last, weight_misses, input_misses = kind
    pixels_read = n * ((q - 1) * layer.stride_h + r) * ((p - 1) * layer.stride_w + s)
    channel_blocks = -(-k // ARRAY)
    return (
        count,
        lines_touched(r * s * c, k, layer.K),
        r * s * c * k,
        weight_misses,
        lines_touched(pixels_read, c, layer.C),
        pixels_read * c,
        input_misses,
        channel_blocks * r * s * -(-c // ARRAY),
        n * q * p,
        n * q * -(-p // ARRAY),
        n * q * p * channel_blocks,
        last,
        floor,
    )
