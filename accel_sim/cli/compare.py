"""accel-sim compare."""

import click

from accel_sim import api
from accel_sim.cli.boundary import DIFFERENCES, DONE
from accel_sim.cli.files import output_files
from accel_sim.cli.options import (
    hardware_of,
    input_options,
    json_option,
    labels_option,
    machine_options,
    model_argument,
    read_labels,
    read_samples,
    report_option,
    threads_option,
)
from accel_sim.cli.output import publish
from accel_sim.cli.progress import stage
from accel_sim.errors import Fault, InputError


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
@click.option(
    "--profiles",
    "names",
    metavar="A,B,...",
    help="Compare these profiles with each other instead: what changes when the model moves.",
)
@labels_option
@click.option("--causes/--no-causes", default=True, show_default=True, help="Find the cause of each differing code.")
@threads_option
@json_option
@report_option
def compare_command(
    model: str,
    inputs_path: str | None,
    seed: int,
    hw: str,
    overrides: tuple[str, ...],
    profile: str | None,
    simulation: str,
    names: str | None,
    labels_path: str | None,
    causes: bool,  # noqa: FBT001 - click passes options by name
    threads: int | None,
    json_path: str | None,
    report_path: str | None,
) -> int:
    """Compare the integers of the accelerator with the float fake-quant simulation of MODEL, and say why they differ.

    Exits with 1 where any code differs.
    """
    hardware = hardware_of(hw, overrides)
    profiles = _profiles(names, profile, labels_path)
    with output_files((model, inputs_path, hw, labels_path), json=json_path, report=report_path) as files:
        with stage(f"reading {model}"):
            graph = api.load(model)
            samples = read_samples(graph, inputs_path, seed)
            labels = read_labels(labels_path) if labels_path else None
        with stage("comparing") as advance:
            report = (
                api.compare_profiles(
                    graph, samples.arrays, profiles, hardware, source=samples.source, threads=threads, progress=advance
                )
                if profiles
                else api.compare(
                    graph,
                    samples.arrays,
                    hardware,
                    profile,
                    simulation=simulation,
                    explain=causes,
                    labels=labels,
                    source=samples.source,
                    threads=threads,
                    progress=advance,
                )
            )
        publish(report, files)
    return DONE if report.identical else DIFFERENCES


def _profiles(names: str | None, profile: str | None, labels: str | None) -> list[str]:
    """The profiles to compare with each other; none where --profiles was not given.

    Raises:
        InputError: options that do not go together.
    """
    if names is None:
        return []
    given = {"--profile": profile, "--labels": labels}
    faults = [Fault(name, value, "is not given with --profiles") for name, value in given.items() if value]
    if faults:
        raise InputError("options", faults)
    return [name.strip() for name in names.split(",")]
