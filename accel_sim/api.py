"""The facade: load, quantize, compile, run, compare, overflow.

Everything slow to import (the kernels, the file formats) is imported where it is used.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from accel_sim.analysis.choices import Hardware, resolve_hardware, resolve_level, resolve_profile
from accel_sim.analysis.labels import checked_labels, labels_per_sample
from accel_sim.analysis.mismatch.report import MismatchReport
from accel_sim.analysis.overflow.report import DEFAULT_ACCUMULATORS, OverflowReport, analyze_overflow
from accel_sim.analysis.overflow.request import MOST_OFFENCES, refuse_without_inputs, requested
from accel_sim.analysis.provenance import Provenance
from accel_sim.analysis.samples import batches, sample_count
from accel_sim.errors import Fault, InputError
from accel_sim.hardware import DEFAULT_HARDWARE, resolve_structure
from accel_sim.ir import Graph
from accel_sim.numerics.profiles import Profile
from accel_sim.program import Program
from accel_sim.sim.result import Level, RunResult

if TYPE_CHECKING:
    from accel_sim.analysis.debug.flow import DebugReport
    from accel_sim.analysis.mismatch.profiles import ProfileReport
    from accel_sim.analysis.overflow.certificates import Certificate
    from accel_sim.analysis.overflow.counts import OverflowCounts
    from accel_sim.frontend.encodings import Encodings
    from accel_sim.numerics.accumulators import AccumulatorStructure
    from accel_sim.quantization import Quantized, Recipe
    from accel_sim.quantization.calibration import Calibration
    from accel_sim.report.inspection import Inspection
    from accel_sim.report.timeline import Timeline
    from accel_sim.report.vectors import GoldenVectors
    from accel_sim.report.waveform import Waveform

Array = NDArray[np.generic]
Progress = Callable[[int, int], None]

_BATCH_BYTES = 1 << 28  # of float64 activations that a comparison holds at once


def load(source: str | os.PathLike[str] | bytes) -> Graph:
    """A model file, or its bytes, as a Graph.

    Args:
        source: a .tflite or .onnx file. The content decides, not the name.

    Raises:
        ModelError: not a readable model. UnsupportedModelError: listing everything that is not supported.
    """
    from accel_sim.frontend import load as read

    if isinstance(source, bytes):
        return read(source)
    path = Path(source)
    return replace(read(path), name=path.stem)  # a file names its graph "main" at best


def load_without_weights(source: str | os.PathLike[str] | bytes) -> tuple[Graph, tuple[str, ...]]:
    """An ONNX file that lacks weights, as a Graph of the right shapes, and the names of what it lacks.

    Missing are weights whose file beside the model is, initializers without data, and graph inputs in the place of
    weights. Something stands in for each: `compile` and the time of the program mean something, what it computes does
    not. A file that lacks nothing is as `load` has it.

    Args:
        source: an .onnx file, or its bytes.

    Raises:
        ModelError: as `load`, for everything that is wrong besides.
    """
    from accel_sim.frontend import load_without_weights as read

    if isinstance(source, bytes):
        return read(source)
    path = Path(source)
    graph, missing = read(path)
    return replace(graph, name=path.stem), missing


def quantize(
    graph: Graph,
    calibration: "Calibration | None" = None,
    recipe: "str | os.PathLike[str] | Recipe" = "standard",
) -> Graph:
    """A float graph as an integer one, by post-training quantization (white paper, section 3).

    Args:
        graph: a float graph.
        calibration: real inputs, float32, in the file's layout, first axis = samples; a mapping by input name, or the
            array itself for a network with one input; an iterable of either; an .npz file or a folder of .npy files.
            None for recipes that need no data.
        recipe: a recipe's name ("standard", "fast", "data-free", "minmax"), a TOML file or a Recipe.

    Raises:
        QuantizationError: a graph, recipe or calibration set that cannot be used.
    """
    return quantize_with_report(graph, calibration, recipe).graph


def quantize_with_report(
    graph: Graph,
    calibration: "Calibration | None" = None,
    recipe: "str | os.PathLike[str] | Recipe" = "standard",
    *,
    overrides: tuple[str, ...] = (),
    progress: "Callable[[str, int, int | None], None] | None" = None,
) -> "Quantized":
    """`quantize`, with what was done, in which order, and what it did to each layer's error.

    Args:
        graph: as for `quantize`.
        calibration: as for `quantize`.
        recipe: as for `quantize`.
        overrides: changes of the recipe, such as "weights.bits=4".
        progress: called with the stage, and how much of it is done, and how much there is if that is known.
    """
    from accel_sim.quantization import get_recipe
    from accel_sim.quantization import quantize_with_report as run_recipe

    named = recipe if not isinstance(recipe, os.PathLike) else Path(recipe)
    return run_recipe(graph, calibration, get_recipe(named, overrides), progress=progress)


def debug(
    graph: Graph,
    calibration: "Calibration",
    inputs: "Calibration | None" = None,
    recipe: "str | os.PathLike[str] | Recipe" = "standard",
    *,
    labels: Array | None = None,
    most_samples: int = 64,
    journal: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> "DebugReport":
    """Where a quantized network loses accuracy, and what helps: the flow of figure 9.

    Args:
        graph: a float graph.
        calibration: as for `quantize`.
        inputs: that networks are judged on, in the same forms; the calibration data by default.
        recipe: as for `quantize`.
        labels: the right class of each of the inputs, integers [samples]; None if they are not known.
        most_samples: of the inputs that are used.
        journal: a file that keeps every score: started again with it, the flow resumes where it stopped.
        progress: called with the quantizers judged and those in all.

    Raises:
        QuantizationError: as `quantize`. InputError: labels or a journal that do not fit.
    """
    from accel_sim.analysis.debug.flow import debug as run_flow
    from accel_sim.quantization import get_recipe

    named = recipe if not isinstance(recipe, os.PathLike) else Path(recipe)
    classes = None if labels is None else labels.astype(np.int64)
    return run_flow(
        graph,
        calibration,
        calibration if inputs is None else inputs,
        classes,
        get_recipe(named),
        most_samples=most_samples,
        journal=None if journal is None else Path(journal),
        progress=progress,
    )


def write_onnx(graph: Graph, path: str | os.PathLike[str] | None = None, form: str = "qdq") -> bytes:
    """A graph as an ONNX file: its bytes, written to `path` as well if given.

    Args:
        graph: an integer graph; a float one for "float".
        path: of the file, which appears whole or not at all.
        form: "qdq": float operators between QuantizeLinear / DequantizeLinear pairs. "qoperator": integer operators
            (QLinearConv, ...) on codes. Both give in ONNX Runtime, byte for byte, what the machine computes in profile
            `onnxruntime`. "float": an ordinary network, such as `Quantized.adjusted`.

    Raises:
        InputError: an unknown form. UnsupportedModelError: listing everything that the form cannot say.
    """
    from accel_sim.frontend import export

    writers = {"qdq": export.write_qdq_onnx, "qoperator": export.write_qoperator_onnx, "float": export.write_float_onnx}
    if form not in writers:
        raise InputError("ONNX", [Fault("form", repr(form), f"is one of {', '.join(writers)}")])
    return writers[form](graph, None if path is None else Path(path))


def load_encodings(path: str | os.PathLike[str]) -> "Encodings":
    """An AIMET encodings file (JSON) of version 0.6.1, 1.0.0, 2.0.0 or 2.1.0.

    Raises:
        InputError: a file that cannot be read, or is no such file; every fault is listed.
    """
    from accel_sim.frontend.encodings import load_encodings as read

    return read(Path(path))


def write_encodings(source: "Graph | Encodings", version: str = "2.0.0") -> tuple[str, tuple[str, ...]]:
    """The JSON text of an AIMET encodings file, and what its version cannot say, a line each.

    Encodings hold grids, not how weights were rounded nor biases corrected: the float network that they are read with
    says that. For a network that `quantize` changed it is `Quantized.adjusted` (`write_onnx(..., form="float")`).

    Args:
        source: an integer graph, or encodings.
        version: "0.6.1", "1.0.0", "2.0.0" or "2.1.0".

    Raises:
        InputError: a graph of floats, or listing what the version cannot say at all.
    """
    from accel_sim.frontend.encodings import encodings_of, encodings_text, losses

    encodings = encodings_of(source) if isinstance(source, Graph) else source
    return encodings_text(encodings, version), losses(encodings, version)


def apply_encodings(
    model: "Graph | str | os.PathLike[str] | bytes", encodings: "Encodings | str | os.PathLike[str]"
) -> "Quantized":
    """A float network on the grids of an AIMET encodings file: no calibration.

    Weights are rounded to nearest, biases lie on the accumulators' grids; the report says what was not used.

    Args:
        model: a float graph, or its file. Of a file, encodings may also name values that reading it folds away.
        encodings: from `load_encodings`, or the path.

    Raises:
        InputError: encodings of tensors that do not exist, or that cannot be grids of theirs.
        QuantizationError: a network that cannot be quantized, or tensors without encodings.
    """
    from accel_sim.frontend.encodings import Encodings, names_in_file, resolve
    from accel_sim.quantization.given_grids import canonical_form, quantize_on_grids, weight_axes

    given = encodings if isinstance(encodings, Encodings) else load_encodings(encodings)
    graph = model if isinstance(model, Graph) else load(model)
    known = frozenset() if isinstance(model, Graph) else names_in_file(_source(model))
    canonical = canonical_form(graph)
    found = resolve(graph, canonical, given, weight_axes(canonical), known)
    return quantize_on_grids(canonical, found.grids, f"encodings {given.version}", found.notes)


def _source(model: str | os.PathLike[str] | bytes) -> Path | bytes:
    return model if isinstance(model, bytes) else Path(model)


def compile(graph: Graph, hardware: Hardware = DEFAULT_HARDWARE, profile: str | Profile | None = None) -> Program:
    """Lower an integer graph to the command stream of an accelerator.

    Args:
        graph: an integer graph.
        hardware: a preset's name, a TOML file or a configuration; the Program carries it.
        profile: an arithmetic profile or its name; None chooses the one of the model's format.

    Raises:
        CompileError: listing every node that cannot be lowered. HardwareError: no such accelerator.
    """
    from accel_sim.compiler import compile_graph

    return compile_graph(graph, resolve_hardware(hardware), resolve_profile(profile, graph))


def run(
    program: Program,
    inputs: Array | Mapping[str, Array],
    level: str | Level = Level.CYCLE,
    *,
    keep: Iterable[str] = (),
    threads: int | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Run a program on the machine that it was compiled for.

    Args:
        program: from `compile`.
        inputs: one array per input, named and laid out as in the model file; the first axis may be any multiple of the
            model's. Codes of the input's type are used as they are, floats are quantized with the input's parameters.
            The array itself for a network with one input.
        level: "functional" (bytes only), "cycle" (bytes, time, traffic, accumulators) or "stepped" (the same,
            with every register of the PE grid stepped in every cycle).
        keep: names of tensors to return as well.
        threads: of the kernels; None for all cores.
        progress: called with the steps done and the steps in all.

    Raises:
        InputError: listing every wrong name, shape, type or value.
    """
    from accel_sim.sim.machine import Machine

    arrays = inputs if isinstance(inputs, Mapping) else {program.inputs[0].name: inputs}
    machine = Machine(program.hardware)
    return machine.run(program, arrays, resolve_level(level), keep=keep, threads=threads, progress=progress)


