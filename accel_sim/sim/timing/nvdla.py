"""NVDLA's time by NVIDIA's public performance sheet (nvdla/hw, ResNet-50 at 2048 MACs, 512 KiB, 10 GB/s).

A layer takes max(MAC cycles, DRAM cycles): the convolution buffer hides the shorter of the two.

MAC cycles = output pixels * input channels * kernel height * kernel width * kernels / MACs, where

- 1 to 4 input channels (an image) count as 4;
- kernels are padded to a multiple of 128, but not for a single output pixel (fully connected);
- a stride-1 3x3 convolution takes 1/2.25 of it by Winograd, where the accelerator has it.

DRAM cycles = (inputs * passes + weights + outputs + second operand) / bandwidth, in bytes, where

- kernel height and width are padded to a multiple of the stride, and a 3x3 for Winograd to 4x4;
- outputs are padded to 16 channels;
- a pooling layer that follows is part of the layer: what is written is the pooled size. So is an element-wise layer,
  whose other operand is read (at the size of what is written, also where that is pooled);
- if neither inputs nor weights fit the convolution buffer (weight and activation memory together), inputs are read
  floor(weights / buffer) + 1 times.

The sheet's GB/s are 1.024e9 bytes per second: the presets say 10.24 bytes per cycle for its 10 GB/s at 1 GHz.
Layers follow one another. Commands that cannot be part of a layer of the sheet take what `timing/vector` says.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from accel_sim.hardware import AcceleratorConfig
from accel_sim.program import (
    Command,
    Convolve,
    Elementwise,
    MatrixMultiply,
    Operand,
    PoolAverage,
    PoolMaximum,
    TransposeConvolve,
    read_by,
    written_by,
)
from accel_sim.program.geometry import MatrixCommand, matrix_operands, matrix_shape
from accel_sim.records import dataclass
from accel_sim.sim.timing.energy import traffic_pj
from accel_sim.sim.timing.matrix import time_matrix
from accel_sim.sim.timing.types import TRAFFIC, CommandTiming, stalls_by_cause
from accel_sim.sim.timing.vector import time_vector

KERNEL_UNIT = 128
OUTPUT_CHANNEL_UNIT = 16
IMAGE_CHANNELS = 4
WINOGRAD_SPEEDUP = Fraction(9, 4)


@dataclass(frozen=True)
class NvdlaLayer:
    """A layer as the sheet has it: `groups` products [pixels x channels*kernel] @ [channels*kernel x kernels].

    Attributes:
        pixels: output pixels before pooling. channels: input channels of a group. kernels: of a group.
        kernel: height and width. stride: vertical and horizontal.
        input_pixels: height * width of the image. groups: independent products.
        written: output pixels that are written, after pooling. second_bytes: an element-wise layer's other operand.
        item_bytes: of an input, weight and output element.
    """

    pixels: int
    channels: int
    kernels: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    input_pixels: int
    written: int
    groups: int = 1
    second_bytes: int = 0
    item_bytes: tuple[int, int, int] = (1, 1, 1)

    @property
    def padded_channels(self) -> int:
        """Input channels of a group as the hardware sees them."""
        return max(self.channels, IMAGE_CHANNELS) if self.groups == 1 else self.channels

    def winograd(self, hardware: AcceleratorConfig) -> bool:
        """Whether the layer is computed by Winograd's algorithm."""
        return hardware.timing.winograd and self.kernel == (3, 3) and self.stride == (1, 1)

    def mac_cycles(self, hardware: AcceleratorConfig) -> int:
        """Cycles of the MAC array, rounded up."""
        kernels = self.kernels if self.pixels == 1 else _round_up(self.kernels, KERNEL_UNIT)
        macs = self.groups * self.pixels * self.padded_channels * math.prod(self.kernel) * kernels
        speedup = WINOGRAD_SPEEDUP if self.winograd(hardware) else 1
        return math.ceil(Fraction(macs) / (hardware.grid.size * speedup))

    def input_bytes(self) -> int:
        """Bytes of the input image, padded."""
        return self.groups * self.padded_channels * self.input_pixels * self.item_bytes[0]

    def weight_bytes(self, hardware: AcceleratorConfig) -> int:
        """Bytes of the weights, padded."""
        kernel = [_round_up(k, s) for k, s in zip(self.kernel, self.stride, strict=True)]
        taps = 16 if self.winograd(hardware) else math.prod(self.kernel if self.pixels == 1 else kernel)
        return self.groups * self.padded_channels * taps * self.kernels * self.item_bytes[1]

    def dram_read_bytes(self, hardware: AcceleratorConfig) -> int:
        """Bytes read, inputs as often as the convolution buffer makes necessary."""
        buffer = hardware.memory.weight_sram_bytes + hardware.memory.activation_sram_bytes
        inputs, weights = self.input_bytes(), self.weight_bytes(hardware)
        passes = 1 if inputs <= buffer else weights // buffer + 1
        return inputs * passes + weights + self.second_bytes

    def dram_write_bytes(self) -> int:
        """Bytes written, padded."""
        return self.written * _round_up(self.groups * self.kernels, OUTPUT_CHANNEL_UNIT) * self.item_bytes[2]

    def dram_cycles(self, hardware: AcceleratorConfig) -> int:
        """Cycles of the DRAM, rounded up."""
        moved = self.dram_read_bytes(hardware) + self.dram_write_bytes()
        bandwidth = hardware.memory.dram_bytes_per_cycle
        return 0 if math.isinf(bandwidth) else math.ceil(moved / Fraction(str(bandwidth)))

    def cycles(self, hardware: AcceleratorConfig) -> int:
        """Cycles of the layer."""
        return max(self.mac_cycles(hardware), self.dram_cycles(hardware))


