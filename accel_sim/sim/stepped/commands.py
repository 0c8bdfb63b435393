"""Matrix commands executed by the stepped PE grid, register by register; all other commands as at the other levels.

A command becomes independent products (`program.geometry.matrix_shape`); their folds go through the grid in the
sequencer's order; the accumulators are requantized as everywhere. The cycles that the grid took, counted by stepping,
must be those of the closed forms in `timing/grid`, tile by tile: anything else is a defect and ends the run.
"""

from math import prod

import numpy as np
from numpy.typing import NDArray

from accel_kernels import panels
from accel_sim.hardware import AcceleratorConfig, OverflowPolicy
from accel_sim.program import Command, Convolve, MatrixMultiply, TransposeConvolve
from accel_sim.program.geometry import MatrixCommand, matrix_shape
from accel_sim.records import dataclass
from accel_sim.sim.convolution import Gather, convolution_engine, relative_weights, start_bias
from accel_sim.sim.geometry import window_geometry
from accel_sim.sim.matrix_product import product_engine
from accel_sim.sim.memory import Array, Memory, matrices
from accel_sim.sim.multiply_accumulate import Kernel, MultiplyAccumulate
from accel_sim.sim.phases import ABSENT, Phase, phases_of
from accel_sim.sim.preparation import Context, Operation, Record, Run, prepare, refusal
from accel_sim.sim.requantizers import Requantizer, prepare_output
from accel_sim.sim.stepped.folds import FoldTable, folds_of
from accel_sim.sim.stepped.grid import Products, SteppedGrid
from accel_sim.sim.structured import Engine, StructureEngine
from accel_sim.sim.timing.grid import GridTime
from accel_sim.sim.timing.matrix import matrix_grid_time

Int64s = NDArray[np.int64]


def prepare_stepped(command: Command, context: Context) -> Operation:
    """The operation of a command at the stepped level.

    Raises:
        ProgramError: as `prepare`, and tiles that the grid cannot hold.
    """
    stepped = _prepare(command, context)
    return prepare(command, context) if stepped is None else Operation(stepped.bind, watched=True)


def grid_of(command: Command, context: Context, memory: Memory) -> tuple[SteppedGrid, FoldTable, GridTime]:
    """The grid of a matrix command before its first cycle, with the operands that a memory holds; its folds and time.

    Raises:
        ProgramError: as `prepare`, and tiles that the grid cannot hold; a command that does not use the grid.
    """
    stepped = _prepare(command, context)
    if stepped is None:
        raise refusal("command", type(command).__name__, "is a matrix product or a convolution on integers")
    return stepped.grid(memory), stepped.work.folds, stepped.work.time


def _prepare(command: Command, context: Context) -> "_Convolution | _Product | None":
    """A command that the grid computes, prepared; None for any other."""
    if not isinstance(command, MatrixCommand) or command.float_accumulation is not None:
        return None
    if isinstance(command, MatrixMultiply):
        return _matrix_multiply(command, context)
    if isinstance(command, Convolve):
        return _convolution(command, context, panels.gather_panel)
    if isinstance(command, TransposeConvolve):
        return _convolution(command, context, panels.gather_transposed_panel)
    return None


