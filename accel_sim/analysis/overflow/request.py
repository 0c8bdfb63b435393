"""What a user asks of an overflow analysis: widths, and structures that are no plain width."""

from collections.abc import Sequence
from dataclasses import replace

from accel_sim.analysis.overflow.counts import OverflowCounts
from accel_sim.analysis.overflow.curve import REFERENCE
from accel_sim.arguments import check_list, is_whole
from accel_sim.errors import Fault, InputError
from accel_sim.hardware import resolve_structure
from accel_sim.numerics.accumulators import NARROWEST, WIDEST, AccumulatorStructure, OverflowPolicy, plain
from accel_sim.records import dataclass

MOST_OFFENCES = 16
"""Structures for which first offending outputs are looked for; a curve of more widths shows counts."""


@dataclass(frozen=True)
class OverflowRequest:
    """Widths, both policies of each, and other structures.

    Attributes:
        widths: in bits, ascending.
        structures: to count, the reference first.
    """

    widths: tuple[int, ...]
    structures: tuple[AccumulatorStructure, ...]

    def judged(self, counts: OverflowCounts) -> OverflowCounts:
        """The counts of what was asked for: without the reference."""
        return replace(counts, structures=counts.structures[1:])


def requested(accumulators: Sequence[int | str | AccumulatorStructure], rows: int) -> OverflowRequest:
    """Widths and structures of a request.

    Args:
        accumulators: see `accel_sim.overflow`.
        rows: of the grid, for structures that depend on it.

    Raises:
        InputError: listing every width outside 8 to 64. HardwareError: a structure that does not exist.
        TypeError: no list, or something in it that is neither a width nor a structure.
    """
    given = check_list("accumulators", accumulators, '[16, 20, "x86-vpmaddubsw"]')
    widths = tuple(sorted({int(a) for a in given if is_whole(a)}))
    faults = [
        Fault(f"width {bits}", str(bits), f"an accumulator has {NARROWEST} to {WIDEST} bits")
        for bits in widths
        if not NARROWEST <= bits <= WIDEST
    ]
    if faults:
        raise InputError("accumulators", faults)
    others = [resolve_structure(a, rows) for a in given if not is_whole(a)]
    pairs = [plain(bits, policy) for bits in widths for policy in OverflowPolicy]
    return OverflowRequest(widths, (REFERENCE, *dict.fromkeys([*pairs, *others])))


def refuse_without_inputs(asked: OverflowRequest, labels: object) -> None:
    """InputError where something was asked that only a run can tell."""
    plains = {plain(bits, policy) for bits in asked.widths for policy in OverflowPolicy}
    faults = [
        Fault("accumulators", s.name, "is counted on inputs", "give inputs")
        for s in asked.structures[1:]
        if s not in plains
    ]
    if labels is not None:
        faults.append(Fault("labels", "given", "are those of inputs", "give inputs"))
    if faults:
        raise InputError("overflow", faults)
