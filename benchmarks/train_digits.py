"""Train the bundled network on the UCI handwritten digits and write accel_sim/demo_data.

    pip install -e '.[train,oracles]' torch==2.13.0
    python benchmarks/train_digits.py

The ONNX graph is the only description of the network: it is built first, with random weights;
PyTorch then interprets its nodes and trains its initializers; and the same graph is saved with the
trained values. One thread and fixed seeds: the same PyTorch on the same kind of CPU writes the same
bytes. The held-out digits are used once, to state the accuracy, after the last training step.
"""

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from accel_sim import demo_data

SEED = 2021
HELDOUT_PER_DIGIT = 36
CALIBRATION_SIZE = 128
EPOCHS = 60
BATCH_SIZE = 32
PEAK_LEARNING_RATE = 1e-2
WEIGHT_DECAY = 1e-3
LABEL_SMOOTHING = 0.1
BATCHNORM_EPSILON = 1e-5
OPSET = 17
IR_VERSION = 8
ATTRIBUTION = (
    "Trained on: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine "
    "Learning Repository, 1998, https://doi.org/10.24432/C50P49, licensed CC BY 4.0; the 1797 "
    "digits that scikit-learn carries (sklearn.datasets.load_digits)."
)

Parameters = dict[str, NDArray[np.float32]]


# ---------------------------------------------------------------------------------- the digits


@dataclass(frozen=True)
class Split:
    """The 1797 digits, parted once: pixels uint8 [N, 8, 8] in 0..16, labels uint8 [N] in 0..9."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    heldout_images: NDArray[np.uint8]
    heldout_labels: NDArray[np.uint8]

    @property
    def calibration(self) -> NDArray[np.uint8]:
        """Training digits that stand in for real input when ranges are estimated."""
        chosen = np.random.default_rng(SEED).permutation(len(self.train_images))
        return self.train_images[np.sort(chosen[:CALIBRATION_SIZE])]


def split_digits() -> Split:
    """Hold out 36 examples of each digit, drawn with a fixed seed; the other 1437 may be learnt."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images, labels = digits.images.astype(np.uint8), digits.target.astype(np.uint8)
    random = np.random.default_rng(SEED)
    heldout = np.zeros(len(labels), dtype=np.bool_)
    for digit in range(10):
        heldout[random.choice(np.flatnonzero(labels == digit), HELDOUT_PER_DIGIT, False)] = True
    return Split(images[~heldout], labels[~heldout], images[heldout], labels[heldout])


def write_digits(split: Split, path: Path) -> None:
    """Write what the package bundles: calibration digits, held-out digits, attribution."""
    np.savez_compressed(
        path,
        calibration=split.calibration,
        images=split.heldout_images,
        labels=split.heldout_labels,
        attribution=np.array(ATTRIBUTION),
    )


# --------------------------------------------------------------------------------- the network


