"""The commands of the accelerator: each is one block of one layer; its docstring holds its loop nest.

A command is complete: operand addresses, geometry, and the arithmetic as a recipe of `accel_sim.numerics` already
derived from the grids. The machine needs nothing but the command, the memories and the hardware configuration.
`layer` is the graph node it came from.
"""

from accel_sim.numerics.elementwise import ElementwiseRecipe
from accel_sim.numerics.float_convolution import FloatConvolution
from accel_sim.numerics.float_dot_products import FloatDotProducts
from accel_sim.numerics.pooling import AverageRecipe, MeanRecipe
from accel_sim.numerics.requantization import Requantization
from accel_sim.numerics.resize import BilinearRecipe
from accel_sim.numerics.softmax import SoftmaxRecipe
from accel_sim.program.operands import Operand
from accel_sim.records import dataclass


@dataclass(frozen=True)
class Command:
    """Root of all commands. `layer` and `op` name the graph node and its operator."""

    layer: str
    op: str


@dataclass(frozen=True)
class Window:
    """Geometry of a sliding window: kernel (height, width), strides, dilations, padding before (top, left)."""

    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    pad_top: int = 0
    pad_left: int = 0


@dataclass(frozen=True)
class Tiling:
    """How the sequencer cuts a matrix command [M x K] @ [K x N] (`geometry.matrix_shape`) for grid and memories.

    It walks blocks of output pixels, in them tiles of output channels, in them tiles of the reduction.

    Attributes:
        rows: output pixels (M) of a block, whose sums the accumulator memory holds at once; at most the grid's columns
            where inputs are stationary.
        reduction: K elements of a tile; at most the grid's rows, except where outputs are stationary.
        columns: output channels (N) of a tile; at most the grid's columns, except where inputs are stationary.
    """

    rows: int
    reduction: int
    columns: int


@dataclass(frozen=True)
class Convolve(Command):
    """Convolution, depthwise convolution and fully connected (a 1x1 convolution over [1, 1, rows, K]).

    ::

        for n, oy, ox, co:                       # x: [N,H,W,Ci], weights: [Co,kh,kw,Ci/groups], y: [N,Ho,Wo,Co]
            acc = bias[co]                       # accumulators start with the bias (eq 1); 0 without
            for ky, kx, ci in group of co:       # the order of accumulation
                iy, ix = oy*sh + ky*dh - pad_top, ox*sw + kx*dw - pad_left
                if inside: acc += (x[n,iy,ix,ci] - input_zero_point) * (weights[co,ky,kx,ci] - weight_zero_point[co])
            y[n,oy,ox,co] = output.apply(acc)    # or acc itself where output is None

    acc wraps to 32 bits, or to 64 with wide_accumulator; a narrower or saturating accumulator is the hardware's
    (AcceleratorConfig.accumulator). `weight_zero_point` has one value or one per output channel; a non-zero one is the
    data-dependent second term of eq 13.

    With `float_accumulation` the command computes in float32 instead, as that recipe says, and `output` is None.
    """

    input: Operand
    weights: Operand
    bias: Operand | None
    output_to: Operand
    window: Window
    groups: int
    input_zero_point: int
    weight_zero_point: tuple[int, ...]
    wide_accumulator: bool
    output: Requantization | None
    tiling: Tiling
    float_accumulation: FloatDotProducts | None = None


@dataclass(frozen=True)
class TransposeConvolve(Command):
    """Transposed convolution.

    ::

        acc[n,:,:,co] = bias[co]
        for n, iy, ix, co, ky, kx, ci:           # weights: [Co,kh,kw,Ci/groups]
            oy, ox = iy*sh + ky*dh - pad_top, ix*sw + kx*dw - pad_left
            if inside: acc[n,oy,ox,co] += (x[n,iy,ix,ci] - zx) * (weights[co,ky,kx,ci] - zw[co])
        y = output.apply(acc)                    # or acc itself where output is None

    With `float_accumulation` the command computes in float32 instead, as that recipe says, and `output` is None.
    """

    input: Operand
    weights: Operand
    bias: Operand | None
    output_to: Operand
    window: Window
    groups: int
    input_zero_point: int
    weight_zero_point: tuple[int, ...]
    wide_accumulator: bool
    output: Requantization | None
    tiling: Tiling
    float_accumulation: FloatConvolution | None = None


