"""Programs made ready to run, kept as long as the program lives."""

import weakref
from collections.abc import Callable, Iterable
from dataclasses import field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from accel_kernels.count_structure import COUNTS
from accel_kernels.lanes import new_record, reset_record
from accel_sim.errors import Fault, ProgramError
from accel_sim.hardware import AcceleratorConfig
from accel_sim.numerics.accumulators import AccumulatorStructure
from accel_sim.program import Command, Program, verify
from accel_sim.program.geometry import MatrixCommand
from accel_sim.records import dataclass
from accel_sim.sim import convolution, elementwise, matrix_product, movement, pooling, resizing, softmax, tables
from accel_sim.sim.layers import CommandReport, layer_results
from accel_sim.sim.memory import Bytes, Constants, Memory, Scratch
from accel_sim.sim.native import codes, matrices, others, products, transposed
from accel_sim.sim.native import elementwise as native_elementwise
from accel_sim.sim.native import resizing as native_resizing
from accel_sim.sim.native import softmax as native_softmax
from accel_sim.sim.native.runner import NativeProgram, NativeRunner, available
from accel_sim.sim.native.step import NativeStep, lower
from accel_sim.sim.preparation import Context, Operation, Record, Run, prepare
from accel_sim.sim.result import LayerResult, Level
from accel_sim.sim.structured import RECORD, counts_of
from accel_sim.sim.timing.types import CommandTiming

EXECUTORS = (
    convolution,
    elementwise,
    matrix_product,
    movement,
    pooling,
    resizing,
    softmax,
    tables,
    codes,
    matrices,
    native_elementwise,
    native_resizing,
    native_softmax,
    others,
    products,
    transposed,
)
"""The modules whose import registers how commands are prepared, or lowered to native steps."""


UNWATCHED = new_record()
"""The record of native steps, which watch nothing."""


@dataclass(frozen=True)
class PreparedProgram:
    """A verified program whose commands are prepared.

    Attributes:
        operations: one for each command; None where the command is a native step.
        native: the native steps; None where there are none.
        region: of the constants.
        activation_bytes: size of Region.ACTIVATIONS.
        timings: of the commands, for one sample, where the level has time: they do not depend on data.
        idle: workers of runs that have ended, by the threads that share their steps.
        layers: of a run whose level watches nothing: they do not depend on data.
    """

    operations: tuple[Operation | None, ...]
    native: NativeProgram | None
    region: Constants
    activation_bytes: int
    layers: tuple[LayerResult, ...] = ()
    timings: tuple[CommandTiming, ...] = ()
    idle: dict[int, list["Worker"]] = field(default_factory=dict)

    @property
    def constants(self) -> Bytes:
        """Region.CONSTANTS, to be read."""
        return self.region.codes

    def watches(self, index: int) -> bool:
        """Whether a command keeps a record of its accumulators."""
        operation = self.operations[index]
        if operation is not None:
            return operation.watched
        return self.native is not None and index in self.native.watched

    @property
    def counted(self) -> tuple[int, ...]:
        """The commands whose overflow is counted."""
        bound = {index for index, o in enumerate(self.operations) if o is not None and o.counted}
        return tuple(sorted(bound | (self.native.counted.keys() if self.native else set())))

    def take(self, threads: int) -> "Worker":
        """An idle worker, or a new one; its records are empty."""
        waiting = self.idle.setdefault(threads, [])
        try:
            worker = waiting.pop()
        except IndexError:
            return self.worker(threads)
        worker.reset()
        return worker

    def give_back(self, workers: Iterable["Worker"]) -> None:
        """Workers of a run that has ended."""
        for worker in workers:
            self.idle.setdefault(worker.threads, []).append(worker)

    def worker(self, threads: int = 1) -> "Worker":
        """Memories and bound operations for one sample at a time, whose native steps `threads` threads may share."""
        scratch: dict[Scratch, int] = {}
        for operation in self.operations:
            for name, size in operation.scratch.items() if operation else ():
                scratch[name] = max(scratch.get(name, 0), size)
        memory = Memory(self.activation_bytes, self.region, scratch)
        native = self.native.counted if self.native else {}
        records = tuple(
            new_record(COUNTS * (o.counted if o else native[i][2])) if o or i in native else UNWATCHED
            for i, o in enumerate(self.operations)
        )
        pairs = zip(self.operations, records, strict=True)
        runs = tuple(o.bind(memory, record) if o else None for o, record in pairs)
        runner = NativeRunner(self.native, memory, threads) if self.native else None
        firsts: dict[int, int | None] = dict.fromkeys(self.counted)
        return Worker(memory, runs, records, runner, self.native.ends if self.native else [], threads, firsts)


