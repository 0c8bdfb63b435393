"""The cycle model: how long each command of a Program takes on an accelerator, what it moves, what it costs.

Nothing here looks at data: time follows from the command (shapes, tiling, recipes) and the AcceleratorConfig alone.

- Matrix commands: `timing/matrix`, on the closed forms of the grid in `timing/grid`.
- Everything else: `timing/vector`, a stream through the vector unit or the DMA.
- Transfers beside computation: `timing/transfers`. Energy: `timing/energy`.
- By `timing.model`, accelerators that have a published model of their own or measured RTL, and a simulator's memories:
  `timing/nvdla`, `timing/gemmini`, `timing/scalesim`, each imported where an accelerator asks for it.

Commands run one after the other: the first transfer of a command does not overlap the previous command, unless
`timing.layer_overlap` lets it fetch its first weights (`timing/overlap`).
"""

from collections.abc import Iterable, Sequence

from accel_sim.hardware import AcceleratorConfig, TimingModel
from accel_sim.program import Command, Convolve, MatrixMultiply, Operand, Program, TransposeConvolve
from accel_sim.sim.timing.matrix import time_matrix
from accel_sim.sim.timing.overlap import overlap_layers
from accel_sim.sim.timing.types import CommandTiming
from accel_sim.sim.timing.vector import time_vector

__all__ = ["CommandTiming", "time_command", "time_commands", "time_program"]


def time_command(command: Command, hardware: AcceleratorConfig) -> CommandTiming:
    """Cycles, traffic and energy of one command by itself."""
    if hardware.timing.model is TimingModel.NVDLA:
        from accel_sim.sim.timing.nvdla import time_nvdla

        return time_nvdla(command, hardware)
    if hardware.timing.model is TimingModel.GEMMINI:
        from accel_sim.sim.timing.gemmini_commands import time_gemmini

        return time_gemmini(command, hardware)
    if hardware.timing.model is TimingModel.SCALESIM:
        from accel_sim.sim.timing.scalesim_commands import time_scalesim

        return time_scalesim(command, hardware)
    if isinstance(command, Convolve | TransposeConvolve | MatrixMultiply):
        return time_matrix(command, hardware)
    return time_vector(command, hardware)


def time_program(program: Program, hardware: AcceleratorConfig) -> tuple[CommandTiming, ...]:
    """The timing of each command, in order; their sum is the network's latency for one run of its own batch."""
    return time_commands(program.commands, hardware, [port.operand for port in program.outputs])


def time_commands(
    commands: Sequence[Command], hardware: AcceleratorConfig, kept: Iterable[Operand] = ()
) -> tuple[CommandTiming, ...]:
    """The timing of each command, in order; `kept` are the tensors that leave the network."""
    if hardware.timing.model is TimingModel.NVDLA:
        from accel_sim.sim.timing.nvdla import time_nvdla_commands

        return time_nvdla_commands(commands, hardware, kept)
    timings = tuple(time_command(command, hardware) for command in commands)
    return overlap_layers(timings, hardware) if hardware.timing.layer_overlap else timings
