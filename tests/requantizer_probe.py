"""Accumulators through real requantizers, one per output channel: the product 255 * weight plus any bias.

A probe is one operator on one input pixel, so the bias sets its accumulators exactly: over the whole int32 range
and beyond it, where they wrap, and near the ties of each channel's scale.
"""

from dataclasses import dataclass

import numpy as np

INT32 = np.iinfo(np.int32)
GAIN = 255  # the input code minus its zero point: 127 - -128


@dataclass(frozen=True)
class Probe:
    """One int8 operator with a channel per accumulator.

    Attributes:
        input_scale, weight_scale, output_scale: float32; the weights' one per channel, or one for all.
        weights, bias: int8 and int32, one per channel.
        output_zero_point: of the int8 result; the input's zero point is -128, its code 127.
    """

    input_scale: np.float32
    weight_scale: np.ndarray
    output_scale: np.float32
    weights: np.ndarray
    bias: np.ndarray
    output_zero_point: int

    @property
    def accumulators(self) -> np.ndarray:
        """Exact sums, int64: some leave int32."""
        return self.weights.astype(np.int64) * GAIN + self.bias


def wrapped(accumulators):
    """Two's complement of 32 bits."""
    return (accumulators + (1 << 31)) % (1 << 32) - (1 << 31)


def draw_probe(rng, channels, *, per_channel=True):
    """A third of the accumulators over the whole range, a third near ties, a third in or near the output's range."""
    ties = rng.random() < 0.25
    exponents = rng.uniform(-24, 1, channels if per_channel else 1)  # of the effective scale
    input_scale, output_scale = (np.float32(2.0 ** rng.uniform(-6, -2)) for _ in range(2))
    if ties:
        exponents = np.round(exponents)
        input_scale = output_scale = np.float32(0.125)
    scales = (2.0**exponents * float(output_scale) / float(input_scale)).astype(np.float32)
    effective = np.broadcast_to(scales.astype(np.float64) * float(input_scale) / float(output_scale), channels)
    target = np.floor(rng.uniform(-300, 300, channels))
    near = np.rint((target + 0.5) / effective) + rng.integers(-2, 3, channels)
    within = np.rint(rng.uniform(-140, 140, channels) / effective)
    anywhere = rng.integers(INT32.min, INT32.max, channels, endpoint=True)
    extreme = rng.choice([INT32.min, INT32.min + 1, INT32.max, INT32.max - 1], channels)
    kind = rng.integers(0, 12, channels)
    chosen = np.where(kind < 4, near, np.where(kind < 8, within, np.where(kind < 11, anywhere, extreme)))
    weights = np.where(kind == 11, rng.choice([-127, -1, 0, 1, 127], channels), rng.integers(-127, 128, channels))
    bias = np.clip(chosen - (kind < 8) * weights * GAIN, INT32.min, INT32.max)
    zero_point = int(rng.choice([-128, 0, 127, rng.integers(-128, 128)]))
    return Probe(input_scale, scales, output_scale, weights.astype(np.int8), bias.astype(np.int32), zero_point)
