"""Accumulators as the hardware and its software have them: a short list of stages, on unbounded integers.

Products enter the first stage one after the other. A stage that has taken `terms` terms *spills*: its content becomes
one term of the next stage, and it starts again at 0. The last stage starts with the bias and keeps the whole sum; at
the end every stage that holds something spills, first to last. With a single stage, this is the plain accumulator.

Every addition is exact, then narrowed to the stage's width: WRAP keeps the low bits in two's complement, SATURATE the
nearest end of the range, from which the following additions go on. Loading the bias is an addition to 0.

    event       an addition whose exact result does not fit its stage
    persistent  of an output: the exact final sum (bias + all products) does not fit the last stage, so that no order of
                additions could have given it
    transient   of an output: there were events, but the exact final sum fits the last stage. Wrapping at one and the
                same width loses nothing then; saturation does, and so does wrapping in a narrower early stage
    changed     of an output: what the accumulator holds at the end is not the exact final sum

Every persistent output has an event. The order of the products is the dataflow's: k ascending over ky, kx, input
channel, tile of K after tile, what lies in the padding included (a product of 0, or of the zero point's code). An adder
tree adds the exact sum of a tile's products as one term (`tree`). A structure of several stages says itself how many
products meet, and in which order: see `AccumulatorStructure.order`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from enum import Enum

from accel_sim.errors import Fault, HardwareError
from accel_sim.numerics.integers import clamp, wrap
from accel_sim.records import dataclass

NARROWEST, WIDEST = 8, 64
CODE_LIMITS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-(1 << 15), (1 << 15) - 1)}
"""Element types that a structure may name, with their smallest and largest code."""

_MOST_TERMS = 1 << 20
_MOST_SPACING = 1024


class OverflowPolicy(Enum):
    """What an accumulator does with a sum that does not fit."""

    WRAP = "wrap"
    """Two's complement."""
    SATURATE = "saturate"
    """Stays at the nearest end of the range, at every addition."""


@dataclass(frozen=True)
class Stage:
    """One register of an accumulator.

    Attributes:
        bits: width.
        policy: what becomes of a sum that does not fit.
        terms: how many it takes before it spills; None for the last stage, which keeps everything.
    """

    bits: int
    policy: OverflowPolicy = OverflowPolicy.WRAP
    terms: int | None = None

    @property
    def low(self) -> int:
        """Smallest value."""
        return -(1 << (self.bits - 1))

    @property
    def high(self) -> int:
        """Largest value."""
        return (1 << (self.bits - 1)) - 1

    def holds(self, value: int) -> bool:
        """Whether a value fits."""
        return self.low <= value <= self.high

    def narrow(self, exact: int) -> int:
        """What the stage keeps of an exact sum."""
        kept: int = (
            clamp(exact, self.low, self.high) if self.policy is OverflowPolicy.SATURATE else wrap(exact, self.bits)
        )
        return kept


