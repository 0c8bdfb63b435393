"""Accumulator overflow: proved for every input where the weights allow it, beside what a run observed."""

from collections.abc import Iterable, Mapping

from accel_sim.analysis.choices import DEFAULT_ACCUMULATORS
from accel_sim.analysis.overflow.bounds import (
    AccumulatorBound,
    BoundKind,
    InputKind,
    RangeProof,
    fits,
    prove,
    signed_bits,
    summarized,
)
from accel_sim.analysis.overflow.certificates import input_ranges
from accel_sim.analysis.overflow.curve import OverflowCurve
from accel_sim.analysis.overflow.dot_products import DotProducts, dot_products
from accel_sim.analysis.overflow.interval_propagation import computed_in_float, propagate
from accel_sim.analysis.overflow.intervals import Intervals
from accel_sim.analysis.provenance import Provenance
from accel_sim.errors import Fault, InputError
from accel_sim.ir import Graph
from accel_sim.numerics.accumulators import NARROWEST, WIDEST
from accel_sim.numerics.profiles import Profile
from accel_sim.records import dataclass
from accel_sim.sim.result import LayerResult, RunResult


@dataclass(frozen=True)
class Observed:
    """The extremes of a layer's accumulators over one run, and how often its own width did not suffice.

    Attributes:
        minimum, maximum: smallest and largest value that any accumulator held.
        overflow_events: additions whose exact result did not fit the accumulator of the machine that ran.
    """

    minimum: int
    maximum: int
    overflow_events: int

    @property
    def bits(self) -> int:
        """The narrowest width that would have held these values."""
        return signed_bits(self.minimum, self.maximum)


@dataclass(frozen=True)
class WidthVerdict:
    """One accumulator width on one layer.

    Attributes:
        bits: the width.
        proved: no input can overflow it.
        channels_proved: output channels of which the same is known.
        observed_fit: whether everything that the run observed fits; None without a run.
    """

    bits: int
    proved: bool
    channels_proved: int
    observed_fit: bool | None


@dataclass(frozen=True)
class ProvedRange:
    """What one range of a layer's inputs proves of its accumulators, over all channels.

    Attributes:
        kind: where the range comes from: the type, intervals through the network, or given inputs.
        input_low, input_high: the range, zero point subtracted.
        minimum, maximum: exact range of every partial sum in every order.
        exact_bits, zero_centred_bits, l1_bits, data_type_bits: the narrowest width that each bound proves safe; None
            where a bound needs weights and both operands are computed.
    """

    kind: InputKind
    input_low: int
    input_high: int
    minimum: int
    maximum: int
    exact_bits: int
    zero_centred_bits: int | None
    l1_bits: int | None
    data_type_bits: int

    @classmethod
    def of(cls, proof: RangeProof) -> "ProvedRange":
        """A proof in short."""
        every = proof.every_order
        return cls(
            proof.inputs.kind,
            min(proof.inputs.low),
            max(proof.inputs.high),
            min(every.low),
            max(every.high),
            every.bits,
            proof.bits(BoundKind.ZERO_CENTRED),
            proof.bits(BoundKind.L1),
            proof.bits(BoundKind.DATA_TYPE) or WIDEST,
        )


@dataclass(frozen=True)
class LayerOverflow:
    """The accumulators of one layer.

    Attributes:
        name, op: the graph node and its operator.
        bound: what no input can exceed.
        ranges: the same, and what is known of narrower inputs: by type, by interval, calibrated where a run observed.
        observed: what a run saw; None without a run, or where the machine does not watch this layer.
        verdicts: one per requested width.
    """

    name: str
    op: str
    bound: AccumulatorBound
    ranges: tuple[ProvedRange, ...]
    observed: Observed | None
    verdicts: tuple[WidthVerdict, ...]

    @property
    def safe_bits(self) -> int:
        """The narrowest width in which no input can overflow this layer."""
        return self.bound.safe_bits

    def range_of(self, kind: InputKind) -> ProvedRange | None:
        """What one kind of input range proves; None where it is not known."""
        return next((r for r in self.ranges if r.kind is kind), None)


