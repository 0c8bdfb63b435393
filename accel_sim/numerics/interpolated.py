"""16-bit functions by table: 513 samples interpolated linearly, and TFLite's table of the logistic function.

Sources: TFLite kernels/internal/common.h (LUTPopulate, LUTLookup; TOSA's TABLE of int16 is the same),
reference/integer_ops/logistic.h and tanh.h.
"""

import math
from collections.abc import Callable
from functools import cache

from accel_sim.numerics.floats import round_half_away_scalar
from accel_sim.numerics.integers import Integers, clamp, take, where, wrap, wrap32
from accel_sim.numerics.transcendental import exp_double
from accel_sim.records import dataclass

_SAMPLES = 512
TABLE_UNITS = 3 << 12
"""Units of TFLite's table of the logistic function to the real 1."""


@dataclass(frozen=True)
class Grid16:
    """A grid of int16 codes in double."""

    scale: float
    zero_point: int

    @property
    def low(self) -> float:
        """The real value of code -32768."""
        return self.scale * (-32768 - self.zero_point)

    @property
    def high(self) -> float:
        """The real value of code 32767."""
        return self.scale * (32767 - self.zero_point)


def sample(function: Callable[[float], float], x: Grid16, y: Grid16) -> tuple[int, ...]:
    """513 codes of function at every 128th code of x, each moved by half the error of interpolation at the midpoint.

    Everything in double; `round` is half away from zero.
    """
    step = (x.high - x.low) / _SAMPLES
    inverse = 65536 / (y.high - y.low)
    value = [function(x.low + i * step) * inverse for i in range(_SAMPLES)] + [function(x.high) * inverse]
    following = [function(x.low + (i + 1) * step) * inverse for i in range(_SAMPLES)]
    middle = [function(x.low + i * step + step / 2) * inverse for i in range(_SAMPLES)]
    codes = []
    for v, n, m in zip(value, following, middle, strict=False):
        interpolated = round_half_away_scalar((n + round_half_away_scalar(v)) / 2)
        codes.append(round_half_away_scalar(v) - round_half_away_scalar((interpolated - round_half_away_scalar(m)) / 2))
    codes.append(round_half_away_scalar(value[-1]))
    return tuple(clamp(code, -32768, 32767) for code in codes)


def interpolate(table: tuple[int, ...], x: Integers) -> Integers:
    """Codes [-32768, 32767] for codes x: linear between the samples on both sides, rounded half up, wrapped."""
    index = 256 + (x >> 7)
    base = take(table, index)
    slope = wrap(take(table, index + 1) - base, 16)
    return wrap(base + ((slope * (x & 127) + 64) >> 7), 16)


@cache
def exponential_table() -> tuple[int, ...]:
    """exp on [-10, 0], output [-1, 1] (int16 softmax)."""
    return sample(exp_double, Grid16(10.0 / 65535.0, 32767), Grid16(2.0 / 65535.0, -32768))


@cache
def reciprocal_table() -> tuple[int, ...]:
    """1 / (1 + x) on [0, 1], output [-1, 1] (int16 softmax)."""
    return sample(lambda v: 1.0 / (1.0 + v), Grid16(1.0 / 65535.0, -32768), Grid16(2.0 / 65535.0, -32768))


@cache
def logistic_samples() -> tuple[int, ...]:
    """65536 / (1 + exp(-i / 24)) for i < 256, each lowered so that the chords between samples err least (TFLite)."""
    h = 1 / 24
    table = []
    for i in range(255):
        f = 1 / (1 + exp_double(-i * h))
        curvature = f * (1 - f) * (1 - 2 * f)
        table.append(math.floor(65536 * (f - curvature * h * h / 16) + 0.5))
    return (*table, 65535)


def logistic_16(x: Integers, scale: float) -> Integers:
    """Codes of scale 2^-15 for symmetric int16 codes x of the given scale (TFLite LOGISTIC, int16)."""
    v = _scaled_to_table(x, scale, exact_shifts=(0,))
    position = abs(v)
    result = _chord(position, bits=9, beyond=0x7FFF << 10)
    return wrap(where(v >= 0, result + 512, (1 << 25) - result + 511) >> 10, 16)


def tanh_16(x: Integers, scale: float) -> Integers:
    """Codes of scale 2^-15 for symmetric int16 codes x of the given scale (TFLite TANH, int16)."""
    v = _scaled_to_table(x, scale, exact_shifts=(0, 1))
    position = abs(v)
    result = _chord(position, bits=8, beyond=0xFFFF << 8)
    return where(v >= 0, result - (1 << 23) + 128, -result + (1 << 23) + 127) >> 8


def _scaled_to_table(x: Integers, scale: float, exact_shifts: tuple[int, ...]) -> Integers:
    """x in units of the table."""
    multiplier, shift = _table_multiplier(scale, exact_shifts)
    half = 1 << (shift - 1) if shift > 0 else 0
    return wrap32(x * multiplier + half) >> shift


def _table_multiplier(scale: float, exact_shifts: tuple[int, ...]) -> tuple[int, int]:
    """(m, s): units of the table per code are m * 2^-s; the source treats some power-of-two scales apart."""
    exponent = math.log(scale) * (1.0 / math.log(2.0))
    nearest = round(exponent)
    if abs(exponent - nearest) < 1e-3 and 12 + nearest in exact_shifts:
        return 3 << (12 + nearest), 0
    multiplier, shift = scale * TABLE_UNITS, 0
    while multiplier <= 32767.0 / 2.0 and shift <= 30:
        multiplier, shift = multiplier * 2.0, shift + 1
    return int(multiplier), shift


def _chord(position: Integers, bits: int, beyond: int) -> Integers:
    """The table at position / 2^bits, times 2^bits; `beyond` past its end."""
    table = logistic_samples()
    index = position >> bits
    inside = clamp(index, 0, 254)
    low, high = take(table, inside), take(table, inside + 1)
    value = (low << bits) + (position & ((1 << bits) - 1)) * (high - low)
    return where(index >= 255, beyond, value)
