"""accel-sim run."""

from collections.abc import Mapping

import click

from accel_sim import api
from accel_sim.analysis.topology import is_topology, time_topology
from accel_sim.analysis.weightless import Weightless, time_weightless
from accel_sim.cli.files import OutputFile, output_files, save_arrays
from accel_sim.cli.options import (
    hardware_of,
    input_options,
    json_option,
    level_option,
    machine_options,
    model_argument,
    read_samples,
    report_option,
    threads_option,
)
from accel_sim.cli.output import publish
from accel_sim.cli.progress import stage
from accel_sim.errors import ModelError
from accel_sim.hardware import AcceleratorConfig
from accel_sim.ir import Graph
from accel_sim.report.run_report import RunReport
from accel_sim.sim.result import Level


@click.command("run")
@model_argument
@input_options
@machine_options
@level_option
@threads_option
@click.option("--output", metavar="OUT.npz", help="Write the codes of every output, first axis = samples.")
@click.option("--trace", metavar="FILE", help="Write a timeline for ui.perfetto.dev: tiles in time, 1 ns = 1 cycle.")
@click.option("--vcd", metavar="FILE", help="Write the registers of the PE grid in one tile, for GTKWave.")
@click.option(
    "--vcd-layer", metavar="NAME", help="Whose tile, by a part of its name.  [default: the first on the grid]"
)
@click.option("--vcd-tile", type=click.IntRange(min=0), metavar="N", help="Which tile, from 0.  [default: 0]")
@click.option("--vcd-cycles", type=click.IntRange(min=1), metavar="N", help="At most so many cycles of it.")
@json_option
@report_option
def run_command(
    model: str,
    inputs_path: str | None,
    seed: int,
    hw: str,
    overrides: tuple[str, ...],
    profile: str | None,
    level: str,
    threads: int | None,
    output: str | None,
    trace: str | None,
    vcd: str | None,
    vcd_layer: str | None,
    vcd_tile: int | None,
    vcd_cycles: int | None,
    json_path: str | None,
    report_path: str | None,
) -> int:
    """Run a quantized MODEL on the simulated accelerator.

    MODEL may also be a SCALE-Sim topology (.csv), or an ONNX file whose weights are missing: shapes without weights,
    for which there are cycles only.
    """
    hardware = hardware_of(hw, overrides)
    given = {"--inputs": inputs_path, "--output": output, "--vcd": vcd}
    outputs = {"trace": trace, "json": json_path, "report": report_path}
    if is_topology(model):
        return _time_topology(model, hw, hardware, outputs, _meaningless({**given, "--profile": profile}, level))
    if trace and not Level(level).timed:
        raise click.UsageError(f"--trace: level {level} models no time")
    if vcd is None and (vcd_layer, vcd_tile, vcd_cycles) != (None, None, None):
        raise click.UsageError("--vcd-layer, --vcd-tile and --vcd-cycles choose what --vcd FILE writes")
    with output_files(
        (model, inputs_path, hw), output=output, trace=trace, vcd=vcd, json=json_path, report=report_path
    ) as files:
        with stage(f"reading {model}"):
            graph = _load(model)
            if isinstance(graph, Weightless):
                return _time_weightless(graph, hardware, profile, files, _meaningless(given, level))
            samples = read_samples(graph, inputs_path, seed)
        with stage("compiling"):
            program = api.compile(graph, hardware, profile)
        if "vcd" in files:
            with stage("writing the waveform"):
                wave = api.waveform(program, samples.arrays, vcd_layer, vcd_tile or 0, cycles=vcd_cycles)
                files["vcd"].write(wave.write)
        with stage("running") as advance:
            result = api.run(program, samples.arrays, level, threads=threads, progress=advance)
        report = RunReport(api.provenance(program, samples.source), result)
        if "output" in files:
            files["output"].write(save_arrays(result.outputs))
        if "trace" in files:
            with stage("drawing the timeline"):
                files["trace"].write(api.timeline(program).write)
        publish(report, files)
    return 0


def _load(path: str) -> Graph | Weightless:
    """A network, or what is known of one without weights."""
    try:
        return api.load(path)
    except ModelError:
        found = _without_weights(path)
        if found is None:
            raise
        return found


def _without_weights(path: str) -> Weightless | None:
    """What is known of a file that lacks weights and nothing else."""
    try:
        graph, missing = api.load_without_weights(path)
    except ModelError:
        return None
    return Weightless(graph, missing) if missing else None


def _time_weightless(
    network: Weightless,
    hardware: AcceleratorConfig,
    profile: str | None,
    files: Mapping[str, OutputFile],
    meaningless: list[str],
) -> int:
    if meaningless:
        raise click.UsageError(f"{', '.join(meaningless)}: the model's weights are missing: there are cycles only")
    with stage("timing"):
        program, report = time_weightless(network, hardware, profile)
    if "trace" in files:
        files["trace"].write(api.timeline(program).write)
    publish(RunReport(*report), files)
    return 0


def _meaningless(given: dict[str, str | None], level: str) -> list[str]:
    """The options that ask for data which a topology does not have."""
    return [name for name, value in given.items() if value] + ["--level"] * (level != Level.CYCLE.value)


def _time_topology(
    path: str,
    hw: str,
    hardware: AcceleratorConfig,
    outputs: dict[str, str | None],
    meaningless: list[str],
) -> int:
    if meaningless:
        raise click.UsageError(f"{', '.join(meaningless)}: {path} is a topology without weights: there are cycles only")
    with output_files((path, hw), **outputs) as files:
        with stage(f"timing {path}"):
            report = RunReport(*time_topology(path, hardware))
            if "trace" in files:
                files["trace"].write(api.topology_timeline(path, hardware).write)
        publish(report, files)
    return 0
