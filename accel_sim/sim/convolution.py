"""Convolve and TransposeConvolve: panels of pixels times weights, requantized panel by panel."""

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_kernels import panels
from accel_sim.program import Convolve, TransposeConvolve
from accel_sim.program.geometry import matrix_shape
from accel_sim.records import dataclass
from accel_sim.sim.float_convolution import prepare_float_transposed
from accel_sim.sim.float_dot_products import prepare_float_convolution
from accel_sim.sim.geometry import window_geometry
from accel_sim.sim.memory import Array, Memory, Scratch
from accel_sim.sim.multiply_accumulate import (
    code_span,
    products_per_addition,
    sum_span,
)
from accel_sim.sim.phased_convolution import prepare_phased
from accel_sim.sim.preparation import Context, Operation, Record, Run, prepares
from accel_sim.sim.requantizers import Requantizer, prepare_output
from accel_sim.sim.structured import Engine, Ranges, choose_engine

Int64s = NDArray[np.int64]
Gather = Callable[[Array, Int64s, int, int, int, Array], None]

_PANEL_BYTES = 1 << 18  # of a panel, and of its accumulators: both stay in the second-level cache


@dataclass(frozen=True)
class _Group:
    """One group: the geometry of its panel, its packed weights and bias, its first output channel."""

    geometry: Int64s
    weights: Array
    bias: Int64s
    column: int


