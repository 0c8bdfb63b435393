"""Streaming histogram of a tensor: any number of values in constant memory, exact minimum, maximum, mean and count.

Bin i holds the values with floor(v / w) = i, where w is a power of two. The histogram keeps a window of `bins`
consecutive indices; when the range outgrows it, w doubles and bins 2i, 2i + 1 become bin i ("rebinning"). The width is
always the smallest one whose window holds [minimum, maximum], so the result does not depend on how the values were
split into batches, nor on their order.

Each bin also keeps the sum and the sum of squares of v - i w. Its mean and variance follow, so that a spike (the zeros
of a ReLU, the sixes of a ReLU6) stays a spike and is not smeared over the bin.
"""

import math

import numpy as np
from numpy.typing import NDArray

from accel_sim.errors import Fault, QuantizationError
from accel_sim.quantization.affine_grid import F64, I64, require_finite
from accel_sim.records import dataclass

_INDEX_BITS = 40  # |index| < 2^40: float64 then places v - i w with 12 bits to spare
_SMALLEST_EXPONENT = -160  # below every float32, so that w never underflows


@dataclass(frozen=True, eq=False)
class Histogram:
    """What is known of a stream of values.

    Attributes:
        exponent: bins are w = 2^exponent wide.
        first: index of the first bin of the window; bin k of the arrays covers [(first + k) w, (first + k + 1) w).
        counts: int64 [bins].
        sums, squares: float64 [bins]: sums of v - (first + k) w and of its square.
        minimum, maximum: exact; inf and -inf when empty.
        count: number of values.
        total: sum of the values in float64.
    """

    exponent: int
    first: int
    counts: I64
    sums: F64
    squares: F64
    minimum: float
    maximum: float
    count: int
    total: float

    @classmethod
    def empty(cls, bins: int = 8192) -> "Histogram":
        """The histogram of nothing. `bins` is its resolution: between bins / 2 and bins are in use."""
        if bins < 4:
            raise QuantizationError("histogram", [Fault("bins", str(bins), "at least 4 bins are needed")])
        zeros = np.zeros(bins)
        return cls(_SMALLEST_EXPONENT, 0, np.zeros(bins, np.int64), zeros, zeros, math.inf, -math.inf, 0, 0.0)

    @classmethod
    def of(cls, values: NDArray[np.floating], bins: int = 8192) -> "Histogram":
        """The histogram of one array of any shape.

        Raises:
            QuantizationError: values that are NaN or infinite.
        """
        empty = cls.empty(bins)
        if values.size == 0:
            return empty
        require_finite(values, "histogram")
        flat = np.asarray(values).reshape(-1)
        low, high = float(flat.min()), float(flat.max())
        exponent = _fitting_exponent(low, high, bins)
        first = math.floor(math.ldexp(low, -exponent))
        counts, sums, squares = _fill(flat, exponent, first, bins)
        return cls(exponent, first, counts, sums, squares, low, high, flat.size, float(flat.sum(dtype=np.float64)))

    @property
    def bins(self) -> int:
        """Number of bins of the window."""
        return int(self.counts.size)

    @property
    def width(self) -> float:
        """Width of a bin."""
        return math.ldexp(1.0, self.exponent)

    @property
    def mean(self) -> float:
        """Mean of all values.

        Raises:
            QuantizationError: no values.
        """
        self.require_values()
        return self.total / self.count

    def with_values(self, values: NDArray[np.floating]) -> "Histogram":
        """This stream followed by more values."""
        return self.merged(Histogram.of(values, self.bins))

    def merged(self, other: "Histogram") -> "Histogram":
        """The histogram of both streams; `other` has as many bins."""
        if other.bins != self.bins:
            rule = "histograms that merge have equally many bins"
            raise QuantizationError("histogram", [Fault("bins", f"{self.bins} and {other.bins}", rule)])
        if not other.count or not self.count:
            return self if self.count else other
        low, high = min(self.minimum, other.minimum), max(self.maximum, other.maximum)
        exponent = _fitting_exponent(low, high, self.bins)
        first = math.floor(math.ldexp(low, -exponent))
        mine, theirs = _moved(self, exponent, first), _moved(other, exponent, first)
        counts, sums, squares = (a + b for a, b in zip(mine, theirs, strict=True))
        return Histogram(
            exponent,
            first,
            counts.astype(np.int64),
            sums,
            squares,
            low,
            high,
            self.count + other.count,
            self.total + other.total,
        )

    def atoms(self, per_bin: int = 1) -> tuple[F64, F64]:
        """Weighted points that stand for the values: positions (ascending) and counts, float64 [n] each.

        A bin becomes one point at its mean; or `per_bin` points spread evenly over mean +- sqrt(3) deviation, the
        uniform density with the bin's mean and variance. A spike stays in place.

        Raises:
            QuantizationError: no values.
        """
        self.require_values()
        used = np.flatnonzero(self.counts)
        counts = self.counts[used].astype(np.float64)
        offset = self.sums[used] / counts
        spread = np.sqrt(3.0 * np.maximum(self.squares[used] / counts - offset**2, 0.0))
        mean = (self.first + used) * self.width + offset
        steps = (2.0 * np.arange(per_bin) + 1.0) / per_bin - 1.0
        points = np.clip(mean[:, None] + spread[:, None] * steps, self.minimum, self.maximum)
        return points.reshape(-1), np.repeat(counts / per_bin, per_bin)

    def require_values(self) -> None:
        """Raise QuantizationError if no value was seen."""
        if not self.count:
            rule = "a histogram needs at least one value"
            raise QuantizationError("histogram", [Fault("values", "none", rule, "give calibration data")])


