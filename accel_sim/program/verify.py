"""Checks of a whole program: operands inside their memories, commands consistent, nothing read before it is made."""

from collections.abc import Iterator
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from accel_sim.errors import Fault, ProgramError
from accel_sim.program.commands import Command, Move
from accel_sim.program.free_memory import memory_faults
from accel_sim.program.operands import Operand, Region
from accel_sim.program.program import Program
from accel_sim.program.verify_commands import command_faults


def verify(program: Program) -> None:
    """Checks every rule that a machine relies on.

    0. Activations and constants fit in the memory that is free.
    1. Operands and ports lie inside their regions, aligned to their elements; nothing writes constants.
    2. Shapes, element types and tables of each command agree (`verify_commands`).
    3. Every byte that a command or an output port reads was made by an input port or an earlier command, and all bytes
       of one operand by the same tensor: no live tensor is overwritten.

    Raises:
        ProgramError: listing every violation.
    """
    needed = program.activation_bytes + len(program.constants)
    too_large = memory_faults("activations and constants", needed, "a smaller image or batch needs less")
    if too_large:
        raise ProgramError(f"program {program.name!r}", too_large)
    faults = list(_region_faults(program))
    for command in program.commands:
        where = f"{type(command).__name__} of layer {command.layer!r}"
        faults += [Fault(f"{where}: {f.where}", f.value, f.rule) for f in command_faults(command)]
    if not faults:  # reads and writes mean something only inside the memories
        faults = list(_life_faults(program))
    if faults:
        raise ProgramError(f"program {program.name!r}", faults)


def operands_of(command: Command) -> Iterator[tuple[str, Operand]]:
    """The operands of a command by field name; `output_to` is the one that is written."""
    for f in fields(command):
        value = getattr(command, f.name)
        if isinstance(value, Operand):
            yield f.name, value


def read_by(command: Command) -> list[Operand]:
    """The operands that a command reads."""
    return [operand for name, operand in operands_of(command) if name != "output_to"]


def written_by(command: Command) -> Operand:
    """The operand that a command writes."""
    return next(operand for name, operand in operands_of(command) if name == "output_to")


def _region_faults(program: Program) -> Iterator[Fault]:
    sizes = {Region.ACTIVATIONS: program.activation_bytes, Region.CONSTANTS: len(program.constants)}
    named = [(f"input {p.name!r}", "operand", p.operand) for p in program.inputs]
    named += [(f"output {p.name!r}", "operand", p.operand) for p in program.outputs]
    named += [
        (f"{type(c).__name__} of layer {c.layer!r}", name, operand)
        for c in program.commands
        for name, operand in operands_of(c)
    ]
    for where, name, operand in named:
        end, size = operand.address + operand.size_bytes, sizes[operand.region]
        place = f"{operand.region.value}+{operand.address} to {end}"
        if end > size:
            yield Fault(f"{where}: {name}", place, f"ends inside the {size} bytes of {operand.region.value}")
        if operand.address % np.dtype(operand.dtype).itemsize:
            yield Fault(f"{where}: {name}", place, f"is aligned to its {operand.dtype} elements")
        if operand.region is Region.CONSTANTS and (name == "output_to" or where.startswith("input")):
            yield Fault(f"{where}: {name}", place, "constants are never written")


def _life_faults(program: Program) -> Iterator[Fault]:
    """Follows, byte by byte, which tensor was written last (0: none)."""
    tensors = len(program.inputs) + len(program.commands)
    makers = np.zeros(program.activation_bytes, np.min_scalar_type(tensors))  # as small as the memory itself, mostly
    numbers: dict[str, int] = {}
    for port in program.inputs:
        _bytes(makers, port.operand)[:] = numbers.setdefault(f"input {port.name}", len(numbers) + 1)
    for command in program.commands:
        where = f"{type(command).__name__} of layer {command.layer!r}"
        for operand in read_by(command):
            yield from _read_faults(makers, operand, where)
        number = numbers.setdefault(written_by(command).name, len(numbers) + 1)
        _mark(makers, command, number)
    for port in program.outputs:
        yield from _read_faults(makers, port.operand, f"output {port.name!r}")


_Makers = NDArray[np.unsignedinteger]
"""Of each byte of activations: the number of the tensor that was written there last."""


def _bytes(makers: _Makers, operand: Operand) -> _Makers:
    return makers[operand.address : operand.address + operand.size_bytes]


def _read_faults(makers: _Makers, operand: Operand, where: str) -> Iterator[Fault]:
    if operand.region is Region.CONSTANTS or operand.size == 0:
        return
    seen = _bytes(makers, operand)
    if not seen.all():
        yield Fault(where, f"{operand.name!r}", "every byte that is read was written before")
    elif seen.min() != seen.max():
        yield Fault(where, f"{operand.name!r}", "no other tensor has overwritten a part of it")


def _mark(makers: _Makers, command: Command, number: int) -> None:
    target = written_by(command)
    cells = _bytes(makers, target)
    if not isinstance(command, Move):
        cells[:] = number
    elif target.size and all(command.extent):
        width = np.dtype(target.dtype).itemsize
        view = np.lib.stride_tricks.as_strided(
            cells[command.output_offset * width :],
            (*command.extent, width),
            tuple(cells.itemsize * s for s in (*(s * width for s in command.output_strides), 1)),
        )
        view[...] = number
