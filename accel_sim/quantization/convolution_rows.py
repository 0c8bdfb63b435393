"""Convolutions as dense layers: rows of patches (im2col) at chosen output positions.

y[n, i, j] = W . patch(n, i, j): a pool of a few thousand positions represents all of a feature map, so memory and time
do not grow with the calibration data.
"""

import numpy as np
from numpy.typing import NDArray

from accel_sim.errors import Fault, QuantizationError
from accel_sim.ir.operators import Conv2D
from accel_sim.records import dataclass

F32 = NDArray[np.float32]
Positions = NDArray[np.intp]


@dataclass(frozen=True)
class Window:
    """Where a convolution looks: kernel, strides, dilations, and padding before the first row and column."""

    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    top: int = 0
    left: int = 0

    @classmethod
    def of(cls, op: Conv2D, weight_shape: tuple[int, ...]) -> "Window":
        """The window of an operator with OHWI weights."""
        kernel = weight_shape[1], weight_shape[2]
        return cls(kernel, op.strides, op.dilations, op.padding.top, op.padding.left)


def sample_positions(shape: tuple[int, int, int], count: int, seed: int = 0) -> Positions:
    """`count` output positions (n, i, j), or all where there are not more; [m, 3], ordered, equally many per sample.

    Order matters to `adaround_damping`: the halves of the pool hold different samples.

    Args:
        shape: samples, height and width of the output.
        count: rows of the pool.
        seed: of the generator that draws them, without replacement inside a sample.
    """
    samples, height, width = shape
    area = height * width
    if samples * area <= count:
        return np.stack(np.unravel_index(np.arange(samples * area), shape), axis=1)
    generator = np.random.default_rng(seed)
    share = np.diff(np.linspace(0, count, samples + 1).astype(np.intp))
    flat = [n * area + np.sort(generator.choice(area, k, replace=False)) for n, k in enumerate(share)]
    return np.stack(np.unravel_index(np.concatenate(flat), shape), axis=1)


def patches(
    x: NDArray[np.floating], positions: Positions, window: Window, pad: float | NDArray[np.floating] = 0.0
) -> F32:
    """What the window sees at output positions: float32 [m, kh, kw, Ci].

    Args:
        x: [N, H, W, Ci].
        positions: (n, i, j), [m, 3].
        window: of the convolution.
        pad: value outside x, a number or [Ci].

    Raises:
        QuantizationError: a sample that x does not have.
    """
    samples, height, width, channels = x.shape
    n, i, j = positions.T
    if positions.size and int(n.max()) >= samples:
        raise QuantizationError("patches", [Fault("positions", str(int(n.max())), f"samples are 0 to {samples - 1}")])
    taken = np.empty((len(positions), *window.kernel, channels), np.float32)
    for p, q in np.ndindex(*window.kernel):
        row = i * window.strides[0] + p * window.dilations[0] - window.top
        column = j * window.strides[1] + q * window.dilations[1] - window.left
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        seen = x[n, np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
        taken[:, p, q] = np.where(inside[:, None], seen, pad)
    return taken


def dense_rows(taken: F32) -> F32:
    """Patches [m, kh, kw, Ci] as rows [m, K] for weights [Co, K] = OHWI flattened."""
    return taken.reshape(taken.shape[0], -1)


def depthwise_rows(taken: F32) -> F32:
    """Patches [m, kh, kw, C] as rows [m, C, kh * kw] for depthwise weights [C, kh * kw]."""
    return np.ascontiguousarray(taken.reshape(taken.shape[0], -1, taken.shape[3]).transpose(0, 2, 1))


def grouped_rows(taken: F32, groups: int) -> F32:
    """Patches [m, kh, kw, Ci] as rows [groups, m, K] with K = kh kw Ci / groups: one dense layer per group."""
    m, height, width, channels = taken.shape
    split = taken.reshape(m, height * width, groups, channels // groups)
    return np.ascontiguousarray(split.transpose(2, 0, 1, 3).reshape(groups, m, -1))
