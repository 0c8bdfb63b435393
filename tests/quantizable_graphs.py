"""One float graph per operator, and some whole little networks: what quantization and export are tested on."""

from collections.abc import Callable

import numpy as np
from float_graphs import FloatGraph

from accel_sim.ir import (
    RELU,
    RELU6,
    RELU_N1_TO_1,
    Activation,
    Add,
    ArgMax,
    AveragePool2D,
    Clip,
    Concat,
    Conv2D,
    CoordinateMode,
    DepthToSpace,
    ElementType,
    FullyConnected,
    GlobalAveragePool2D,
    Graph,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Logistic,
    MatMul,
    Maximum,
    MaxPool2D,
    Mean,
    Minimum,
    Multiply,
    NearestRounding,
    Operator,
    Pad,
    Padding2D,
    PRelu,
    Reshape,
    ResizeBilinear,
    ResizeNearest,
    Slice,
    Softmax,
    SpaceToDepth,
    Subtract,
    Tanh,
    Transpose,
    TransposeConv2D,
)

IMAGE = (1, 6, 8, 4)
CASES: dict[str, Callable[[], Graph]] = {}


def case(build: Callable[[], Graph]) -> Callable[[], Graph]:
    CASES[build.__name__] = build
    return build


def unary(name: str, op: Operator, shape: tuple[int, ...], source: tuple[int, ...] = IMAGE) -> None:
    def build() -> Graph:
        g = FloatGraph(len(name))
        return g.graph(g.op(op, g.input("x", source), shape=shape, name="y"))

    CASES[name] = build