@dataclass(frozen=True)
class OverflowReport:
    """Which accumulators can overflow.

    Attributes:
        provenance: what was analysed.
        accumulators: the widths asked about, in bits, ascending.
        samples: how many were run to observe extremes; 0 for the static analysis alone.
        layers: those that have accumulators, in order of execution.
        in_float: names of convolutions and products that have none, as the profile adds them in float32.
        curve: what each width and structure costs on the samples; None where nothing was counted.
    """

    provenance: Provenance
    accumulators: tuple[int, ...]
    samples: int
    layers: tuple[LayerOverflow, ...]
    in_float: tuple[str, ...] = ()
    curve: OverflowCurve | None = None

    @property
    def safe_bits(self) -> int | None:
        """The narrowest width in which no input can overflow any layer; None for a network without accumulators."""
        return max((layer.safe_bits for layer in self.layers), default=None)

    @property
    def observed_bits(self) -> int | None:
        """The narrowest width that would have held everything observed; None where nothing was."""
        return max((layer.observed.bits for layer in self.layers if layer.observed), default=None)

    def proved_bits(self, kind: InputKind) -> int | None:
        """The narrowest width that the exact bound proves for one kind of input range; None where it is not known."""
        found = [layer.range_of(kind) for layer in self.layers]
        return max((r.exact_bits for r in found if r), default=None)

    def unproved(self, bits: int) -> tuple[LayerOverflow, ...]:
        """The layers that some input may overflow in an accumulator of `bits` bits."""
        return tuple(layer for layer in self.layers if not layer.bound.proves(bits))

    @property
    def all_proved(self) -> bool:
        """Whether every requested width and structure is safe in every layer."""
        staged = self.curve.staged if self.curve else ()
        return not any(self.unproved(bits) for bits in self.accumulators) and all(point.proved for point in staged)


def analyze_overflow(
    graph: Graph,
    profile: Profile,
    provenance: Provenance,
    accumulators: Iterable[int] = DEFAULT_ACCUMULATORS,
    run: RunResult | None = None,
    calibrated: Intervals | None = None,
) -> OverflowReport:
    """Bound every accumulator of an integer graph, beside what `run` observed.

    Args:
        graph: an integer graph.
        profile: the arithmetic, for the intervals that propagate through the network.
        provenance: what the report is about.
        accumulators: widths to judge, 8 to 64 bits.
        run: a run of the same graph at the cycle level, if there is one.
        calibrated: the codes that its inputs led to, by tensor name.

    Raises:
        InputError: a width outside 8 to 64.
    """
    widths = tuple(sorted(set(accumulators)))
    _check_widths(widths)
    results = {layer.name: layer for layer in run.layers} if run else {}
    intervals, products = propagate(graph, profile), tuple(dot_products(graph))
    in_float = tuple(p.node.name for p in products if computed_in_float(graph, p.node, profile))
    layers = tuple(
        _layer(p, [prove(p, r) for r in input_ranges(p, intervals, calibrated)], results, widths)
        for p in products
        if p.node.name not in in_float
    )
    return OverflowReport(provenance, widths, run.samples if run else 0, layers, in_float)


def _check_widths(widths: Iterable[int]) -> None:
    faults = [
        Fault(f"width {bits}", str(bits), f"an accumulator has {NARROWEST} to {WIDEST} bits")
        for bits in widths
        if not NARROWEST <= bits <= WIDEST
    ]
    if faults:
        raise InputError("accumulators", faults)


def _layer(
    products: DotProducts, proofs: list[RangeProof], results: Mapping[str, LayerResult], widths: tuple[int, ...]
) -> LayerOverflow:
    bound, observed = summarized(products, proofs[0]), _observed(results.get(products.node.name))
    verdicts = tuple(_verdict(bits, bound, observed) for bits in widths)
    ranges = tuple(ProvedRange.of(proof) for proof in proofs)
    return LayerOverflow(products.node.name, products.node.op.name, bound, ranges, observed, verdicts)


def _observed(result: LayerResult | None) -> Observed | None:
    if result is None or result.accumulator_min is None or result.accumulator_max is None:
        return None
    return Observed(result.accumulator_min, result.accumulator_max, result.overflow_events or 0)


def _verdict(bits: int, bound: AccumulatorBound, observed: Observed | None) -> WidthVerdict:
    fit = None if observed is None else fits(observed.minimum, observed.maximum, bits)
    return WidthVerdict(bits, bound.proves(bits), bound.channels_proved(bits), fit)
