"""Affine grids of arrays: from a range (q_min, q_max) to scale and zero point, and the quantization function (2.2).

Every range setting method ends in an `AffineGrid`; `AffineGrid.params` is the same grid as the graph stores it.
"""

import math
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from accel_sim.errors import Fault, QuantizationError
from accel_sim.ir.quant_params import QuantParams
from accel_sim.records import dataclass

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

SMALLEST_SCALE = 2.0**-126
"""The smallest normal float32: files store scales as float32, and a subnormal scale has no precision."""


class Symmetry(Enum):
    """Whether a grid may have an offset."""

    SYMMETRIC = "symmetric"
    """Zero point 0 (2.2.1)."""
    ASYMMETRIC = "asymmetric"
    """Any zero point (eq 4-7)."""


@dataclass(frozen=True)
class GridScheme:
    """The family in which a range setting method looks for a grid.

    Attributes:
        bits: width of a code, 2 to 16.
        symmetry: symmetric (eq 8) or asymmetric (eq 7).
        signed: codes are [-2^(b-1), 2^(b-1) - 1] (eq 8c), else [0, 2^b - 1] (eq 4, 8b). For an asymmetric grid this is
            only how codes are written; the real grid is the same.
        narrow: a symmetric signed grid without its lowest code, [-(2^(b-1) - 1), 2^(b-1) - 1], as TFLite's weights.
        power_of_two: scales are 2^-k (2.2.2).

    Raises:
        QuantizationError: bits out of range, or a narrow grid that is not symmetric and signed.
    """

    bits: int = 8
    symmetry: Symmetry = Symmetry.ASYMMETRIC
    signed: bool = False
    narrow: bool = False
    power_of_two: bool = False

    def __post_init__(self) -> None:
        faults = []
        if not 2 <= self.bits <= 16:
            faults.append(Fault("bits", str(self.bits), "a grid has 2 to 16 bits"))
        if self.narrow and not (self.signed and self.is_symmetric):
            faults.append(Fault("narrow", "True", "only a symmetric signed grid can be narrow"))
        if faults:
            raise QuantizationError("grid scheme", faults)

    @property
    def is_symmetric(self) -> bool:
        """Whether the zero point is 0."""
        return self.symmetry is Symmetry.SYMMETRIC

    @property
    def low(self) -> int:
        """Smallest code."""
        return -(1 << (self.bits - 1)) + int(self.narrow) if self.signed else 0

    @property
    def high(self) -> int:
        """Largest code."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    @property
    def steps(self) -> int:
        """Number of steps between the smallest and the largest code."""
        return self.high - self.low


WEIGHTS_INT8 = GridScheme(8, Symmetry.SYMMETRIC, signed=True)
"""Symmetric signed 8 bits: the paper's choice for weights (3.5)."""
ACTIVATIONS_UINT8 = GridScheme(8)
"""Asymmetric 8 bits: the paper's choice for activations (3.5)."""


@dataclass(frozen=True, eq=False)
class AffineGrid:
    """real = scale * (code - zero_point) (eq 6), one grid or one per channel.

    Attributes:
        scale: float64 [1] or [C], positive; the values are float32 numbers, as files store them.
        zero_point: int64 of the same shape, inside the scheme's codes.
        scheme: bits, signedness, symmetry.
    """

    scale: F64
    zero_point: I64
    scheme: GridScheme

    @classmethod
    def of(cls, params: QuantParams) -> "AffineGrid":
        """The grid that a graph stores, 2 to 16 bits."""
        symmetry = Symmetry.SYMMETRIC if params.is_symmetric else Symmetry.ASYMMETRIC
        return cls(params.scales, params.zero_points, GridScheme(params.bits, symmetry, params.signed))

    @property
    def limits(self) -> tuple[F64, F64]:
        """q_min and q_max, the smallest and largest real number of each grid; float64 [1] or [C]."""
        return (
            self.scale * (self.scheme.low - self.zero_point),
            self.scale * (self.scheme.high - self.zero_point),
        )

    def params(self, axis: int | None = None) -> QuantParams:
        """The grid as a graph stores it; `axis` is the channel axis of a per-channel grid."""
        scales, zeros = tuple(map(float, self.scale)), tuple(map(int, self.zero_point))
        return QuantParams(scales, zeros, self.scheme.bits, self.scheme.signed, axis)

    def codes(self, values: NDArray[np.floating], axis: int | None = None) -> I64:
        """eq 4, 5: clamp(round(values / scale) + zero_point), ties to even; int64 of the shape of `values`."""
        scale, zero = self.broadcast(values.ndim, axis)
        low, high = self.scheme.low - zero, self.scheme.high - zero
        return np.clip(np.rint(np.asarray(values, np.float64) / scale), low, high).astype(np.int64) + zero

    def reals(self, codes: NDArray[np.integer], axis: int | None = None) -> F64:
        """eq 6: scale * (codes - zero_point); float64 of the shape of `codes`."""
        scale, zero = self.broadcast(codes.ndim, axis)
        return scale * (codes - zero)

    def round_trip(self, values: NDArray[np.floating], axis: int | None = None) -> F64:
        """eq 7: the values as they are after quantization and de-quantization; float64."""
        return self.reals(self.codes(values, axis), axis)

    def with_smallest_scale(self, smallest: F64 | float) -> "AffineGrid":
        """The symmetric grid with scales of at least `smallest` ([C] or a number); see `smallest_weight_scale`."""
        if not self.scheme.is_symmetric:
            raise QuantizationError("smallest scale", [Fault("scheme", "asymmetric", "applies to symmetric grids")])
        return AffineGrid(stored_scale(np.maximum(self.scale, smallest), self.scheme), self.zero_point, self.scheme)

    def broadcast(self, rank: int, axis: int | None) -> tuple[F64, I64]:
        """Scale and zero point shaped against arrays of `rank` axes, channels on `axis`."""
        shape = [1] * rank
        if axis is not None:
            shape[axis] = self.scale.size
        return self.scale.reshape(shape), self.zero_point.reshape(shape)


