"""Percentile range setting: q_min and q_max cut off a fixed share of the values at each end.

    q_min = the (100 - p)-th percentile of V,  q_max = the p-th percentile of V

The paper does not list it; common toolkits do, with p = 99.9 to 99.999. It knows nothing of the bit width.
"""

import math

import numpy as np
from numpy.typing import NDArray

from accel_sim.errors import Fault, QuantizationError
from accel_sim.quantization.affine_grid import AffineGrid, GridScheme, channels_first, grid_of_range, require_finite
from accel_sim.quantization.histogram import Histogram


def percentile_grid(
    values: NDArray[np.floating], scheme: GridScheme, percent: float = 99.99, axis: int | None = None
) -> AffineGrid:
    """The grid between two percentiles of an array (linear between ranks), for all values or per index of `axis`.

    Raises:
        QuantizationError: values absent or not finite, or `percent` outside (50, 100].
    """
    _check_percent(percent)
    require_finite(values, "percentile range")
    low, high = np.percentile(channels_first(values, axis), [100.0 - percent, percent], axis=1)
    return grid_of_range(low, high, scheme)


def percentile_grid_of_histogram(histogram: Histogram, scheme: GridScheme, percent: float = 99.99) -> AffineGrid:
    """The same from a histogram, right to about one bin.

    Raises:
        QuantizationError: no values, or `percent` outside (50, 100].
    """
    _check_percent(percent)
    low, high = (histogram_percentile(histogram, p) for p in (100.0 - percent, percent))
    return grid_of_range(low, high, scheme)


def histogram_percentile(histogram: Histogram, percent: float) -> float:
    """The value below which `percent` of a histogram's values lie; exact at 0 and 100.

    Inside its bin the value is placed on the uniform density with the bin's mean and variance.
    """
    histogram.require_values()
    rank = percent / 100.0 * histogram.count
    cumulated = np.cumsum(histogram.counts)
    k = min(int(np.searchsorted(cumulated, rank)), histogram.bins - 1)
    n = int(histogram.counts[k])
    if rank <= 0 or not n:
        return histogram.minimum
    if rank >= histogram.count:
        return histogram.maximum
    offset = float(histogram.sums[k]) / n
    spread = math.sqrt(3.0 * max(float(histogram.squares[k]) / n - offset**2, 0.0))
    inside = (rank - float(cumulated[k] - n)) / n
    value = (histogram.first + k) * histogram.width + offset + spread * (2.0 * inside - 1.0)
    return min(max(value, histogram.minimum), histogram.maximum)


def _check_percent(percent: float) -> None:
    if not 50.0 < percent <= 100.0:
        rule = "a percentile range keeps more than the upper half: 50 < p <= 100"
        raise QuantizationError("percentile range", [Fault("percent", repr(percent), rule)])
