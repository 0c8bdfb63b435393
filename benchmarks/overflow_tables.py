"""Real networks on narrow accumulators: answers, events and proofs against width. Prints a Markdown table each.

    PYTHONPATH=.:kernels python benchmarks/overflow_tables.py [resnet20] [kws] [--samples N] [--accumulators A,B,...]

Needs the folder of test data (ACCEL_SIM_DATA, default ../shared/data beside the repository). ResNet-20 is the QDQ file
of ONNX Runtime's quantizer on pictures of CIFAR-10, kws the DS-CNN of MLPerf Tiny on spoken words.
"""

import argparse
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import accel_sim
from accel_sim import Graph, OverflowReport
from accel_sim.cli.overflow import parse_accumulators
from accel_sim.report.terminal.style import percent

DATA = Path(os.environ.get("ACCEL_SIM_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
COLUMNS = ("accumulator", "layers proved", "events", "persistent", "transient", "wrong output codes", "top-1")
Array = NDArray[np.generic]


def resnet20(samples: int) -> tuple[Graph, Array, Array]:
    """Graph, pictures, classes."""
    with np.load(DATA / "inputs" / "cifar10_jpeg200.npz") as file:
        images, labels = file["images"], file["labels"]
    chosen = np.arange(len(images))[:: max(1, len(images) // samples)][:samples]  # classes follow one another
    mean, deviation = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    real = np.asarray((images[chosen].astype(np.float32) / 255 - mean) / deviation, np.float32)
    graph = accel_sim.load(DATA / "onnx" / "cifar_resnet20_qdq_u8s8_pertensor.onnx")
    return graph, real.transpose(0, 3, 1, 2), labels[chosen]


def kws(samples: int) -> tuple[Graph, Array, Array]:
    """Graph, spectrograms, words."""
    graph = accel_sim.load(DATA / "tflite" / "kws_ref_model.tflite")
    with np.load(DATA / "inputs" / "kws_speech_commands500.npz") as file:
        return graph, file["features"][:samples], file["labels"][:samples]


NETWORKS = {"resnet20": resnet20, "kws": kws}


def table(report: OverflowReport) -> str:
    """The curve of a report as Markdown."""
    curve = report.curve
    assert curve is not None
    rows = [COLUMNS, ("---",) * len(COLUMNS)]
    for point in curve.points:
        counts = point.counts
        figures = [f"{n:,}" for n in (counts.events, counts.persistent, counts.transient)]
        proved = f"{counts.layers_proved} of {len(counts.layers)}"
        rows.append((f"`{point.structure.name}`", proved, *figures, percent(point.differing), percent(point.accuracy)))
    text = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    bits = f"Observed: {report.observed_bits} bits. Proved safe: {report.safe_bits} bits."
    return f"{text}\n\n{bits} With 32 bits that wrap: {percent(curve.accuracy)}.\n"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", choices=[*NETWORKS, []], default=[])
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--accumulators", default="14..20,x86-vpmaddubsw")
    options = parser.parse_args()
    wanted = parse_accumulators(tuple(options.accumulators.split(",")))
    for name in options.networks or NETWORKS:
        graph, inputs, labels = NETWORKS[name](options.samples)
        print(f"{name}, {len(inputs)} samples\n")
        print(table(accel_sim.overflow(graph, inputs, wanted, labels=labels)))


if __name__ == "__main__":
    main()
