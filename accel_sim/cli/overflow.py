"""accel-sim overflow."""

import re

import click

from accel_sim import api
from accel_sim.analysis.overflow import DEFAULT_ACCUMULATORS, NARROWEST, WIDEST
from accel_sim.cli.boundary import DIFFERENCES, DONE
from accel_sim.cli.files import output_files
from accel_sim.cli.options import (
    hardware_of,
    input_options,
    json_option,
    machine_options,
    model_argument,
    read_samples,
    report_option,
    threads_option,
)
from accel_sim.cli.output import publish
from accel_sim.cli.progress import stage
from accel_sim.errors import Fault, InputError

_SPEC = re.compile(r"(\d{1,4})(?:\.\.(\d{1,4}))?")


def parse_accumulators(specs: tuple[str, ...]) -> tuple[int, ...]:
    """Widths of --accumulator options: "20" is one width, "14..32" all from 14 to 32.

    Raises:
        InputError: listing every SPEC that is neither, or is outside 2 to 64 bits.
    """
    faults: list[Fault] = []
    widths: list[int] = []
    for spec in specs:
        match = _SPEC.fullmatch(spec.strip())
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if NARROWEST <= low <= high <= WIDEST:
            widths += range(low, high + 1)
        else:
            rule = f"is a width from {NARROWEST} to {WIDEST} bits, or a range of widths such as 14..32"
            faults.append(Fault("--accumulator", repr(spec), rule))
    if faults:
        raise InputError("accumulators", faults)
    return tuple(widths)


@click.command("overflow")
@model_argument
@input_options
@machine_options
@click.option(
    "--accumulator",
    "accumulators",
    multiple=True,
    metavar="SPEC",
    help="A width in bits, or a range of widths such as 14..32, to prove safe. Repeatable.  "
    f"[default: {', '.join(map(str, DEFAULT_ACCUMULATORS))}, shown without a verdict of the exit code]",
)
@threads_option
@json_option
@report_option
def overflow_command(
    model: str,
    inputs_path: str | None,
    seed: int,
    hw: str,
    overrides: tuple[str, ...],
    profile: str | None,
    accumulators: tuple[str, ...],
    threads: int | None,
    json_path: str | None,
    report_path: str | None,
) -> int:
    """Prove which accumulators of MODEL cannot overflow, beside the extremes that a run observes.

    Exits with 1 where a width given with --accumulator is not proved safe in every layer.
    """
    hardware = hardware_of(hw, overrides)
    widths = parse_accumulators(accumulators) or DEFAULT_ACCUMULATORS
    with output_files((model, inputs_path, hw), json=json_path, report=report_path) as files:
        with stage(f"reading {model}"):
            graph = api.load(model)
            samples = read_samples(graph, inputs_path, seed)
        with stage("running") as advance:
            report = api.overflow(
                graph,
                samples.arrays,
                widths,
                hardware,
                profile,
                source=samples.source,
                threads=threads,
                progress=advance,
            )
        publish(report, files)
    return DIFFERENCES if accumulators and not report.all_proved else DONE