def convolution(name: str, op: Conv2D, kernel: tuple[int, int], outputs: int, shape: tuple[int, ...]) -> None:
    def build() -> Graph:
        g = FloatGraph(len(name))
        weights = g.normal(outputs, *kernel, 4 // op.groups, scale=0.3)
        return g.graph(g.op(op, g.input("x", IMAGE), weights, g.normal(outputs), shape=shape, name="y"))

    CASES[name] = build


def binary(name: str, op: Operator, other: tuple[int, ...], *, constant: bool = False) -> None:
    def build() -> Graph:
        g = FloatGraph(len(name))
        x = g.input("x", IMAGE)
        operand = g.normal(*other) if constant else g.input("other", other)
        return g.graph(g.op(op, x, operand, shape=IMAGE, name="y"))

    CASES[name] = build


convolution("conv", Conv2D(), (3, 3), 5, (1, 4, 6, 5))
convolution("conv_relu", Conv2D((2, 1), (1, 2), Padding2D(1, 0, 2, 1), 1, RELU), (3, 3), 6, (1, 3, 7, 6))
convolution(
    "conv_relu6_grouped", Conv2D(groups=2, padding=Padding2D(1, 1, 1, 1), activation=RELU6), (3, 3), 6, (1, 6, 8, 6)
)
convolution("conv_clamped", Conv2D(activation=RELU_N1_TO_1), (1, 1), 4, IMAGE)
convolution("conv_caps", Conv2D(activation=Activation(0.0, (0.5, 1.0, 2.0, 9.0))), (1, 1), 4, IMAGE)
convolution("depthwise", Conv2D(groups=4, padding=Padding2D(1, 1, 1, 1)), (3, 3), 4, IMAGE)
convolution("depthwise_multiplier", Conv2D((2, 2), groups=4), (3, 3), 8, (1, 2, 3, 8))


@case
def conv_without_bias() -> Graph:
    g = FloatGraph()
    return g.graph(g.op(Conv2D(), g.input("x", IMAGE), g.normal(5, 2, 2, 4), "", shape=(1, 5, 7, 5), name="y"))


def transposed(name: str, op: TransposeConv2D, shape: tuple[int, ...]) -> None:
    def build() -> Graph:
        g = FloatGraph(len(name))
        weights = g.normal(6, 3, 3, 4 // op.groups, scale=0.3)
        return g.graph(g.op(op, g.input("x", IMAGE), weights, g.normal(6), shape=shape, name="y"))

    CASES[name] = build


transposed("transpose_conv", TransposeConv2D((2, 2), padding=Padding2D(1, 1, 1, 1)), (1, 11, 15, 6))
transposed("transpose_conv_extra", TransposeConv2D((2, 2), padding=Padding2D(0, 0, 1, 0)), (1, 14, 16, 6))


@case
def fully_connected() -> Graph:
    g = FloatGraph()
    return g.graph(
        g.op(FullyConnected(RELU), g.input("x", (1, 12)), g.normal(5, 12), g.normal(5), shape=(1, 5), name="y")
    )


@case
def fully_connected_of_image() -> Graph:
    g = FloatGraph()
    weights = g.normal(5, 192, scale=0.1)
    return g.graph(g.op(FullyConnected(), g.input("x", IMAGE), weights, shape=(1, 5), name="y"))


@case
def fully_connected_rows() -> Graph:
    g = FloatGraph()
    return g.graph(
        g.op(FullyConnected(), g.input("x", (1, 7, 12)), g.normal(5, 12), g.normal(5), shape=(1, 7, 5), name="y")
    )


@case
def matmul_constant() -> Graph:
    g = FloatGraph()
    op = MatMul(transpose_b=True)
    return g.graph(g.op(op, g.input("x", (1, 3, 4, 6)), g.normal(3, 5, 6), shape=(1, 3, 4, 5), name="y"))


@case
def matmul_activations() -> Graph:
    g = FloatGraph()
    a, b = g.input("a", (1, 6, 4)), g.input("b", (1, 6, 5))
    return g.graph(g.op(MatMul(transpose_a=True), a, b, shape=(1, 4, 5), name="y"))


unary("max_pool", MaxPool2D((2, 3), (2, 1), padding=Padding2D(0, 0, 1, 1)), (1, 3, 8, 4))
unary("max_pool_dilated", MaxPool2D((2, 2), dilations=(2, 3)), (1, 4, 5, 4))
unary("average_pool", AveragePool2D((3, 3), (2, 2), Padding2D(1, 0, 1, 0)), (1, 3, 4, 4))
unary("average_pool_padded", AveragePool2D((2, 2), (1, 1), Padding2D(1, 1, 1, 1), count_include_pad=True), (1, 7, 9, 4))
unary("global_average_pool", GlobalAveragePool2D(), (1, 1, 1, 4))
unary("mean_spatial", Mean((1, 2)), (1, 1, 1, 4))
unary("mean_spatial_squeezed", Mean((1, 2), keep_dims=False), (1, 4))
unary("mean_rows_squeezed", Mean((1,), keep_dims=False), (1, 8, 4))
unary("mean_channels", Mean((3,)), (1, 6, 8, 1))
binary("add", Add(), IMAGE)
binary("add_relu", Add(RELU), IMAGE)
binary("add_channels", Add(), (4,), constant=True)
binary("add_row", Add(), (1, 1, 8, 1))
binary("subtract", Subtract(), IMAGE)
binary("multiply", Multiply(), (1, 1, 1, 4))
binary("multiply_rank3", Multiply(), (6, 1, 4), constant=True)
binary("minimum", Minimum(), IMAGE)
binary("maximum", Maximum(), IMAGE)
binary("prelu", PRelu(), (4,), constant=True)


@case
def broadcast_of_lower_rank_activation() -> Graph:
    g = FloatGraph()
    return g.graph(g.op(Add(), g.input("x", IMAGE), g.input("other", (6, 8, 4)), shape=IMAGE, name="y"))


@case
def concat() -> Graph:
    g = FloatGraph()
    a, b = g.input("a", IMAGE), g.input("b", (1, 6, 8, 3))
    doubled = g.op(Add(), a, a, shape=IMAGE)
    return g.graph(g.op(Concat(-1), doubled, b, g.normal(1, 6, 8, 2), shape=(1, 6, 8, 9), name="y"))


unary("pad", Pad((0, 1, 2, 0), (0, 0, 1, 2)), (1, 7, 11, 6))
unary("pad_value", Pad((0, 1, 0, 0), (0, 0, 0, 0), value=1.5), (1, 7, 8, 4))
unary("pad_reflect", Pad((0, 1, 2, 0), (0, 1, 1, 0), mode="reflect"), (1, 8, 11, 4))
unary("pad_edge_cropped", Pad((0, 1, -2, 0), (0, 1, 1, 0), mode="edge"), (1, 8, 7, 4))
unary("reshape_image", Reshape(), (1, 8, 6, 4))
unary("reshape_flat", Reshape(), (1, 192))
unary("reshape_to_image", Reshape(), (1, 3, 4, 4), (1, 48))
unary("transpose_image", Transpose((0, 2, 3, 1)), (1, 8, 4, 6))
unary("transpose_to_channels_first", Transpose((0, 3, 1, 2)), (1, 4, 6, 8))
unary("transpose_rows", Transpose((0, 2, 1)), (1, 5, 3), (1, 3, 5))
unary("slice", Slice((0, 1, 6, 0), (1, 2, -3, 1)), (1, 2, 3, 4))
unary("slice_backwards", Slice((0, 5, 0, 3), (1, -1, 1, -1)), IMAGE)
unary("resize_nearest", ResizeNearest(), (1, 12, 16, 4))
unary(
    "resize_nearest_centres",
    ResizeNearest(CoordinateMode.HALF_PIXEL, NearestRounding.ROUND_PREFER_CEIL),
    (1, 9, 5, 4),
)
unary("resize_bilinear", ResizeBilinear(CoordinateMode.HALF_PIXEL), (1, 12, 16, 4))
unary("resize_bilinear_corners", ResizeBilinear(CoordinateMode.ALIGN_CORNERS), (1, 7, 19, 4))
unary("relu", Clip(RELU), IMAGE)
unary("relu6", Clip(RELU6), IMAGE)
unary("clip_below", Clip(Activation(high=0.7)), IMAGE)
unary("leaky_relu", LeakyRelu(0.1), IMAGE)
unary("hard_sigmoid", HardSigmoid(0.2, 0.5), IMAGE)
unary("hard_swish", HardSwish(), IMAGE)
unary("logistic", Logistic(), IMAGE)
unary("tanh", Tanh(), IMAGE)
unary("softmax", Softmax(), (1, 10), (1, 10))
unary("softmax_channels", Softmax(3), IMAGE)
unary("space_to_depth", SpaceToDepth(2), (1, 3, 4, 16))
unary("depth_to_space", DepthToSpace(2), (1, 12, 16, 1))
unary("depth_to_space_crd", DepthToSpace(2, column_row_depth=True), (1, 12, 16, 1))


def indices(name: str, op: ArgMax, shape: tuple[int, ...], element: ElementType) -> None:
    def build() -> Graph:
        g = FloatGraph(len(name))
        return g.graph(g.op(op, g.input("x", IMAGE), shape=shape, element=element, name="y"))

    CASES[name] = build


indices("argmax", ArgMax(3), (1, 6, 8, 1), ElementType.INT64)
indices("argmax_squeezed", ArgMax(-1, keep_dims=False), (1, 6, 8), ElementType.INT32)
indices("argmin_rows_last", ArgMax(1, keep_dims=False, select_last=True, minimum=True), (1, 8, 4), ElementType.INT64)


@case
def network() -> Graph:
    """Batch norms before and after convolutions, a residual addition, a concatenation, pools, a head."""
    g = FloatGraph(1)
    x = g.input("x", (1, 12, 12, 3))
    stem = g.op(Conv2D(padding=Padding2D(1, 1, 1, 1)), x, g.normal(8, 3, 3, 3, scale=0.3), shape=(1, 12, 12, 8))
    stem = g.op(Clip(RELU), g.batchnorm(stem), shape=(1, 12, 12, 8))
    depthwise = Conv2D((2, 2), padding=Padding2D(1, 1, 1, 1), groups=8)
    left = g.op(depthwise, stem, g.normal(8, 3, 3, 1, scale=0.3), g.normal(8), shape=(1, 6, 6, 8))
    left = g.op(Clip(RELU6), g.batchnorm(left), shape=(1, 6, 6, 8))
    right = g.op(MaxPool2D((2, 2), (2, 2)), stem, shape=(1, 6, 6, 8))
    total = g.op(Add(), left, right, shape=(1, 6, 6, 8))
    both = g.op(Concat(3), total, left, shape=(1, 6, 6, 16))
    pooled = g.op(AveragePool2D((2, 2), (2, 2)), both, shape=(1, 3, 3, 16))
    pooled = g.op(GlobalAveragePool2D(), g.batchnorm(pooled), shape=(1, 1, 1, 16))
    flat = g.op(Reshape(), g.op(Transpose((0, 3, 1, 2)), pooled, shape=(1, 16, 1, 1)), shape=(1, 16))
    logits = g.op(FullyConnected(), flat, g.normal(10, 16, scale=0.3), g.normal(10), shape=(1, 10), name="logits")
    return g.graph(logits, g.op(Softmax(), logits, shape=(1, 10), name="share"))


def calibration_for(graph: Graph, samples: int = 3, seed: int = 7) -> dict[str, np.ndarray]:
    """Normal inputs in the file's layout, first axis = samples."""
    random = np.random.default_rng(seed)
    arrays = {}
    for name in graph.inputs:
        tensor = graph.tensors[name]
        stored = random.normal(0, 1, (samples, *tensor.shape)).astype(np.float32)
        arrays[name] = np.concatenate([tensor.to_file_layout(one) for one in stored])
    return arrays
