"""Bilinear resizing of codes."""

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from accel_sim.numerics.floats import dequantize_float32, quantize_float32
from accel_sim.numerics.integers import Integers, divide_truncating, is_int64, unbounded, where, wrap
from accel_sim.numerics.requantization import Requantization, as_int64
from accel_sim.records import dataclass


@dataclass(frozen=True)
class InterpolationAxis:
    """For each output index along one axis: two source indices and the weight of the upper one.

    Attributes:
        lower, upper: source indices.
        weight: of `upper`; an integer (of a unit that the recipe states) or a float32 number held exactly.
    """

    lower: tuple[int, ...]
    upper: tuple[int, ...]
    weight: tuple[float, ...]


@dataclass(frozen=True)
class BilinearRecipe:
    """Root of the recipes of bilinear resizing."""

    y: InterpolationAxis
    x: InterpolationAxis

    def apply(self, image: Integers) -> Integers:
        """Codes [N, Ho, Wo, C] for codes [N, H, W, C]; int64 for an integer array, Python ints for Python ints."""
        codes = self._codes(image)
        return codes.astype(np.int64) if is_int64(image) else unbounded(codes)

    @abstractmethod
    def _codes(self, image: Integers) -> Integers:
        """See `apply`."""

    def _corners(self, image: Integers) -> tuple[Integers, Integers, Integers, Integers]:
        """The four source pixels of every output pixel: upper left, upper right, lower left, lower right."""
        top, bottom = image[:, list(self.y.lower)], image[:, list(self.y.upper)]
        left, right = list(self.x.lower), list(self.x.upper)
        return top[:, :, left], top[:, :, right], bottom[:, :, left], bottom[:, :, right]

    def _weighted(self, image: Integers, unit_y: int, unit_x: int) -> Integers:
        """The exact sum of the corners times their integer weights."""
        a, b, c, d = self._corners(unbounded(image))
        fy = np.array([int(w) for w in self.y.weight], object)[:, None, None]
        fx = np.array([int(w) for w in self.x.weight], object)[:, None]
        return (a * (unit_x - fx) + b * fx) * (unit_y - fy) + (c * (unit_x - fx) + d * fx) * fy

    def _float_weights(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Weights of the lower right corner's row and column, shaped to broadcast."""
        return (
            np.array(self.y.weight, np.float32)[:, None, None],
            np.array(self.x.weight, np.float32)[:, None],
        )


@dataclass(frozen=True)
class FixedPointBilinear(BilinearRecipe):
    """TFLite int8, int16: weights of unit 2^10, (sum + sign * 2^19) / 2^20 truncated, wrapped to the code's type.

    Weights may lie outside [0, 2^10] at the borders, where both source pixels are the same. Grids are equal.
    """

    bits: int
    signed: bool

    def _codes(self, image: Integers) -> Integers:
        total = self._weighted(image, 1 << 10, 1 << 10)
        codes = divide_truncating(total + where(total > 0, 1 << 19, -(1 << 19)), 1 << 20)
        return wrap(codes, self.bits) if self.signed else codes & ((1 << self.bits) - 1)


@dataclass(frozen=True)
class RawFloatBilinear(BilinearRecipe):
    """TFLite uint8: float32 interpolation of the codes themselves, y = trunc(r + 0.5f). Grids are equal.

    r = ((x00*(1-fy))*(1-fx) + (x10*fy)*(1-fx)) + (x01*(1-fy))*fx + (x11*fy)*fx, left to right, no fused operations;
    x10 is the corner below x00.
    """

    def _codes(self, image: Integers) -> Integers:
        a, b, c, d = (corner.astype(np.float32) for corner in self._corners(as_int64(image)))
        fy, fx = self._float_weights()
        gy, gx = np.float32(1) - fy, np.float32(1) - fx
        total = (a * gy) * gx + (c * fy) * gx + (b * gy) * fx + (d * fy) * fx
        return np.trunc(total + np.float32(0.5)).astype(np.int64)


@dataclass(frozen=True)
class FloatBilinear(BilinearRecipe):
    """ONNX Runtime Resize: dequantize, interpolate in float32, quantize; never on the codes.

    ((gx*gy)*x00 + (fx*gy)*x01) + (gx*fy)*x10 + (fx*fy)*x11, left to right, no fused operations; g = f32(1 - f).
    """

    input_scale: float
    input_zero_point: int
    scale: float
    zero_point: int
    low: int
    high: int

    def _codes(self, image: Integers) -> Integers:
        real = dequantize_float32(as_int64(image), self.input_scale, self.input_zero_point)
        a, b, c, d = self._corners(real)
        fy, fx = self._float_weights()
        gy, gx = np.float32(1) - fy, np.float32(1) - fx
        total = (gx * gy) * a + (fx * gy) * b + (gx * fy) * c + (fx * fy) * d
        return quantize_float32(total, self.scale, self.zero_point, self.low, self.high)


@dataclass(frozen=True)
class RescaledBilinear(BilinearRecipe):
    """Exact interpolation with integer weights, rescaled to the output grid as accumulators are (TOSA, paper).

    y = output(sum of corners times weights - input_zero_point * y_unit * x_unit); weights of unit y_unit, x_unit. The
    sum is exact: |sum| < 2^16 * y_unit * x_unit.
    """

    y_unit: int
    x_unit: int
    input_zero_point: int
    output: Requantization

    def _codes(self, image: Integers) -> Integers:
        total = self._weighted(image, self.y_unit, self.x_unit)
        return self.output.apply(total - self.input_zero_point * self.y_unit * self.x_unit)
