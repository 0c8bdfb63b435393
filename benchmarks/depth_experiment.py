"""Off-by-N against depth: how far two devices drift apart as layers follow each other.

Networks of 1 to 29 layers, each a 3x3 convolution, batch normalization and ReLU6, quantized to 8 bits by the built-in
pipeline. The white paper's arithmetic (`paper`) against TFLite's and ONNX Runtime's, on the same integers: what an
accuracy simulation does not see. Weights and images are seeded: every run prints the same table.

    python benchmarks/depth_experiment.py [--depths 1,3,7,9,13,19,29] [--samples 4]
"""

import argparse
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import accel_sim
from accel_sim.analysis.mismatch.profiles import ProfilePair
from accel_sim.analysis.mismatch.report import TensorMismatch
from accel_sim.ir import RELU6, BatchNorm, Clip, Conv2D, ElementType, Graph, Node, Operator, Padding2D, Tensor
from accel_sim.reference.geometry import convolve

DEPTHS = (1, 3, 7, 9, 13, 19, 29)
PROFILES = ("paper", "tflite", "onnxruntime")
CHANNELS, EXTENT, CALIBRATION = 16, 16, 16
SAME = Padding2D(1, 1, 1, 1)
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Row:
    """One depth, `paper` against one profile.

    Attributes:
        codes: at the network's output. off_by: of these, those that differ by 1, by 2, and by 3 or more.
        normalized_error: mean squared difference over mean square.
        own, causes: what the layers add by themselves, over all layers, and why.
    """

    depth: int
    profile: str
    codes: int
    off_by: tuple[int, int, int]
    normalized_error: float
    own: int
    causes: str


def float_network(depth: int, images: Floats, seed: int = 0) -> Graph:
    """The float network; batch normalizations hold the statistics that the images have at their place.

    These are computed in float64: in float32 the order of additions, another on each kind of processor, would show.
    """
    generator = np.random.default_rng(seed)
    shape = (1, EXTENT, EXTENT, CHANNELS)
    tensors = {"x": Tensor("x", (*shape[:3], images.shape[3]), ElementType.FLOAT32)}
    nodes, source, values = [], "x", images
    for layer in range(depth):
        weights = _weights(generator, values.shape[3])
        sums = convolve(values.astype(np.float64), weights.astype(np.float64), (1, 1), (1, 1), SAME, 1)
        norm = _normalization(generator, sums)
        values = np.clip(_normalized(sums, norm), 0, 6)
        steps: list[tuple[str, Operator, list[Floats]]] = [
            ("conv", Conv2D(padding=SAME), [weights]),
            ("norm", BatchNorm(), norm),
            ("relu6", Clip(RELU6), []),
        ]
        for kind, op, constants in steps:
            name = f"{kind}{layer}"
            names = [f"{name}.{i}" for i in range(len(constants))]
            for constant, data in zip(names, constants, strict=True):
                tensors[constant] = Tensor(constant, data.shape, ElementType.FLOAT32, None, data)
            tensors[name] = Tensor(name, shape, ElementType.FLOAT32)
            nodes.append(Node(name, op, (source, *names), (name,)))
            source = name
    return Graph(f"depth_{depth}", tuple(nodes), tensors, ("x",), (source,))


def _weights(generator: np.random.Generator, inputs: int) -> Floats:
    return generator.normal(0, np.sqrt(2 / (9 * inputs)), (CHANNELS, 3, 3, inputs)).astype(np.float32)


def _normalization(generator: np.random.Generator, sums: Floats) -> list[Floats]:
    """gamma, beta, mean, variance."""
    gamma, beta = generator.uniform(0.7, 1.5, CHANNELS), generator.uniform(-0.3, 0.7, CHANNELS)
    parts = (gamma, beta, sums.mean(axis=(0, 1, 2)), sums.var(axis=(0, 1, 2)))
    return [np.asarray(part, np.float32) for part in parts]


def _normalized(sums: Floats, norm: list[Floats]) -> Floats:
    gamma, beta, mean, variance = norm
    return np.asarray(gamma * (sums - mean) / np.sqrt(variance + np.float32(1e-5)) + beta, np.float32)


def measure(depth: int, samples: int, seed: int = 0) -> list[Row]:
    """`paper` against the other profiles at one depth."""
    images = np.random.default_rng(seed + 1).normal(0, 1, (CALIBRATION, EXTENT, EXTENT, 3)).astype(np.float32)
    network = accel_sim.quantize(float_network(depth, images, seed), images, "fast")
    report = accel_sim.compare_profiles(network, images[:samples], PROFILES)
    assert not any(pair.unexplained for pair in report.pairs)
    return [_row(depth, pair) for pair in report.pairs if pair.left == PROFILES[0]]


def _row(depth: int, pair: ProfilePair) -> Row:
    output = pair.outputs[0]
    own = sum(item.count for item in pair.own_causes)
    causes = ", ".join(f"{item.label} {item.count:,}" for item in pair.own_causes) or "none"
    error = 10 ** (-output.sqnr_db / 10)
    return Row(depth, pair.right, output.elements, _off_by(output), error, own, causes)


def _off_by(output: TensorMismatch) -> tuple[int, int, int]:
    counts = [0, 0, 0]
    for difference, count in output.histogram:
        counts[min(abs(difference), 3) - 1] += count
    return counts[0], counts[1], counts[2]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--depths", default=",".join(map(str, DEPTHS)))
    parser.add_argument("--samples", type=int, default=4, choices=range(1, CALIBRATION + 1), metavar="1..16")
    options = parser.parse_args()
    columns = ("layers", "`paper` against", "codes", "off by 1", "by 2", "by 3 or more", "normalized error", "causes")
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    for depth in map(int, options.depths.split(",")):
        for row in measure(depth, options.samples):
            off = " | ".join(f"{n:,}" for n in row.off_by)
            error = f"{row.normalized_error:.1e}"
            print(f"| {row.depth} | `{row.profile}` | {row.codes:,} | {off} | {error} | {row.causes} |", flush=True)


if __name__ == "__main__":
    main()
