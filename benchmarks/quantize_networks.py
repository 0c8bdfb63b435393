"""Accuracy of real networks after post-training quantization, all on the simulated integer hardware.

    PYTHONPATH=.:kernels python benchmarks/quantize_networks.py [NETWORK ...] [--only TEXT] [--threads N] [--seed N]

Needs the folder of test data (ACCEL_SIM_DATA, default ../shared/data beside the repository); the digits need nothing.
Prints one line per network and recipe: top-1 on the machine (profile `paper`), the float network's, seconds.
--seed: other pictures than the usual ones calibrate, and on ImageNet judge.
"""

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import accel_sim
from accel_sim import demo_data
from accel_sim.errors import AccelSimError
from accel_sim.ir import Activation, Conv2D, ElementType, Graph, Tensor
from accel_sim.quantization import get_recipe, quantize_with_report
from accel_sim.quantization.float_runner import FloatRunner

DATA = Path(os.environ.get("ACCEL_SIM_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
Images = NDArray[np.float32]


@dataclass(frozen=True)
class Task:
    """A float network, pictures that calibrate it, and labelled ones that judge it."""

    graph: Graph
    calibration: Images
    images: Images
    labels: NDArray[np.int64]


def digits() -> Task:
    """The bundled network."""
    images, labels = demo_data.heldout()
    return Task(accel_sim.load(demo_data.network_path()), demo_data.calibration(), images, labels)


def resnet20() -> Task:
    """ResNet-20 with its batch norms; the first 64 of its 200 pictures calibrate it, as there are no others."""
    arrays = np.load(DATA / "inputs" / "cifar10_jpeg200.npz")
    images = normalized(arrays["images"], (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    return Task(accel_sim.load(DATA / "onnx" / "cifar_resnet20_bn_fp32.onnx"), images[:64], images, arrays["labels"])


def mobilenetv2() -> Task:
    """MobileNetV2, batch norms folded, with ReLU6; its class index is the label plus one."""
    model = accel_sim.load(DATA / "onnx" / "mobilenetv2_tfslim_fp32.onnx")
    calibration, images, labels = imagenet((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    return Task(model, calibration, images, labels + 1)


def squeezenet() -> Task:
    """SqueezeNet 1.1; its file is quantized, so the float network is the one that its codes stand for."""
    model = as_float(accel_sim.load(DATA / "onnx" / "squeezenet1.1_qop_u8u8_pertensor.onnx"))
    return Task(model, *imagenet((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


def imagenet(mean: tuple[float, ...], deviation: tuple[float, ...]) -> tuple[Images, Images, NDArray[np.int64]]:
    """64 pictures to calibrate, 100 others and their labels."""
    judged = np.load(DATA / "inputs" / "imagenet_eval100_224.npz")
    calibration = np.load(DATA / "inputs" / "imagenet_calib64_224.npz")["images"]
    return normalized(calibration, mean, deviation), normalized(judged["images"], mean, deviation), judged["labels"]


def normalized(images: NDArray[np.uint8], mean: tuple[float, ...], deviation: tuple[float, ...]) -> Images:
    """NCHW, channels with mean 0 and deviation 1."""
    return ((images / 255 - np.array(mean)) / np.array(deviation)).astype(np.float32).transpose(0, 3, 1, 2)


def as_float(graph: Graph) -> Graph:
    """The float network that an integer one stands for; what a grid clips at 0 becomes a ReLU."""
    tensors = {n: _float_tensor(t) for n, t in graph.tensors.items()}
    nodes = []
    for node in graph.nodes:
        grid = graph.result(node).quant
        clips = isinstance(node.op, Conv2D) and grid is not None and grid.zero_point[0] == grid.low
        nodes.append(replace(node, op=replace(node.op, activation=Activation(0.0))) if clips else node)
    return replace(graph, nodes=tuple(nodes), tensors=tensors)


def _float_tensor(tensor: Tensor) -> Tensor:
    grid = tensor.quant
    if grid is None:
        return tensor
    data = None
    if tensor.is_constant:
        scale, zero = grid.broadcast(len(tensor.shape))
        data = (scale * (tensor.constant.astype(np.int64) - zero)).astype(np.float32)
    return replace(tensor, element=ElementType.FLOAT32, quant=None, data=data)


NETWORKS: dict[str, Callable[[], Task]] = {
    "digits": digits,
    "resnet20": resnet20,
    "squeezenet": squeezenet,
    "mobilenetv2": mobilenetv2,
}


def split(network: str, seed: int) -> Task:
    """The task with the pictures of a seed; seed 0 has the usual ones.

    ImageNet: any 64 of the 164 labelled pictures calibrate and the other 100 judge. CIFAR-10 and the digits: any 64 of
    200, any 96 of 128, calibrate; all 200, and the held-out 360, judge.
    """
    first = NETWORKS[network]()
    if not seed:
        return first
    generator = np.random.default_rng(seed)
    if network not in ("mobilenetv2", "squeezenet"):
        pool = first.images if network == "resnet20" else first.calibration
        return replace(first, calibration=pool[generator.permutation(len(pool))[: 64 if network == "resnet20" else 96]])
    ids = np.load(DATA / "inputs" / "imagenet_calib64_224.npz")["class_ids"] + (network == "mobilenetv2")
    images, labels = np.concatenate([first.calibration, first.images]), np.concatenate([ids, first.labels])
    order = generator.permutation(len(images))
    return replace(first, calibration=images[order[:64]], images=images[order[64:]], labels=labels[order[64:]])


PER_TENSOR = ("weights.per_channel=false",)
NEVER = ("equalization.when=never",)
NEAREST = ("bias.correction=none",)
W4 = ("weights.bits=4",)
MINMAX = ("weights.range=minmax",)
RUNS: dict[str, tuple[str, tuple[str, ...]]] = {
    "W8A8 per tensor, plain": ("fast", (*PER_TENSOR, *NEVER, *NEAREST)),
    "W8A8 per tensor, bias correction": ("fast", (*PER_TENSOR, *NEVER)),
    "W8A8 per tensor, CLE": ("fast", (*PER_TENSOR, *NEAREST)),
    "W8A8 per tensor, CLE + bias correction": ("fast", PER_TENSOR),
    "W8A8 per tensor, CLE + AdaRound": ("standard", PER_TENSOR),
    "W8A8 per channel, plain": ("fast", NEAREST),
    "W8A8 per channel, bias correction": ("fast", ()),
    "W8A8 per channel, data-free": ("data-free", ()),
    "W8A8 per channel, standard": ("standard", ()),
    "W4A8 per channel, nearest": ("fast", (*W4, *NEAREST)),
    "W4A8 per channel, AdaRound": ("standard", W4),
    "W4A8 per tensor, CLE, nearest": ("fast", (*W4, *PER_TENSOR, *NEAREST)),
    "W4A8 per tensor, CLE + AdaRound": ("standard", (*W4, *PER_TENSOR)),
    "W4A8 per tensor, CLE, min-max, nearest": ("fast", (*W4, *PER_TENSOR, *MINMAX, *NEAREST)),
    "W4A8 per tensor, CLE, min-max, AdaRound": ("standard", (*W4, *PER_TENSOR, *MINMAX)),
}
"""Recipe and overrides by what the white paper calls it (tables 3, 4 and 6).

Nearest and AdaRound of a pair of rows have the same grids of weights: of least squared error (eq 16), in the last two
rows of minimum and maximum."""


def accuracy(graph: Graph, task: Task, threads: int) -> int:
    """Pictures whose largest result on the machine is at their label."""
    program = accel_sim.compile(graph, profile="paper")
    result = accel_sim.run(program, {graph.inputs[0]: task.images}, level="functional", threads=threads)
    return correct(result.outputs[graph.outputs[0]], task.labels)


def float_accuracy(task: Task) -> int:
    """The same of the float network."""
    graph = task.graph
    stored = graph.tensors[graph.inputs[0]].from_file_layout(task.images)
    runner = FloatRunner(graph)
    parts = []
    for start in range(0, len(stored), runner.samples_at_once):
        made = dict(runner.tensors({graph.inputs[0]: stored[start : start + runner.samples_at_once]}))
        parts.append(made[graph.outputs[0]])
    return correct(np.concatenate(parts), task.labels)


def correct(scores: NDArray[np.generic], labels: NDArray[np.int64]) -> int:
    """How many rows have their largest score at their label."""
    return int((scores.reshape(len(labels), -1).argmax(axis=1) == labels).sum())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=", ".join(NETWORKS))
    parser.add_argument("--only", default="", metavar="TEXT", help="rows whose name contains it")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if unknown := set(options.networks) - NETWORKS.keys():
        parser.error(f"no such network: {', '.join(sorted(unknown))}")
    for name in options.networks or NETWORKS:
        task = split(name, options.seed)
        count = len(task.labels)
        print(f"{name:12} {'float':42} {float_accuracy(task):4} of {count}", flush=True)
        for label, (recipe, overrides) in RUNS.items():
            if options.only in label:
                print(f"{name:12} {label:42} {_line(task, recipe, overrides, options.threads)}", flush=True)


def _line(task: Task, recipe: str, overrides: tuple[str, ...], threads: int) -> str:
    start = time.perf_counter()
    try:
        made = quantize_with_report(task.graph, task.calibration, get_recipe(recipe, overrides))
    except AccelSimError as error:  # data-free methods where batch norms are folded
        return str(error).splitlines()[0]
    seconds = time.perf_counter() - start
    unsettled = max(layer.unsettled for layer in made.report.layers)
    right = accuracy(made.graph, task, threads)
    return f"{right:4} of {len(task.labels)}   {seconds:6.1f} s   unsettled {unsettled:.2%}"


if __name__ == "__main__":
    main()
