"""accel-sim run."""

import click

from accel_sim import api
from accel_sim.cli.files import output_files, save_arrays
from accel_sim.cli.options import (
    hardware_of,
    input_options,
    json_option,
    level_option,
    machine_options,
    model_argument,
    read_samples,
    threads_option,
)
from accel_sim.cli.output import publish
from accel_sim.cli.progress import stage
from accel_sim.report.run_report import RunReport


@click.command("run")
@model_argument
@input_options
@machine_options
@level_option
@threads_option
@click.option("--output", metavar="OUT.npz", help="Write the codes of every output, first axis = samples.")
@json_option
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
    json_path: str | None,
) -> int:
    """Run a quantized MODEL on the simulated accelerator."""
    hardware = hardware_of(hw, overrides)
    with output_files((model, inputs_path, hw), output=output, json=json_path) as files:
        with stage(f"reading {model}"):
            graph = api.load(model)
            samples = read_samples(graph, inputs_path, seed)
        with stage("compiling"):
            program = api.compile(graph, hardware, profile)
        with stage("running") as advance:
            result = api.run(program, samples.arrays, level, threads=threads, progress=advance)
        report = RunReport(api.provenance(program, samples.source), result)
        if "output" in files:
            files["output"].write(save_arrays(result.outputs))
        publish(report, files)
    return 0
