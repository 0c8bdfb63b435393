"""Banks and ports of the on-chip memories: how long a tile's accesses keep them busy.

A memory moves banks * ports * word_bytes in a cycle, reads and writes together (`SramConfig`); accesses are whole
words, spread over the banks evenly. While a tile is computed

- the weight memory gives the weights that come to rest or stream, and takes those of the next tile (double-buffered);
- the activation memory gives the vectors of inputs, and takes those of the next tile;
- the accumulator memory gives and takes sums, once for each fold of the reduction where they move, once where they
  rest; and gives finished ones to post-processing.

The tile takes as long as the slowest of them, the grid and post-processing. What the grid waits is a stall of cause
"sram". Where memories are not double-buffered, DRAM's transfers find idle ports that are as quick as they are.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from accel_sim.hardware import MemoryConfig, SramConfig

Integers = NDArray[np.int64]
Sizes = NDArray[np.float64] | Integers


def port_cycles(sram: SramConfig, size_bytes: int) -> int:
    """Cycles in which a memory moves so many bytes."""
    if math.isinf(sram.word_bytes):
        return 0
    return math.ceil(math.ceil(size_bytes / sram.word_bytes) / (sram.banks * sram.ports))


def tile_port_cycles(memory: MemoryConfig, accessed: Mapping[str, Sizes], filled: Mapping[str, Sizes]) -> Integers:
    """Cycles in which the slowest memory serves each tile.

    Args:
        memory: the hierarchy.
        accessed: bytes that grid and post-processing move in each tile, by memory ("weight", "activation",
            "accumulator"); arrays [tiles].
        filled: bytes that arrive from DRAM for each tile.
    """
    cycles = np.zeros(accessed["accumulator"].size, np.int64)
    for name, sizes in accessed.items():
        sram: SramConfig = getattr(memory, f"{name}_sram")
        if math.isinf(sram.word_bytes):
            continue
        words = np.ceil(sizes / sram.word_bytes)
        if memory.double_buffered and name in filled:
            words[:-1] += np.ceil(filled[name][1:] / sram.word_bytes)
        cycles = np.maximum(cycles, np.ceil(words / (sram.banks * sram.ports)).astype(np.int64))
    return cycles
