"""The geometry of a sliding window as the kernels read it."""

import numpy as np
from numpy.typing import NDArray

from accel_sim.program import Operand, Window


def window_geometry(
    x: Operand, y: Operand, window: Window, channel: int = 0, channels: int | None = None
) -> NDArray[np.int64]:
    """See `accel_kernels.panels.gather_panel`; `channels` input channels from `channel` on, all by default."""
    height, width, depth = x.shape[1:]
    count = depth if channels is None else channels
    sizes = (height, width, depth, channel, count, *y.shape[1:3])
    steps = (*window.kernel, *window.strides, *window.dilations, window.pad_top, window.pad_left)
    return np.array((*sizes, *steps), np.int64)
