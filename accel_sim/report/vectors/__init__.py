"""Golden vectors of one layer, for test benches: operands, accumulators, requantization constants, results."""

from accel_sim.report.vectors.capture import GoldenVectors, capture
from accel_sim.report.vectors.layers import matrix_command

__all__ = ["GoldenVectors", "capture", "matrix_command"]
