"""Programs made ready to run, kept as long as the program lives."""

import weakref
from collections.abc import Iterable
from dataclasses import dataclass

from accel_kernels.lanes import new_record
from accel_sim.errors import Fault, ProgramError
from accel_sim.hardware import AcceleratorConfig
from accel_sim.program import Command, Program, verify
from accel_sim.sim import convolution, elementwise, matrix_product, movement, pooling, resizing, softmax, tables
from accel_sim.sim.memory import Bytes, Memory, Scratch, constant_image
from accel_sim.sim.preparation import Context, Operation, Record, Run, prepare
from accel_sim.sim.result import Level
from accel_sim.sim.stepped import prepare_stepped

EXECUTORS = (convolution, elementwise, matrix_product, movement, pooling, resizing, softmax, tables)
"""The modules whose import registers how commands are prepared."""


@dataclass(frozen=True)
class PreparedProgram:
    """A verified program whose commands are prepared.

    Attributes:
        operations: one for each command.
        constants: the image of Region.CONSTANTS.
        activation_bytes: size of Region.ACTIVATIONS.
    """

    operations: tuple[Operation, ...]
    constants: Bytes
    activation_bytes: int

    def worker(self) -> "Worker":
        """Memories and bound operations for one thread."""
        scratch: dict[Scratch, int] = {}
        for operation in self.operations:
            for name, size in operation.scratch.items():
                scratch[name] = max(scratch.get(name, 0), size)
        memory = Memory(self.activation_bytes, self.constants, scratch)
        records = tuple(new_record() for _ in self.operations)
        runs = tuple(o.bind(memory, record) for o, record in zip(self.operations, records, strict=True))
        return Worker(memory, runs, records)


@dataclass(frozen=True)
class Worker:
    """What one thread runs samples with; `records` are those of the commands, over all samples it has run."""

    memory: Memory
    runs: tuple[Run, ...]
    records: tuple[Record, ...]


def merged_record(workers: Iterable[Worker], index: int) -> Record:
    """The record of a command over all workers."""
    merged = new_record()
    for worker in workers:
        lowest, highest, events = worker.records[index]
        merged[0], merged[1] = min(merged[0], lowest), max(merged[1], highest)
        merged[2] += events
    return merged


_Key = tuple[int, AcceleratorConfig, Level]
_kept: dict[_Key, PreparedProgram] = {}


def prepared(program: Program, hardware: AcceleratorConfig, level: Level) -> PreparedProgram:
    """The program made ready for an accelerator and a level of detail; the work is done once per program.

    Raises:
        ProgramError: listing every rule that the program violates and everything that the machine does not have.
    """
    key = (id(program), hardware, level)
    if key not in _kept:
        _kept[key] = _prepare(program, hardware, level)
        weakref.finalize(program, _kept.pop, key, None)
    return _kept[key]


def _prepare(program: Program, hardware: AcceleratorConfig, level: Level) -> PreparedProgram:
    verify(program)
    context = Context(constant_image(program.constants), hardware, level)
    choose = prepare_stepped if level is Level.STEPPED else prepare
    operations, faults = [], []
    for command in program.commands:
        try:
            operations.append(choose(command, context))
        except ProgramError as error:
            faults += [_of(command, fault) for fault in error.faults]
    if faults:
        raise ProgramError(f"program {program.name!r}", faults)
    return PreparedProgram(tuple(operations), context.constants, program.activation_bytes)


def _of(command: Command, fault: Fault) -> Fault:
    return Fault(
        f"{type(command).__name__} of layer {command.layer!r}: {fault.where}", fault.value, fault.rule, fault.cure
    )