@dataclass(frozen=True)
class Worker:
    """What samples are run with, one after the other.

    Attributes:
        memory: activations and scratch.
        runs: one for each command; None for native steps.
        records: of the commands, over all samples run.
        runner: runs native steps.
        ends: for each command, the end of the native steps that begin with it.
        threads: that may share the work of a step.
        firsts: for each counted command, the first sample in which something overflowed.
    """

    memory: Memory
    runs: tuple[Run | None, ...]
    records: tuple[Record, ...]
    runner: NativeRunner | None
    ends: list[int]
    threads: int
    firsts: dict[int, int | None]

    @cached_property
    def _watching(self) -> tuple[Record, ...]:
        return tuple(record for record in self.records if record is not UNWATCHED)

    def reset(self) -> None:
        """Make all records empty."""
        for record in self._watching:
            reset_record(record)
        if self.firsts:
            self.firsts.update(dict.fromkeys(self.firsts))
        if self.runner is not None:
            self.runner.reset()

    def record(self, index: int) -> Record:
        """What a watched command's accumulators have held."""
        if self.runs[index] is not None or self.runner is None or index in self.firsts:
            return self.records[index]
        return np.array((*self.runner.extremes(index), 0), np.int64)

    def tally(self, sample: int) -> None:
        """A sample has been run, after all earlier ones of this worker."""
        for index, first in self.firsts.items():
            if self.runs[index] is None and self.runner is not None:
                record = self.records[index]
                counts = counts_of(record)
                counts += self.runner.take_counts(index)
                record[2] = counts[0].sum()
            if first is None and self.record(index)[2]:
                self.firsts[index] = sample

    def execute(self, first: int, last: int) -> None:
        """Commands first to last - 1."""
        index = first
        while index < last:
            run = self.runs[index]
            if run is not None:
                run()
                index += 1
            else:
                assert self.runner is not None
                end = min(self.ends[index], last)
                self.runner.run(index, end)
                index = end


def merged_record(workers: Iterable[Worker], index: int) -> Record:
    """The record of a command over all workers."""
    merged = new_record()
    for worker in workers:
        lowest, highest, events = worker.record(index)[:RECORD]
        merged[0], merged[1] = min(merged[0], lowest), max(merged[1], highest)
        merged[2] += events
    return merged


Tally = tuple[NDArray[np.int64], int | None]
"""int64 [3, channels] of `accel_kernels.count_structure`, and the first sample with an event."""


def merged_tally(workers: Iterable[Worker], index: int) -> Tally:
    """What was counted of a command over all workers."""
    counts = sum(counts_of(worker.record(index)) for worker in workers)
    firsts = [worker.firsts[index] for worker in workers]
    assert isinstance(counts, np.ndarray)
    return counts, min((first for first in firsts if first is not None), default=None)


_Key = tuple[int, Level, AccumulatorStructure | None]
_kept: dict[_Key, list[tuple[AcceleratorConfig, PreparedProgram]]] = {}
"""By the program's identity; accelerators are compared, since hashing one takes longer than a small network."""


def prepared(
    program: Program, hardware: AcceleratorConfig, level: Level, counted: AccumulatorStructure | None = None
) -> PreparedProgram:
    """The program made ready for an accelerator and a level of detail; the work is done once per program.

    With `counted`, its accumulators have that structure, and what no input can make overflow is not counted.

    Raises:
        ProgramError: listing every rule that the program violates and everything that the machine does not have.
    """
    key = (id(program), level, counted)
    for config, made in _kept.get(key, ()):
        if config is hardware or config == hardware:
            return made
    made = _prepare(program, hardware, level, counted)
    if key not in _kept:
        _kept[key] = []
        weakref.finalize(program, _kept.pop, key, None)
    _kept[key].append((hardware, made))
    return made


def _prepare(
    program: Program, hardware: AcceleratorConfig, level: Level, counted: AccumulatorStructure | None
) -> PreparedProgram:
    verify(program)
    region = Constants(program.constants)
    context = Context(region.codes, hardware, level, counted)
    choose = _preparer(level)
    native = available()
    operations: list[Operation | None] = []
    steps: dict[int, NativeStep] = {}
    faults = []
    for index, command in enumerate(program.commands):
        try:
            on_grid = level is Level.STEPPED and isinstance(command, MatrixCommand)
            step = lower(command, context) if native and not on_grid else None
            operations.append(None if step else choose(command, context))
        except ProgramError as error:
            faults += [_of(command, fault) for fault in error.faults]
        else:
            steps |= {index: step} if step else {}
    if faults:
        raise ProgramError(f"program {program.name!r}", faults)
    compiled = NativeProgram(steps, len(operations)) if steps else None
    plain = [CommandReport(command, None, None) for command in program.commands]
    layers = () if level.timed else layer_results(plain, hardware.grid.size)
    timings = _timings(program, hardware) if level.timed else ()
    return PreparedProgram(tuple(operations), compiled, region, program.activation_bytes, layers, timings)


def _timings(program: Program, hardware: AcceleratorConfig) -> tuple[CommandTiming, ...]:
    from accel_sim.sim.timing.commands import time_program  # which the functional level does without

    return time_program(program, hardware)


def _preparer(level: Level) -> Callable[[Command, Context], Operation]:
    if level is not Level.STEPPED:
        return prepare
    from accel_sim.sim.stepped.commands import prepare_stepped  # whose kernels import numba

    return prepare_stepped


def _of(command: Command, fault: Fault) -> Fault:
    return Fault(
        f"{type(command).__name__} of layer {command.layer!r}: {fault.where}", fault.value, fault.rule, fault.cure
    )
