"""MatrixMultiply: products of two activations, or of an activation and a constant."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from accel_sim.program import MatrixMultiply, Region
from accel_sim.records import dataclass
from accel_sim.sim.float_dot_products import prepare_float_product
from accel_sim.sim.memory import Array, Memory, Scratch, matrices
from accel_sim.sim.multiply_accumulate import (
    Span,
    code_span,
    products_per_addition,
)
from accel_sim.sim.preparation import Context, Operation, Record, Run, prepares
from accel_sim.sim.requantizers import Requantizer, prepare_output
from accel_sim.sim.structured import Engine, Ranges, choose_engine

Int64s = NDArray[np.int64]
Index = tuple[int, ...]


@dataclass(frozen=True)
class _Product:
    """A prepared matrix product; `packed`: the right-hand matrices by batch index, where they are constant."""

    command: MatrixMultiply
    engine: Engine
    requantize: Requantizer
    packed: dict[Index, Array] | None

    @property
    def rows(self) -> int:
        """M."""
        return self.command.output_to.shape[-2]

    @property
    def columns(self) -> int:
        """N."""
        return self.command.output_to.shape[-1]

    @property
    def scratch(self) -> dict[Scratch, int]:
        """Bytes of the buffers."""
        return {
            Scratch.PANEL: self.rows * self.engine.panel_columns * self.engine.operands.itemsize,
            Scratch.ACCUMULATORS: self.rows * self.columns * self.engine.accumulator.dtype.itemsize,
        }

    def bind(self, memory: Memory, record: Record) -> Run:
        """The function that runs the product in a memory."""
        command, engine = self.command, self.engine
        panel = memory.scratch(Scratch.PANEL, (self.rows, engine.panel_columns), engine.operands)
        accumulators = memory.scratch(Scratch.ACCUMULATORS, (self.rows, self.columns), engine.accumulator.dtype)
        codes, bias = memory.view(command.output_to), np.zeros(self.columns, np.int64)
        leading = codes.shape[:-2]
        left = matrices(memory.view(command.a), leading, transposed=command.transpose_a)
        weights = self._weights(memory, leading)

        def run() -> None:
            for index in np.ndindex(leading):
                np.subtract(
                    left[index],
                    command.a_zero_point,
                    out=panel[:, : engine.depth],
                    dtype=engine.operands,
                    casting="unsafe",
                )
                engine.multiply(panel, self.rows, weights(index), bias, 0, accumulators, record)
                self.requantize(accumulators, self.rows, codes[index])

        return run

    def _weights(self, memory: Memory, leading: Index) -> Callable[[Index], Array]:
        """The packed right-hand matrix of a batch index."""
        if self.packed is not None:
            return self.packed.__getitem__
        right = matrices(memory.view(self.command.b), leading, transposed=not self.command.transpose_b)
        zero_points = np.array(self.command.b_zero_point, np.int64).reshape(-1, 1)
        return lambda index: self.engine.pack(right[index].astype(np.int64) - zero_points)


@prepares(MatrixMultiply)
def prepare_matrix_multiply(command: MatrixMultiply, context: Context) -> Operation:
    """The operation of a matrix product."""
    if command.float_accumulation is not None:
        return prepare_float_product(command, command.float_accumulation)
    engine = product_engine(command, context)
    columns = command.output_to.shape[-1]
    requantize = prepare_output(command.output, columns, engine.accumulator.dtype, command.output_to.dtype)
    product = _Product(command, engine, requantize, _packed(command, engine, context))
    return Operation(product.bind, product.scratch, watched=True, counted=engine.counted)


def product_engine(command: MatrixMultiply, context: Context) -> Engine:
    """The arithmetic of a matrix product."""
    depth, columns = command.a.shape[-2 if command.transpose_a else -1], command.output_to.shape[-1]
    inputs, weights = code_span(command.a.dtype, command.a_zero_point), _right_span(command)
    ends = [a * b for a in inputs for b in weights]
    sums = depth * min(ends), depth * max(ends)
    zeros = np.ascontiguousarray(np.broadcast_to(np.array(command.b_zero_point, np.int64), (columns,)))
    ranges = Ranges(inputs, weights, sums, (0, 0), None, np.zeros(columns, np.int64), command.a_zero_point, zeros)
    return choose_engine(
        context,
        (command.a.dtype, command.b.dtype),
        depth,
        ranges,
        tree=products_per_addition(context.hardware.grid, command.tiling),
        wide=command.wide_accumulator,
        depthwise=False,
    )


def _right_span(command: MatrixMultiply) -> Span:
    spans = [code_span(command.b.dtype, z) for z in command.b_zero_point]
    return min(low for low, _ in spans), max(high for _, high in spans)


def _packed(command: MatrixMultiply, engine: Engine, context: Context) -> dict[Index, Array] | None:
    """The right-hand matrices of a constant operand, one for each batch index; equal ones are packed once."""
    if command.b.region is not Region.CONSTANTS:
        return None
    leading = command.output_to.shape[:-2]
    codes = context.constant(command.b, "b").astype(np.int64)
    zero_points = np.array(command.b_zero_point, np.int64).reshape(-1, 1)
    packed: dict[Index, Array] = {}
    own = codes.shape[:-2]
    stack = codes if command.transpose_b else codes.swapaxes(-1, -2)
    for index in np.ndindex(own):
        packed[index] = engine.pack(stack[index] - zero_points)
    return {index: packed[_own_index(index, own)] for index in np.ndindex(leading)}


def _own_index(index: Index, own: tuple[int, ...]) -> Index:
    """The index of a broadcast operand's own leading axes."""
    tail = index[len(index) - len(own) :]
    return tuple(0 if size == 1 else i for i, size in zip(tail, own, strict=True))
