"""accel-sim overflow."""

import re
from dataclasses import replace

import click

from accel_sim import api
from accel_sim.analysis.choices import DEFAULT_ACCUMULATORS
from accel_sim.cli.boundary import DIFFERENCES, DONE
from accel_sim.cli.files import output_files
from accel_sim.cli.options import (
    given_options,
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
from accel_sim.cli.output import publish, show, write_json
from accel_sim.cli.progress import stage
from accel_sim.errors import Fault, HardwareError, InputError
from accel_sim.hardware import resolve_structure, structure_names
from accel_sim.hardware.structures import DEFAULT_ROWS, structure_rule
from accel_sim.numerics.accumulators import NARROWEST, WIDEST, AccumulatorStructure

_RANGES = "a range of widths such as 14..32 (the lowest first)"
_SPEC = re.compile(r"(\d{1,4})(?:\.\.(\d{1,4}))?")


def parse_accumulators(specs: tuple[str, ...], rows: int = DEFAULT_ROWS) -> tuple[int | AccumulatorStructure, ...]:
    """What --accumulator options ask for: "20" is one width, "14..32" all from 14 to 32; other texts name structures.

    Args:
        specs: of the options.
        rows: of the grid, for structures that depend on it.

    Raises:
        InputError: listing what is wrong with every SPEC.
    """
    faults: list[Fault] = []
    wanted: list[int | AccumulatorStructure] = []
    for spec in map(str.strip, specs):
        match = _SPEC.fullmatch(spec)
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if NARROWEST <= low <= high <= WIDEST:
            wanted += range(low, high + 1)
        elif match or not spec:
            faults.append(Fault("--accumulator", repr(spec), structure_rule(_RANGES)))
        else:
            try:
                wanted.append(resolve_structure(spec, rows, others=(_RANGES,)))
            except HardwareError as error:
                faults += [replace(f, where=f"--accumulator {spec}, {f.where}") for f in error.faults]
    if faults:
        raise InputError("accumulators", faults)
    return tuple(wanted)


@click.command("overflow")
@model_argument
@input_options
@machine_options
@click.option(
    "--accumulator",
    "accumulators",
    multiple=True,
    metavar="SPEC",
    help="A width in bits or a range of widths such as 14..32, judged as it wraps and as it saturates; 20:saturate; or "
    f"a structure: {', '.join(structure_names())}, or FILE.toml. Repeatable.  "
    f"[default: {', '.join(map(str, DEFAULT_ACCUMULATORS))}, shown without a verdict of the exit code]",
)
@labels_option
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
    labels_path: str | None,
    certificates_path: str | None,
    checked_path: str | None,
    threads: int | None,
    json_path: str | None,
    report_path: str | None,
) -> int:
    """Prove which accumulators of MODEL cannot overflow, and count what happens in those that can.

    Exits with 1 where a width or structure given with --accumulator is not proved safe in every layer, or where a claim
    of a certificate does not hold.
    """
    if checked_path is not None:
        return _check(model, checked_path)
    hardware = hardware_of(hw, overrides)
    wanted = parse_accumulators(accumulators, hardware.grid.rows) or DEFAULT_ACCUMULATORS
    outputs = {"json": json_path, "report": report_path, "certificates": certificates_path}
    with output_files((model, inputs_path, hw, labels_path), **outputs) as files:
        with stage(f"reading {model}"):
            graph = api.load(model)
            samples = read_samples(graph, inputs_path, seed)
            labels = read_labels(labels_path) if labels_path else None
        with stage("counting") as advance:
            report = api.overflow(
                graph,
                samples.arrays,
                wanted,
                hardware,
                profile,
                labels=labels,
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


def _check(model: str, path: str) -> int:
    from accel_sim.report.terminal.certificate import check_page

    meaningless = [name for name in given_options() if name != "--check-certificates"]
    if meaningless:
        raise click.UsageError(f"{', '.join(meaningless)}: --check-certificates verifies a file and does nothing else")
    with stage(f"reading {model}"):
        graph = api.load(model)
    with stage("verifying"):
        faults = api.check_certificates(graph, path)
    show(check_page(graph, path, faults))
    return DIFFERENCES if faults else DONE
