"""The operators of a Graph, one frozen dataclass each; its fields are the attributes.

Operands are listed in each docstring as `inputs -> outputs`; an absent optional input is the empty name "". Layout is
NHWC. The arithmetic of an operator on integer tensors is not said here: an arithmetic profile says it
(`accel_sim.numerics`). On float tensors it is the textbook function.
"""

import math
from dataclasses import field
from enum import Enum

from accel_sim.records import dataclass


@dataclass(frozen=True)
class Activation:
    """A fused clamp in real numbers, applied before requantization (2.3.2).

    Attributes:
        low: lower bound; -inf for none.
        high: upper bound; inf for none; one value per output channel where a cap differs by channel.
    """

    low: float = -math.inf
    high: float | tuple[float, ...] = math.inf

    @property
    def is_identity(self) -> bool:
        """Whether nothing is clamped."""
        return self.low == -math.inf and self.high == math.inf

    def spares(self, low: float, high: float) -> bool:
        """Whether it changes no real number from low to high."""
        return self.low <= low and high <= (max(self.high) if isinstance(self.high, tuple) else self.high)


NO_ACTIVATION = Activation()
RELU = Activation(0.0)
RELU6 = Activation(0.0, 6.0)
RELU_N1_TO_1 = Activation(-1.0, 1.0)


@dataclass(frozen=True)
class Padding2D:
    """Explicit spatial padding in elements. Convolutions pad with the input's zero point (real 0)."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0


class CoordinateMode(Enum):
    """How an output index maps to an input coordinate when resizing (names as in ONNX Resize)."""

    ASYMMETRIC = "asymmetric"
    HALF_PIXEL = "half_pixel"
    PYTORCH_HALF_PIXEL = "pytorch_half_pixel"
    ALIGN_CORNERS = "align_corners"


class NearestRounding(Enum):
    """How a nearest-neighbour resize rounds the input coordinate (names as in ONNX Resize)."""

    FLOOR = "floor"
    CEIL = "ceil"
    ROUND_PREFER_FLOOR = "round_prefer_floor"
    ROUND_PREFER_CEIL = "round_prefer_ceil"


@dataclass(frozen=True)
class Operator:
    """Root of all operators."""

    @property
    def name(self) -> str:
        """The operator's name, for people and tables."""
        return type(self).__name__


@dataclass(frozen=True)
class Conv2D(Operator):
    """x [N,H,W,Ci], w [Co,kh,kw,Ci/groups], bias [Co] or "" -> y [N,Ho,Wo,Co].

    Depthwise is `groups == Ci` (a channel multiplier is Co = groups * multiplier). A bias of an integer convolution is
    int32 (int64 for 16-bit activations) at scale s_x * s_w. Without output grid (quant None, int32) y is the raw
    accumulator (ConvInteger).

    in_float: the file's software computes codes of these types in float32, between dequantization and quantization
    (ONNX QDQ); what the arithmetic of any other profile does not ask.
    """

    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    padding: Padding2D = Padding2D()
    groups: int = 1
    activation: Activation = NO_ACTIVATION
    in_float: bool = False


@dataclass(frozen=True)
class TransposeConv2D(Operator):
    """x [N,H,W,Ci], w [Co,kh,kw,Ci/groups], bias [Co] or "" -> y [N,Ho,Wo,Co].

    Each input pixel (i, j) adds x * w[:, p, q] at output (i*sh + p*dh - top, j*sw + q*dw - left); what falls outside
    [Ho, Wo] is dropped. Ho and Wo are the output tensor's.
    """

    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    padding: Padding2D = Padding2D()
    groups: int = 1
    activation: Activation = NO_ACTIVATION


@dataclass(frozen=True)
class FullyConnected(Operator):
    """x [..., K] (read as rows of K), w [Co, K], bias [Co] or "" -> y with y.size = rows * Co.

    by_rows: the file holds w as [Co, K] too (Gemm with transB); without, as [K, Co]. Software adds the same products in
    another order then, which shows where it adds in float32. in_float: see Conv2D.
    """

    activation: Activation = NO_ACTIVATION
    in_float: bool = False
    by_rows: bool = False


@dataclass(frozen=True)
class MatMul(Operator):
    """a [..., M, K], b [..., K, N] -> y [..., M, N], leading axes broadcast; both may be activations.

    transpose_a: a is stored [..., K, M]; transpose_b: b is stored [..., N, K]. A per-channel grid of a constant b lies
    on its N axis. in_float: see Conv2D.
    """

    transpose_a: bool = False
    transpose_b: bool = False
    in_float: bool = False


@dataclass(frozen=True)
class MaxPool2D(Operator):
    """x [N,H,W,C] -> y [N,Ho,Wo,C]; padding never wins."""

    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    padding: Padding2D = Padding2D()
    activation: Activation = NO_ACTIVATION


@dataclass(frozen=True)
class AveragePool2D(Operator):
    """x [N,H,W,C] -> y [N,Ho,Wo,C].

    The divisor is the number of pixels inside the image, or inside image and padding with count_include_pad. by_pixel:
    software that averages floats adds pixel after pixel (ONNX, from version 19 of AveragePool); without, it may add up
    the columns of the window first.
    """

    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    padding: Padding2D = Padding2D()
    count_include_pad: bool = False
    activation: Activation = NO_ACTIVATION
    by_pixel: bool = False


@dataclass(frozen=True)
class GlobalAveragePool2D(Operator):
    """x [N,H,W,C] -> y [N,1,1,C]. in_float: see Conv2D."""

    in_float: bool = False


@dataclass(frozen=True)
class Mean(Operator):
    """Mean over stored axes: x -> y, reduced axes kept as 1 with keep_dims."""

    axes: tuple[int, ...]
    keep_dims: bool = True


