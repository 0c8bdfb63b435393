"""Move, Fill, Gather2D and FindExtremum: elements taken from one place to another, and the place of the largest.

No arithmetic is done here, so these commands are NumPy's copies on views that are made once.
"""

import numpy as np
from numpy.lib.stride_tricks import as_strided

from accel_sim.program import Fill, FindExtremum, Gather2D, Move
from accel_sim.sim.memory import Array, Memory
from accel_sim.sim.preparation import Context, Operation, Record, Run, prepares


@prepares(Move)
def prepare_move(command: Move, context: Context) -> Operation:
    """The operation of a strided copy."""

    def bind(memory: Memory, record: Record) -> Run:
        extent = command.extent
        source = _strided(memory.view(command.input), command.input_offset, extent, command.input_strides)
        target = _strided(memory.view(command.output_to), command.output_offset, extent, command.output_strides)
        return lambda: np.copyto(target, source)

    return Operation(bind)


@prepares(Fill)
def prepare_fill(command: Fill, context: Context) -> Operation:
    """The operation of a constant."""

    def bind(memory: Memory, record: Record) -> Run:
        codes = memory.view(command.output_to)
        return lambda: codes.fill(command.code)

    return Operation(bind)


@prepares(Gather2D)
def prepare_gather(command: Gather2D, context: Context) -> Operation:
    """The operation of a choice of rows and columns."""
    images, height, width, channels = command.input.shape
    pixels = np.add.outer(np.array(command.rows, np.intp) * width, np.array(command.columns, np.intp)).reshape(-1)

    def bind(memory: Memory, record: Record) -> Run:
        source = memory.view(command.input).reshape(images, height * width, channels)
        target = memory.view(command.output_to).reshape(images, len(pixels), channels)
        return lambda: np.copyto(target, source[:, pixels])

    return Operation(bind)


@prepares(FindExtremum)
def prepare_extremum(command: FindExtremum, context: Context) -> Operation:
    """The operation of an index of the largest or smallest element."""
    find = np.argmin if command.minimum else np.argmax
    last = command.input.shape[command.axis] - 1

    def bind(memory: Memory, record: Record) -> Run:
        elements, result = memory.view(command.input), memory.view(command.output_to)
        reversed_elements = np.flip(elements, command.axis)

        def run() -> None:
            if command.select_last:
                result[...] = (last - find(reversed_elements, axis=command.axis)).reshape(result.shape)
            else:
                result[...] = find(elements, axis=command.axis).reshape(result.shape)

        return run

    return Operation(bind)


def _strided(array: Array, offset: int, extent: tuple[int, ...], strides: tuple[int, ...]) -> Array:
    """The elements at offset + index . strides, for every index of the extent."""
    flat = array.reshape(-1)
    if not all(extent):
        return flat[:0].reshape(extent)
    return as_strided(flat[offset:], extent, tuple(s * array.itemsize for s in strides))