@dataclass(frozen=True)
class _Convolution:
    """A prepared convolution. `multiplier` is the channel multiplier of a depthwise one, 0 for all others."""

    command: Convolve | TransposeConvolve
    gather: Gather
    engine: Engine
    groups: tuple[_Group, ...]
    requantize: Requantizer
    multiplier: int

    @property
    def channels(self) -> int:
        """Output channels."""
        return self.command.output_to.shape[3]

    @property
    def pixels(self) -> int:
        """Output pixels of all images."""
        return prod(self.command.output_to.shape[:3])

    @property
    def gathered_columns(self) -> int:
        """Columns of the panel that is gathered."""
        if not self.multiplier:
            return self.engine.panel_columns
        return self.engine.depth * self.channels // self.multiplier

    @property
    def rows(self) -> int:
        """Output pixels of a panel."""
        widest = max(
            self.gathered_columns * max(self.multiplier, 1) * self.engine.operands.itemsize,
            self.channels * self.engine.accumulator.dtype.itemsize,
        )
        return max(1, min(self.pixels, _PANEL_BYTES // max(widest, 1)))

    @property
    def scratch(self) -> dict[Scratch, int]:
        """Bytes of the buffers."""
        panel = self.rows * self.gathered_columns * self.engine.operands.itemsize
        expanded = panel * self.multiplier if self.multiplier > 1 else 0
        accumulators = self.rows * self.channels * self.engine.accumulator.dtype.itemsize
        return {Scratch.PANEL: panel, Scratch.EXPANDED: expanded, Scratch.ACCUMULATORS: accumulators}

    def bind(self, memory: Memory, record: Record) -> Run:
        """The function that runs the convolution in a memory."""
        image = memory.view(self.command.input).reshape(-1)
        codes = memory.view(self.command.output_to).reshape(self.pixels, self.channels)
        accumulators = memory.scratch(Scratch.ACCUMULATORS, (self.rows, self.channels), self.engine.accumulator.dtype)
        panel = memory.scratch(Scratch.PANEL, (self.rows, self.gathered_columns), self.engine.operands)
        accumulate = self._depthwise(memory, panel, record) if self.multiplier else self._grouped(panel, record)

        def run() -> None:
            for first in range(0, self.pixels, self.rows):
                rows = min(self.rows, self.pixels - first)
                accumulate(image, first, rows, accumulators)
                self.requantize(accumulators, rows, codes[first : first + rows])

        return run

    def _grouped(self, panel: Array, record: Record) -> Callable[[Array, int, int, Array], None]:
        zero_point = self.command.input_zero_point

        def accumulate(image: Array, first: int, rows: int, accumulators: Array) -> None:
            for group in self.groups:
                self.gather(image, group.geometry, zero_point, first, rows, panel)
                self.engine.multiply(panel, rows, group.weights, group.bias, group.column, accumulators, record)

        return accumulate

    def _depthwise(self, memory: Memory, panel: Array, record: Record) -> Callable[[Array, int, int, Array], None]:
        zero_point, group, taps = self.command.input_zero_point, self.groups[0], self.engine.depth
        expanded = panel
        if self.multiplier > 1:
            shape = (self.rows, taps * self.channels)
            expanded = memory.scratch(Scratch.EXPANDED, shape, self.engine.operands)
        cube = expanded.reshape(self.rows, taps, self.channels)

        def accumulate(image: Array, first: int, rows: int, accumulators: Array) -> None:
            self.gather(image, group.geometry, zero_point, first, rows, panel)
            if self.multiplier > 1:
                panels.expand_channels(panel, rows, self.multiplier, expanded)
            self.engine.multiply_depthwise(cube, rows, group.weights, group.bias, accumulators, record)

        return accumulate


@prepares(Convolve)
def prepare_convolve(command: Convolve, context: Context) -> Operation:
    """The operation of a convolution."""
    if command.float_accumulation is not None:
        return prepare_float_convolution(command, command.float_accumulation, context)
    weights = relative_weights(command, context)
    return _operation(command, context, panels.gather_panel, weights)


@prepares(TransposeConvolve)
def prepare_transpose_convolve(command: TransposeConvolve, context: Context) -> Operation:
    """The operation of a transposed convolution: each output pixel gathers what input pixels would scatter to it."""
    if command.float_accumulation is not None:
        return prepare_float_transposed(command, command.float_accumulation, context)
    weights = relative_weights(command, context)[:, ::-1, ::-1]  # see `gather_transposed_panel`
    return _operation(command, context, panels.gather_transposed_panel, weights)


def relative_weights(command: Convolve | TransposeConvolve, context: Context) -> Int64s:
    """int64 [Co, kh, kw, Ci / groups], zero points subtracted."""
    codes = context.constant(command.weights, "weights").astype(np.int64)
    return codes - np.array(command.weight_zero_point, np.int64).reshape(-1, 1, 1, 1)


def start_bias(command: Convolve | TransposeConvolve, context: Context, channels: int) -> Int64s:
    """int64 [Co]: what accumulators begin with."""
    bias = np.zeros(channels, np.int64)
    if command.bias is not None:
        bias[:] = context.constant(command.bias, "bias")
    return bias


def convolution_engine(
    command: Convolve | TransposeConvolve, context: Context, flat: NDArray[Any], bias: Int64s
) -> Engine:
    """The arithmetic of a convolution with relative weights `flat` [Co, taps * channels of a group]."""
    inputs, channels = code_span(command.input.dtype, command.input_zero_point), len(flat)
    zeros = np.broadcast_to(np.array(command.weight_zero_point, np.int64), (channels,))
    ranges = Ranges(
        inputs,
        (int(flat.min(initial=0)), int(flat.max(initial=0))),
        sum_span(flat, bias, inputs),
        (int(bias.min(initial=0)), int(bias.max(initial=0))),
        flat,
        bias,
        command.input_zero_point,
        np.ascontiguousarray(zeros),
    )
    return choose_engine(
        context,
        (command.input.dtype, command.weights.dtype),
        flat.shape[1],
        ranges,
        tree=products_per_addition(context.hardware.grid, command.tiling),
        wide=command.wide_accumulator,
        depthwise=command.weights.shape[3] == 1 and channels == command.groups,
    )


def _operation(command: Convolve | TransposeConvolve, context: Context, gather: Gather, weights: Int64s) -> Operation:
    channels = weights.shape[0]
    flat = weights.reshape(channels, prod(weights.shape[1:]))
    bias = start_bias(command, context, channels)
    engine = convolution_engine(command, context, flat, bias)
    if isinstance(command, TransposeConvolve) and engine.phased:
        return prepare_phased(command, replace(engine, depth=matrix_shape(command).reduction), weights, bias)
    requantize = prepare_output(command.output, channels, engine.accumulator.dtype, command.output_to.dtype)
    is_depthwise = command.groups > 1 and weights.shape[3] == 1
    if is_depthwise:
        taps = np.ascontiguousarray(flat.T.astype(engine.operands))
        groups: tuple[_Group, ...] = (
            _Group(window_geometry(command.input, command.output_to, command.window), taps, bias, 0),
        )
    else:
        groups = tuple(_groups(command, engine, flat, bias, weights.shape[3]))
    multiplier = channels // command.groups if is_depthwise else 0
    convolution = _Convolution(command, gather, engine, groups, requantize, multiplier)
    return Operation(convolution.bind, convolution.scratch, watched=True, counted=engine.counted)


def _groups(
    command: Convolve | TransposeConvolve, engine: Engine, flat: Int64s, bias: Int64s, inputs: int
) -> list[_Group]:
    size = len(flat) // command.groups
    return [
        _Group(
            window_geometry(command.input, command.output_to, command.window, g * inputs, inputs),
            engine.pack(flat[g * size : (g + 1) * size]),
            np.ascontiguousarray(bias[g * size : (g + 1) * size]),
            g * size,
        )
        for g in range(command.groups)
    ]