@dataclass(frozen=True)
class Add(Operator):
    """a, b (broadcast) -> y."""

    activation: Activation = NO_ACTIVATION


@dataclass(frozen=True)
class Subtract(Operator):
    """a, b (broadcast) -> a - b."""

    activation: Activation = NO_ACTIVATION


@dataclass(frozen=True)
class Multiply(Operator):
    """a, b (broadcast) -> a * b."""

    activation: Activation = NO_ACTIVATION


@dataclass(frozen=True)
class Minimum(Operator):
    """a, b (broadcast) -> min(a, b)."""


@dataclass(frozen=True)
class Maximum(Operator):
    """a, b (broadcast) -> max(a, b)."""


@dataclass(frozen=True)
class Concat(Operator):
    """x0, x1, ... -> y along a stored axis; inputs on another grid than y are requantized (2.3.3)."""

    axis: int
    activation: Activation = NO_ACTIVATION


@dataclass(frozen=True)
class Pad(Operator):
    """x -> y with `before[i]` and `after[i]` elements added on stored axis i (negative: cropped).

    Attributes:
        value: the real number that fills; the profile quantizes it, 0.0 is exactly the zero point.
        mode: "constant", "reflect" (edge not repeated), "symmetric" (edge repeated) or "edge".
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    value: float = 0.0
    mode: str = "constant"


@dataclass(frozen=True)
class Reshape(Operator):
    """x -> y, same elements in row-major order of the stored axes; the shape is y's.

    Squeeze, Flatten and ExpandDims are this too.
    """


@dataclass(frozen=True)
class Transpose(Operator):
    """x -> y, y axis i is x axis permutation[i] (stored axes)."""

    permutation: tuple[int, ...]


@dataclass(frozen=True)
class Slice(Operator):
    """x -> y, y[i] = x[begin + i * stride] on every stored axis; the extent is y's shape. Strides may be negative."""

    begin: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class ResizeNearest(Operator):
    """x [N,H,W,C] -> y [N,Ho,Wo,C], nearest neighbour.

    Attributes:
        coordinates, rounding: the convention.
        scale_y, scale_x: output over input size as the file states it; 0.0 means the ratio of the shapes.
    """

    coordinates: CoordinateMode = CoordinateMode.ASYMMETRIC
    rounding: NearestRounding = NearestRounding.FLOOR
    scale_y: float = 0.0
    scale_x: float = 0.0


@dataclass(frozen=True)
class ResizeBilinear(Operator):
    """x [N,H,W,C] -> y [N,Ho,Wo,C], bilinear; fields as ResizeNearest."""

    coordinates: CoordinateMode = CoordinateMode.ASYMMETRIC
    scale_y: float = 0.0
    scale_x: float = 0.0


@dataclass(frozen=True)
class Requantize(Operator):
    """x on one integer grid -> y on another (TFLite QUANTIZE int -> int; Q after DQ)."""


@dataclass(frozen=True)
class RequantShift(Operator):
    """Integer accumulators x [..., C] -> y = clamp((x * multiplier + addend) >> shift) to y's type (Deeploy).

    Attributes:
        multiplier, addend: one per tensor or per channel of the last axis; the addend already holds half the divisor.
        shift: right shift.
    """

    multiplier: tuple[int, ...]
    addend: tuple[int, ...]
    shift: int


@dataclass(frozen=True)
class Clip(Operator):
    """x -> y clamped to [low, high] in real numbers; ReLU is (0, inf), ReLU6 (0, 6), ReLU-n1-1 (-1, 1)."""

    activation: Activation


@dataclass(frozen=True)
class PRelu(Operator):
    """x, slope (constant, broadcast against x) -> x where x >= 0, else slope * x."""


@dataclass(frozen=True)
class LeakyRelu(Operator):
    """x -> x where x >= 0, else alpha * x."""

    alpha: float = 0.01


@dataclass(frozen=True)
class HardSwish(Operator):
    """x -> x * clamp(x + 3, 0, 6) / 6."""


@dataclass(frozen=True)
class HardSigmoid(Operator):
    """x -> clamp(alpha * x + beta, 0, 1)."""

    alpha: float = 0.2
    beta: float = 0.5


@dataclass(frozen=True)
class Logistic(Operator):
    """x -> 1 / (1 + exp(-x))."""


@dataclass(frozen=True)
class Tanh(Operator):
    """x -> tanh(x)."""


@dataclass(frozen=True)
class Softmax(Operator):
    """x -> exp(beta * x) / sum(exp(beta * x)) along a stored axis."""

    axis: int = -1
    beta: float = 1.0


@dataclass(frozen=True)
class SpaceToDepth(Operator):
    """x [N,H,W,C] -> y [N,H/b,W/b,b*b*C]; y channel ((i*b + j)*C + c) is x[h*b+i, w*b+j, c]."""

    block: int


@dataclass(frozen=True)
class DepthToSpace(Operator):
    """x [N,H,W,b*b*C] -> y [N,H*b,W*b,C].

    Attributes:
        column_row_depth: False: x channel (i*b + j)*C + c (TFLite, ONNX DCR); True: c*b*b + i*b + j (ONNX CRD).
    """

    block: int
    column_row_depth: bool = False


@dataclass(frozen=True)
class ArgMax(Operator):
    """x -> y (int32 or int64 indices) along a stored axis; ties go to the first index, or the last with select_last."""

    axis: int
    keep_dims: bool = True
    select_last: bool = False
    minimum: bool = False


@dataclass(frozen=True)
class BatchNorm(Operator):
    """x [..., C] -> y = gamma * (x - mean) / sqrt(variance + epsilon) + beta (eq 9). Float graphs only.

    Inputs: x, gamma, beta, mean, variance, each [C] and constant.
    """

    epsilon: float = field(default=1e-5)
