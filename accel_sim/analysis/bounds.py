"""Static bounds of accumulators: what no input can exceed, in no order of accumulation.

With inputs x in [x_min, x_max], x_min <= 0 <= x_max, integer weights q and bias b, every partial sum of
b + sum(q * x), in every order, lies in

    [b + sum_{q>0} q * x_min + sum_{q<0} q * x_max,   b + sum_{q>0} q * x_max + sum_{q<0} q * x_min]

and both ends are reached by some input: the range is exact. Two coarser bounds are given beside it, as they appear in
the literature (Colbert et al., A2Q, 2023), each with the largest bias added so that it holds for the same sums:

    L1 norm      ||q||_1 * 2^(N - 1_signed) + |b|          needs the weights' norm only
    data types   K * 2^(N - 1_signed) * 2^(M - 1) + |b|    needs the number of terms and the widths N, M only
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accel_sim.analysis.dot_products import DotProducts
from accel_sim.numerics.integers import unbounded


def signed_bits(low: int, high: int) -> int:
    """The narrowest two's complement width that holds every integer of [low, high]; at least 1."""
    return max(high if high >= 0 else ~high, low if low >= 0 else ~low).bit_length() + 1


def fits(low: int, high: int, bits: int) -> bool:
    """Whether every integer of [low, high] is a two's complement number of `bits` bits."""
    return signed_bits(low, high) <= bits


@dataclass(frozen=True)
class AccumulatorBound:
    """What the accumulators of one layer can hold.

    Attributes:
        terms: products of one sum, K.
        channel_min, channel_max: exact range of every partial sum, one pair per output channel (one pair for the
            layer where both operands are computed).
        l1_bits: narrowest width that the L1 bound proves; None where both operands are computed.
        type_bits: narrowest width that the data types prove.
    """

    terms: int
    channel_min: tuple[int, ...]
    channel_max: tuple[int, ...]
    l1_bits: int | None
    type_bits: int

    @property
    def minimum(self) -> int:
        """Smallest value over all channels."""
        return min(self.channel_min)

    @property
    def maximum(self) -> int:
        """Largest value over all channels."""
        return max(self.channel_max)

    @property
    def safe_bits(self) -> int:
        """The narrowest width in which no input can make any accumulator of the layer overflow."""
        return signed_bits(self.minimum, self.maximum)

    @property
    def channel_bits(self) -> tuple[int, ...]:
        """The narrowest safe width of each channel."""
        return tuple(map(signed_bits, self.channel_min, self.channel_max))

    def proves(self, bits: int) -> bool:
        """Whether an accumulator of `bits` bits can never overflow."""
        return self.safe_bits <= bits

    def channels_proved(self, bits: int) -> int:
        """How many channels can never overflow an accumulator of `bits` bits."""
        return sum(b <= bits for b in self.channel_bits)


def accumulator_bound(products: DotProducts) -> AccumulatorBound:
    """The static bounds of one layer."""
    low, high = _exact(products) if products.knows_weights else _by_operand_ranges(products)
    return AccumulatorBound(
        terms=products.terms,
        channel_min=tuple(low),
        channel_max=tuple(high),
        l1_bits=_l1_bits(products) if products.knows_weights else None,
        type_bits=_type_bits(products),
    )


def _exact(products: DotProducts) -> tuple[list[int], list[int]]:
    x = products.inputs
    positive, negative = unbounded(products.positive), unbounded(products.negative)
    low = (positive * x.low + negative * x.high).min(axis=0)
    high = (positive * x.high + negative * x.low).max(axis=0)
    bias = np.array(products.bias, object)
    return list(bias + low), list(bias + high)


def _by_operand_ranges(products: DotProducts) -> tuple[list[int], list[int]]:
    """Both operands are unknown: each product is at an extreme of its range, in all terms at once."""
    x, w = products.inputs, products.weights
    corners = [a * b for a in (x.low, x.high) for b in (w.low, w.high)]
    low, high = products.terms * min(corners), products.terms * max(corners)
    return [b + low for b in products.bias], [b + high for b in products.bias]


def _l1_bits(products: DotProducts) -> int:
    norms = _l1_norms(products)
    scale = 1 << products.inputs.magnitude_bits
    return max(_bits_of(int(n) * scale + abs(b)) for n, b in zip(norms, products.bias, strict=True))


def _l1_norms(products: DotProducts) -> NDArray[np.int64]:
    return np.asarray((products.positive - products.negative).max(axis=0), np.int64)


def _type_bits(products: DotProducts) -> int:
    magnitude_bits = products.inputs.magnitude_bits + products.weights.magnitude_bits
    return _bits_of((products.terms << magnitude_bits) + max(map(abs, products.bias)))


def _bits_of(magnitude: int) -> int:
    """Narrowest width that holds -magnitude and magnitude."""
    return signed_bits(-magnitude, magnitude)
