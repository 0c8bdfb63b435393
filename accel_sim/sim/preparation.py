"""Preparing commands: what can be done once per program, before the first sample.

`prepare` turns a command into an Operation: constants packed, kernels and recipes chosen, everything unsupported
refused. A worker binds each operation to its own memory and gets a function without arguments that runs the command.
Each kind of command is prepared by one function, registered with `prepares`.
"""

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from accel_sim.errors import Fault, ProgramError
from accel_sim.hardware import AcceleratorConfig
from accel_sim.numerics.accumulators import AccumulatorStructure
from accel_sim.program import Command, Operand, Region
from accel_sim.records import dataclass
from accel_sim.sim.memory import Array, Bytes, Memory, Scratch, view
from accel_sim.sim.result import Level

Run = Callable[[], None]
Record = NDArray[np.int64]
"""int64[3]: smallest and largest value held by an accumulator, overflow events (accel_kernels); then, where overflow is
counted, [3, channels] (`accel_kernels.count_structure`)."""


@dataclass(frozen=True)
class Operation:
    """A prepared command.

    Attributes:
        bind: gives the function that runs the command in a memory; it keeps the record of its accumulators.
        scratch: bytes of each scratch buffer that it needs.
        watched: whether it has accumulators and keeps a record.
        counted: output channels whose overflow is counted in the record; 0 where it is not.
    """

    bind: Callable[[Memory, Record], Run]
    scratch: Mapping[Scratch, int] = field(default_factory=dict)
    watched: bool = False
    counted: int = 0


@dataclass(frozen=True)
class Context:
    """What a command is prepared for.

    Attributes:
        constants: the image of Region.CONSTANTS.
        hardware: the accelerator.
        level: of detail.
        counted: the accumulators whose overflow is counted, in place of the hardware's; None: nothing is counted.
    """

    constants: Bytes
    hardware: AcceleratorConfig
    level: Level
    counted: AccumulatorStructure | None = None

    @property
    def structure(self) -> AccumulatorStructure:
        """The accumulators."""
        return self.counted or self.hardware.accumulator.stages(self.hardware.grid.rows)

    @property
    def watching(self) -> bool:
        """Whether accumulators are to be watched."""
        return self.level.timed

    def constant(self, operand: Operand, name: str) -> Array:
        """The contents of an operand that must be constant.

        Raises:
            ProgramError: it lies among the activations.
        """
        if operand.region is not Region.CONSTANTS:
            raise refusal(name, operand.region.value, "lies among the constants")
        return view(self.constants, operand)


C = TypeVar("C", bound=Command)
Preparer = Callable[[Any, Context], Operation]

_PREPARERS: dict[type[Command], Preparer] = {}


def prepares(kind: type[C]) -> Callable[[Callable[[C, Context], Operation]], Callable[[C, Context], Operation]]:
    """Register the function that prepares one kind of command."""

    def register(function: Callable[[C, Context], Operation]) -> Callable[[C, Context], Operation]:
        _PREPARERS[kind] = function
        return function

    return register


def prepare(command: Command, context: Context) -> Operation:
    """The operation of a command.

    Raises:
        ProgramError: a recipe, element type or geometry that the machine does not have.
    """
    preparer = _PREPARERS.get(type(command))
    if preparer is None:
        raise refusal("command", type(command).__name__, "is a command that the machine executes")
    return preparer(command, context)


def refusal(what: str, value: str, rule: str) -> ProgramError:
    """The error of one thing that the machine cannot do; the caller says of which command."""
    return ProgramError("command", [Fault(what, value, rule)])
