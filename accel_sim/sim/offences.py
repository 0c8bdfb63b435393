"""The first addition that did not fit: one sample run again up to a command, and its dot products one by one."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_kernels import panels
from accel_kernels.count_structure import ABSENT
from accel_sim.numerics.accumulators import AccumulatorStructure, Event, Stage, accumulate
from accel_sim.program import Convolve, MatrixMultiply, Program, TransposeConvolve
from accel_sim.records import dataclass
from accel_sim.sim.convolution import convolution_engine, relative_weights, start_bias
from accel_sim.sim.geometry import window_geometry
from accel_sim.sim.matrix_product import product_engine
from accel_sim.sim.memory import Array, Memory, matrices
from accel_sim.sim.phases import phases_of
from accel_sim.sim.preparation import Context
from accel_sim.sim.prepared import prepared
from accel_sim.sim.result import Level
from accel_sim.sim.samples import check_inputs
from accel_sim.sim.structured import Engine, StructureEngine

Int64s = NDArray[np.int64]
Exact = NDArray[Any]  # int64 where sums are known to fit, else Python integers
Position = tuple[int, ...]
_AT_ONCE = 1 << 20
"""Products of a block of positions."""


@dataclass(frozen=True)
class Offence:
    """The first addition whose exact result did not fit: by sample, then position, then channel.

    Attributes:
        sample: which.
        position: of the output as it is stored, without the channel: (n, y, x) of a convolution.
        channel: of the output.
        step: the last product that has entered the sum, 0 to K - 1 in the order of addition; -1 for the bias.
        stage: of the accumulator, 0 is the first.
        before: what it held. term: what was added. exact: their sum. after: what it holds instead.
        operands: (input, weight) of the products in `term`, as the accumulator sees them: relative to zero points, or
            codes where the structure has raw codes. Empty for the bias.
    """

    sample: int
    position: Position
    channel: int
    step: int
    stage: int
    before: int
    term: int
    exact: int
    after: int
    operands: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class _Sums:
    """Dot products of some positions, one after the other, with the same weights.

    Attributes:
        positions: of the outputs. inputs: [positions, K], relative. weights: [N, K], relative. bias: int64 [N].
        column: channel of the first. engine: how they are added.
    """

    positions: tuple[Position, ...]
    inputs: Int64s
    weights: Int64s
    bias: Int64s
    column: int
    engine: StructureEngine


def first_offence(
    program: Program, inputs: Mapping[str, Array], structure: AccumulatorStructure, index: int, sample: int
) -> Offence:
    """The first offence of a command in a sample in which it has one.

    Args:
        program: as it was counted.
        inputs: as they were counted.
        structure: as it was counted.
        index: of the command.
        sample: which.
    """
    ready = prepared(program, program.hardware, Level.FUNCTIONAL, structure)
    worker = ready.take(1)
    check_inputs(program, inputs).place(sample, worker.memory)
    worker.execute(0, index)
    context = Context(ready.constants, program.hardware, Level.FUNCTIONAL, structure)
    command = program.commands[index]
    found: list[tuple[Position, int, _Sums, int]] = []
    for sums in _all_sums(command, context, worker.memory):
        if found and found[0][0] < sums.positions[0]:
            break
        first = _first(sums)
        if first is not None:
            row, channel = first
            found.append((sums.positions[row], sums.column + channel, sums, row))
    ready.give_back([worker])
    _, channel, sums, row = min(found, key=lambda offence: offence[:2])
    return _offence(sums, row, channel - sums.column, sample)


def _first(sums: _Sums) -> tuple[int, int] | None:
    """(position, channel) of the first of the sums with an event.

    Until there is one, every stage holds exact sums: there is one where exact sums leave the stage that they are in.
    """
    engine, stages = sums.engine, sums.engine.structure.stages
    inputs, weights, bias = _operands(sums)
    order, zeros = engine.order(), engine.zeros[sums.column : sums.column + len(bias)]
    raw, codes = inputs + engine.offset, weights + zeros[:, np.newaxis]
    values = raw[:, np.newaxis, order] * codes[:, order]
    values[..., order == ABSENT] = 0
    starts = bias + inputs @ weights.T - values.sum(axis=-1)
    if engine.products_per_term > 1:
        values = _groups(values, engine.products_per_term).sum(axis=-1)
    left = np.zeros(starts.shape, bool)
    for stage in stages[:-1]:
        partial = np.cumsum(_groups(values, stage.terms or 1), axis=-1)
        left |= _leave(stage, partial).any(axis=(-2, -1))
        values = partial[..., -1]
    whole = np.cumsum(np.concatenate([starts[..., np.newaxis], values], axis=-1), axis=-1)
    left |= _leave(stages[-1], whole).any(axis=-1)
    places = np.argwhere(left)
    return (int(places[0][0]), int(places[0][1])) if len(places) else None


def _operands(sums: _Sums) -> tuple[Exact, Exact, Exact]:
    """Inputs, weights and bias in integers that hold every sum."""
    most = [max(1, *(abs(int(v)) for v in (a.min(initial=0), a.max(initial=0)))) for a in (sums.inputs, sums.weights)]
    codes = abs(sums.engine.offset), int(np.abs(sums.engine.zeros).max(initial=0))
    terms = 2 * sums.inputs.shape[1] * (most[0] + codes[0]) * (most[1] + codes[1])
    fits = terms + max(abs(int(b)) for b in sums.bias) < 1 << 62
    kind = np.int64 if fits else object
    return sums.inputs.astype(kind), sums.weights.astype(kind), sums.bias.astype(kind)


def _groups(values: Exact, each: int) -> Exact:
    """[..., T] as [..., groups, each], with zeros at the end."""
    behind = -values.shape[-1] % each
    padded = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, behind)])
    return padded.reshape(*values.shape[:-1], -1, each)


def _leave(stage: Stage, sums: Exact) -> NDArray[np.bool_]:
    """Where sums do not fit a stage."""
    return np.asarray((sums < stage.low) | (sums > stage.high), bool)


def _offence(sums: _Sums, row: int, channel: int, sample: int) -> Offence:
    """By the specification, in plain integers."""
    engine, number = sums.engine, sums.column + channel
    zero = int(engine.zeros[number])
    inputs = [int(x) + engine.offset for x in sums.inputs[row]]
    weights = [int(w) + zero for w in sums.weights[channel]]
    products = [x * w for x, w in zip(inputs, weights, strict=True)]
    exact = int(sums.bias[channel]) + sum(
        int(x) * int(w) for x, w in zip(sums.inputs[row], sums.weights[channel], strict=True)
    )
    event = accumulate(engine.structure, exact - sum(products), products, engine.tree).events[0]
    terms = _terms(engine, len(products), event)
    operands = tuple((inputs[k], weights[k]) for k in terms)
    held = event.before, event.term, event.exact, event.after
    return Offence(sample, sums.positions[row], number, event.step, event.stage, *held, operands)


def _terms(engine: StructureEngine, depth: int, event: Event) -> list[int]:
    """The products that the term of an event is made of."""
    if event.step < 0:
        return []
    stages = engine.structure.stages
    if len(stages) == 1:
        first = event.step // engine.tree * engine.tree
        return list(range(first, event.step + 1))
    order = engine.structure.order(depth)
    size = prod(stage.terms or 1 for stage in stages[: event.stage])
    last = max(place for place, k in enumerate(order) if k is not None and k == event.step)
    return [k for k in order[last // size * size : last + 1] if k is not None]


def _all_sums(command: object, context: Context, memory: Memory) -> Iterator[_Sums]:
    """Every sum of a command, by position."""
    if isinstance(command, MatrixMultiply):
        yield from _of_product(command, context, memory)
    elif isinstance(command, Convolve):
        yield from _of_convolution(command, context, memory)
    elif isinstance(command, TransposeConvolve):
        yield from _of_transposed(command, context, memory)


def _structured(engine: Engine) -> StructureEngine:
    assert isinstance(engine, StructureEngine)
    return engine


def _of_product(command: MatrixMultiply, context: Context, memory: Memory) -> Iterator[_Sums]:
    engine, shape = _structured(product_engine(command, context)), command.output_to.shape
    left = matrices(memory.view(command.a), shape[:-2], transposed=command.transpose_a)
    right = matrices(memory.view(command.b), shape[:-2], transposed=not command.transpose_b)
    zeros, bias = np.array(command.b_zero_point, np.int64).reshape(-1, 1), np.zeros(shape[-1], np.int64)
    for position in np.ndindex(shape[:-1]):
        inputs = left[position].astype(np.int64) - command.a_zero_point
        yield _Sums((position,), inputs[np.newaxis], right[position[:-1]].astype(np.int64) - zeros, bias, 0, engine)


def _of_convolution(command: Convolve, context: Context, memory: Memory) -> Iterator[_Sums]:
    weights = relative_weights(command, context)
    channels = len(weights)
    flat, bias = weights.reshape(channels, -1), start_bias(command, context, channels)
    engine = _structured(convolution_engine(command, context, flat, bias))
    size = channels // command.groups
    at_once = max(_AT_ONCE // (size * flat.shape[1]), 1)
    for pixels, group, rows in _rows(command, memory, panels.gather_panel, flat.shape[1], at_once):
        part = slice(group * size, (group + 1) * size)
        positions = tuple(_position(pixel, command.output_to.shape) for pixel in pixels)
        yield _Sums(positions, rows, flat[part], bias[part], part.start, engine)


def _of_transposed(command: TransposeConvolve, context: Context, memory: Memory) -> Iterator[_Sums]:
    weights = relative_weights(command, context)[:, ::-1, ::-1]
    channels, depth = len(weights), weights.shape[3]
    flat, bias = weights.reshape(channels, -1), start_bias(command, context, channels)
    engine = _structured(convolution_engine(command, context, flat, bias))
    taps = flat.shape[1] // max(depth, 1)
    phases = phases_of(command) if engine.phased else ()
    for (pixel,), group, rows in _rows(command, memory, panels.gather_transposed_panel, flat.shape[1], 1):
        size = channels // command.groups
        part = slice(group * size, (group + 1) * size)
        inputs, chosen, its = rows[0], flat[part], engine
        if phases:
            phase = next((p for p in phases if pixel in p.pixels), None)
            kept = np.zeros(0, np.int64) if phase is None else phase.taps[phase.taps >= 0]
            absent = 0 if phase is None else len(phase.taps) - len(kept)
            inputs = np.pad(rows[0].reshape(taps, depth)[kept].reshape(-1), (0, absent * depth))
            chosen = np.pad(chosen.reshape(size, taps, depth)[:, kept].reshape(size, -1), ((0, 0), (0, absent * depth)))
            its = replace(engine, depth=len(inputs))
        position = _position(pixel, command.output_to.shape)
        yield _Sums((position,), inputs[np.newaxis], chosen, bias[part], part.start, its)


def _rows(
    command: Convolve | TransposeConvolve, memory: Memory, gather: object, depth: int, at_once: int
) -> Iterator[tuple[range, int, Int64s]]:
    """(pixels, group, [pixels, K] inputs relative to their zero point), all groups of some pixels in turn."""
    assert callable(gather)
    x, y, inputs = command.input, command.output_to, command.weights.shape[3]
    image, outputs = memory.view(x).reshape(-1), prod(y.shape[:3])
    panel = np.zeros((min(at_once, outputs), depth), np.int32)
    geometries = [window_geometry(x, y, command.window, g * inputs, inputs) for g in range(command.groups)]
    for first in range(0, outputs, at_once):
        pixels = range(first, min(first + at_once, outputs))
        for group, geometry in enumerate(geometries):
            gather(image, geometry, command.input_zero_point, first, len(pixels), panel)
            yield pixels, group, panel[: len(pixels)].astype(np.int64)


def _position(pixel: int, shape: tuple[int, ...]) -> Position:
    return tuple(int(i) for i in np.unravel_index(pixel, shape[:3]))
