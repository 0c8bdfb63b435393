"""MatrixMultiply as a native step: products of two activations of 8 bits (`accel_kernels.native.matmul`)."""

from math import prod

import numpy as np
from numpy.typing import NDArray

from accel_kernels.native.tables import Field, epilogue_table
from accel_kernels.native.tier import tier
from accel_sim.hardware import OverflowPolicy
from accel_sim.program import MatrixMultiply, Operand
from accel_sim.sim.matrix_product import product_engine
from accel_sim.sim.memory import aligned_size
from accel_sim.sim.multiply_accumulate import Accumulator, Kernel, code_span
from accel_sim.sim.native.convolution_job import BITS
from accel_sim.sim.native.epilogue import choose_epilogue
from accel_sim.sim.native.step import CODES, NativeStep, Source, lowers, pinned, target
from accel_sim.sim.preparation import Context

_PANEL_BYTES = 1 << 17
_SLACK = 128


@lowers(MatrixMultiply)
def lower_matrix_multiply(command: MatrixMultiply, context: Context) -> NativeStep | None:
    """The step of a product of matrices of 8 bits whose sums fit 32 bits or wrap to them."""
    a, b, y = command.a, command.b, command.output_to
    if command.float_accumulation is not None:
        return None
    if a.dtype not in CODES or b.dtype not in CODES or y.dtype not in BITS or not y.size or not a.size:
        return None
    watched, bits, columns = _watched(command, context), BITS[y.dtype], y.shape[-1]
    epilogue = choose_epilogue(command.output, columns)
    if watched is None or epilogue is None or (epilogue.kind == "raw") != (bits == 32):
        return None
    rows, terms, chosen = y.shape[-2], a.shape[-2 if command.transpose_a else -1], tier()
    steps = -(-terms // 2)
    count = min(max(_PANEL_BYTES // (4 * steps) // chosen.rows[0], 1) * chosen.rows[0], rows)
    padded = -(-columns // chosen.columns) * chosen.columns
    panel = aligned_size(padded * steps * 4)
    column = aligned_size(panel + count * 4 * steps + _SLACK)
    bias = np.zeros(columns + chosen.columns, np.int32)
    values = {name: np.resize(value, columns + chosen.columns) for name, value in epilogue.values.items()}
    table = pinned(epilogue_table(epilogue.kind, bias, values, columns + chosen.columns))
    zeros = pinned(np.resize(np.array(command.b_zero_point, np.int32), columns))
    starts = pinned(np.stack([_starts(operand, y.shape[:-2]) for operand in (a, b)], axis=-1))
    left, right = Source.of(a, context), Source.of(b, context)
    arguments = {
        **left.fields(),
        **right.fields(Field.OTHER_ARENA, Field.OTHER),
        **target(y),
        **_strides(command),
        Field.IMAGES: prod(y.shape[:-2]),
        Field.HEIGHT: rows,
        Field.CHANNELS: terms,
        Field.OUT_CHANNELS: columns,
        Field.EXTRA: starts.ctypes.data,
        Field.ZERO_POINT: command.a_zero_point,
        Field.WEIGHTS: zeros.ctypes.data,
        Field.TABLE: table.ctypes.data,
        Field.TABLE_STRIDE: 8 * len(bias),
        Field.STEPS: steps,
        Field.PANEL_STRIDE: 4 * steps,
        Field.PANEL_ROWS: count,
        Field.SIZE: panel,
        Field.EXTRA_2: column,
    }
    name = f"matmul:{CODES[a.dtype]}.{CODES[b.dtype]}:{epilogue.kind}:{bits}{':watched' if watched else ''}"
    kept = (table, zeros, starts, *left.kept, *right.kept)
    return NativeStep(name, arguments, column + 4 * steps + _SLACK, kept, watched=watched)


def _watched(command: MatrixMultiply, context: Context) -> bool | None:
    """Whether the step watches its sums; None where no step accumulates as the engine does."""
    engine, inputs = product_engine(command, context), code_span(command.a.dtype, command.a_zero_point)
    spans = [code_span(command.b.dtype, z) for z in command.b_zero_point]
    reach = max(abs(x) for span in spans for x in span) * max(map(abs, inputs)) * command.a.shape[_terms(command)]
    narrow = engine.accumulator.dtype == np.int32
    fits = Accumulator(32, OverflowPolicy.WRAP).holds((-reach, reach))
    if engine.kernel is Kernel.EXACT:
        return False if narrow or fits else None
    return (
        True if engine.kernel is Kernel.EXTREMES or (engine.kernel is Kernel.LANES64 and not narrow and fits) else None
    )


def _terms(command: MatrixMultiply) -> int:
    return -2 if command.transpose_a else -1


def _strides(command: MatrixMultiply) -> dict[Field, int]:
    """Bytes between rows and terms of a, columns and terms of b."""
    a, b = (command.a.shape[-1], 1), (1, command.b.shape[-1])
    a_row, a_term = a[::-1] if command.transpose_a else a
    b_column, b_term = b[::-1] if command.transpose_b else b
    return {
        Field.STRIDE_HEIGHT: a_row,
        Field.STRIDE_WIDTH: a_term,
        Field.DILATION_HEIGHT: b_column,
        Field.DILATION_WIDTH: b_term,
    }


def _starts(operand: Operand, leading: tuple[int, ...]) -> NDArray[np.int64]:
    """int64 [products]: the first byte of each product's matrix."""
    own = operand.shape[:-2]
    firsts = np.arange(prod(own), dtype=np.int64).reshape(own) * prod(operand.shape[-2:])
    return np.broadcast_to(firsts, leading).reshape(-1)
