"""The machine beside the simulation, and one arithmetic beside another."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from accel_sim.analysis.choices import Hardware, check_threads, resolve_hardware, resolve_profile
from accel_sim.analysis.samples import batches
from accel_sim.api.running import Array, Progress, by_name, sample_text
from accel_sim.arguments import check_list
from accel_sim.hardware import DEFAULT_HARDWARE
from accel_sim.ir import Graph
from accel_sim.numerics.profiles import Profile

if TYPE_CHECKING:
    from accel_sim.analysis.mismatch.profiles import ProfileReport
    from accel_sim.analysis.mismatch.report import MismatchReport

_BATCH_BYTES = 1 << 28  # of float64 activations that a comparison holds at once


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
) -> "MismatchReport":
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
    check_threads(threads)
    comparison = Comparison(graph, *chosen, simulation, explain=explain, labels=labels)
    arrays = by_name(graph, inputs)
    total = comparison.check(arrays)
    done = 0
    for batch in batches(graph, arrays, _batch_size(graph)):
        done += comparison.add(batch, threads=threads)
        if progress:
            progress(done, total)
    return comparison.report(source or sample_text(total), total)


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
        InputError: fewer than two different profiles, other accumulators, no samples. TypeError: no list of profiles.
    """
    from accel_sim.analysis.mismatch.profiles import ProfileComparison

    chosen = [resolve_profile(p, graph) for p in check_list("profiles", profiles, '["tflite", "onnxruntime"]')]
    config, arrays = resolve_hardware(hardware), by_name(graph, inputs)
    check_threads(threads)
    comparison = ProfileComparison(graph, config, chosen)
    total = comparison.check(arrays)
    done = 0
    for batch in batches(graph, arrays, _batch_size(graph)):
        done += comparison.add(batch, threads=threads)
        if progress:
            progress(done, total)
    return comparison.report(config, source or sample_text(total), total)


def _batch_size(graph: Graph) -> int:
    """Samples whose activations fit the memory that a comparison may hold."""
    elements = sum(tensor.size for tensor in graph.activations())
    return max(1, _BATCH_BYTES // (8 * max(elements, 1)))