def grid_of_range(low: F64 | float, high: F64 | float, scheme: GridScheme) -> AffineGrid:
    """The grid of `scheme` that covers [low, high], enlarged to hold 0, so that padding and ReLU are exact.

    Asymmetric: s = (high - low) / (2^b - 1), z = round(-low / s), so each end moves by less than half a step.
    Symmetric: the smallest s without clipping, max(high / high_code, low / low_code); unsigned codes cut off what is
    negative. Power of two: s rounded up to 2^-k. A range that is only 0 takes the largest scale among the other
    channels, 1 if there is none: its codes are 0 with any scale, and a bias on that scale stays sensible.

    Args:
        low: q_min of eq 14-19, a number or [C].
        high: q_max, likewise.
        scheme: the family of grids.

    Raises:
        QuantizationError: a bound that is not finite, or low > high.
    """
    lows, highs = np.broadcast_arrays(np.atleast_1d(np.asarray(low, np.float64)), np.asarray(high, np.float64))
    _check_range(lows, highs)
    lows, highs = np.minimum(lows, 0.0), np.maximum(highs, 0.0)
    if scheme.is_symmetric:
        negative = lows / scheme.low if scheme.low else np.zeros_like(lows)
        scale = stored_scale(np.maximum(highs / scheme.high, negative), scheme)
        return AffineGrid(scale, np.zeros(scale.shape, np.int64), scheme)
    scale = stored_scale(highs / scheme.steps - lows / scheme.steps, scheme)
    return AffineGrid(scale, offset_of_range(lows, scale, scheme), scheme)


def offset_of_range(low: F64, scale: F64, scheme: GridScheme) -> I64:
    """Zero point of an asymmetric grid whose q_min is nearest to `low`: round(low_code - low / scale), clamped."""
    return np.clip(np.rint(scheme.low - low / scale), scheme.low, scheme.high).astype(np.int64)


def stored_scale(scale: F64, scheme: GridScheme) -> F64:
    """Scales as a file can hold them: float32, normal, 2^-k where asked for; 0 replaced as `grid_of_range` says."""
    largest = float(scale.max(initial=0.0))
    filled = np.where(scale > 0, scale, largest if largest > 0 else 1.0)
    filled = np.clip(filled, SMALLEST_SCALE, float(np.finfo(np.float32).max))
    if scheme.power_of_two:
        mantissa, exponent = np.frexp(filled)
        return np.asarray(np.ldexp(1.0, np.where(mantissa == 0.5, exponent - 1, exponent)), np.float64)
    return filled.astype(np.float32).astype(np.float64)


def smallest_weight_scale(bias: NDArray[np.floating], input_scale: float, accumulator_bits: int = 32) -> F64:
    """The smallest weight scales with which a bias still fits the accumulator with one bit to spare, float64 [C].

    A bias is stored as round(b / (s_w s_x)). A channel whose weights are all but 0 (max |w| of 1e-20 occurs in trained
    networks) would get a scale so small that its bias saturates, and its constant output is lost.
    """
    room = math.ldexp(1.0, accumulator_bits - 2)
    return np.abs(np.asarray(bias, np.float64)) / (room * input_scale)


def require_finite(values: NDArray[np.floating], where: str) -> None:
    """Raise QuantizationError, naming `where`, if values are absent, NaN or infinite."""
    if values.size == 0:
        raise QuantizationError(where, [Fault("values", "none", "a range needs at least one value")])
    finite = np.isfinite(values)
    if not finite.all():
        share = f"{int(values.size - np.count_nonzero(finite))} of {values.size} values are NaN or infinite"
        raise QuantizationError(where, [Fault("values", share, "a range is set from finite numbers")])


def channels_first(values: NDArray[np.floating], axis: int | None) -> F64:
    """Values as float64 [C, K]: channel `axis` in front, the rest flattened; [1, K] for axis None."""
    array = np.asarray(values, np.float64)
    if axis is None:
        return array.reshape(1, -1)
    return np.ascontiguousarray(np.moveaxis(array, axis, 0)).reshape(array.shape[axis], -1)


def _check_range(low: F64, high: F64) -> None:
    for name, bound in (("q_min", low), ("q_max", high)):
        if not np.isfinite(bound).all():
            raise QuantizationError("range", [Fault(name, str(bound), "the bounds of a range are finite")])
    if (low > high).any():
        pair = int(np.argmax(low > high))
        raise QuantizationError("range", [Fault("q_min", f"{low[pair]} > q_max {high[pair]}", "q_min <= q_max")])
