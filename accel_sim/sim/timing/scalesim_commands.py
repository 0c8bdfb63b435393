"""SCALE-Sim's time for commands (`timing/scalesim`); every group or batch is a product of its own, one after the other.

The buffers are the activation, weight and accumulator memory, of which a result takes one element as an operand does;
the bandwidth is each operand's own. Commands outside the grid take what `timing/vector` says.
"""

from dataclasses import replace

import numpy as np

from accel_sim.hardware import AcceleratorConfig
from accel_sim.program import Command, Convolve, MatrixMultiply, TransposeConvolve
from accel_sim.program.geometry import MatrixCommand, matrix_operands, matrix_shape
from accel_sim.sim.timing.matrix import time_matrix
from accel_sim.sim.timing.scalesim import NONE, Addresses, ScaleSimMemory, scalesim_time
from accel_sim.sim.timing.types import CommandTiming
from accel_sim.sim.timing.vector import time_vector


def time_scalesim(command: Command, hardware: AcceleratorConfig) -> CommandTiming:
    """Cycles and stalls by SCALE-Sim's memories; traffic and energy as `timing/matrix` has them."""
    if not isinstance(command, Convolve | TransposeConvolve | MatrixMultiply):
        return time_vector(command, hardware)
    base = time_matrix(command, hardware)
    if not base.macs:
        return base
    shape = matrix_shape(command)
    found = scalesim_time(input_addresses(command), shape.columns, hardware.grid, _memory(command, hardware))
    cycles, stalls = shape.batches * found.cycles, shape.batches * found.stall_cycles
    return replace(
        base,
        cycles=cycles,
        stall_cycles=stalls,
        stalls={},
        utilization=base.macs / (cycles * hardware.grid.size),
    )


def input_addresses(command: MatrixCommand) -> Addresses:
    """Address of the input element that each output pixel meets at each step of the reduction, in one group."""
    shape = matrix_shape(command)
    if not isinstance(command, Convolve):
        return np.arange(shape.rows * shape.reduction).reshape(shape.rows, shape.reduction)
    _, out_height, out_width, _ = command.output_to.shape
    _, height, width, _ = command.input.shape
    window, depth = command.window, command.weights.shape[3]
    image, pixel = np.divmod(np.arange(shape.rows)[:, None], out_height * out_width)
    row, column = np.divmod(pixel, out_width)
    tap, channel = np.divmod(np.arange(shape.reduction)[None], depth)
    kernel_row, kernel_column = np.divmod(tap, window.kernel[1])
    y = row * window.strides[0] + kernel_row * window.dilations[0] - window.pad_top
    x = column * window.strides[1] + kernel_column * window.dilations[1] - window.pad_left
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    return np.where(inside, ((image * height + y) * width + x) * depth + channel, NONE)


def _memory(command: MatrixCommand, hardware: AcceleratorConfig) -> ScaleSimMemory:
    memory = hardware.memory
    x, w = (np.dtype(operand.dtype).itemsize for operand in matrix_operands(command))
    return ScaleSimMemory(
        memory.activation_sram_bytes // x,
        memory.weight_sram_bytes // w,
        memory.accumulator_sram_bytes,
        int(memory.dram_bytes_per_cycle),
    )
