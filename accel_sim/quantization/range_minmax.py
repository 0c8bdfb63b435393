"""Min-max range setting: q_min = min V (eq 14), q_max = max V (eq 15). No clipping; sensitive to outliers."""

import numpy as np
from numpy.typing import NDArray

from accel_sim.quantization.affine_grid import AffineGrid, GridScheme, channels_first, grid_of_range, require_finite
from accel_sim.quantization.histogram import Histogram


def minmax_grid(values: NDArray[np.floating], scheme: GridScheme, axis: int | None = None) -> AffineGrid:
    """The grid that covers an array: one for all values, or one per index of `axis`.

    Raises:
        QuantizationError: no values, or values that are NaN or infinite.
    """
    require_finite(values, "min-max range")
    channels = channels_first(values, axis)
    return grid_of_range(channels.min(axis=1), channels.max(axis=1), scheme)


def minmax_grid_of_histogram(histogram: Histogram, scheme: GridScheme) -> AffineGrid:
    """The grid that covers every value that a histogram has seen."""
    histogram.require_values()
    return grid_of_range(histogram.minimum, histogram.maximum, scheme)