def nvdla_layer(command: MatrixCommand, following: Sequence[Command] = ()) -> NvdlaLayer:
    """A matrix command, with the element-wise and pooling commands that are part of its layer, as the sheet has it."""
    x, w = matrix_operands(command)
    shape, output = matrix_shape(command), written_by(command)
    kernel, stride = (1, 1), (1, 1)
    if isinstance(command, Convolve):
        kernel, stride = command.window.kernel, command.window.strides
    final = written_by(following[-1]) if following else output
    channels = shape.reduction // math.prod(kernel)
    groups = shape.batches
    layer = NvdlaLayer(
        pixels=shape.rows,
        channels=channels,
        kernels=shape.columns,
        kernel=kernel,
        stride=stride,
        input_pixels=-(-x.size // max(groups * channels, 1)),
        written=-(-final.size // max(shape.columns * groups, 1)),
        groups=groups,
        item_bytes=(_item(x), _item(w), _item(final)),
    )
    before = (command, *following)
    others = sum(_others_bytes(part, written_by(b)) for b, part in zip(before, following, strict=False))
    return replace(layer, second_bytes=min(others, layer.dram_write_bytes()))


def time_nvdla(command: Command, hardware: AcceleratorConfig, following: Sequence[Command] = ()) -> CommandTiming:
    """Time of a command by itself or, a matrix command, of the layer that it makes with `following`."""
    if not isinstance(command, Convolve | TransposeConvolve | MatrixMultiply):
        return time_vector(command, hardware)
    base = time_matrix(command, hardware)
    if not base.macs:
        return base
    layer = nvdla_layer(command, following)
    cycles = layer.cycles(hardware)
    dram = {"dram_read": layer.dram_read_bytes(hardware), "dram_write": layer.dram_write_bytes()}
    parts = [time_vector(part, hardware) for part in following]
    arithmetic = sum(t.energy_pj - traffic_pj(hardware, t.traffic) for t in (base, *parts))
    traffic = _on_chip([base, *parts]) | dram
    stall = cycles - layer.mac_cycles(hardware)
    return replace(
        base,
        cycles=cycles,
        stall_cycles=stall,
        stalls=stalls_by_cause(stall, {"load": dram["dram_read"], "store": dram["dram_write"]}),
        utilization=base.macs / (cycles * hardware.grid.size),
        traffic=traffic,
        energy_pj=arithmetic + traffic_pj(hardware, traffic),
    )


def time_nvdla_commands(
    commands: Sequence[Command], hardware: AcceleratorConfig, kept: Iterable[Operand] = ()
) -> tuple[CommandTiming, ...]:
    """Time of each command; one that is part of the layer of an earlier command takes none.

    Args:
        commands: in order of execution.
        hardware: the accelerator.
        kept: tensors that must be written because they leave the network.
    """
    layers = fused_layers(commands, kept)
    inside = {index for members in layers.values() for index in members}
    nothing = CommandTiming(0, 0, 0, None, dict.fromkeys(TRAFFIC, 0), 0.0)
    return tuple(
        nothing if i in inside else time_nvdla(command, hardware, [commands[j] for j in layers.get(i, ())])
        for i, command in enumerate(commands)
    )


def fused_layers(commands: Sequence[Command], kept: Iterable[Operand] = ()) -> Mapping[int, tuple[int, ...]]:
    """Index of a convolution or matrix product -> indices of the commands that are part of its layer, in order.

    An element-wise command with two activations joins the layer of the last of its producers, a pooling command that of
    its producer, if nothing else reads what that layer would have written. One of each at most.
    """
    readers = Counter(operand.name for command in commands for operand in read_by(command))
    readers.update(operand.name for operand in kept)
    ends: dict[str, int] = {}  # tensor -> the layer that ends with it
    layers: dict[int, tuple[int, ...]] = {}
    for index, command in enumerate(commands):
        if isinstance(command, Convolve | MatrixMultiply):
            ends[written_by(command).name] = index
            continue
        found = [ends[o.name] for o in read_by(command) if o.name in ends and readers[o.name] == 1]
        owner = max(found, default=None)
        if owner is not None and _joins(command, [commands[j] for j in layers.get(owner, ())]):
            layers[owner] = (*layers.get(owner, ()), index)
            ends[written_by(command).name] = owner
    return layers


def _joins(command: Command, members: Sequence[Command]) -> bool:
    pooled = any(isinstance(member, PoolMaximum | PoolAverage) for member in members)
    if isinstance(command, Elementwise):
        return not members and command.a.name != command.b.name
    return isinstance(command, PoolMaximum | PoolAverage) and not pooled


def _others_bytes(command: Command, produced: Operand) -> int:
    """Bytes that a fused command reads beside what its layer produced."""
    return sum(operand.size_bytes for operand in read_by(command) if operand.name != produced.name)


def _on_chip(timings: Sequence[CommandTiming]) -> dict[str, int]:
    return {key: sum(t.traffic[key] for t in timings) for key in TRAFFIC}


def _round_up(value: int, unit: int) -> int:
    return -(-value // unit) * unit


def _item(operand: Operand) -> int:
    return np.dtype(operand.dtype).itemsize
