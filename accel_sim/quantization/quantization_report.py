"""What quantization did: the steps in their order, and the error that each layer has after each of them."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from accel_sim.ir import Graph, Node
from accel_sim.quantization.calibration import Sample
from accel_sim.quantization.float_runner import FloatRunner
from accel_sim.quantization.observation import groups, stacked
from accel_sim.records import dataclass


@dataclass(frozen=True)
class Step:
    """One step of the pipeline.

    Attributes:
        name: of the method.
        summary: what it did, in one line.
        notes: what it could not do and why, a line each.
    """

    name: str
    summary: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class LayerQuality:
    """One layer with weights.

    Attributes:
        node: its name.
        operator: its kind.
        weights: width and granularity of its weights.
        signal_to_noise_db: of its result after each of `QuantizationReport.stages`, against the float network, in dB;
            inf where nothing differs, nan where the result is all zeros.
        gain: squared error of AdaRound's rounding over that of rounding to nearest; 1 without AdaRound.
        unsettled: share of the roundings that AdaRound had not decided at the end.
    """

    node: str
    operator: str
    weights: str
    signal_to_noise_db: tuple[float, ...]
    gain: float
    unsettled: float


@dataclass(frozen=True)
class QuantizationReport:
    """What `quantize` did.

    Attributes:
        recipe: its name.
        steps: in the order in which they were done.
        stages: what `signal_to_noise_db` was measured after; empty without calibration data.
        samples: calibration samples that it was measured on.
        layers: in the network's order.
        model: the network's name.
    """

    recipe: str
    steps: tuple[Step, ...]
    stages: tuple[str, ...]
    samples: int
    layers: tuple[LayerQuality, ...]
    model: str = ""


@dataclass(frozen=True, eq=False)
class Quantized:
    """The result of `quantize_with_report`.

    Attributes:
        graph: the integer graph.
        report: what was done.
        reference: the float graph that the integer graph approximates node by node: canonical, equalized, absorbed.
        adjusted: the float graph with the weights that the codes stand for and with corrected biases: encodings of
            `graph` and this one together say all of it.
    """

    graph: Graph
    report: QuantizationReport
    reference: Graph
    adjusted: Graph


def signal_to_noise(
    reference: FloatRunner, candidate: FloatRunner, samples: Iterable[Sample], nodes: Sequence[Node]
) -> dict[str, float]:
    """10 log10(sum y^2 / sum (y^ - y)^2) of the nodes' results over samples, by node, in dB."""
    wanted = {node.outputs[0]: node.name for node in nodes}
    signal, noise = dict.fromkeys(wanted, 0.0), dict.fromkeys(wanted, 0.0)
    for group in groups(samples, reference.samples_at_once):
        batch = stacked(group)
        pairs = zip(reference.tensors(batch), candidate.tensors(batch), strict=True)
        for (name, exact), (_, approximate) in pairs:
            if name in wanted:
                signal[name] += float(np.square(exact, dtype=np.float64).sum())
                noise[name] += float(np.square(np.subtract(approximate, exact, dtype=np.float64)).sum())
    return {wanted[name]: _decibels(signal[name], noise[name]) for name in wanted}


def _decibels(signal: float, noise: float) -> float:
    if not signal:
        return math.nan
    return math.inf if not noise else 10.0 * math.log10(signal / noise)


def grid_text(graph: Graph, node: Node) -> str:
    """Width and granularity of the weights of an integer node."""
    grid = graph.operand(node, 1).quant
    if grid is None:
        return ""
    return f"{grid.bits} bits per {'channel' if grid.is_per_channel else 'tensor'}"


def median_decibels(values: Mapping[str, float]) -> float:
    """The median of what is a number, nan where nothing is."""
    finite = [v for v in values.values() if not math.isnan(v)]
    return float(np.median(finite)) if finite else math.nan