def compare(
    graph: Graph,
    inputs: Array | Mapping[str, Array],
    hardware: Hardware = DEFAULT_HARDWARE,
    profile: str | Profile | None = None,
    *,
    simulation: str = "float32",
    explain: bool = True,
    labels: Array | None = None,
    source: str = "",
    threads: int | None = None,
    progress: Progress | None = None,
) -> MismatchReport:
    """Compare the integers of the machine with the float fake-quantized simulation, tensor by tensor.

    Args:
        graph: an integer graph.
        inputs: as for `run`.
        hardware: as for `compile`.
        profile: as for `compile`.
        simulation: "float32", as frameworks compute it, or "float64".
        explain: also simulate each layer on the machine's own operands, and find the cause of each differing code.
        labels: the class of each sample, for the accuracy of both sides.
        source: where the inputs came from, for the report.
        threads: as for `run`.
        progress: as for `run`; the steps are samples.
    """
    from accel_sim.analysis.mismatch.run import Comparison

    chosen = resolve_hardware(hardware), resolve_profile(profile, graph)
    comparison = Comparison(graph, *chosen, simulation, explain=explain, labels=labels)
    arrays = _by_name(graph, inputs)
    total = comparison.check(arrays)
    done = 0
    for batch in batches(graph, arrays, _batch_size(graph)):
        done += comparison.add(batch, threads=threads)
        if progress:
            progress(done, total)
    return comparison.report(source or _samples(total), total)


