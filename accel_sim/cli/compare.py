"""accel-sim compare."""

import click

from accel_sim import api
from accel_sim.cli.boundary import DIFFERENCES, DONE
from accel_sim.cli.files import output_files
from accel_sim.cli.options import (
    hardware_of,
    input_options,
    json_option,
    machine_options,
    model_argument,
    read_samples,
    threads_option,
)
from accel_sim.cli.output import publish
from accel_sim.cli.progress import stage


@click.command("compare")
@model_argument
@input_options
@machine_options
@click.option(
    "--simulation",
    type=click.Choice(["float32", "float64"]),
    default="float32",
    show_default=True,
    help="Floating point of the fake-quant simulation; frameworks use float32.",
)
@threads_option
@json_option
def compare_command(
    model: str,
    inputs_path: str | None,
    seed: int,
    hw: str,
    overrides: tuple[str, ...],
    profile: str | None,
    simulation: str,
    threads: int | None,
    json_path: str | None,
) -> int:
    """Compare the integers of the accelerator with the float fake-quant simulation of MODEL.

    Exits with 1 where any code differs.
    """
    hardware = hardware_of(hw, overrides)
    with output_files((model, inputs_path, hw), json=json_path) as files:
        with stage(f"reading {model}"):
            graph = api.load(model)
            samples = read_samples(graph, inputs_path, seed)
        with stage("comparing") as advance:
            report = api.compare(
                graph,
                samples.arrays,
                hardware,
                profile,
                simulation=simulation,
                source=samples.source,
                threads=threads,
                progress=advance,
            )
        publish(report, files)
    return DONE if report.identical else DIFFERENCES
