"""Gemmini's time for commands: each product or convolution in the tiles that Gemmini's own library would choose.

A group of a convolution is a layer of its own (a depthwise convolution uses one column of the array), as is each phase
of a transposed convolution and each batch of a matrix product. Other commands take what `timing/vector` says.
"""

from dataclasses import replace
from functools import lru_cache

import numpy as np

from accel_sim.hardware import AcceleratorConfig
from accel_sim.program import Command, Convolve, MatrixMultiply, TransposeConvolve
from accel_sim.program.geometry import MatrixCommand, matrix_operands, matrix_shape
from accel_sim.sim.timing.energy import traffic_pj
from accel_sim.sim.timing.gemmini import (
    ARRAY,
    CPU_TILE_CYCLES,
    OWN_TILER,
    GemminiLayer,
    gemmini_steps,
)
from accel_sim.sim.timing.gemmini_tiler import GemminiMemory, own_mapping
from accel_sim.sim.timing.matrix import time_matrix
from accel_sim.sim.timing.types import CommandTiming
from accel_sim.sim.timing.vector import time_vector


def time_gemmini(command: Command, hardware: AcceleratorConfig) -> CommandTiming:
    """Cycles, traffic and energy of one command; stalls are the cycles in which the array does not execute."""
    if not isinstance(command, Convolve | TransposeConvolve | MatrixMultiply):
        return time_vector(command, hardware)
    base = time_matrix(command, hardware)
    if not base.macs:
        return base
    layer, layers = gemmini_layer(command)
    cycles, execute, loaded = _figures(layer, _memory(hardware))
    total = layers * cycles
    item = max(np.dtype(operand.dtype).itemsize for operand in matrix_operands(command))
    traffic = {**base.traffic, "dram_read": layers * loaded * item}
    energy = base.energy_pj - traffic_pj(hardware, base.traffic) + traffic_pj(hardware, traffic)
    return replace(
        base,
        cycles=total,
        stall_cycles=max(total - layers * execute, 0),
        stalls={},
        utilization=base.macs / (total * hardware.grid.size),
        traffic=traffic,
        energy_pj=energy,
    )


def gemmini_layer(command: MatrixCommand) -> tuple[GemminiLayer, int]:
    """A command as Gemmini's library sees it, and how many of it there are."""
    shape = matrix_shape(command)
    if not isinstance(command, Convolve):
        return GemminiLayer(1, 1, shape.rows, 1, shape.reduction, shape.columns), shape.batches
    images, height, width, _ = command.output_to.shape
    kernel_height, kernel_width = command.window.kernel
    stride_h, stride_w = command.window.strides
    channels = command.weights.shape[3]
    if (height, kernel_height, kernel_width, stride_h, stride_w) == (1, 1, 1, 1, 1):
        return GemminiLayer(1, 1, images * width, 1, channels, shape.columns), shape.batches
    return (
        GemminiLayer(kernel_height, kernel_width, width, height, channels, shape.columns, images, stride_w, stride_h),
        shape.batches,
    )


def _memory(hardware: AcceleratorConfig) -> GemminiMemory:
    """Rows of half of each memory; weights and inputs share the scratchpad."""
    memory = hardware.memory
    scratchpad = memory.weight_sram_bytes + memory.activation_sram_bytes
    accumulator = ARRAY * hardware.accumulator.size_bytes
    return GemminiMemory(
        scratchpad // ARRAY // memory.buffers, memory.accumulator_sram_bytes // accumulator // memory.buffers
    )


@lru_cache(maxsize=1024)
def _figures(layer: GemminiLayer, memory: GemminiMemory) -> tuple[int, int, int]:
    """Cycles, those of the array, and elements loaded."""
    mapping = own_mapping(layer, memory)
    steps = gemmini_steps(layer, mapping, CPU_TILE_CYCLES)
    cycles = steps.cycles(OWN_TILER)[0] + mapping.search_steps * OWN_TILER.search_cycles
    execute = (steps.count * steps.execute(OWN_TILER)).sum()
    loaded = (steps.count * (steps.weight_bytes + steps.input_bytes)).sum()
    return round(cycles), round(execute), round(loaded)