@dataclass(frozen=True)
class AccumulatorStructure:
    """How sums of products are held.

    Attributes:
        name: for people and reports.
        stages: first to last.
        raw_codes: products are of codes of both operands as they are stored; the last stage then starts with the bias
            less what the zero points add to the sum, and padding is the zero point's code. Otherwise zero points are
            subtracted before products are made.
        inputs, weights: element types of the commands to which the early stages apply; None: any.
        depthwise: whether they apply to groups of one input and one output channel. All commands to which they do not
            apply have the last stage alone, with zero points subtracted.
        spacing: products that meet in the first stage lie this far apart along K; 1: neighbours.
        doubles: commands whose software accumulates in 64 bits have a last stage twice as wide (at most 64 bits).
        description: what it is. source: where that is known from.

    Raises:
        HardwareError: listing everything that is wrong: no stage, widths outside 8 to 64, a stage that keeps
            everything before the last one or a last one that spills, an early stage too narrow for one product.
    """

    name: str
    stages: tuple[Stage, ...]
    raw_codes: bool = False
    inputs: str | None = None
    weights: str | None = None
    depthwise: bool = True
    spacing: int = 1
    doubles: bool = False
    description: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        faults = structure_faults(self)
        if faults:
            raise HardwareError(f"accumulator {self.name!r}", faults)

    @property
    def final(self) -> Stage:
        """The last stage."""
        return self.stages[-1]

    def applies_to(self, inputs: str, weights: str, *, depthwise: bool) -> bool:
        """Whether products of these element types, in groups of one channel or not, go through all stages."""
        return self.inputs in (None, inputs) and self.weights in (None, weights) and (self.depthwise or not depthwise)

    def for_command(self, inputs: str, weights: str, *, depthwise: bool, wide: bool) -> "AccumulatorStructure":
        """The structure as a command has it.

        Args:
            inputs: element type of its activations.
            weights: of its weights.
            depthwise: whether its groups have one input and one output channel.
            wide: whether its software accumulates in 64 bits.
        """
        final = replace(self.final, bits=min(2 * self.final.bits, WIDEST)) if wide and self.doubles else self.final
        if self.applies_to(inputs, weights, depthwise=depthwise):
            return replace(self, stages=(*self.stages[:-1], final))
        return replace(self, stages=(final,), raw_codes=False, spacing=1)

    def order(self, depth: int) -> list[int | None]:
        """The products 0 to depth - 1 in the order in which they are added; None: an addition of 0.

        K is cut into blocks of `terms` of the first stage times `spacing`; in a block, products that lie `spacing`
        apart follow each other. The last block is filled up with zeros.
        """
        terms = self.stages[0].terms or 1
        if self.spacing == 1:
            return list(range(depth))
        block = terms * self.spacing
        places = (
            first + term * self.spacing + lane
            for first in range(0, depth, block)
            for lane in range(self.spacing)
            for term in range(terms)
        )
        return [k if k < depth else None for k in places]


def plain(bits: int, policy: OverflowPolicy = OverflowPolicy.WRAP) -> AccumulatorStructure:
    """One stage of a width, doubled where software accumulates in 64 bits: as `AccumulatorConfig` has it."""
    return AccumulatorStructure(f"{bits}-bit {policy.value}", (Stage(bits, policy),), doubles=True)


@dataclass(frozen=True)
class Event:
    """An addition whose exact result does not fit.

    Attributes:
        step: the last product that has entered its sum, 0 to K - 1; -1 for the bias.
        stage: where, 0 is the first.
        before: what the stage held. term: what was added. exact: their sum. after: what is held instead.
    """

    step: int
    stage: int
    before: int
    term: int
    exact: int
    after: int


@dataclass(frozen=True)
class Accumulation:
    """What became of one dot product.

    Attributes:
        structure: of the accumulator.
        value: what is held at the end.
        exact: bias + all products.
        events: in the order in which they happened.
    """

    structure: AccumulatorStructure
    value: int
    exact: int
    events: tuple[Event, ...]

    @property
    def persistent(self) -> bool:
        """The exact final sum does not fit."""
        return not self.structure.final.holds(self.exact)

    @property
    def transient(self) -> bool:
        """There were events, but the exact final sum fits."""
        return bool(self.events) and not self.persistent

    @property
    def changed(self) -> bool:
        """The accumulator does not hold the exact final sum."""
        return self.value != self.exact


class _Register:
    """The state of an accumulator."""

    def __init__(self, structure: AccumulatorStructure) -> None:
        self.stages = structure.stages
        self.held = [0] * len(self.stages)
        self.taken = [0] * len(self.stages)
        self.events: list[Event] = []

    def add(self, stage: int, term: int, step: int) -> None:
        """One term; spills when the stage has taken enough."""
        before = self.held[stage]
        exact = before + term
        self.held[stage] = after = self.stages[stage].narrow(exact)
        if after != exact:
            self.events.append(Event(step, stage, before, term, exact, after))
        self.taken[stage] += 1
        if self.taken[stage] == self.stages[stage].terms:
            self.spill(stage, step)

    def spill(self, stage: int, step: int) -> None:
        """The content of a stage becomes a term of the next."""
        content, self.held[stage], self.taken[stage] = self.held[stage], 0, 0
        self.add(stage + 1, content, step)


