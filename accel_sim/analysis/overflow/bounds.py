"""Static bounds of accumulators: what no input can exceed.

With inputs x_k in [l_k, h_k] (zero points subtracted), integer weights q_k and bias b, an accumulator starts with b and
takes the terms q_k * x_k one after the other. A term that falls on padding is 0. With t-_k = min(q_k l_k, q_k h_k) and
t+_k = max(q_k l_k, q_k h_k), each range is exact, its ends are reached by some input:

    every order   [b + sum min(t-_k, 0),  b + sum max(t+_k, 0)]    every partial sum, whichever terms come first
    in order      the least and greatest of b + sum_{k < n} t-_k (t+_k) over all n: partial sums as hardware adds
    final         [b + sum t-_k,  b + sum t+_k]                    the last sum alone: all that matters to wrapping

Where every l_k <= 0 <= h_k, as for the range of a type, the three are one: a proof serves all dataflows. At borders and
in strided transposed convolutions only some terms meet in an output; the widest of all output positions counts.

Three coarser bounds stand beside them, as in the literature, each with the largest bias added, so that it holds for the
same sums (m = max |x|, l and h the ends of all inputs' ranges with 0, for K terms and weights of M bits):

    zero-centred  |b| + (||q||_1 (h - l) + |sum q| |h + l|) / 2    A2Q+ (Colbert et al., 2024): for weights of mean 0
                                                                   the second product vanishes
    L1 norm       |b| + ||q||_1 m                                  A2Q (2023); m = 2^(N - 1_signed) for a type
    data types    |b| + K m 2^(M - 1_signed)                       needs the number of terms and the types only
"""

from enum import Enum

import numpy as np
from numpy.typing import NDArray

from accel_sim.analysis.overflow.dot_products import DotProducts, Weights
from accel_sim.analysis.overflow.taps import Taken
from accel_sim.records import dataclass


class InputKind(Enum):
    """Where the range of a layer's inputs comes from."""

    TYPE = "type"
    """Every code of the grid."""
    CALIBRATED = "calibrated"
    """What given inputs of the network led to: holds for inputs like these."""
    INTERVAL = "interval"
    """What every input of the network can lead to, by interval arithmetic through the layers before."""


class BoundKind(Enum):
    """How a range of accumulators is bounded."""

    EXACT = "exact"
    ZERO_CENTRED = "zero_centred"
    L1 = "l1"
    DATA_TYPE = "data_type"


def signed_bits(low: int, high: int) -> int:
    """The narrowest two's complement width that holds every integer of [low, high]; at least 1."""
    return max(high if high >= 0 else ~high, low if low >= 0 else ~low).bit_length() + 1


def fits(low: int, high: int, bits: int) -> bool:
    """Whether every integer of [low, high] is a two's complement number of `bits` bits."""
    return signed_bits(low, high) <= bits


@dataclass(frozen=True)
class Extremes:
    """The smallest and largest value, for each output channel (one for the layer where both operands are computed)."""

    low: tuple[int, ...]
    high: tuple[int, ...]

    @property
    def channel_bits(self) -> tuple[int, ...]:
        """The narrowest width of each channel."""
        return tuple(map(signed_bits, self.low, self.high))

    @property
    def bits(self) -> int:
        """The narrowest width of all channels."""
        return signed_bits(min(self.low), max(self.high))


@dataclass(frozen=True)
class InputRange:
    """What a layer's inputs may be, zero points subtracted.

    Attributes:
        kind: where it comes from.
        low, high: one value, or one for each index of the input's last axis.
        magnitude: m of the L1 and data-type bounds.
        other: the range of the second operand, where that is computed too.
    """

    kind: InputKind
    low: tuple[int, ...]
    high: tuple[int, ...]
    magnitude: int
    other: tuple[int, int] | None = None

    @classmethod
    def of_type(cls, products: DotProducts) -> "InputRange":
        """Every code of the grid."""
        x, w = products.inputs, products.weights
        other = None if products.knows_weights else (w.low, w.high)
        return cls(InputKind.TYPE, (x.low,), (x.high,), 1 << x.magnitude_bits, other)