@dataclass(frozen=True)
class _Work:
    """What every matrix command brings to the grid.

    Attributes:
        command, hardware: the command and the accelerator that steps it.
        folds: in the sequencer's order. time: the closed forms' cycles for them.
        engine: the accumulator, and whether its sums can overflow.
    """

    command: MatrixCommand
    hardware: AcceleratorConfig
    folds: FoldTable
    time: GridTime
    engine: MultiplyAccumulate

    @classmethod
    def of(cls, command: MatrixCommand, context: Context, engine: MultiplyAccumulate) -> "_Work":
        """The work of a command."""
        hardware = context.hardware
        return cls(command, hardware, folds_of(command, hardware.grid), matrix_grid_time(command, hardware), engine)

    @property
    def safe(self) -> bool:
        """Whether no sum can overflow, in 32 bits."""
        return self.engine.kernel is Kernel.EXTREMES

    @property
    def operands(self) -> np.dtype[np.generic]:
        """Element type of the grid's operands."""
        return np.dtype(np.int16) if self.safe else np.dtype(np.int32)

    def grid(self, inputs: Array, weights: Array, starts: Int64s) -> SteppedGrid:
        """The grid before its first cycle."""
        products = Products(inputs, weights, starts, self.engine.accumulator, self.safe)
        return SteppedGrid(self.hardware.grid, self.folds.fields, products)

    def step(self, grid: SteppedGrid, record: Record) -> Array:
        """Accumulators [products, M, N] of all products; the record widens to what they have held."""
        grid.step()
        self._check(grid)
        if len(self.folds.fields):
            _widen(record, *grid.record())
        return grid.results

    def _check(self, grid: SteppedGrid) -> None:
        """Stepping counted the cycles that the closed forms give, for every tile."""
        time = self.time
        begins = time.before + np.cumsum(time.tiles) - time.tiles
        if grid.cycles != time.total or not np.array_equal(begins, grid.begins[self.folds.tiles]):
            raise RuntimeError(
                f"{self.command.layer!r}: the grid took {grid.cycles} cycles, its closed forms say {time.total}"
            )

    def starts(self, bias: Int64s) -> Int64s:
        """The bias as accumulators hold it."""
        bits = self.engine.accumulator.bits
        low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        if self.engine.accumulator.policy is OverflowPolicy.SATURATE:
            return np.clip(bias, low, high)
        return (bias << (64 - bits)) >> (64 - bits)


def _widen(record: Record, low: int, high: int, events: int) -> None:
    record[0], record[1] = min(record[0], low), max(record[1], high)
    record[2] += events


