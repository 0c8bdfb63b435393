"""Random float networks, and what ONNX Runtime's own quantization tool makes of them.

    network = float_network(np.random.default_rng([seed, index]))
    data, options = quantized(network, np.random.default_rng([seed, index, 1]), directory)

Unlike `onnx_models`, nothing is laid out for the importer: the tool decides what is quantized, and on which grids.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

Array = NDArray[Any]
F = np.float32
OPSET = 15
SAMPLES = 3
TYPES = (
    (QuantType.QUInt8, QuantType.QInt8),
    (QuantType.QUInt8, QuantType.QUInt8),
    (QuantType.QInt8, QuantType.QInt8),
)
WIDE = (
    (QuantType.QInt16, QuantType.QInt8),
    (QuantType.QUInt16, QuantType.QUInt8),
    (QuantType.QUInt16, QuantType.QInt8),
)
"""ONNX Runtime computes these in float32; QOperator files have none."""


@dataclass(frozen=True)
class FloatNetwork:
    """A model of one input `x` and one output, and samples of its input."""

    model: onnx.ModelProto
    samples: tuple[Array, ...]
    note: str


class _Builder:
    """Values are images [1, C, H, W]; `current` is the last one, `values` are all."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.shape = (1, self.integer(1, 20), self.integer(6, 13), self.integer(6, 15))
        self.current = "x"
        self.values = [("x", self.shape)]
        self.note: list[str] = []

    def integer(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def pick(self, choices: Any) -> Any:
        return choices[self.integer(0, len(choices) - 1)]

    def constant(self, values: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def normal(self, shape: tuple[int, ...], deviation: float) -> str:
        return self.constant(self.rng.normal(0, deviation, shape).astype(F))

    def apply(self, op: str, inputs: list[str], shape: tuple[int, ...], **attributes: Any) -> None:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=f"n{len(self.nodes)}", **attributes))
        self.current, self.shape = name, shape
        self.values.append((name, shape))

    def step(self) -> None:
        kind = self.pick(list(_STEPS))
        before = len(self.nodes)
        _STEPS[kind](self)
        self.note += [kind] * (len(self.nodes) > before)

    def convolution(self) -> None:
        channels, height, width = self.shape[1:]
        kernel, stride, dilation = self.pick((1, 2, 3, 5)), self.pick((1, 1, 2)), self.pick((1, 1, 2))
        extent = (kernel - 1) * dilation + 1
        if extent > min(height, width):
            return
        groups = self.pick((1, 1, channels, 2 if channels % 2 == 0 else 1))
        filters = groups * self.integer(1, 12 if groups == 1 else 2)
        pads = [self.integer(0, extent // 2) for _ in range(4)]
        weights = self.rng.normal(0, 1, (filters, channels // groups, kernel, kernel)) / kernel
        inputs = [self.current, self.constant((weights * self.rng.uniform(0.2, 3, (filters, 1, 1, 1))).astype(F))]
        if self.rng.random() < 0.8:
            inputs.append(self.normal((filters,), 0.5))
        sizes = [(n + pads[i] + pads[i + 2] - extent) // stride + 1 for i, n in enumerate((height, width))]
        attributes = {"strides": [stride] * 2, "dilations": [dilation] * 2, "group": groups, "pads": pads}
        self.apply("Conv", inputs, (1, filters, *sizes), kernel_shape=[kernel] * 2, **attributes)

    def pool(self, op: str) -> None:
        channels, height, width = self.shape[1:]
        kernel, stride = self.pick((2, 3)), self.pick((1, 2, 3))
        pad = self.integer(0, 1) if kernel == 3 else 0
        if min(height, width) < kernel:
            return
        sizes = [(n + 2 * pad - kernel) // stride + 1 for n in (height, width)]
        counted = {"count_include_pad": self.integer(0, 1)} if op == "AveragePool" else {}
        window = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [pad] * 4}
        self.apply(op, [self.current], (1, channels, *sizes), **window, **counted)

    def unary(self, op: str, **attributes: Any) -> None:
        self.apply(op, [self.current], self.shape, **attributes)

    def clip(self) -> None:
        low, high = self.pick(((0, 6), (-0.5, 1.3)))
        self.apply("Clip", [self.current, self.constant(F(low)), self.constant(F(high))], self.shape)

    def binary(self, op: str) -> None:
        others = [name for name, shape in self.values if shape == self.shape]
        self.apply(op, [self.current, self.pick(others)], self.shape)

    def scaled(self, op: str) -> None:
        self.apply(op, [self.current, self.normal((1, self.shape[1], 1, 1), 1)], self.shape)

    def concat(self) -> None:
        name, shape = self.pick([v for v in self.values if v[1][2:] == self.shape[2:]])
        self.apply("Concat", [self.current, name], (1, self.shape[1] + shape[1], *self.shape[2:]), axis=1)

    def resize(self) -> None:
        if self.shape[2] > 16:
            return
        scales = self.pick(((2, 2), (2, 1.5)))
        sizes = [int(n * s) for n, s in zip(self.shape[2:], scales, strict=True)]
        mode, coordinates = self.pick(("nearest", "linear")), self.pick(("asymmetric", "half_pixel", "align_corners"))
        how = {"mode": mode, "coordinate_transformation_mode": coordinates, "nearest_mode": "floor"}
        inputs = [self.current, "", self.constant(np.array([1, 1, *scales], F))]
        self.apply("Resize", inputs, (*self.shape[:2], *sizes), **how)

    def pad(self) -> None:
        pads = self.constant(np.array([0, 0, 1, 0, 0, 0, 1, 2]))
        filling = [self.constant(F(self.rng.normal()))] if self.integer(0, 1) else []
        channels, height, width = self.shape[1:]
        self.apply("Pad", [self.current, pads, *filling], (1, channels, height + 2, width + 2))

    def transpose(self) -> None:
        self.apply("Transpose", [self.current], (*self.shape[:2], *self.shape[:1:-1]), perm=[0, 1, 3, 2])

    def slice(self) -> None:
        if self.shape[2] < 5:
            return
        bounds = [self.constant(np.array([v])) for v in (1, self.shape[2], 2)]
        self.apply("Slice", [self.current, *bounds], (*self.shape[:2], self.shape[2] - 1, self.shape[3]))

    def mean_gate(self) -> None:
        source, shape = self.current, self.shape
        self.apply("ReduceMean", [source], (*shape[:2], 1, 1), axes=[2, 3], keepdims=1)
        self.apply("Mul", [source, self.current], shape)

    def end(self) -> None:
        """The output: as it is, averaged, or behind a classifier."""
        kind = self.pick(("image", "average", "Gemm", "MatMul", "Softmax"))
        self.note.append(kind)
        if kind == "image":
            return
        channels = self.shape[1]
        self.apply("GlobalAveragePool", [self.current], (1, channels, 1, 1))
        if kind == "average":
            return
        self.apply("Flatten", [self.current], (1, channels))
        classes = self.integer(2, 10)
        inputs = [self.current, self.normal((channels, classes), 0.5)]
        if kind == "MatMul":
            self.apply("MatMul", inputs, (1, classes))
            return
        self.apply("Gemm", [*inputs, self.normal((classes,), 0.3)], (1, classes))
        if kind == "Softmax":
            self.apply("Softmax", [self.current], self.shape, axis=1)


_STEPS: dict[str, Callable[[_Builder], None]] = {
    "conv": _Builder.convolution,
    "conv again": _Builder.convolution,
    "max": lambda b: b.pool("MaxPool"),
    "average": lambda b: b.pool("AveragePool"),
    "relu": lambda b: b.unary("Relu"),
    "leaky": lambda b: b.unary("LeakyRelu", alpha=0.1),
    "sigmoid": lambda b: b.unary("Sigmoid"),
    "clip": _Builder.clip,
    "add": lambda b: b.binary("Add"),
    "mul": lambda b: b.binary("Mul"),
    "min": lambda b: b.binary("Min"),
    "add constant": lambda b: b.scaled("Add"),
    "mul constant": lambda b: b.scaled("Mul"),
    "concat": _Builder.concat,
    "resize": _Builder.resize,
    "pad": _Builder.pad,
    "transpose": _Builder.transpose,
    "slice": _Builder.slice,
    "mean gate": _Builder.mean_gate,
}


def float_network(rng: np.random.Generator) -> FloatNetwork:
    """A convolution, up to eight other steps, and an end."""
    builder = _Builder(rng)
    shape = builder.shape
    builder.convolution()
    for _ in range(builder.integer(1, 8)):
        builder.step()
    builder.end()
    if not builder.nodes:
        builder.unary("Relu")
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info(builder.current, TensorProto.FLOAT, builder.shape)
    graph = helper.make_graph(builder.nodes, "random", [x], [y], builder.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = 8
    samples = tuple(rng.normal(0, 1, shape).astype(F) for _ in range(SAMPLES))
    return FloatNetwork(model, samples, ", ".join(builder.note))


class _Samples(CalibrationDataReader):  # type: ignore[misc]  # the package has no types
    def __init__(self, samples: tuple[Array, ...], name: str = "x") -> None:
        self._left: Iterator[Array] = iter(samples)
        self._name = name

    def get_next(self) -> dict[str, Array] | None:
        sample = next(self._left, None)
        return None if sample is None else {self._name: sample}


def quantized(
    network: FloatNetwork, rng: np.random.Generator, directory: Path, *, wide: bool = False
) -> tuple[bytes, str]:
    """The tool's file, with random options, and these as text; `wide`: activations of 16 bits."""
    source, target = directory / "float.onnx", directory / "quantized.onnx"
    onnx.save(onnx.shape_inference.infer_shapes(network.model, strict_mode=True), source)
    types = WIDE if wide else TYPES
    activations, weights = types[int(rng.integers(len(types)))]
    form = QuantFormat.QDQ if wide else (QuantFormat.QDQ, QuantFormat.QOperator)[int(rng.integers(2))]
    per_channel, narrow = bool(rng.integers(2)), bool(rng.random() < 0.2)
    symmetric = {"ActivationSymmetric": bool(rng.random() < 0.3), "WeightSymmetric": bool(rng.random() < 0.8)}
    if form is QuantFormat.QDQ:
        symmetric["UseQDQContribOps"] = bool(rng.random() < 0.3)
    logging.disable(logging.WARNING)
    try:
        quantize_static(
            source,
            target,
            _Samples(network.samples),
            quant_format=form,
            activation_type=activations,
            weight_type=weights,
            per_channel=per_channel,
            reduce_range=narrow,
            extra_options=symmetric,
        )
    finally:
        logging.disable(logging.NOTSET)
    note = f"{form.name} {activations.name} x {weights.name}, per_channel={per_channel}, {narrow=}, {symmetric}"
    return target.read_bytes(), note


def quantized_file(source: Path, samples: Array, activations: str, directory: Path) -> bytes:
    """A float file as the tool quantizes it after its own preparation, with its default options but for activations."""
    prepared, target = directory / "prepared.onnx", directory / "quantized.onnx"
    quant_pre_process(source, prepared, skip_symbolic_shape=True)
    (name,) = (value.name for value in onnx.load(prepared).graph.input)
    logging.disable(logging.WARNING)
    try:
        reader = _Samples(tuple(samples[i : i + 1] for i in range(len(samples))), name)
        quantize_static(prepared, target, reader, activation_type=QuantType[activations])
    finally:
        logging.disable(logging.NOTSET)
    return target.read_bytes()
