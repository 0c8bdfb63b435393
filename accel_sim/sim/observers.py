"""Observers: they see what a run computes and can change nothing."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

from accel_sim.errors import Fault, InputError
from accel_sim.program import Command, Operand, Program, Region, read_by, written_by
from accel_sim.sim.memory import Array, Memory
from accel_sim.sim.samples import place, stacked_shape


class Observer(Protocol):
    """Is told of every command of every sample.

    Samples run on several threads: calls for different samples come from different threads, in any order.
    """

    def command_done(self, sample: int, index: int, command: Command, output: Array) -> None:
        """Command `index` of the program has run; `output` is a read-only view, valid during the call only."""


class Keeper:
    """Keeps tensors: copies each where it is complete.

    That is after the last command that writes it; a tensor that shares its memory with another under a second name is
    copied before the first command that reads it under that name, or, an output of the network, at the end.
    """

    def __init__(self, program: Program, names: Iterable[str], samples: int) -> None:
        self._points: dict[int, list[Operand]] = {}
        self.tensors: dict[str, Array] = {}
        faults = []
        for name in dict.fromkeys(names):
            found = _complete(program, name)
            if found is None:
                faults.append(Fault("keep", repr(name), "is a tensor that the program computes or reads"))
                continue
            index, operand = found[0], program.as_tensor(found[1])
            self._points.setdefault(index, []).append(operand)
            self.tensors[name] = np.zeros(stacked_shape(operand.shape, samples), operand.dtype)
        if faults:
            raise InputError(f"tensors of {program.name!r}", faults)

    def after(self, index: int, sample: int, memory: Memory) -> None:
        """Command `index` has run (-1: the inputs have been written)."""
        for operand in self._points.get(index, ()):
            place(self.tensors[operand.name], sample, memory.view(operand))


def _complete(program: Program, name: str) -> tuple[int, Operand] | None:
    """The command after which a tensor is complete, and where it then lies."""
    last = len(program.commands) - 1
    for index in range(last, -1, -1):
        if written_by(program.commands[index]).name == name:
            return index, written_by(program.commands[index])
    for index, command in enumerate(program.commands):
        operand = _activation(read_by(command), name)
        if operand is not None:
            return index - 1, operand
    operand = _activation([port.operand for port in program.outputs], name)
    if operand is not None:
        return last, operand
    operand = _activation([port.operand for port in program.inputs], name)
    return None if operand is None else (-1, operand)


def _activation(operands: Sequence[Operand], name: str) -> Operand | None:
    return next((o for o in operands if o.name == name and o.region is Region.ACTIVATIONS), None)
