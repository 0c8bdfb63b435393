"""The memory hierarchy: DRAM, the DMA engines before it, three on-chip memories with banks and ports."""

from dataclasses import field

from accel_sim.hardware.checks import described, range_faults, refuse
from accel_sim.records import dataclass


@dataclass(frozen=True)
class SramConfig:
    """How much an on-chip memory moves in a cycle; its size is `MemoryConfig`'s.

    Attributes:
        banks: parts that are accessed at the same time; what is accessed is spread over them evenly.
        ports: of each bank; a port reads or writes a word in each cycle.
        word_bytes: of a port; inf for a memory that never limits.
    """

    banks: int = described("banks", 1, 4096, default=1)
    ports: int = described("ports", 1, 16, default=2)
    word_bytes: float = described("bytes", 1, float("inf"), default=float("inf"))

    def __post_init__(self) -> None:
        refuse(range_faults(self), "sram")

    @property
    def bytes_per_cycle(self) -> float:
        """Reads and writes together."""
        return self.banks * self.ports * self.word_bytes


@dataclass(frozen=True)
class MemoryConfig:
    """DRAM, the DMA engines and the three on-chip memories.

    Attributes:
        dram_bytes_per_cycle: bandwidth, reads and writes together; inf for a memory that never limits.
        dram_latency_cycles: from a request to its first byte.
        dram_burst_bytes: each transfer of a tile takes the time of whole bursts.
        weight_sram_bytes, activation_sram_bytes, accumulator_sram_bytes: capacities.
        double_buffered: each on-chip memory is two halves: one is in use while the other is filled or emptied.
        whole_weight_tiles: weights lie in DRAM, and are read, as tiles padded to the rows and columns of the grid.
        dma_engines: they share what is to be moved.
        dma_bytes_per_cycle: what one of them moves.
        dma_bytes_in_flight: what one of them has requested at one time; it moves no more than this per latency.
        weight_sram, activation_sram, accumulator_sram: their banks and ports.
    """

    dram_bytes_per_cycle: float = described("bytes per cycle", 1e-6, float("inf"))
    dram_latency_cycles: int = described("cycles", 0, 1_000_000)
    weight_sram_bytes: int = described("bytes", 1, 1 << 40)
    activation_sram_bytes: int = described("bytes", 1, 1 << 40)
    accumulator_sram_bytes: int = described("bytes", 1, 1 << 40)
    double_buffered: bool = True
    whole_weight_tiles: bool = False
    dram_burst_bytes: int = described("bytes", 1, 65536, default=1)
    dma_engines: int = described("engines", 1, 1024, default=1)
    dma_bytes_per_cycle: float = described("bytes per cycle", 1e-6, float("inf"), default=float("inf"))
    dma_bytes_in_flight: float = described("bytes", 1, float("inf"), default=float("inf"))
    weight_sram: SramConfig = field(default_factory=SramConfig)
    activation_sram: SramConfig = field(default_factory=SramConfig)
    accumulator_sram: SramConfig = field(default_factory=SramConfig)

    def __post_init__(self) -> None:
        refuse(range_faults(self), "memory")

    @property
    def buffers(self) -> int:
        """Tiles that each on-chip memory holds at once: 2 if double-buffered."""
        return 2 if self.double_buffered else 1

    @property
    def transfer_bytes_per_cycle(self) -> float:
        """What DRAM and the DMA engines move together: the least of DRAM's, the engines' and Little's law's rate."""
        by_latency = self.dma_bytes_in_flight / self.dram_latency_cycles if self.dram_latency_cycles else float("inf")
        return min(self.dram_bytes_per_cycle, self.dma_engines * min(self.dma_bytes_per_cycle, by_latency))

    def limits_besides_dram(self) -> list[tuple[str, float]]:
        """Keys that say more than sizes and DRAM, with their values: what only timing.model=grid knows."""
        unlimited = float("inf")
        keys = {
            "dma_bytes_per_cycle": self.dma_bytes_per_cycle,
            "dma_bytes_in_flight": self.dma_bytes_in_flight,
            "weight_sram.word_bytes": self.weight_sram.word_bytes,
            "activation_sram.word_bytes": self.activation_sram.word_bytes,
            "accumulator_sram.word_bytes": self.accumulator_sram.word_bytes,
        }
        return [(f"memory.{key}", value) for key, value in keys.items() if value != unlimited]