def _fitting_exponent(low: float, high: float, bins: int) -> int:
    """The smallest e with floor(high / 2^e) - floor(low / 2^e) < bins and indices within `_INDEX_BITS` bits."""
    magnitude = max(abs(low), abs(high))
    smallest = max(math.frexp(magnitude)[1] - _INDEX_BITS, _SMALLEST_EXPONENT)
    if low == high:  # frexp has no exponent for 0
        return smallest
    exponent = max(math.frexp((high - low) / bins)[1] - 2, smallest)
    while math.floor(math.ldexp(high, -exponent)) - math.floor(math.ldexp(low, -exponent)) >= bins:
        exponent += 1
    return exponent


_BLOCK = 1 << 16  # values at a time, so that temporaries stay in cache


def _fill(flat: NDArray[np.floating], exponent: int, first: int, bins: int) -> tuple[I64, F64, F64]:
    counts, sums, squares = np.zeros(bins, np.int64), np.zeros(bins), np.zeros(bins)
    inverse, width = math.ldexp(1.0, -exponent), math.ldexp(1.0, exponent)
    for start in range(0, flat.size, _BLOCK):
        scaled = flat[start : start + _BLOCK].astype(np.float64) * inverse
        index = np.floor(scaled)
        scaled -= index
        where = (index - first).astype(np.intp)
        counts += np.bincount(where, minlength=bins)
        sums += np.bincount(where, weights=scaled, minlength=bins)
        squares += np.bincount(where, weights=scaled * scaled, minlength=bins)
    return counts, sums * width, squares * width**2


def _moved(h: Histogram, exponent: int, first: int) -> tuple[F64, F64, F64]:
    """Counts, sums and squares of `h` in the window (exponent, first); the new bins are at least as wide."""
    used = np.flatnonzero(h.counts)
    index = h.first + used
    coarse = index >> min(exponent - h.exponent, 62)
    shift = np.ldexp(index.astype(np.float64), h.exponent) - np.ldexp(coarse.astype(np.float64), exponent)
    n, s, q = h.counts[used].astype(np.float64), h.sums[used], h.squares[used]
    where = coarse - first
    moments = (n, s + n * shift, q + 2.0 * shift * s + n * shift**2)
    counts, sums, squares = (np.bincount(where, weights=m, minlength=h.bins).astype(np.float64) for m in moments)
    return counts, sums, squares