@dataclass(frozen=True)
class MatrixMultiply(Command):
    """Product of two activations (or of an activation and a constant), leading axes broadcast.

    ::

        for batch, m, n:                         # a: [..., M, K] or [..., K, M]; b: [..., K, N] or [..., N, K]
            acc = sum over k of (a - a_zero_point) * (b - b_zero_point[n])
            y[..., m, n] = output.apply(acc)     # or acc where output is None

    With `float_accumulation` the command computes in float32 instead, as that recipe says, and `output` is None.
    """

    a: Operand
    b: Operand
    output_to: Operand
    transpose_a: bool
    transpose_b: bool
    a_zero_point: int
    b_zero_point: tuple[int, ...]
    wide_accumulator: bool
    output: Requantization | None
    tiling: Tiling
    float_accumulation: FloatDotProducts | None = None


@dataclass(frozen=True)
class PoolMaximum(Command):
    """y[n,oy,ox,c] = clamp(max of the window's pixels inside the image, low, high)."""

    input: Operand
    output_to: Operand
    window: Window
    low: int
    high: int


@dataclass(frozen=True)
class PoolAverage(Command):
    """y[n,oy,ox,c] = recipe.apply(pixels inside the image, their number).

    With count_include_pad, padding counts as pixels of value `input_zero_point`; pad_bottom and pad_right bound it.
    """

    input: Operand
    output_to: Operand
    window: Window
    pad_bottom: int
    pad_right: int
    count_include_pad: bool
    input_zero_point: int
    recipe: AverageRecipe


@dataclass(frozen=True)
class Reduce(Command):
    """y = recipe.apply(elements along `axes`), in row-major order of the reduced axes; x: any rank."""

    input: Operand
    output_to: Operand
    axes: tuple[int, ...]
    recipe: MeanRecipe


@dataclass(frozen=True)
class Elementwise(Command):
    """y[i] = recipe.apply(a[i], b[i]) with NumPy broadcasting of a and b to y's shape."""

    a: Operand
    b: Operand
    output_to: Operand
    recipe: ElementwiseRecipe


@dataclass(frozen=True)
class Lookup(Command):
    """y[i] = table[x[i] - first_code], or table[index[i], x[i] - first_code] with an index broadcast against x.

    table: [entries], or [tables, entries] with `table_index`, an int32 operand that selects the table (PReLU's slopes).
    """

    input: Operand
    table: Operand
    table_index: Operand | None
    output_to: Operand
    first_code: int


@dataclass(frozen=True)
class RequantizeCodes(Command):
    """y[i] = output.apply(x[i] - input_zero_point); the last axis is the channel."""

    input: Operand
    output_to: Operand
    input_zero_point: int
    output: Requantization


@dataclass(frozen=True)
class ApplySoftmax(Command):
    """y[..., :] = recipe.apply(x[..., :]) along the last axis."""

    input: Operand
    output_to: Operand
    recipe: SoftmaxRecipe


@dataclass(frozen=True)
class FindExtremum(Command):
    """y = index of the largest (smallest) element along `axis`; ties to the first, or the last with select_last."""

    input: Operand
    output_to: Operand
    axis: int
    select_last: bool
    minimum: bool


@dataclass(frozen=True)
class Interpolate(Command):
    """Bilinear resizing of [N,H,W,C]: y = recipe.apply(x)."""

    input: Operand
    output_to: Operand
    recipe: BilinearRecipe


@dataclass(frozen=True)
class Gather2D(Command):
    """y[n,i,j,c] = x[n, rows[i], columns[j], c]: nearest-neighbour resizing, reflecting pads."""

    input: Operand
    output_to: Operand
    rows: tuple[int, ...]
    columns: tuple[int, ...]


@dataclass(frozen=True)
class Move(Command):
    """A strided copy by DMA, at most 8 axes, strides and offsets in elements.

    ::

        for index in product(range(n) for n in extent):
            y[output_offset + dot(index, output_strides)] = x[input_offset + dot(index, input_strides)]

    Reshape, transpose, slice, concatenation, padding (after a Fill), space-to-depth and depth-to-space are this.
    """

    input: Operand
    output_to: Operand
    extent: tuple[int, ...]
    input_offset: int
    input_strides: tuple[int, ...]
    output_offset: int
    output_strides: tuple[int, ...]


@dataclass(frozen=True)
class Fill(Command):
    """Every element of y = code."""

    output_to: Operand
    code: int