@dataclass
class GraphWriter:
    """Collects nodes and initializers; each method adds one layer and returns its output's name."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    parameters: Parameters = field(default_factory=dict)
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(SEED))

    def add(self, op: str, name: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Append one node; its output is called `<name>_out` unless told otherwise."""
        output = output or f"{name}_out"
        self.nodes.append(helper.make_node(op, inputs, [output], name=name, **attributes))
        return output

    def parameter(self, name: str, value: NDArray[Any] | float) -> str:
        """Give an initializer its first value."""
        self.parameters[name] = np.asarray(value, dtype=np.float32)
        return name

    def he_normal(self, name: str, *shape: int) -> str:
        """Weights [out, in, ...] whose outputs keep the variance of their inputs behind a ReLU."""
        deviation = math.sqrt(2 / math.prod(shape[1:]))
        return self.parameter(name, self.random.normal(0, deviation, shape))

    def conv_batchnorm(
        self, name: str, x: str, inputs: int, outputs: int, kernel: int, stride: int = 1, group: int = 1
    ) -> str:
        """A convolution that pads to keep ceil(size / stride), and its batch normalization."""
        weight = self.he_normal(f"{name}_weight", outputs, inputs // group, kernel, kernel)
        x = self.add(
            "Conv",
            f"{name}_conv",
            x,
            weight,
            kernel_shape=[kernel] * 2,
            strides=[stride] * 2,
            pads=[kernel // 2] * 4,
            group=group,
        )
        statistics = {"gamma": 1.0, "beta": 0.0, "mean": 0.0, "variance": 1.0}
        names = [self.parameter(f"{name}_{k}", np.full(outputs, v)) for k, v in statistics.items()]
        return self.add("BatchNormalization", f"{name}_bn", x, *names, epsilon=BATCHNORM_EPSILON)

    def relu(self, name: str, x: str) -> str:
        """max(x, 0)."""
        return self.add("Relu", f"{name}_relu", x)

    def relu6(self, name: str, x: str) -> str:
        """min(max(x, 0), 6), which ONNX writes as a Clip."""
        low, high = self.parameter("relu6_low", 0.0), self.parameter("relu6_high", 6.0)
        return self.add("Clip", f"{name}_relu6", x, low, high)


def build_graph() -> GraphWriter:
    """The network: input `image` [N, 1, 8, 8], output `logits` [N, 10]."""
    g = GraphWriter()
    two: dict[str, Any] = {"kernel_shape": [2, 2], "strides": [2, 2]}
    stem = g.relu("stem", g.conv_batchnorm("stem", "image", 1, 16, kernel=3))

    x = g.conv_batchnorm("depthwise", stem, 16, 16, kernel=3, group=16)
    x = g.conv_batchnorm("pointwise", g.relu6("depthwise", x), 16, 16, kernel=1)
    block = g.relu("residual", g.add("Add", "residual", stem, x))

    strided = g.relu("strided", g.conv_batchnorm("strided", block, 16, 32, kernel=3, stride=2))
    pooled = g.add("MaxPool", "max_pool", block, **two)
    x = g.add("Concat", "concat", strided, pooled, axis=1)

    x = g.relu6("mix", g.conv_batchnorm("mix", x, 48, 32, kernel=1))
    x = g.add("Flatten", "flatten", g.add("AveragePool", "average_pool", x, **two), axis=1)
    weight, bias = g.he_normal("head_weight", 10, 128), g.parameter("head_bias", np.zeros(10))
    g.add("Gemm", "head", x, weight, bias, transB=1, output="logits")
    return g


def to_model(graph: GraphWriter) -> onnx.ModelProto:
    """Wrap the nodes and the present parameter values into a checked ONNX model."""
    proto = helper.make_graph(
        graph.nodes,
        "digits_cnn",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(value, name) for name, value in graph.parameters.items()],
    )
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(proto, opset_imports=[opset], producer_name="accel_sim train_digits")
    model.ir_version = IR_VERSION
    model.doc_string = f"Reads one handwritten digit: image = pixels / 16, NCHW. {ATTRIBUTION}"
    helper.set_model_props(model, {"attribution": ATTRIBUTION, "dataset_license": "CC-BY-4.0"})
    onnx.checker.check_model(model, full_check=True)
    return model


# -------------------------------------------------------------------------------- the training


def torch_operators(*, training: bool) -> dict[str, Callable[..., Any]]:
    """What each ONNX operator of the graph means in PyTorch; batch norm learns when training."""
    import torch
    from torch.nn import functional

    def batchnorm(x: Any, gamma: Any, beta: Any, mean: Any, variance: Any, epsilon: float) -> Any:
        return functional.batch_norm(x, mean, variance, gamma, beta, training, momentum=0.1, eps=epsilon)

    return {
        "Conv": lambda x, w, strides, pads, group, kernel_shape: functional.conv2d(
            x, w, None, strides, pads[:2], 1, group
        ),
        "BatchNormalization": batchnorm,
        "Relu": torch.relu,
        "Clip": torch.clamp,
        "Add": torch.add,
        "Concat": lambda *x, axis: torch.cat(x, dim=axis),
        "MaxPool": lambda x, kernel_shape, strides: functional.max_pool2d(x, kernel_shape, strides),
        "AveragePool": lambda x, kernel_shape, strides: functional.avg_pool2d(x, kernel_shape, strides),
        "Flatten": lambda x, axis: torch.flatten(x, axis),
        "Gemm": lambda x, w, b, transB: functional.linear(x, w, b),  # noqa: N803  (ONNX's name)
    }


def forward(graph: GraphWriter, values: dict[str, Any], image: Any, *, training: bool) -> Any:
    """Interpret the graph's nodes on tensors; `values` maps parameter names to tensors."""
    operators = torch_operators(training=training)
    tensors = {**values, "image": image}
    for node in graph.nodes:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        inputs = [tensors[name] for name in node.input]
        tensors[node.output[0]] = operators[node.op_type](*inputs, **attributes)
    return tensors["logits"]


def shifted(images: Any) -> Any:
    """Move each digit by -1, 0 or 1 pixel along each axis, as scanning might have."""
    import torch
    from torch.nn import functional

    padded, (dy, dx) = functional.pad(images, (1, 1, 1, 1)), torch.randint(0, 3, (2, len(images)))
    rows = (torch.arange(8) + dy[:, None])[:, None, :, None]
    columns = (torch.arange(8) + dx[:, None])[:, None, None, :]
    sample = torch.arange(len(images))[:, None, None, None]
    return padded[sample, torch.zeros_like(sample), rows, columns]


def train(graph: GraphWriter, images: NDArray[np.float32], labels: NDArray[np.uint8]) -> Parameters:
    """Learn the parameters of `graph` from images [N, 1, 8, 8]; returns them, trained."""
    import torch
    from torch.nn import functional

    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    values = {name: torch.tensor(value) for name, value in graph.parameters.items()}
    learnt = [
        value.requires_grad_()
        for name, value in values.items()
        if name.endswith(("_weight", "_bias", "_gamma", "_beta"))
    ]
    optimizer = torch.optim.AdamW(learnt, weight_decay=WEIGHT_DECAY)
    x, y = torch.tensor(images), torch.tensor(labels, dtype=torch.int64)
    steps = EPOCHS * (len(x) // BATCH_SIZE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_LEARNING_RATE, total_steps=steps)
    for _, batch in zip(range(steps), batches(len(x)), strict=False):
        logits = forward(graph, values, shifted(x[batch]), training=True)
        loss = functional.cross_entropy(logits, y[batch], label_smoothing=LABEL_SMOOTHING)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return {name: value.detach().numpy() for name, value in values.items()}


def batches(count: int) -> Iterator[Any]:
    """Whole batches of sample indices, in a new random order each epoch, for ever."""
    import torch

    while True:
        yield from torch.randperm(count)[: count // BATCH_SIZE * BATCH_SIZE].view(-1, BATCH_SIZE)


# ------------------------------------------------------------------------------------ the proof


def accuracy(model: bytes, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> float:
    """The share of digits that ONNX Runtime, running the file as written, reads correctly."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"image": demo_data.preprocess(images)})
    return float((logits.argmax(axis=1) == labels).mean())


def main() -> None:
    """Train, write both files, and say how well the written network reads."""
    parser = argparse.ArgumentParser(description="Train the bundled digits network.")
    parser.add_argument("--output", type=Path, default=Path(demo_data.__file__).parent, help="directory of both files")
    output: Path = parser.parse_args().output

    split, graph = split_digits(), build_graph()
    graph.parameters = train(graph, demo_data.preprocess(split.train_images), split.train_labels)
    model = to_model(graph).SerializeToString(deterministic=True)
    (output / demo_data.NETWORK).write_bytes(model)
    write_digits(split, output / demo_data.DIGITS)

    trained = accuracy(model, split.train_images, split.train_labels)
    heldout = accuracy(model, split.heldout_images, split.heldout_labels)
    print(f"{len(model)} bytes; training digits {trained:.2%}, held-out {heldout:.2%}")


if __name__ == "__main__":
    main()
