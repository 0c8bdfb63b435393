"""accel-sim vectors."""

import click

from accel_sim import api
from accel_sim.cli.folders import output_folder
from accel_sim.cli.options import (
    hardware_of,
    input_options,
    machine_options,
    model_argument,
    read_samples,
    threads_option,
)
from accel_sim.cli.output import show
from accel_sim.cli.progress import stage


@click.command("vectors")
@model_argument
@click.option(
    "--layer",
    required=True,
    metavar="NAME",
    help="A convolution or matrix product: its name, or a part of it that no other layer has.",
)
@click.option("-o", "--output", required=True, metavar="DIR", help="A new or empty folder.")
@input_options
@machine_options
@threads_option
def vectors_command(
    model: str,
    layer: str,
    output: str,
    inputs_path: str | None,
    seed: int,
    hw: str,
    overrides: tuple[str, ...],
    profile: str | None,
    threads: int | None,
) -> int:
    """Write golden vectors of one layer of MODEL, for test benches of hardware.

    Operands, accumulators, requantization constants and results, each as a $readmemh file and all in vectors.npz;
    manifest.json holds shapes, types, geometry and formulas.
    """
    from accel_sim.report.terminal.pages import page_of  # rich takes a tenth of a second to import

    hardware = hardware_of(hw, overrides)
    with output_folder(output, "--output") as folder:
        with stage(f"reading {model}"):
            graph = api.load(model)
            samples = read_samples(graph, inputs_path, seed)
        with stage("compiling"):
            program = api.compile(graph, hardware, profile)
        with stage("running"):
            vectors = api.golden_vectors(program, samples.arrays, layer, source=samples.source, threads=threads)
        folder.write(vectors.files())
        show(page_of(vectors))
        click.echo(f"\n{output}: {len(vectors.files())} files")
    return 0
