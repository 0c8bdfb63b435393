"""Why two arithmetics give different codes: the rules in which they differ, and which of them moved a code.

Counterfactual replay: between the code of one side and the code of the other stands a chain of evaluators of the same
element, from the same operands, each with one rule more of the other side. A step of the chain at which the code moves
is charged to the rule that was changed there. Moves that a later step takes back cancel: where the chain returns to a
code that it has had before, everything between is forgotten. What remains is

- one rule: the element's cause;
- two rules: a named pair, because no single rule suffices;
- more (rare): the pair of those two that move the code furthest, earlier rules first.

The order of the rules is the order of `Cause`. From a device to the fake-quant simulation the chain is walked
downwards; from one device to another down to the exact value, and up again with the other device's rules.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from accel_sim.records import dataclass

Codes = NDArray[np.int64]


class Cause(Enum):
    """A rule in which a device and the fake-quant simulation can differ, in the order in which they are changed."""

    ACCUMULATOR = "accumulator"
    """Wrap or saturation of an accumulator, or of the requantizer's own 32-bit registers -> unbounded integers."""
    DEVICE_FLOAT = "device_float"
    """Operators that the device computes in float32 from end to end -> the exact value."""
    MULTIPLIER_PRECISION = "multiplier_precision"
    """The scale ratio in 16, 24, 31 or 53 bits -> the exact ratio."""
    DOUBLE_ROUNDING = "double_rounding"
    """Two roundings (SRDHM then RDPOT; to float32, then to an integer) -> one."""
    TIE_RULE = "tie_rule"
    """Halves up, or away from zero -> to even."""
    CLIP_ORDER = "clip_order"
    """Rounded, then clipped at rounded bounds -> clipped as a real number, then rounded."""
    ZERO_POINT_INSIDE = "zero_point_inside"
    """round(x + z) -> round(x) + z."""
    BIAS_QUANTIZATION = "bias_quantization"
    """The bias as an integer of unit s_x s_w -> the bias as its own grid says."""
    AVERAGE_ROUNDING = "average_rounding"
    """An average's own division or float32 sum -> the exact mean, rounded once, halves to even."""
    RESCALING = "rescaling"
    """Operands of add, concat and of operators on codes brought to a common grid first -> the exact real operands."""
    LOOKUP_TABLE = "lookup_table"
    """A function by table or in fixed point, softmax included -> the exact function."""
    INTERPOLATION = "interpolation"
    """Fixed-point or float32 weights of bilinear resizing -> exact weights."""
    ACTIVATION = "activation"
    """An activation that stands alone rescales codes by itself -> the clamp of real numbers."""
    SIMULATION_FLOAT = "simulation_float"
    """The exact value -> the simulation's floating point: its accumulation, products and quotients."""
    INHERITED = "inherited"
    """The operands: those of the device -> those that the other side has computed in earlier layers."""
    UNEXPLAINED = "unexplained"
    """The chain does not begin or end at the codes observed, or its last step is larger than rounding errors allow."""

    @property
    def label(self) -> str:
        """The rule's name for people."""
        return _LABELS.get(self, self.value.replace("_", " "))


_LABELS = {
    Cause.ACCUMULATOR: "accumulator overflow",
    Cause.DEVICE_FLOAT: "float32 on the device",
    Cause.ZERO_POINT_INSIDE: "zero point inside rounding",
    Cause.LOOKUP_TABLE: "look-up table",
    Cause.ACTIVATION: "separate activation",
    Cause.SIMULATION_FLOAT: "fake-quant's accumulation",
}
ORDER = tuple(Cause)
_NUMBER = {cause: i for i, cause in enumerate(ORDER)}
_NONE = -1

Step = tuple[Cause, Codes]
"""A rule changed, and the codes [D] after that change."""


