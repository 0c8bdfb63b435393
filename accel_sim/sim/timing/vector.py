"""Time of the commands that the vector unit and the DMA execute.

The vector unit takes `lanes` elements per cycle from a stream that the DMA reads, and writes one back. Each command
has a number of lane operations (work):

==================  ==========================================================================
PoolMaximum         kernel height * width comparisons for each output
PoolAverage         kernel height * width additions and one scaling for each output
Reduce              one addition for each input element, one scaling for each output
Elementwise         one for each output (the lane is a pipeline: two operands, scaling, clamp)
Lookup              one for each output
RequantizeCodes     one for each output
ApplySoftmax        three passes: maximum, exponential and sum, scaling
FindExtremum        one comparison for each input element
Interpolate         four multiply-accumulates for each output
Move, Fill          none: DMA alone
Gather2D            none: DMA alone
==================  ==========================================================================

Double-buffered, transfers and work overlap: cycles = latency + max(ceil(work / lanes), transfers). Otherwise
cycles = latency + transfers + ceil(work / lanes). Transfers are the operands once each, read plus written, over the
DRAM's bandwidth; strides do not matter (rows are reordered on chip). Every byte passes the activation memory's ports
twice, which may take longer than the work (`timing/sram`). Whatever is not work is stall.
"""

from functools import singledispatch
from math import prod

import numpy as np

from accel_sim.hardware import AcceleratorConfig
from accel_sim.program import (
    ApplySoftmax,
    Command,
    Elementwise,
    Fill,
    FindExtremum,
    Gather2D,
    Interpolate,
    Lookup,
    Move,
    PoolAverage,
    PoolMaximum,
    Reduce,
    RequantizeCodes,
    read_by,
    written_by,
)
from accel_sim.sim.timing.energy import traffic_pj
from accel_sim.sim.timing.sram import port_cycles
from accel_sim.sim.timing.transfers import transfer_cycles
from accel_sim.sim.timing.types import TRAFFIC, CommandTiming, stalls_by_cause


def time_vector(command: Command, hardware: AcceleratorConfig) -> CommandTiming:
    """Cycles, traffic and energy of one command outside the grid."""
    memory, work = hardware.memory, lane_operations(command)
    read, written = _bytes_read(command), _bytes_written(command)
    working = -(-work // hardware.vector.lanes)
    busy = max(working, port_cycles(memory.activation_sram, 2 * (read + written))) if working else 0
    moving = transfer_cycles(memory, read + written)
    latency = memory.dram_latency_cycles if read or written else 0
    cycles = latency + (max(busy, moving) if memory.double_buffered else busy + moving)
    on_chip = {"activation_sram_read": read + written, "activation_sram_write": read + written}
    traffic = dict.fromkeys(TRAFFIC, 0) | {"dram_read": read, "dram_write": written} | on_chip
    arithmetic = work * (hardware.energy.int32_add_pj + _scalings(command) * hardware.energy.int32_multiply_pj)
    waiting = (cycles - busy - latency) / max(read + written, 1)
    causes = {"latency": latency, "load": waiting * read, "store": waiting * written, "sram": busy - working}
    stalls = stalls_by_cause(cycles - working, causes)
    energy = arithmetic + traffic_pj(hardware, traffic)
    return CommandTiming(cycles, cycles - working, 0, None, traffic, energy, stalls=stalls)


@singledispatch
def lane_operations(command: Command) -> int:
    """Elements that pass through a lane of the vector unit."""
    raise TypeError(f"no lane operations are known of {type(command).__name__}")


@lane_operations.register
def _(command: PoolMaximum) -> int:
    return command.output_to.size * command.window.kernel[0] * command.window.kernel[1]


@lane_operations.register
def _(command: PoolAverage) -> int:
    return command.output_to.size * (command.window.kernel[0] * command.window.kernel[1] + 1)


@lane_operations.register
def _(command: Reduce) -> int:
    return command.input.size + command.output_to.size


@lane_operations.register
def _(command: Elementwise | Lookup | RequantizeCodes) -> int:
    return command.output_to.size


@lane_operations.register
def _(command: ApplySoftmax) -> int:
    return 3 * command.input.size


@lane_operations.register
def _(command: FindExtremum) -> int:
    return command.input.size


@lane_operations.register
def _(command: Interpolate) -> int:
    return 4 * command.output_to.size


@lane_operations.register
def _(_command: Move | Fill | Gather2D) -> int:
    return 0


def _scalings(command: Command) -> float:
    """32-bit multiplications for each lane operation."""
    if isinstance(command, Elementwise):
        return 3.0  # one for each operand and one for the result
    if isinstance(command, RequantizeCodes | Interpolate):
        return 1.0
    if isinstance(command, ApplySoftmax):
        return 2 / 3  # two of its three passes multiply
    if isinstance(command, PoolAverage | Reduce):
        return command.output_to.size / max(lane_operations(command), 1)
    return 0.0


def _bytes_read(command: Command) -> int:
    """DRAM bytes read: every operand once; a copy reads what it writes."""
    if isinstance(command, Move | Gather2D):
        return _bytes_written(command)
    return sum(operand.size_bytes for operand in read_by(command))


def _bytes_written(command: Command) -> int:
    target = written_by(command)
    if isinstance(command, Move):
        return prod(command.extent) * np.dtype(target.dtype).itemsize
    return target.size_bytes
