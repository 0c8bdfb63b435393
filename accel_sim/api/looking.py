"""What there is to look at: timelines, registers, golden vectors."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from accel_sim.analysis.choices import (
    Hardware,
    check_program,
    check_threads,
    resolve_hardware,
)
from accel_sim.api.running import Array, named_arrays, provenance
from accel_sim.arguments import check_path, number_faults
from accel_sim.errors import InputError
from accel_sim.hardware import DEFAULT_HARDWARE
from accel_sim.program import Program

if TYPE_CHECKING:
    from accel_sim.report.timeline import Timeline
    from accel_sim.report.vectors import GoldenVectors
    from accel_sim.report.waveform import Waveform


def timeline(program: Program) -> "Timeline":
    """A program in time, tile by tile; its `write` makes a trace for ui.perfetto.dev.

    Time does not depend on data, so no run is needed: the cycles are those of every run.

    Args:
        program: from `compile`.
    """
    from accel_sim.report.timeline import make_timeline

    check_program(program)
    kept = [port.operand for port in program.outputs]
    return make_timeline(program.name, program.commands, program.hardware, kept)


def topology_timeline(path: str | os.PathLike[str], hardware: Hardware = DEFAULT_HARDWARE) -> "Timeline":
    """A SCALE-Sim topology file in time, as `timeline`.

    Args:
        path: a CSV file of layers.
        hardware: as for `compile`.

    Raises:
        ModelError: not a topology. CompileError: tiles that fit no memory.
    """
    from accel_sim.compiler.topology import compile_topology
    from accel_sim.frontend.topology import load_topology
    from accel_sim.report.timeline import make_timeline

    config = resolve_hardware(hardware)
    topology = load_topology(check_path("path", path, "a SCALE-Sim topology"))
    return make_timeline(topology.name, compile_topology(topology, config), config)


def golden_vectors(
    program: Program,
    inputs: Array | Mapping[str, Array],
    layer: str,
    *,
    source: str = "",
    threads: int | None = None,
) -> "GoldenVectors":
    """Operands, accumulators, requantization constants and results of one layer, for test benches of hardware.

    Args:
        program: from `compile`.
        inputs: as for `run`.
        layer: a convolution or matrix product: its name, or a part of it that no other layer has.
        source: where the inputs came from, for the manifest.
        threads: as for `run`.

    Raises:
        InputError: no such layer, a layer without accumulators, or wrong inputs.
    """
    from accel_sim.report.vectors import capture

    check_program(program)
    check_threads(threads)
    arrays = named_arrays(program.inputs[0].name, inputs)
    return capture(program, layer, arrays, provenance(program, source), threads)


def waveform(
    program: Program,
    inputs: Array | Mapping[str, Array],
    layer: str | None = None,
    tile: int = 0,
    *,
    cycles: int | None = None,
) -> "Waveform":
    """The registers of the PE grid while it computes one tile; its `write` makes a VCD file for GTKWave.

    Args:
        program: from `compile`.
        inputs: as for `run`; of several samples the first is shown.
        layer: a convolution or matrix product: its name, or a part of it that no other layer has; None for the first.
        tile: counted in the order in which the grid computes them, from 0.
        cycles: the most to record; None for the whole tile.

    Raises:
        InputError: no such layer or tile, no cycles, wrong inputs, or a tile too large to be written.
    """
    from accel_sim.report.waveform import make_waveform

    check_program(program)
    faults = number_faults({"tile": (tile, 0, None)} | ({} if cycles is None else {"cycles": (cycles, 1, None)}))
    if faults:
        raise InputError("waveform", faults)
    arrays = named_arrays(program.inputs[0].name, inputs)
    return make_waveform(program, arrays, layer, tile, cycles)