@dataclass(frozen=True)
class _Convolution:
    """A prepared convolution; `phases` are those of a transposed one, () for all others."""

    work: _Work
    gather: Gather
    groups: tuple[Int64s, ...]
    weights: Array
    bias: Int64s
    phases: tuple[Phase, ...]
    requantize: Requantizer

    @property
    def command(self) -> Convolve | TransposeConvolve:
        """The command."""
        command = self.work.command
        assert not isinstance(command, MatrixMultiply)
        return command

    def grid(self, memory: Memory) -> SteppedGrid:
        """The grid before its first cycle, with the operands that a memory holds."""
        command, starts = self.command, self.work.starts(self.bias)
        products = np.tile(starts.reshape(command.groups, -1), (max(len(self.phases), 1), 1))
        image, pixels = memory.view(command.input).reshape(-1), prod(command.output_to.shape[:3])
        return self.work.grid(self._inputs(image, pixels, command.input_zero_point), self.weights, products)

    def bind(self, memory: Memory, record: Record) -> Run:
        """The function that runs the convolution in a memory."""
        command = self.command
        pixels, channels = prod(command.output_to.shape[:3]), command.output_to.shape[3]
        codes = memory.view(command.output_to).reshape(pixels, channels)
        starts = self.work.starts(self.bias)

        def run() -> None:
            if pixels and channels:
                _widen(record, int(starts.min()), int(starts.max()), pixels * int((starts != self.bias).sum()))
            self.requantize(self._accumulators(self.work.step(self.grid(memory), record), starts), pixels, codes)

        return run

    def _inputs(self, image: Array, pixels: int, zero_point: int) -> Array:
        """The streamed operands of all products [products, M, K]."""
        depth = self.work.engine.depth
        panel = np.empty((len(self.groups), pixels, depth), self.work.operands)
        for group, geometry in enumerate(self.groups):
            self.gather(image, geometry, zero_point, 0, pixels, panel[group])
        if not self.phases:
            return panel
        taps = prod(self.command.window.kernel)
        whole = panel.reshape(len(self.groups), pixels, taps, depth // taps)
        return np.stack([phase.panel(part) for phase in self.phases for part in whole])

    def _accumulators(self, results: Array, starts: Int64s) -> Array:
        """Results of all products, [pixels, channels]."""
        dtype = self.work.engine.accumulator.dtype
        if len(results) == 1 and not self.phases and len(self.work.folds.fields):
            return np.ascontiguousarray(results[0], dtype)
        accumulators = np.tile(starts.astype(dtype), (prod(self.command.output_to.shape[:3]), 1))
        size = results.shape[2]
        for product, part in enumerate(results):
            phase, group = divmod(product, len(self.groups))
            target = accumulators[:, group * size : (group + 1) * size]
            if self.phases:
                pixels = self.phases[phase].pixels
                target[pixels[pixels != ABSENT]] = part[pixels != ABSENT]
            else:
                target[:] = part
        return accumulators


def _one_stage(engine: Engine) -> MultiplyAccumulate:
    """The engine of an accumulator that the grid has.

    Raises:
        ProgramError: one of several stages, or wider than 32 bits.
    """
    if isinstance(engine, StructureEngine):
        rule = "the stepped grid has accumulators of one stage, of 32 bits at most"
        raise refusal("accumulator", engine.structure.name, f"{rule} (64 where software has 64)")
    return engine


def _convolution(command: Convolve | TransposeConvolve, context: Context, gather: Gather) -> _Convolution:
    weights = relative_weights(command, context)
    phases: tuple[Phase, ...] = ()
    if isinstance(command, TransposeConvolve):
        weights, phases = weights[:, ::-1, ::-1], phases_of(command)
    channels, inputs = len(weights), weights.shape[3]
    flat = weights.reshape(channels, prod(weights.shape[1:]))
    bias = start_bias(command, context, channels)
    engine = _one_stage(convolution_engine(command, context, flat, bias))
    shape = matrix_shape(command)
    work = _Work.of(command, context, engine)
    narrow = flat.astype(work.operands).reshape(command.groups, shape.columns, -1, inputs)
    if phases:
        products = np.stack([phase.weights(group) for phase in phases for group in narrow])
    else:
        products = narrow.reshape(command.groups, shape.columns, shape.reduction)
    geometries = tuple(
        window_geometry(command.input, command.output_to, command.window, g * inputs, inputs)
        for g in range(command.groups)
    )
    requantize = prepare_output(command.output, channels, engine.accumulator.dtype, command.output_to.dtype)
    return _Convolution(work, gather, geometries, products, bias, phases, requantize)


@dataclass(frozen=True)
class _Product:
    """A prepared matrix product; zero points of b as a column."""

    work: _Work
    zero_points: Int64s
    requantize: Requantizer

    def grid(self, memory: Memory) -> SteppedGrid:
        """The grid before its first cycle, with the operands that a memory holds."""
        command, shape, operands = self.work.command, matrix_shape(self.work.command), self.work.operands
        assert isinstance(command, MatrixMultiply)
        leading = command.output_to.shape[:-2]
        left = matrices(memory.view(command.a), leading, transposed=command.transpose_a)
        right = matrices(memory.view(command.b), leading, transposed=not command.transpose_b)
        inputs = (left.astype(np.int64) - command.a_zero_point).astype(operands)
        weights = (right.astype(np.int64) - self.zero_points).astype(operands)
        return self.work.grid(
            inputs.reshape(shape.batches, shape.rows, shape.reduction),
            weights.reshape(shape.batches, shape.columns, shape.reduction),
            np.zeros((shape.batches, shape.columns), np.int64),
        )

    def bind(self, memory: Memory, record: Record) -> Run:
        """The function that runs the product in a memory."""
        shape = matrix_shape(self.work.command)
        codes = memory.view(self.work.command.output_to).reshape(shape.batches * shape.rows, shape.columns)

        def run() -> None:
            if codes.size:
                _widen(record, 0, 0, 0)
            results = self.work.step(self.grid(memory), record)
            accumulators = np.ascontiguousarray(results, self.work.engine.accumulator.dtype).reshape(codes.shape)
            self.requantize(accumulators, len(codes), codes)

        return run


def _matrix_multiply(command: MatrixMultiply, context: Context) -> _Product:
    engine, shape = _one_stage(product_engine(command, context)), matrix_shape(command)
    requantize = prepare_output(command.output, shape.columns, engine.accumulator.dtype, command.output_to.dtype)
    zero_points = np.array(command.b_zero_point, np.int64).reshape(-1, 1)
    return _Product(_Work.of(command, context, engine), zero_points, requantize)
