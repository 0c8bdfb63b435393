"""Transfers beside computation.

Steps t = 0..T-1 each need load[t] before and give store[t] after; busy[t] is the work between. DRAM has one channel.

- A transfer takes the time of whole bursts (memory.dram_burst_bytes), at the least of three rates: DRAM's, that of all
  DMA engines, and what they have in flight for each latency (`MemoryConfig.transfer_bytes_per_cycle`).
- Double-buffered: while step t works, its other buffer halves take the operands of step t+1 and give the results of
  step t-1:  cycles = latency + load[0] + sum over t of max(busy[t], load[t+1] + store[t-1]) + store[T-1].
  Requests are queued ahead, so the latency is seen once.
- Otherwise everything waits for everything: cycles = sum over t of (latency + load[t] + busy[t] + store[t]), the
  latency where there is something to load.

stall = cycles - sum of busy: what transfers do not hide. By cause: the latency; loads and stores, each its share of
the transfers that a step waits for.
"""

import math
from collections.abc import Mapping
from dataclasses import field

import numpy as np
from numpy.typing import NDArray

from accel_sim.hardware import MemoryConfig
from accel_sim.records import dataclass
from accel_sim.sim.timing.types import stalls_by_cause


@dataclass(frozen=True)
class Elapsed:
    """Cycles of a sequence of steps, how many of them waited for DRAM, and what for (`types.STALLS`)."""

    cycles: int
    stall_cycles: int
    stalls: Mapping[str, int] = field(default_factory=dict)


def elapsed(
    memory: MemoryConfig, load_bytes: NDArray[np.float64], busy: NDArray[np.int64], store_bytes: NDArray[np.float64]
) -> Elapsed:
    """Cycles of steps with these loads, work and stores (arrays [T], bytes, cycles, bytes)."""
    load, store = (in_bursts(memory, size) / memory.transfer_bytes_per_cycle for size in (load_bytes, store_bytes))
    if memory.double_buffered:
        beside = np.zeros(busy.size)
        beside[:-1] += load[1:]
        beside[1:] += store[:-1]
        latency = memory.dram_latency_cycles if load.any() else 0
        total = latency + load[:1].sum() + np.maximum(busy, beside).sum() + store[-1:].sum()
        late = np.maximum(beside - busy, 0) / np.where(beside > 0, beside, 1)  # the part of a step's transfers
        loading = load[:1].sum() + (late[:-1] * load[1:]).sum()
        storing = store[-1:].sum() + (late[1:] * store[:-1]).sum()
    else:
        latency = memory.dram_latency_cycles * int(np.count_nonzero(load_bytes))
        loading, storing = load.sum(), store.sum()
        total = latency + loading + busy.sum() + storing
    cycles = math.ceil(round(float(total), 6))  # not a cycle more for the last bits of a sum of fractions
    stall = cycles - int(busy.sum())
    causes = {"latency": float(latency), "load": float(loading), "store": float(storing)}
    return Elapsed(cycles, stall, stalls_by_cause(stall, causes))


def transfer_cycles(memory: MemoryConfig, size_bytes: int) -> int:
    """Cycles of one transfer by itself, after its latency."""
    return math.ceil(
        -(-size_bytes // memory.dram_burst_bytes) * memory.dram_burst_bytes / memory.transfer_bytes_per_cycle
    )


def in_bursts(memory: MemoryConfig, sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bytes of transfers, each rounded up to whole bursts; not to whole bytes, since tiles share what a block reads."""
    if memory.dram_burst_bytes == 1:
        return sizes
    return np.ceil(sizes / memory.dram_burst_bytes) * memory.dram_burst_bytes
