"""Networks of well-known shapes with seeded random int8 weights: for measuring speed, not accuracy.

`codes` is the type of activations (of 16 bits: with accumulators of 64, as TFLite's 16x8 has them); `same` pads as
TFLite files can say it.
"""

from math import prod

import numpy as np
from numpy.typing import NDArray

from accel_sim import ir
from accel_sim.ir import ElementType, Graph, Node, QuantParams, Tensor

_CODE_DEVIATION = 40.0  # of weights and, about, of activations: outputs then fill their grid whatever the layer's depth


_ZERO_POINT = -3  # of int8 activations that may be negative


def weight_codes(
    rng: np.random.Generator, shape: tuple[int, ...], deviation: float = _CODE_DEVIATION
) -> NDArray[np.int8]:
    """Weights."""
    return rng.normal(0, deviation, shape).round().clip(-127, 127).astype(np.int8)


def activations(rng: np.random.Generator, shape: tuple[int, ...], codes: ElementType) -> NDArray[np.integer]:
    """Codes as they are behind a ReLU: half of them the lowest one."""
    lowest = int(np.iinfo(codes.dtype).min)
    return (rng.normal(0, _CODE_DEVIATION, shape).round().clip(0, 255) + lowest).astype(codes.dtype)


class _Builder:
    def __init__(
        self, name: str, image: int, seed: int, codes: ElementType, *, same: bool, deviation: float = _CODE_DEVIATION
    ) -> None:
        self._name, self._rng, self._codes, self._same = name, np.random.default_rng(seed), codes, same
        self._deviation = deviation
        self._tensors = {"x": Tensor("x", (1, image, image, 3), codes, self._grid(relu=False))}
        self._nodes: list[Node] = []

    def _grid(self, *, relu: bool) -> QuantParams:
        """After a ReLU the zero point is the lowest code, as quantizers choose it."""
        if self._codes is ElementType.INT16:
            return QuantParams.per_tensor(0.05 / 256, 0, bits=16)
        lowest = 0 if self._codes is ElementType.UINT8 else -128
        zero_point = lowest if relu else lowest + 128 + _ZERO_POINT
        return QuantParams.per_tensor(0.05, zero_point, signed=self._codes is ElementType.INT8)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._tensors[name].shape

    def node(self, op: ir.Operator, operands: tuple[str, ...], shape: tuple[int, ...]) -> str:
        name, activation = f"t{len(self._nodes)}", getattr(op, "activation", None)
        moves = isinstance(op, ir.MaxPool2D | ir.Mean)
        grid = self._tensors[operands[0]].quant if moves else self._grid(relu=activation is ir.RELU)
        self._tensors[name] = Tensor(name, shape, self._codes, grid)
        self._nodes.append(Node(f"layer{len(self._nodes)}", op, operands, (name,)))
        return name

    def weights(self, shape: tuple[int, ...]) -> tuple[str, str]:
        """Constants for weights and bias."""
        scale = 1 / (self._deviation * float(np.prod(shape[1:])) ** 0.5)
        codes = weight_codes(self._rng, shape, self._deviation)
        grid = QuantParams.per_channel([scale] * shape[0], axis=0)
        bias_type = ElementType.INT64 if self._codes is ElementType.INT16 else ElementType.INT32
        bias = self._rng.integers(-1000, 1000, shape[0]).astype(bias_type.dtype)
        names = f"w{len(self._nodes)}", f"b{len(self._nodes)}"
        self._tensors[names[0]] = Tensor(names[0], shape, ElementType.INT8, grid, codes)
        self._tensors[names[1]] = Tensor(names[1], bias.shape, bias_type, None, bias)
        return names

    def convolve(
        self, x: str, channels: int, kernel: int, stride: int = 1, *, depthwise: bool = False, relu: bool = True
    ) -> str:
        n, height, width, depth = self.shape(x)
        groups = depth if depthwise else 1
        op = ir.Conv2D(
            (stride, stride),
            padding=self.padding((height, width), kernel, stride),
            groups=groups,
            activation=ir.RELU if relu else ir.NO_ACTIVATION,
        )
        operands = (x, *self.weights((channels, kernel, kernel, depth // groups)))
        return self.node(op, operands, (n, -(-height // stride), -(-width // stride), channels))

    def padding(self, size: tuple[int, int], kernel: int, stride: int) -> ir.Padding2D:
        """Half a window on each side; or, as TFLite's SAME has it, no more than the last window needs."""
        if not self._same:
            return ir.Padding2D(*[kernel // 2] * 4)
        return ir.Padding2D(*(n for length in size for n in same_padding(length, kernel, stride)))

    def add(self, a: str, b: str, *, relu: bool) -> str:
        return self.node(ir.Add(ir.RELU if relu else ir.NO_ACTIVATION), (a, b), self.shape(a))

    def classify(self, x: str, classes: int) -> Graph:
        n, _, _, depth = self.shape(x)
        pooled = self.node(ir.Mean((1, 2)), (x,), (n, 1, 1, depth))
        y = self.node(ir.FullyConnected(), (pooled, *self.weights((classes, depth))), (n, classes))
        return Graph(self._name, tuple(self._nodes), self._tensors, ("x",), (y,))


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """TFLite's SAME: (before, after), the odd one after."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def resnet50(
    image: int = 224,
    seed: int = 0,
    codes: ElementType = ElementType.INT8,
    *,
    same: bool = False,
    deviation: float = _CODE_DEVIATION,
) -> Graph:
    """ResNet-50 (He et al. 2015, table 1; stride in the 3x3 convolutions): 4.09 GMAC at 224 x 224.

    `deviation` is the weights': accumulators grow with it, outputs do not.
    """
    b = _Builder("resnet50-shaped", image, seed, codes, same=same, deviation=deviation)
    x = b.convolve("x", 64, 7, 2)
    n, height, width, depth = b.shape(x)
    pool = ir.MaxPool2D((3, 3), (2, 2), padding=b.padding((height, width), 3, 2))
    x = b.node(pool, (x,), (n, -(-height // 2), -(-width // 2), depth))
    for stage, (blocks, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512))):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            shortcut = b.convolve(x, 4 * width, 1, stride, relu=False) if not block else x
            y = b.convolve(b.convolve(b.convolve(x, width, 1), width, 3, stride), 4 * width, 1, relu=False)
            x = b.add(y, shortcut, relu=True)
    return b.classify(x, 1000)


def mobilenet_v2(
    image: int = 224, seed: int = 0, codes: ElementType = ElementType.INT8, *, same: bool = False
) -> Graph:
    """MobileNetV2 (Sandler et al. 2018, table 2): 0.30 GMAC at 224 x 224."""
    b = _Builder("mobilenet-v2-shaped", image, seed, codes, same=same)
    x = b.convolve("x", 32, 3, 2)
    stages = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for expansion, channels, blocks, first_stride in stages:
        for block in range(blocks):
            stride, depth = (1 if block else first_stride), b.shape(x)[3]
            y = b.convolve(x, depth * expansion, 1) if expansion > 1 else x
            y = b.convolve(y, depth * expansion, 3, stride, depthwise=True)
            y = b.convolve(y, channels, 1, relu=False)
            x = b.add(x, y, relu=False) if stride == 1 and depth == channels else y
    return b.classify(b.convolve(x, 1280, 1), 1000)


def plain(image: int, layers: int = 8, channels: int = 64, seed: int = 0) -> Graph:
    """`layers` convolutions of 3 x 3 over `channels` channels, all alike: 0.295 MMAC a pixel at 8 x 64."""
    b = _Builder(f"plain-{image}", image, seed, ElementType.INT8, same=False)
    x = b.convolve("x", channels, 1)
    for _ in range(layers):
        x = b.convolve(x, channels, 3)
    return b.classify(x, 10)


def product(pixels: int, depth: int, columns: int, codes: ElementType = ElementType.INT8) -> Graph:
    """One convolution of 1 x 1: a product of matrices, requantized."""
    b = _Builder("product", 1, 0, codes, same=False)
    b._tensors["x"] = Tensor("x", (1, pixels, 1, depth), codes, b._grid(relu=True))
    y = b.convolve("x", columns, 1)
    return Graph("product", tuple(b._nodes), b._tensors, ("x",), (y,))


def multiply_accumulates(graph: Graph) -> int:
    """Of one sample."""
    total = 0
    for node in graph.nodes:
        if isinstance(node.op, ir.Conv2D | ir.FullyConnected):
            total += prod(graph.tensors[node.outputs[0]].shape) * prod(graph.tensors[node.inputs[1]].shape[1:])
    return total


def constant_bytes(graph: Graph) -> int:
    """Weights and biases."""
    return sum(tensor.data.nbytes for tensor in graph.tensors.values() if tensor.data is not None)


def largest_live_set(graph: Graph) -> int:
    """Bytes of the activations alive at once, where they are most: operands, results, and what later nodes read."""
    last = {name: index for index, node in enumerate(graph.nodes) for name in node.inputs}
    last |= dict.fromkeys(graph.outputs, len(graph.nodes))
    born = {name: index for index, node in enumerate(graph.nodes) for name in node.outputs} | dict.fromkeys(
        graph.inputs, 0
    )
    sizes = {name: prod(t.shape) * t.element.dtype.itemsize for name, t in graph.tensors.items() if name in born}
    return max(
        sum(size for name, size in sizes.items() if born[name] <= index <= last.get(name, born[name]))
        for index in range(len(graph.nodes))
    )
