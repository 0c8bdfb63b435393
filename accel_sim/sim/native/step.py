"""Native steps: what a command becomes, and how each kind of command becomes one."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from accel_kernels.native.tables import FIELDS, Field
from accel_sim.program import Command, Operand, Region
from accel_sim.records import dataclass
from accel_sim.sim.memory import Array, Bytes, aligned, view
from accel_sim.sim.preparation import Context

CODES = {"uint8": "u8", "int8": "s8"}
"""Element types of 8 bits, as variants of steps name them."""
OPERANDS = {**CODES, "int16": "s16"}
"""And those of 16 bits."""


@dataclass(frozen=True)
class NativeStep:
    """A command as a step.

    Attributes:
        name: of the step's code (`accel_kernels.native.objects.address`).
        values: its arguments by place; all others are 0.
        scratch: bytes of scratch memory that each thread needs.
        kept: arrays whose addresses are among the arguments.
        watched: whether it records the extremes of its accumulators (`accel_kernels.native.watching`).
        counted: output channels whose overflow it counts (`accel_kernels.native.count`); 0 where it does not.
        columns: of a row of those counts.
    """

    name: str
    values: Mapping[Field, int]
    scratch: int = 0
    kept: tuple[Array, ...] = ()
    watched: bool = False
    counted: int = 0
    columns: int = 0

    @property
    def row(self) -> NDArray[np.int64]:
        """int64 [FIELDS]."""
        row = np.zeros(FIELDS, np.int64)
        for place, value in self.values.items():
            row[place] = value
        return row


C = TypeVar("C", bound=Command)
Lowering = Callable[[Any, Context], NativeStep | None]

_LOWERINGS: dict[type[Command], Lowering] = {}


def lowers(
    kind: type[C],
) -> Callable[[Callable[[C, Context], NativeStep | None]], Callable[[C, Context], NativeStep | None]]:
    """Register the function that makes steps of one kind of command."""

    def register(function: Callable[[C, Context], NativeStep | None]) -> Callable[[C, Context], NativeStep | None]:
        _LOWERINGS[kind] = function
        return function

    return register


def lower(command: Command, context: Context) -> NativeStep | None:
    """The step of a command; None where none computes its arithmetic, and `preparation.prepare` is to be asked."""
    lowering = _LOWERINGS.get(type(command))
    return None if lowering is None else lowering(command, context)


@dataclass(frozen=True)
class Source:
    """An operand that is read: in the arena, or a copy of a constant with room for whole vectors behind it."""

    operand: Operand
    copy: Bytes | None

    @classmethod
    def of(cls, operand: Operand, context: Context) -> "Source":
        """The source of an operand."""
        constant = operand.region is Region.CONSTANTS
        return cls(operand, pinned(view(context.constants, operand)) if constant else None)

    def fields(self, flag: Field = Field.IN_ARENA, place: Field = Field.INPUT) -> dict[Field, int]:
        """Where it lies."""
        if self.copy is None:
            return {flag: 1, place: self.operand.address}
        return {flag: 0, place: self.copy.ctypes.data}

    @property
    def kept(self) -> tuple[Bytes, ...]:
        """The copy, if there is one."""
        return () if self.copy is None else (self.copy,)


def target(operand: Operand) -> dict[Field, int]:
    """The fields of an operand that is written."""
    return {Field.OUT_ARENA: 1, Field.OUTPUT: operand.address}


def pinned(array: NDArray[np.generic]) -> Bytes:
    """A copy of the bytes of an array, aligned, with some to spare for whole vectors."""
    content = np.ascontiguousarray(array).view(np.uint8).reshape(-1)
    place = aligned(len(content))
    place[: len(content)] = content
    return place
