"""Energy from counts of operations and bytes (EnergyConfig; M. Horowitz, ISSCC 2014).

- A multiplication of a x b bits costs int8_multiply_pj * a*b/64: quadratic in the width, which also gives Horowitz's
  3.1 pJ for 32 x 32 within 4 %.
- A 64-bit access of an SRAM costs what the table gives for 8 KiB, 32 KiB and 1 MiB, between them a power of the size
  (a straight line of logarithms), beyond them the same power; never less than the smallest entry.
- A byte costs an eighth of a 64-bit access.
"""

import math
from collections.abc import Mapping

from accel_sim.hardware import AcceleratorConfig, EnergyConfig

_KIB = 1024


def multiply_pj(energy: EnergyConfig, bits_a: int, bits_b: int) -> float:
    """One multiplication of integers of these widths."""
    return energy.int8_multiply_pj * bits_a * bits_b / 64


def sram_access_pj(energy: EnergyConfig, size_bytes: int) -> float:
    """One 64-bit access to an SRAM of this size."""
    small, middle, large = energy.sram_8kib_pj, energy.sram_32kib_pj, energy.sram_1mib_pj
    if size_bytes <= 8 * _KIB or not small or not middle or not large:
        return small
    if size_bytes <= 32 * _KIB:
        return _power(size_bytes, 8 * _KIB, small, 32 * _KIB, middle)
    return _power(size_bytes, 32 * _KIB, middle, 1024 * _KIB, large)


def traffic_pj(hardware: AcceleratorConfig, traffic: Mapping[str, int]) -> float:
    """All bytes moved."""
    energy, memory = hardware.energy, hardware.memory
    per_access = {
        "dram": energy.dram_pj,
        "weight_sram": sram_access_pj(energy, memory.weight_sram_bytes),
        "activation_sram": sram_access_pj(energy, memory.activation_sram_bytes),
        "accumulator_sram": sram_access_pj(energy, memory.accumulator_sram_bytes),
    }
    return sum(size / 8 * per_access[key.rsplit("_", 1)[0]] for key, size in traffic.items())


def _power(x: float, x0: float, y0: float, x1: float, y1: float) -> float:
    return float(y0 * (x / x0) ** (math.log(y1 / y0) / math.log(x1 / x0)))
