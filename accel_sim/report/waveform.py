"""The registers of the PE grid while it computes one tile, as a Value Change Dump (IEEE 1364) for GTKWave.

Time: 1 ns is 1 cycle, as in the timeline; `clock` rises at the begin of each cycle, at time = its number in the grid
cycles of the layer, counted from 0. At a rising edge registers take what the cycle before has computed; between two
edges they hold what the PEs compute with. The dump begins with the registers before the tile's first cycle and ends
after its last. Tiles before and after show in them, as they do in silicon: a tile's resting operand is loaded while the
tile before streams.

Scopes, all under `grid`; registers are signed integers, operands relative to their zero points:

- `clock`; `cycle`; `tile`: the tile whose vectors enter at the corner, -1 before the first.
- `row<i>.pe<j>`: `input`, `weight` and `sum`, and with shadow registers the second register of what rests:
  `weight_shadow`, `input_shadow` or `sum_shadow`, by the dataflow.
- Adder trees: `row<i>.input`, which all PEs of a row share; `row<i>.pe<j>.weight`; `tree<j>.sum`, a tree's result.
"""

import io
from collections.abc import Iterator, Mapping
from typing import IO

import numpy as np
from numpy.typing import NDArray

from accel_sim.errors import Fault, InputError
from accel_sim.hardware import Dataflow, GridConfig
from accel_sim.program import Program
from accel_sim.records import dataclass
from accel_sim.report.vectors.layers import first_matrix_layer, matrix_command
from accel_sim.sim.stepped.grid import Registers
from accel_sim.sim.stepped.tile import TileWindow, tile_window

Array = NDArray[np.generic]
Int64s = NDArray[np.int64]

MOST_VALUES = 1 << 23
"""Registers times cycles that a dump may have: about 100 MB of text."""

_UNITS_PER_CYCLE = 10  # of 100 ps
_TIMESCALE = "100 ps"


@dataclass(frozen=True)
class Signal:
    """A register: where it is in the hierarchy, and how many bits it has."""

    scope: str
    name: str
    bits: int


