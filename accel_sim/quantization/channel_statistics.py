"""Streaming statistics of each channel: count, mean, variance, minimum and maximum, in constant memory.

Feeds empirical bias correction (means, eq 27) and bias absorption from data (minima, eq 24). Batches combine by Chan,
Golub and LeVeque's update, which does not cancel:

    d = mean_b - mean_a,  n = n_a + n_b,  mean = mean_a + d n_b / n,  M2 = M2_a + M2_b + d^2 n_a n_b / n
"""

import numpy as np
from numpy.typing import NDArray

from accel_sim.errors import Fault, QuantizationError
from accel_sim.quantization.affine_grid import F64, require_finite
from accel_sim.records import dataclass


@dataclass(frozen=True, eq=False)
class ChannelStatistics:
    """What is known of each channel of a stream; all arrays float64 [C].

    Attributes:
        count: values per channel.
        mean: their mean.
        squares: M2, the sum of squared deviations from the mean.
        minimum, maximum: exact.
    """

    count: int
    mean: F64
    squares: F64
    minimum: F64
    maximum: F64

    @classmethod
    def empty(cls, channels: int) -> "ChannelStatistics":
        """The statistics of nothing."""
        zeros, infinite = np.zeros(channels), np.full(channels, np.inf)
        return cls(0, zeros, zeros, infinite, -infinite)

    @classmethod
    def of(cls, values: NDArray[np.floating]) -> "ChannelStatistics":
        """Statistics of one array [..., C], channels last.

        Raises:
            QuantizationError: no values, or values that are NaN or infinite.
        """
        require_finite(values, "channel statistics")
        rows = np.asarray(values).reshape(-1, values.shape[-1])
        mean = rows.mean(axis=0, dtype=np.float64)
        squares = sum_of_squared_deviations(rows, mean)
        low, high = rows.min(axis=0).astype(np.float64), rows.max(axis=0).astype(np.float64)
        return cls(rows.shape[0], mean, squares, low, high)

    @property
    def variance(self) -> F64:
        """Population variance."""
        return self.squares / max(self.count, 1)

    def with_values(self, values: NDArray[np.floating]) -> "ChannelStatistics":
        """This stream followed by more values [..., C]."""
        return self.merged(ChannelStatistics.of(values))

    def merged(self, other: "ChannelStatistics") -> "ChannelStatistics":
        """The statistics of both streams, which have equally many channels."""
        if self.mean.shape != other.mean.shape:
            pair = f"{self.mean.size} and {other.mean.size}"
            raise QuantizationError(
                "channel statistics", [Fault("channels", pair, "streams that merge have equally many channels")]
            )
        count = self.count + other.count
        if not count:
            return self
        difference = other.mean - self.mean
        mean = self.mean + difference * (other.count / count)
        squares = self.squares + other.squares + difference**2 * (self.count * other.count / count)
        low, high = np.minimum(self.minimum, other.minimum), np.maximum(self.maximum, other.maximum)
        return ChannelStatistics(count, mean, squares, low, high)


_BLOCK_ROWS = 4096


def sum_of_squared_deviations(rows: NDArray[np.floating], mean: F64) -> F64:
    """Sum over rows [n, C] of (row - mean)^2, float64 [C], a block of rows at a time."""
    total = np.zeros(mean.shape)
    for start in range(0, rows.shape[0], _BLOCK_ROWS):
        deviation = rows[start : start + _BLOCK_ROWS] - mean
        total += np.einsum("nc,nc->c", deviation, deviation)
    return total