def accumulate(structure: AccumulatorStructure, bias: int, products: Sequence[int], tree: int = 1) -> Accumulation:
    """A dot product in an accumulator.

    Args:
        structure: see AccumulatorStructure, as a command has it (`for_command`).
        bias: what the last stage starts with.
        products: k ascending.
        tree: products that an adder tree sums exactly into one term; for structures of one stage.
    """
    register = _Register(structure)
    register.add(len(structure.stages) - 1, bias, -1)
    step = -1
    for step, term in _terms(structure, products, tree if len(structure.stages) == 1 else 1):
        register.add(0, term, step)
    for stage in range(len(structure.stages) - 1):
        if register.taken[stage]:
            register.spill(stage, step)
    return Accumulation(structure, register.held[-1], bias + sum(products), tuple(register.events))


def _terms(structure: AccumulatorStructure, products: Sequence[int], tree: int) -> Iterator[tuple[int, int]]:
    """(last product that is in it, term)."""
    if tree > 1:
        for first in range(0, len(products), tree):
            part = products[first : first + tree]
            yield first + len(part) - 1, sum(part)
        return
    step = -1
    for k in structure.order(len(products)):
        step = step if k is None else k
        yield step, 0 if k is None else products[k]


def structure_faults(structure: AccumulatorStructure) -> list[Fault]:
    """Everything that makes a structure impossible."""
    stages, faults = structure.stages, []
    if not stages:
        return [Fault("stages", "none", "an accumulator has at least one stage")]
    for index, stage in enumerate(stages):
        faults += _stage_faults(f"stage {index + 1}", stage, last=index == len(stages) - 1)
    for name, kind in (("inputs", structure.inputs), ("weights", structure.weights)):
        if kind is not None and kind not in CODE_LIMITS:
            faults.append(Fault(name, repr(kind), f"is one of {', '.join(CODE_LIMITS)}"))
    if not 1 <= structure.spacing <= _MOST_SPACING:
        faults.append(Fault("spacing", str(structure.spacing), f"is 1 to {_MOST_SPACING} products"))
    return faults + _product_faults(structure)


def _stage_faults(where: str, stage: Stage, *, last: bool) -> list[Fault]:
    faults = []
    if not NARROWEST <= stage.bits <= WIDEST:
        faults.append(Fault(where, f"{stage.bits} bits", f"is {NARROWEST} to {WIDEST} bits wide"))
    if last and stage.terms is not None:
        faults.append(Fault(where, f"terms {stage.terms}", "is the last one, which never spills", "remove terms"))
    if not last and stage.terms is None:
        faults.append(Fault(where, "no terms", "spills into the next stage after a number of terms", "give terms"))
    elif not last and not 1 <= (stage.terms or 0) <= _MOST_TERMS:
        faults.append(Fault(where, f"terms {stage.terms}", f"takes 1 to {_MOST_TERMS} terms"))
    return faults


def _product_faults(structure: AccumulatorStructure) -> list[Fault]:
    """Stages of several that cannot hold one product of the types they are for (int8 where they do not say)."""
    kinds = (structure.inputs or "int8", structure.weights or "int8")
    if len(structure.stages) == 1 or not set(kinds) <= CODE_LIMITS.keys():
        return []
    corners = [a * b for a in CODE_LIMITS[kinds[0]] for b in CODE_LIMITS[kinds[1]]]
    need = max((x if x >= 0 else ~x).bit_length() + 1 for x in corners)
    rule = f"holds one product of {kinds[0]} and {kinds[1]}: {need} bits or more"
    return [
        Fault(f"stage {index + 1}", f"{stage.bits} bits", rule)
        for index, stage in enumerate(structure.stages)
        if NARROWEST <= stage.bits < need
    ]