@dataclass(frozen=True)
class Waveform:
    """The registers of a tile, cycle by cycle.

    Attributes:
        network, layer: whose tile.
        window: the tile's cycles.
        cycles: how many of them the dump has.
    """

    network: str
    layer: str
    window: TileWindow
    cycles: int

    @property
    def signals(self) -> tuple[Signal, ...]:
        """All registers, in the order of `values`."""
        return tuple(_signals(self.window))

    def values(self) -> Iterator[tuple[int, Int64s]]:
        """(cycle, what the registers hold in it), from the window's first cycle to the one after the dump's last."""
        grid = self.window.grid()
        for cycle in range(self.window.first, self.window.first + self.cycles):
            yield cycle, _flat(grid.registers())
            grid.step(1)
        yield self.window.first + self.cycles, _flat(grid.registers())

    def write(self, stream: IO[bytes]) -> None:
        """Write the dump."""
        text = io.TextIOWrapper(stream, "ascii", errors="backslashreplace", newline="\n")
        self._dump(text)
        text.flush()
        text.detach()

    def _dump(self, text: IO[str]) -> None:
        from vcd import VCDWriter

        start = self.window.first * _UNITS_PER_CYCLE
        comment = _printable(f"{self.network}, layer {self.layer}, tile {self.window.tile}; 1 ns = 1 cycle")
        with VCDWriter(text, _TIMESCALE, date="", comment=comment, init_timestamp=start, check_values=False) as dump:
            clock = dump.register_var("grid", "clock", "wire", 1, init=1)
            cycle_count = dump.register_var("grid", "cycle", "integer", 64, init=self.window.first)
            tile = dump.register_var("grid", "tile", "integer", 32, init=self._tile_at(self.window.first))
            values = self.values()
            _, held = next(values)
            registers = [
                dump.register_var(signal.scope, signal.name, "integer", signal.bits, init=value)
                for signal, value in zip(self.signals, held.tolist(), strict=True)
            ]
            for cycle, now in values:
                time = cycle * _UNITS_PER_CYCLE
                dump.change(clock, time - _UNITS_PER_CYCLE // 2, 0)
                dump.change(clock, time, 1)
                dump.change(cycle_count, time, cycle)
                dump.change(tile, time, self._tile_at(cycle))
                changed = np.flatnonzero(now != held)
                for index, value in zip(changed.tolist(), now[changed].tolist(), strict=True):
                    dump.change(registers[index], time, value)
                held = now

    def _tile_at(self, cycle: int) -> int:
        return int(np.searchsorted(self.window.begins, cycle, "right")) - 1


def make_waveform(
    program: Program, inputs: Mapping[str, Array], layer: str | None, tile: int, cycles: int | None
) -> Waveform:
    """The registers of one tile of one layer, with the operands of the first sample.

    Args:
        program: compiled.
        inputs: as for `Machine.run`.
        layer: a convolution or matrix product by its name, or a part that no other layer has; None for the first.
        tile: counted in the order of the sequencer's walk, from 0.
        cycles: the most to record; None for the whole tile.

    Raises:
        InputError: no such layer or tile, wrong inputs, or more than `MOST_VALUES` register values.
    """
    name = first_matrix_layer(program) if layer is None else layer
    index, command = matrix_command(program, name)
    window = tile_window(program, index, inputs, tile)
    length = window.last - window.first
    if cycles is not None:
        length = min(length, cycles)
    _check_size(command.layer, window, length)
    return Waveform(program.name, command.layer, window, length)


def _check_size(layer: str, window: TileWindow, cycles: int) -> None:
    registers = sum(1 for _ in _signals(window))
    if registers * (cycles + 1) > MOST_VALUES:
        fits = max(MOST_VALUES // registers - 1, 1)
        value = f"{cycles:,} cycles of {registers:,} registers"
        cure = f"record at most {fits:,} cycles, or use a smaller grid"
        fault = Fault(f"tile {window.tile}", value, f"a waveform has at most {MOST_VALUES:,} values", cure)
        raise InputError(f"layer {layer!r}", [fault])


def _signals(window: TileWindow) -> Iterator[Signal]:
    """Registers in the order of `_flat`."""
    grid, products = window.config, window.products
    moving, resting = (8 * part.dtype.itemsize for part in (products.inputs, products.weights))
    names = _names(grid)
    if grid.dataflow is Dataflow.ADDER_TREE:
        yield from (Signal(f"grid.row{i}", "input", moving) for i in range(grid.rows))
        yield from _per_pe(grid, "weight", resting)
        bits = min(moving + resting + grid.rows.bit_length(), 64)
        yield from (Signal(f"grid.tree{j}", "sum", bits) for j in range(grid.columns))
        return
    sums = products.accumulator.bits
    yield from _per_pe(grid, names["inputs"], moving)
    yield from _per_pe(grid, names["resting"], resting)
    if grid.shadow_registers:
        rests_sum = grid.dataflow is Dataflow.OUTPUT_STATIONARY
        yield from _per_pe(grid, names["shadow"], sums if rests_sum else resting)
    yield from _per_pe(grid, "sum", sums)


def _names(grid: GridConfig) -> dict[str, str]:
    """What the fields of `Registers` hold."""
    if grid.dataflow is Dataflow.INPUT_STATIONARY:
        return {"inputs": "weight", "resting": "input", "shadow": "input_shadow"}
    shadow = "sum_shadow" if grid.dataflow is Dataflow.OUTPUT_STATIONARY else "weight_shadow"
    return {"inputs": "input", "resting": "weight", "shadow": shadow}


def _per_pe(grid: GridConfig, name: str, bits: int) -> Iterator[Signal]:
    return (Signal(f"grid.row{i}.pe{j}", name, bits) for i in range(grid.rows) for j in range(grid.columns))


def _flat(registers: Registers) -> Int64s:
    """All registers as one array."""
    parts = (registers.inputs, registers.resting, registers.shadow, registers.sums)
    return np.concatenate([part.ravel().astype(np.int64) for part in parts if part is not None])


def _printable(text: str) -> str:
    """For a comment, which $end would end."""
    return "".join(c if c.isprintable() else " " for c in text).replace("$", "_")