def compare_profiles(
    graph: Graph,
    inputs: Array | Mapping[str, Array],
    profiles: Sequence[str | Profile],
    hardware: Hardware = DEFAULT_HARDWARE,
    *,
    source: str = "",
    threads: int | None = None,
    progress: Progress | None = None,
) -> "ProfileReport":
    """What changes when a network moves from one arithmetic to another: every two profiles compared, with causes.

    Args:
        graph: an integer graph.
        inputs: as for `run`.
        profiles: two or more profiles or their names.
        hardware: as for `compile`; its accumulators are plain (32 bits that wrap).
        source: where the inputs came from, for the report.
        threads: as for `run`.
        progress: as for `run`; the steps are samples.

    Raises:
        InputError: fewer than two different profiles, other accumulators, no samples.
    """
    from accel_sim.analysis.mismatch.profiles import ProfileComparison

    config, arrays = resolve_hardware(hardware), _by_name(graph, inputs)
    comparison = ProfileComparison(graph, config, [resolve_profile(p, graph) for p in profiles])
    total = comparison.check(arrays)
    done = 0
    for batch in batches(graph, arrays, _batch_size(graph)):
        done += comparison.add(batch, threads=threads)
        if progress:
            progress(done, total)
    return comparison.report(config, source or _samples(total), total)


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
) -> OverflowReport:
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
        HardwareError: no such structure, or one that cannot be.
    """
    from accel_sim.analysis.overflow.curve import overflow_curve
    from accel_sim.analysis.overflow.observed_ranges import observed_intervals

    asked = requested(accumulators, resolve_hardware(hardware).grid.rows)  # what is wrong is told before the run
    program, arithmetic = compile(graph, hardware, profile), resolve_profile(profile, graph)
    if inputs is None:
        refuse_without_inputs(asked, labels)
        return analyze_overflow(graph, arithmetic, provenance(program, "every input of the grid"), asked.widths)
    arrays = _by_name(graph, inputs)
    given = None if labels is None else checked_labels(labels, sample_count(graph, arrays) * labels_per_sample(graph))
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
    about = provenance(program, source or _samples(result.samples))
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
        HardwareError: a structure that cannot be. InputError: as `run`.
    """
    from accel_sim.analysis.overflow.counts import count_structures

    config = resolve_hardware(hardware)
    wanted = [resolve_structure(spec, config.grid.rows) for spec in structures]
    if not wanted:
        raise InputError("structures", [Fault("structures", "none", "there is at least one to count on")])
    program, arrays = compile(graph, config, profile), _by_name(graph, inputs)
    total = sample_count(graph, arrays)
    if not total:
        raise InputError("inputs", [Fault("samples", "0", "there is at least one sample to count on")])
    about = provenance(program, source or _samples(total))
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

    program, arithmetic, calibrated, count = compile(graph, hardware, profile), resolve_profile(profile, graph), None, 0
    if inputs is not None:
        arrays = _by_name(graph, inputs)
        calibrated = observed_intervals(graph, program, arrays, threads=threads, progress=progress)
        count = sample_count(graph, arrays)
    about = provenance(program, source or (_samples(count) if count else "every input"))
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
        InputError: a file that cannot be read, or that holds no JSON object.
    """
    from accel_sim.analysis.overflow.certificates import Certificate, check_certificate, read_certificate
    from accel_sim.report.json_form import document, plain

    if isinstance(certificates, Certificate):
        return check_certificate(graph, plain(document(certificates)))
    if isinstance(certificates, str | os.PathLike):
        return check_certificate(graph, read_certificate(certificates))
    return check_certificate(graph, certificates)


def inspect(
    source: str | os.PathLike[str] | bytes, hardware: Hardware = DEFAULT_HARDWARE, profile: str | Profile | None = None
) -> "Inspection":
    """A model file operator by operator: shapes, grids, what each runs on, and everything unsupported.

    Args:
        source: as for `load`.
        hardware: as for `compile`.
        profile: as for `compile`.

    Raises:
        ModelError: a file that cannot be read at all. A readable one that cannot run is listed with its faults.
    """
    from accel_sim.report.inspection import inspect_model

    return inspect_model(source if isinstance(source, bytes) else Path(source), hardware, profile)


def timeline(program: Program) -> "Timeline":
    """A program in time, tile by tile; its `write` makes a trace for ui.perfetto.dev.

    Time does not depend on data, so no run is needed: the cycles are those of every run.

    Args:
        program: from `compile`.
    """
    from accel_sim.report.timeline import make_timeline

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
    topology = load_topology(Path(path))
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

    arrays = inputs if isinstance(inputs, Mapping) else {program.inputs[0].name: inputs}
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
        InputError: no such layer or tile, wrong inputs, or a tile too large to be written.
    """
    from accel_sim.report.waveform import make_waveform

    arrays = inputs if isinstance(inputs, Mapping) else {program.inputs[0].name: inputs}
    return make_waveform(program, arrays, layer, tile, cycles)


def provenance(program: Program, inputs: str) -> Provenance:
    """What the figures of a program's run depend on; `inputs` says where the data came from."""
    return Provenance(program.name, program.model_sha256, program.profile, program.hardware, inputs)


def _by_name(graph: Graph, inputs: Array | Mapping[str, Array]) -> Mapping[str, Array]:
    return inputs if isinstance(inputs, Mapping) else {graph.inputs[0]: inputs}


def _batch_size(graph: Graph) -> int:
    """Samples whose activations fit the memory that a comparison may hold."""
    elements = sum(tensor.size for tensor in graph.activations())
    return max(1, _BATCH_BYTES // (8 * max(elements, 1)))


def _samples(count: int) -> str:
    return f"{count:,} samples" if count != 1 else "1 sample"