@dataclass(frozen=True)
class RangeProof:
    """What the accumulators of one layer can hold for one range of inputs.

    Attributes:
        inputs: the range.
        every_order, in_order, final: exact; see the module.
        zero_centred, l1: largest magnitude of each channel; empty where both operands are computed.
        data_type: largest magnitude of each channel.
    """

    inputs: InputRange
    every_order: Extremes
    in_order: Extremes
    final: Extremes
    zero_centred: tuple[int, ...]
    l1: tuple[int, ...]
    data_type: tuple[int, ...]

    def extremes(self, kind: BoundKind) -> Extremes | None:
        """The range of every partial sum in every order by one bound; None where its weights are not known."""
        if kind is BoundKind.EXACT:
            return self.every_order
        magnitudes = {
            BoundKind.ZERO_CENTRED: self.zero_centred,
            BoundKind.L1: self.l1,
            BoundKind.DATA_TYPE: self.data_type,
        }[kind]
        return Extremes(tuple(-m for m in magnitudes), magnitudes) if magnitudes else None

    def bits(self, kind: BoundKind) -> int | None:
        """The narrowest width that one bound proves for the layer."""
        extremes = self.extremes(kind)
        return extremes.bits if extremes else None


@dataclass(frozen=True)
class AccumulatorBound:
    """What the accumulators of one layer can hold, for every code of the inputs' grid.

    Attributes:
        terms: products of one sum, K.
        channel_min, channel_max: exact range of every partial sum, one pair per output channel (one pair for the
            layer where both operands are computed).
        l1_bits: narrowest width that the L1 bound proves; None where both operands are computed.
        type_bits: narrowest width that the data types prove.
        zero_centred_bits: narrowest width that the zero-centred bound proves; None where both operands are computed.
    """

    terms: int
    channel_min: tuple[int, ...]
    channel_max: tuple[int, ...]
    l1_bits: int | None
    type_bits: int
    zero_centred_bits: int | None = None

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
    """The static bounds of one layer for the range of its inputs' type."""
    return summarized(products, prove(products, InputRange.of_type(products)))


def summarized(products: DotProducts, proof: RangeProof) -> AccumulatorBound:
    """A proof for the range of the type as an AccumulatorBound."""
    return AccumulatorBound(
        terms=products.terms,
        channel_min=proof.every_order.low,
        channel_max=proof.every_order.high,
        l1_bits=proof.bits(BoundKind.L1),
        type_bits=Extremes(tuple(-m for m in proof.data_type), proof.data_type).bits,
        zero_centred_bits=proof.bits(BoundKind.ZERO_CENTRED),
    )


def prove(products: DotProducts, inputs: InputRange, additions: int = 1) -> RangeProof:
    """Bound a layer's accumulators for one range of its inputs.

    Args:
        products: the layer.
        inputs: their range.
        additions: how many terms an accumulator takes at once (a tile's, where an adder tree sums them first).
    """
    if not products.knows_weights:
        return _prove_by_operands(products, inputs)
    bias = np.array(products.bias, object)
    least, most = term_extremes(products, inputs)
    every = _every_order(least, most, products.taps.largest)
    if min(inputs.low) <= 0 <= max(inputs.high) and not ((least > 0).any() or (most < 0).any()):
        in_order = final = every
    else:
        order, sets = products.order, products.taps.all
        in_order = _in_order(least[:, order], most[:, order], tuple(taken[order] for taken in sets), additions)
        final = _final(least, most, sets)
    norms, sums = _norms(products.rows, products.taps.largest)
    low, high = min(*inputs.low, 0), max(*inputs.high, 0)
    magnitudes = abs(bias)
    centred = (norms * (high - low) + abs(sums) * abs(high + low)).max(axis=0) // 2
    return RangeProof(
        inputs,
        every_order=_shifted(bias, every),
        in_order=_shifted(bias, in_order),
        final=_shifted(bias, final),
        zero_centred=tuple(magnitudes + centred),
        l1=tuple(magnitudes + norms.max(axis=0) * inputs.magnitude),
        data_type=_data_type(products, inputs),
    )


