"""Accumulators: proved, counted, certified."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from accel_sim.analysis.choices import (
    DEFAULT_ACCUMULATORS,
    Hardware,
    check_graph,
    check_threads,
    resolve_hardware,
    resolve_profile,
)
from accel_sim.analysis.labels import checked_labels, classes_of, labels_per_sample
from accel_sim.analysis.samples import sample_count
from accel_sim.api.running import Array, Progress, by_name, compile, provenance, run, sample_text
from accel_sim.arguments import check_list, wrong_kind
from accel_sim.errors import Fault, InputError
from accel_sim.hardware import DEFAULT_HARDWARE, resolve_structure
from accel_sim.ir import Graph
from accel_sim.numerics.profiles import Profile
from accel_sim.sim.result import Level

if TYPE_CHECKING:
    from accel_sim.analysis.overflow.certificates import Certificate
    from accel_sim.analysis.overflow.counts import OverflowCounts
    from accel_sim.analysis.overflow.report import OverflowReport
    from accel_sim.numerics.accumulators import AccumulatorStructure


def overflow(
    graph: Graph,
    inputs: Array | Mapping[str, Array] | None = None,
    accumulators: "Sequence[int | str | AccumulatorStructure]" = DEFAULT_ACCUMULATORS,
    hardware: Hardware = DEFAULT_HARDWARE,
    profile: str | Profile | None = None,
    *,
    labels: Array | None = None,
    source: str = "",
    threads: int | None = None,
    progress: Progress | None = None,
) -> "OverflowReport":
    """Which accumulators can overflow: proved from the weights, beside what happens on given inputs.

    Args:
        graph: an integer graph.
        inputs: as for `run`; None for the proof alone.
        accumulators: widths in bits, judged both as they wrap and as they saturate; and structures, as for
            `count_overflow`, that need inputs.
        hardware: as for `compile`.
        profile: as for `compile`.
        labels: the class of each sample, for the accuracy with each accumulator.
        source: where the inputs came from, for the report.
        threads: as for `run`.
        progress: as for `run`.

    Raises:
        InputError: a width outside 8 to 64, no samples, labels that do not fit, structures or labels without inputs.
        HardwareError: no such structure, or one that cannot be. TypeError: no list of widths and structures.
    """
    from accel_sim.analysis.overflow.curve import overflow_curve
    from accel_sim.analysis.overflow.observed_ranges import observed_intervals
    from accel_sim.analysis.overflow.report import analyze_overflow
    from accel_sim.analysis.overflow.request import MOST_OFFENCES, refuse_without_inputs, requested

    check_threads(threads)
    asked = requested(accumulators, resolve_hardware(hardware).grid.rows)  # what is wrong is told before the run
    program, arithmetic = compile(graph, hardware, profile), resolve_profile(profile, graph)
    if inputs is None:
        refuse_without_inputs(asked, labels)
        return analyze_overflow(graph, arithmetic, provenance(program, "every input of the grid"), asked.widths)
    arrays = by_name(graph, inputs)
    given = labels
    if labels is not None:
        given = checked_labels(labels, sample_count(graph, arrays) * labels_per_sample(graph), classes_of(graph))
    calibrated = observed_intervals(graph, program, arrays, threads=threads)
    result = run(program, arrays, Level.CYCLE, threads=threads)
    counts = count_overflow(
        graph,
        arrays,
        asked.structures,
        hardware,
        profile,
        outputs=True,
        offences=len(asked.structures) <= MOST_OFFENCES,
        threads=threads,
        progress=progress,
    )
    about = provenance(program, source or sample_text(result.samples))
    report = analyze_overflow(graph, arithmetic, about, asked.widths, result, calibrated)
    return replace(report, curve=overflow_curve(graph, asked.judged(counts), counts.structures[0], given))


def count_overflow(
    graph: Graph,
    inputs: Array | Mapping[str, Array],
    structures: "Sequence[str | int | os.PathLike[str] | AccumulatorStructure]" = ("32",),
    hardware: Hardware = DEFAULT_HARDWARE,
    profile: str | Profile | None = None,
    *,
    outputs: bool = False,
    offences: bool = True,
    source: str = "",
    threads: int | None = None,
    progress: Progress | None = None,
) -> "OverflowCounts":
    """Count what overflows in accumulators of given widths and structures, layer by layer and channel by channel.

    Args:
        graph: an integer graph.
        inputs: as for `run`.
        structures: each as for `resolve_structure`: a width that wraps (20), "20:saturate", a preset such as
            "x86-vpmaddubsw", a TOML file, or a structure. Each is a run of its own, on the device's bytes.
        hardware: as for `compile`; its own accumulators are not used.
        profile: as for `compile`.
        outputs: whether to keep the network's outputs on each structure.
        offences: whether to look for the first offending output of each layer.
        source: where the inputs came from, for the report.
        threads: as for `run`.
        progress: as for `run`; samples over all structures.

    Raises:
        HardwareError: a structure that cannot be. InputError: as `run`. TypeError: no list of structures.
    """
    from accel_sim.analysis.overflow.counts import count_structures

    config = resolve_hardware(hardware)
    check_threads(threads)
    given = check_list("structures", structures, '[20, "20:saturate", "x86-vpmaddubsw"]')
    wanted = [resolve_structure(spec, config.grid.rows) for spec in given]
    if not wanted:
        raise InputError("structures", [Fault("structures", "none", "there is at least one to count on")])
    program, arrays = compile(graph, config, profile), by_name(graph, inputs)
    total = sample_count(graph, arrays)
    if not total:
        raise InputError("inputs", [Fault("samples", "0", "there is at least one sample to count on")])
    about = provenance(program, source or sample_text(total))
    return count_structures(
        program, about, arrays, wanted, outputs=outputs, offences=offences, threads=threads, progress=progress
    )


def certify(
    graph: Graph,
    inputs: Array | Mapping[str, Array] | None = None,
    hardware: Hardware = DEFAULT_HARDWARE,
    profile: str | Profile | None = None,
    *,
    source: str = "",
    threads: int | None = None,
    progress: Progress | None = None,
) -> "Certificate":
    """The proved range of every accumulator, layer by layer and channel by channel; `to_json` makes the document.

    Args:
        graph: an integer graph.
        inputs: as for `run`, to certify also the ranges that they lead to; None for all inputs alone.
        hardware: as for `compile`; its grid fixes the order of additions.
        profile: as for `compile`.
        source: where the inputs came from, for the certificate.
        threads: as for `run`.
        progress: as for `run`.
    """
    from accel_sim.analysis.overflow.certificates import certify as prove_all
    from accel_sim.analysis.overflow.certificates import terms_at_once
    from accel_sim.analysis.overflow.observed_ranges import observed_intervals

    check_threads(threads)
    program, arithmetic, calibrated, count = compile(graph, hardware, profile), resolve_profile(profile, graph), None, 0
    if inputs is not None:
        arrays = by_name(graph, inputs)
        calibrated = observed_intervals(graph, program, arrays, threads=threads, progress=progress)
        count = sample_count(graph, arrays)
    about = provenance(program, source or (sample_text(count) if count else "every input"))
    return prove_all(graph, arithmetic, about, calibrated, count, terms_at_once(program))


def check_certificates(
    graph: Graph, certificates: "Certificate | Mapping[str, Any] | str | os.PathLike[str]"
) -> tuple[Fault, ...]:
    """Everything that is wrong in a certificate of a network; empty where it is right.

    Every claim is computed anew from the weights, in plain integers that have no code in common with `certify`.

    Args:
        graph: the network, from the file that the certificate names.
        certificates: a file, its content, or what `certify` returned.

    Raises:
        InputError: a file that cannot be read, or that holds no JSON object. TypeError: none of these.
    """
    from accel_sim.analysis.overflow.certificates import Certificate, check_certificate, read_certificate
    from accel_sim.report.json_form import document, plain

    check_graph(graph)
    if isinstance(certificates, Certificate):
        return check_certificate(graph, plain(document(certificates)))
    if isinstance(certificates, str | os.PathLike):
        return check_certificate(graph, read_certificate(certificates))
    if not isinstance(certificates, Mapping):
        raise wrong_kind("certificates", certificates, "is a file's path, its content, or what accel_sim.certify made")
    return check_certificate(graph, certificates)
