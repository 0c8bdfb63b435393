"""Machine: runs programs on an accelerator."""

import os
from collections.abc import Iterable, Mapping, Sequence

from accel_sim.errors import Fault, ProgramError
from accel_sim.hardware import AcceleratorConfig
from accel_sim.numerics.accumulators import AccumulatorStructure
from accel_sim.program import Program, written_by
from accel_sim.sim.batch import Progress, run_samples
from accel_sim.sim.layers import CommandReport, layer_results
from accel_sim.sim.memory import Array
from accel_sim.sim.observers import Keeper, Observer
from accel_sim.sim.prepared import PreparedProgram, Tally, Worker, merged_record, merged_tally, prepared
from accel_sim.sim.result import LayerResult, Level, RunResult
from accel_sim.sim.samples import check_inputs, empty_outputs, place, to_file
from accel_sim.sim.timing.types import CommandTiming


class _Job:
    """One run: what its samples have in common.

    Raises:
        InputError: as `Machine.run` does.
    """

    def __init__(
        self,
        program: Program,
        inputs: Mapping[str, Array],
        keep: Iterable[str] = (),
        observers: Iterable[Observer] = (),
    ) -> None:
        self.program, self.samples = program, check_inputs(program, inputs)
        names = tuple(keep)
        self.keeper = Keeper(program, names, self.samples.count) if names else None
        self.observers = tuple(observers)
        self.outputs = empty_outputs(program.outputs, self.samples.count)

    def run_sample(self, sample: int, worker: Worker) -> None:
        """Everything for one sample, in a worker's memory."""
        memory = worker.memory
        self.samples.place(sample, memory)
        if self.observers or self.keeper:
            self._watched(sample, worker)
        else:
            worker.execute(0, len(self.program.commands))
        for port in self.program.outputs:
            place(self.outputs[port.name], sample, to_file(port, memory.port(port.operand)))
        worker.tally(sample)

    def _watched(self, sample: int, worker: Worker) -> None:
        """Command by command, for those who look at each."""
        if self.keeper:
            self.keeper.after(-1, sample, worker.memory)
        for index in range(len(self.program.commands)):
            worker.execute(index, index + 1)
            if self.keeper:
                self.keeper.after(index, sample, worker.memory)
            if self.observers:
                self._notify(index, sample, worker)

    def _notify(self, index: int, sample: int, worker: Worker) -> None:
        command = self.program.commands[index]
        output = worker.memory.view(written_by(command)).view()
        output.flags.writeable = False
        for observer in self.observers:
            observer.command_done(sample, index, command, output)


class Machine:
    """An accelerator that runs programs.

    Attributes:
        hardware: its configuration.
    """

    def __init__(self, hardware: AcceleratorConfig) -> None:
        self.hardware = hardware

    def run(
        self,
        program: Program,
        inputs: Mapping[str, Array],
        level: Level = Level.CYCLE,
        *,
        keep: Iterable[str] = (),
        threads: int | None = None,
        progress: Progress | None = None,
        observers: Iterable[Observer] = (),
    ) -> RunResult:
        """Run a program on all samples of its inputs.

        Args:
            program: compiled for this grid and these memories.
            inputs: one array for each input, by its name in the file and in the file's layout; the first axis may be
                any multiple of the network's. Integers of the input's type are codes; floats are quantized.
            level: how closely the machine is simulated; the bytes are the same.
            keep: names of tensors to return as well.
            threads: that samples are spread over, by default one for each CPU; results do not depend on it.
            progress: called after every sample.
            observers: told of every command.

        Raises:
            InputError: listing every fault of the inputs and of `keep`.
            ProgramError: listing every fault of the program, and everything in it that the machine does not have.
        """
        self._check(program)
        job = _Job(program, inputs, keep, observers)
        ready = prepared(program, self.hardware, level)
        workers = _run_all(job, ready, threads or _processors(), progress)
        result = self._result(job, level, ready, workers)
        ready.give_back(workers)
        return result

    def count(
        self,
        program: Program,
        inputs: Mapping[str, Array],
        structure: AccumulatorStructure,
        *,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> tuple[RunResult, dict[int, Tally]]:
        """Run a program on accumulators of a structure, at the functional level; what overflowed in each command.

        Args:
            program: as for `run`.
            inputs: as for `run`.
            structure: in place of the hardware's accumulators.
            threads: as for `run`.
            progress: as for `run`.

        Returns:
            The result; by command, what was counted. Commands that no input can make overflow are not among them.
        """
        self._check(program)
        job = _Job(program, inputs)
        ready = prepared(program, self.hardware, Level.FUNCTIONAL, structure)
        workers = _run_all(job, ready, threads or _processors(), progress)
        tallies = {index: merged_tally(workers, index) for index in ready.counted}
        result = self._result(job, Level.FUNCTIONAL, ready, workers)
        ready.give_back(workers)
        return result, tallies

    def _check(self, program: Program) -> None:
        """A program's tiles fit the grid and memories that it was compiled for, and need not fit others."""
        mine, its = self.hardware, program.hardware
        if (mine.grid, mine.memory) != (its.grid, its.memory):
            fault = Fault(
                "hardware", its.name, f"has the grid and memories of the machine, {mine.name!r}", "compile for it"
            )
            raise ProgramError(f"program {program.name!r}", [fault])

    def _result(self, job: _Job, level: Level, ready: PreparedProgram, workers: Sequence[Worker]) -> RunResult:
        program, timings, timed = job.program, ready.timings, level.timed
        return RunResult(
            outputs=job.outputs,
            ports={port.name: port for port in program.outputs},
            layers=self._layers(program, ready, timings, workers) if timed else ready.layers,
            samples=job.samples.count,
            level=level,
            cycles=sum(t.cycles for t in timings) if timed else None,
            tensors=job.keeper.tensors if job.keeper else {},
        )

    def _layers(
        self,
        program: Program,
        ready: PreparedProgram,
        timings: Sequence[CommandTiming],
        workers: Sequence[Worker],
    ) -> tuple[LayerResult, ...]:
        records = [
            merged_record(workers, index) if ready.watches(index) else None for index in range(len(program.commands))
        ]
        reports = [CommandReport(*parts) for parts in zip(program.commands, timings, records, strict=True)]
        return layer_results(reports, self.hardware.grid.size)


def _processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _run_all(job: _Job, ready: PreparedProgram, threads: int, progress: Progress | None) -> list[Worker]:
    """Run every sample; the workers, with what they have watched."""
    count = job.samples.count
    each = max(threads // max(count, 1), 1)
    workers = [ready.take(each) for _ in range(min(threads, count))]
    run_samples(job.run_sample, workers, count, progress)
    return workers
