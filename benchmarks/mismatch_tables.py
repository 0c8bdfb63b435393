"""Real networks, integer against fake-quant under each profile: how much differs, and why. Prints Markdown tables.

    PYTHONPATH=.:kernels python benchmarks/mismatch_tables.py [resnet20] [mobilenetv2] [--samples N] [--profiles A,B]

Needs the folder of test data (ACCEL_SIM_DATA, default ../shared/data beside the repository). ResNet-20 is the QDQ file
of ONNX Runtime's quantizer; MobileNetV2 is quantized here by the recipe `fast` on four pictures.
"""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import accel_sim
from accel_sim import Graph, MismatchReport

DATA = Path(os.environ.get("ACCEL_SIM_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
COLUMNS = (
    "profile",
    "codes",
    "layers' own differences",
    "why",
    "differing freely",
    "of the output's codes",
    "top-1 agreement",
    "double rounding: 2^-(r+1), measured",
    "unexplained",
)
Images = NDArray[np.float32]


def resnet20(samples: int) -> tuple[Graph, Images]:
    """ResNet-20 on CIFAR-10."""
    images = np.load(DATA / "inputs" / "cifar10_jpeg200.npz")["images"][:samples]
    mean, deviation = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    real = (images.astype(np.float32) / 255 - mean) / deviation
    graph = accel_sim.load(DATA / "onnx" / "cifar_resnet20_qdq_u8s8_pertensor.onnx")
    return graph, np.asarray(real, np.float32).transpose(0, 3, 1, 2)


def mobilenetv2(samples: int) -> tuple[Graph, Images]:
    """MobileNetV2 at 224 x 224."""
    network = accel_sim.load(DATA / "onnx" / "mobilenetv2_tfslim_fp32.onnx")
    calibration = _pictures("imagenet_calib64_224.npz", 4)
    return accel_sim.quantize(network, calibration, "fast"), _pictures("imagenet_eval100_224.npz", samples)


def _pictures(name: str, count: int) -> Images:
    images = np.load(DATA / "inputs" / name)["images"][:count]
    return (images.astype(np.float32) / 127.5 - 1).transpose(0, 3, 1, 2)


def row(profile: str, report: MismatchReport) -> list[str]:
    """One line of the table."""
    own = [layer.own for layer in report.layers if layer.own]
    elements, output = sum(o.elements for o in own), report.outputs[0]
    alone = sum(o.differing for o in own)
    why = ", ".join(f"{item.label} {item.count:,}" for item in report.own_causes)
    twice = [((r.predicted, r.measured), o.elements) for o in own if (r := o.double_rounding)]
    weight = sum(n for _, n in twice)
    rates = [sum(pair[i] * n for pair, n in twice) / weight for i in (0, 1)] if weight else []
    return [
        f"`{profile}`",
        f"{elements:,}",
        f"{alone:,} ({100 * alone / elements:.2g} %)",
        why or "-",
        f"{100 * report.differing / elements:.2g} %",
        f"{100 * output.share:.2g} %",
        "" if output.top1_agreement is None else f"{100 * output.top1_agreement:.0f} %",
        ", ".join(f"{100 * rate:.3f} %" for rate in rates) or "-",
        f"{report.unexplained}",
    ]


def main() -> None:
    """Print one table per network."""
    networks: dict[str, Callable[[int], tuple[Graph, Images]]] = {"resnet20": resnet20, "mobilenetv2": mobilenetv2}
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="*", default=list(networks))
    parser.add_argument("--samples", type=int, default=2)
    parser.add_argument("--profiles", default="tflite,onnxruntime,tosa,paper")
    options = parser.parse_args()
    for name in options.networks:
        graph, images = networks[name](options.samples)
        print(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}", flush=True)
        for profile in options.profiles.split(","):
            print(f"| {' | '.join(row(profile, accel_sim.compare(graph, images, profile=profile)))} |", flush=True)


if __name__ == "__main__":
    main()
