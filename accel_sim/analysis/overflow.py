"""Accumulator overflow: proved for every input where the weights allow it, beside what a run observed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from accel_sim.analysis.bounds import AccumulatorBound, accumulator_bound, fits, signed_bits
from accel_sim.analysis.dot_products import dot_products
from accel_sim.analysis.provenance import Provenance
from accel_sim.errors import Fault, InputError
from accel_sim.ir import Graph
from accel_sim.sim.result import LayerResult, RunResult

NARROWEST, WIDEST = 2, 64
DEFAULT_ACCUMULATORS = (16, 20, 24, 32)


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
class LayerOverflow:
    """The accumulators of one layer.

    Attributes:
        name, op: the graph node and its operator.
        bound: what no input can exceed.
        observed: what a run saw; None without a run, or where the machine does not watch this layer.
        verdicts: one per requested width.
    """

    name: str
    op: str
    bound: AccumulatorBound
    observed: Observed | None
    verdicts: tuple[WidthVerdict, ...]

    @property
    def safe_bits(self) -> int:
        """The narrowest width in which no input can overflow this layer."""
        return self.bound.safe_bits


@dataclass(frozen=True)
class OverflowReport:
    """Which accumulators can overflow.

    Attributes:
        provenance: what was analysed.
        accumulators: the widths asked about, in bits, ascending.
        samples: how many were run to observe extremes; 0 for the static analysis alone.
        layers: those that have accumulators, in order of execution.
    """

    provenance: Provenance
    accumulators: tuple[int, ...]
    samples: int
    layers: tuple[LayerOverflow, ...]

    @property
    def safe_bits(self) -> int | None:
        """The narrowest width in which no input can overflow any layer; None for a network without accumulators."""
        return max((layer.safe_bits for layer in self.layers), default=None)

    @property
    def observed_bits(self) -> int | None:
        """The narrowest width that would have held everything observed; None where nothing was."""
        return max((layer.observed.bits for layer in self.layers if layer.observed), default=None)

    def unproved(self, bits: int) -> tuple[LayerOverflow, ...]:
        """The layers that some input may overflow in an accumulator of `bits` bits."""
        return tuple(layer for layer in self.layers if not layer.bound.proves(bits))

    @property
    def all_proved(self) -> bool:
        """Whether every requested width is safe in every layer."""
        return not any(self.unproved(bits) for bits in self.accumulators)


def analyze_overflow(
    graph: Graph,
    provenance: Provenance,
    accumulators: Iterable[int] = DEFAULT_ACCUMULATORS,
    run: RunResult | None = None,
) -> OverflowReport:
    """Bound every accumulator of an integer graph, beside what `run` observed.

    Args:
        graph: an integer graph.
        provenance: what the report is about.
        accumulators: widths to judge, 2 to 64 bits.
        run: a run of the same graph at the cycle level, if there is one.

    Raises:
        InputError: a width outside 2 to 64.
    """
    widths = tuple(sorted(set(accumulators)))
    _check_widths(widths)
    results = {layer.name: layer for layer in run.layers} if run else {}
    layers = tuple(
        _layer(p.node.name, p.node.op.name, accumulator_bound(p), results, widths) for p in dot_products(graph)
    )
    return OverflowReport(provenance, widths, run.samples if run else 0, layers)


def _check_widths(widths: tuple[int, ...]) -> None:
    faults = [
        Fault(f"width {bits}", str(bits), f"an accumulator has {NARROWEST} to {WIDEST} bits")
        for bits in widths
        if not NARROWEST <= bits <= WIDEST
    ]
    if faults:
        raise InputError("accumulators", faults)


def _layer(
    name: str, op: str, bound: AccumulatorBound, results: Mapping[str, LayerResult], widths: tuple[int, ...]
) -> LayerOverflow:
    observed = _observed(results.get(name))
    verdicts = tuple(_verdict(bits, bound, observed) for bits in widths)
    return LayerOverflow(name, op, bound, observed, verdicts)


def _observed(result: LayerResult | None) -> Observed | None:
    if result is None or result.accumulator_min is None or result.accumulator_max is None:
        return None
    return Observed(result.accumulator_min, result.accumulator_max, result.overflow_events or 0)


def _verdict(bits: int, bound: AccumulatorBound, observed: Observed | None) -> WidthVerdict:
    fit = None if observed is None else fits(observed.minimum, observed.maximum, bits)
    return WidthVerdict(bits, bound.proves(bits), bound.channels_proved(bits), fit)