def term_extremes(products: DotProducts, inputs: InputRange) -> tuple[Weights, Weights]:
    """The least and the greatest value of each term, int64 [channels, K] each."""
    low, high = (_by_term(products, ends) for ends in (inputs.low, inputs.high))
    at_low, at_high = products.rows * low, products.rows * high
    return np.minimum(at_low, at_high), np.maximum(at_low, at_high)


def _by_term(products: DotProducts, ends: tuple[int, ...]) -> Weights:
    """An end of the inputs' range as each term of each output channel sees it; int64 [channels or 1, K or 1]."""
    if len(ends) == 1 or products.input_channels is None:
        return np.array([ends[:1]], np.int64)
    per_group = np.array(ends, np.int64)[products.input_channels]
    return np.repeat(per_group, len(products.rows) // products.groups, axis=0)


_Pair = tuple[NDArray[np.int64], NDArray[np.int64]]


def _every_order(least: Weights, most: Weights, sets: tuple[Taken, ...]) -> _Pair:
    below, above = np.minimum(least, 0), np.maximum(most, 0)
    return (
        np.min([below @ taken.astype(np.int64) for taken in sets], axis=0),
        np.max([above @ taken.astype(np.int64) for taken in sets], axis=0),
    )


def _final(least: Weights, most: Weights, sets: tuple[Taken, ...]) -> _Pair:
    return (
        np.min([least @ taken.astype(np.int64) for taken in sets], axis=0),
        np.max([most @ taken.astype(np.int64) for taken in sets], axis=0),
    )


def _in_order(least: Weights, most: Weights, sets: tuple[Taken, ...], additions: int) -> _Pair:
    terms = least.shape[1]
    ends = np.append(np.arange(additions, terms, additions), terms) - 1
    low, high = np.zeros(len(least), np.int64), np.zeros(len(least), np.int64)  # the bias, before any term
    for taken in sets:
        low = np.minimum(low, np.cumsum(least * taken, axis=1)[:, ends].min(axis=1))
        high = np.maximum(high, np.cumsum(most * taken, axis=1)[:, ends].max(axis=1))
    return low, high


def _shifted(bias: NDArray[np.object_], extremes: _Pair) -> Extremes:
    low, high = extremes
    return Extremes(tuple((bias + low).tolist()), tuple((bias + high).tolist()))


def _norms(rows: Weights, sets: tuple[Taken, ...]) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """||q||_1 and sum q of each set of terms and channel, [sets, channels] of Python ints."""
    taken = np.array(sets, np.int64)
    return (taken @ np.abs(rows).T).astype(object), (taken @ rows.T).astype(object)


def _data_type(products: DotProducts, inputs: InputRange) -> tuple[int, ...]:
    largest = (products.terms * inputs.magnitude) << products.weights.magnitude_bits
    return tuple(abs(b) + largest for b in products.bias)


def _prove_by_operands(products: DotProducts, inputs: InputRange) -> RangeProof:
    """Both operands are computed: each product is at an extreme of its range, in all terms at once."""
    other = inputs.other or (products.weights.low, products.weights.high)
    corners = [a * b for a in (min(inputs.low), max(inputs.high)) for b in other]
    low, high = min(corners), max(corners)
    k, bias = products.terms, products.bias
    every = Extremes(tuple(b + k * min(low, 0) for b in bias), tuple(b + k * max(high, 0) for b in bias))
    final = Extremes(tuple(b + k * low for b in bias), tuple(b + k * high for b in bias))
    first = [(b + min(low, k * low, 0), b + max(high, k * high, 0)) for b in bias]
    in_order = Extremes(tuple(a for a, _ in first), tuple(b for _, b in first))
    return RangeProof(inputs, every, in_order, final, (), (), _data_type(products, inputs))