@dataclass(frozen=True)
class CauseCount:
    """How many elements one cause, or one pair of causes, accounts for."""

    causes: tuple[Cause, ...]
    count: int

    @property
    def label(self) -> str:
        """One rule's name, or two with a plus."""
        return " + ".join(cause.label for cause in self.causes)


@dataclass(frozen=True, eq=False)
class Attribution:
    """The causes of D elements: numbers of `ORDER`, int64 [D]; `second` is -1 where one rule suffices."""

    first: Codes
    second: Codes

    def of(self, element: int) -> tuple[Cause, ...]:
        """The cause, or the pair, of one element."""
        pair = (int(self.first[element]), int(self.second[element]))
        return tuple(ORDER[i] for i in pair if i != _NONE)


def attribute(start: Codes, steps: Sequence[Step]) -> Attribution:
    """The causes of elements whose code is `start` on one side and that of the last step on the other.

    Args:
        start: int64 [D], different from the last step's codes everywhere.
        steps: the chain.
    """
    values = np.stack([start, *(codes for _, codes in steps)])
    moves = _moves(values, [_NUMBER[cause] for cause, _ in steps])
    order = np.argsort(-moves, axis=0, kind="stable")[:2]  # stable: earlier rules first
    moved = np.take_along_axis(moves, order, 0) > 0
    low, high = np.sort(order, axis=0)
    return Attribution(np.where(moved[1], low, order[0]), np.where(moved[1], high, _NONE))


def _moves(values: Codes, numbers: Sequence[int]) -> Codes:
    """How far each rule moves each element's code once detours are forgotten: [rules, D], from codes [steps + 1, D]."""
    count, columns = len(values), np.arange(values.shape[1])
    moves = np.zeros((len(ORDER), values.shape[1]), np.int64)
    position = np.zeros(values.shape[1], np.int64)
    for _ in range(count):
        current = values[position, columns]
        last = count - 1 - np.argmax((values == current)[::-1], axis=0)  # the chain's last return to this code
        going = last < count - 1
        following = np.minimum(last + 1, count - 1)
        distance = np.abs(values[following, columns] - current)
        rule = np.array([*numbers, 0])[np.minimum(last, count - 2)]
        np.add.at(moves, (rule, columns), np.where(going, distance, 0))
        position = following
    return moves


def unexplained(attribution: Attribution, where: NDArray[np.bool_]) -> Attribution:
    """The same, with elements that the chain does not account for marked so."""
    number = _NUMBER[Cause.UNEXPLAINED]
    return Attribution(np.where(where, number, attribution.first), np.where(where, _NONE, attribution.second))


class CauseTally:
    """Counts causes over any number of batches."""

    def __init__(self) -> None:
        self._counts: dict[tuple[Cause, ...], int] = {}

    def add(self, attribution: Attribution) -> None:
        """Count every element."""
        width = len(ORDER) + 1
        keys, counts = np.unique(attribution.first * width + attribution.second + 1, return_counts=True)
        for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
            numbers = (key // width, key % width - 1)
            causes = tuple(ORDER[i] for i in numbers if i != _NONE)
            self._counts[causes] = self._counts.get(causes, 0) + count

    def result(self) -> tuple[CauseCount, ...]:
        """Most frequent first."""
        return sorted_counts(self._counts)


def sorted_counts(counts: Mapping[tuple[Cause, ...], int]) -> tuple[CauseCount, ...]:
    """Most frequent first; equally frequent ones in the order of the rules."""
    items = sorted(counts.items(), key=lambda item: (-item[1], [_NUMBER[c] for c in item[0]]))
    return tuple(CauseCount(causes, count) for causes, count in items)


def total(parts: Iterable[Sequence[CauseCount]]) -> tuple[CauseCount, ...]:
    """The counts of several tensors together."""
    counts: dict[tuple[Cause, ...], int] = {}
    for part in parts:
        for item in part:
            counts[item.causes] = counts.get(item.causes, 0) + item.count
    return sorted_counts(counts)
