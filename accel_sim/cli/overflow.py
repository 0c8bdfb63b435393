"""accel-sim overflow."""

import re

import click

from accel_sim import api
from accel_sim.analysis.overflow import DEFAULT_ACCUMULATORS
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
from accel_sim.cli.output import publish, show, write_json
from accel_sim.cli.progress import stage
from accel_sim.errors import Fault, InputError
from accel_sim.numerics.accumulators import NARROWEST, WIDEST

_SPEC = re.compile(r"(\d{1,4})(?:\.\.(\d{1,4}))?")


def parse_accumulators(specs: tuple[str, ...]) -> tuple[int, ...]:
    """Widths of --accumulator options: "20" is one width, "14..32" all from 14 to 32.

    Raises:
        InputError: listing every SPEC that is neither, or is outside 8 to 64 bits.
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
@click.option(
    "--certificates", "certificates_path", metavar="FILE.json", help="Write what is proved, for others to verify."
)
@click.option(
    "--check-certificates",
    "checked_path",
    metavar="FILE.json",
    help="Verify such a file from the weights of MODEL alone, and do nothing else.",
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
    certificates_path: str | None,
    checked_path: str | None,
    threads: int | None,
    json_path: str | None,
    report_path: str | None,
) -> int:
    """Prove which accumulators of MODEL cannot overflow, beside the extremes that a run observes.

    Exits with 1 where a width given with --accumulator is not proved safe in every layer, or where a claim of a
    certificate does not hold.
    """
    if checked_path is not None:
        given = {"--accumulator": accumulators, "--certificates": certificates_path, "--inputs": inputs_path}
        given |= {"--json": json_path, "--report": report_path, "--profile": profile}
        return _check(model, checked_path, [name for name, value in given.items() if value])
    hardware = hardware_of(hw, overrides)
    widths = parse_accumulators(accumulators) or DEFAULT_ACCUMULATORS
    outputs = {"json": json_path, "report": report_path, "certificates": certificates_path}
    with output_files((model, inputs_path, hw), **outputs) as files:
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
        if certificates_path:
            with stage("certifying") as advance:
                certificate = api.certify(
                    graph,
                    samples.arrays if inputs_path else None,
                    hardware,
                    profile,
                    source=samples.source if inputs_path else "",
                    threads=threads,
                    progress=advance,
                )
            write_json(certificate, files, "certificates")
        publish(report, files)
    return DIFFERENCES if accumulators and not report.all_proved else DONE


def _check(model: str, path: str, meaningless: list[str]) -> int:
    from accel_sim.report.terminal.certificate import check_page

    if meaningless:
        raise click.UsageError(f"{', '.join(meaningless)}: --check-certificates verifies a file and does nothing else")
    with stage(f"reading {model}"):
        graph = api.load(model)
    with stage("verifying"):
        faults = api.check_certificates(graph, path)
    show(check_page(graph, path, faults))
    return DIFFERENCES if faults else DONE
