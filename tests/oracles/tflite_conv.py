"""Random CONV_2D, DEPTHWISE_CONV_2D and TRANSPOSE_CONV models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from oracles.tflite_builder import options
from oracles.tflite_draw import LIMITS, Case, CaseBuilder, Draw, Grid

_INT32 = 2  # TensorType.INT32, the value of quantized_bias_type


@dataclass(frozen=True)
class Variant:
    """Types of one multiply-accumulate operator."""

    activation: str
    weight: str
    bias: str
    per_channel: bool


VARIANTS = {
    "int8 per channel": Variant("int8", "int8", "int32", per_channel=True),
    "int8 per tensor": Variant("int8", "int8", "int32", per_channel=False),
    "uint8": Variant("uint8", "uint8", "int32", per_channel=False),
    "int16 bias64": Variant("int16", "int8", "int64", per_channel=True),
    "int16 bias32": Variant("int16", "int8", "int32", per_channel=True),
    "int4 weights": Variant("int8", "int4", "int32", per_channel=True),
}
SHARES = {
    "int8 per channel": 0.35,
    "int8 per tensor": 0.15,
    "uint8": 0.15,
    "int16 bias64": 0.12,
    "int16 bias32": 0.08,
    "int4 weights": 0.15,
}


def without(*names: str) -> dict[str, float]:
    """The shares of all variants but `names`."""
    return {name: share for name, share in SHARES.items() if name not in names}


@dataclass(frozen=True)
class Quantization:
    """The grids of a multiply-accumulate operator and the bias that probes its requantizer."""

    x: Grid
    weight_scale: np.ndarray
    weight_zero: int
    y: Grid
    bias: np.ndarray
    probe: bool


def quantization(draw: Draw, variant: Variant, channels: int, terms: int) -> Quantization:
    """Draw grids and biases for `channels` outputs that each sum `terms` products.

    A third of the cases are probes: biases over the whole int32 range, and at exact or near ties
    of the requantization, so that rounding and the wrap of the accumulator are seen.
    """
    x = draw.grid(variant.activation)
    base = draw.scale(-9, -3)
    count = channels if variant.per_channel else 1
    weight_scale = np.array([draw.scale_near(float(base)) for _ in range(count)], np.float32)
    weight_zero = draw.zero_point("uint8") if variant.weight == "uint8" else 0
    probe = draw.chance(1 / 3)
    wide = variant.activation == "int16"
    if probe:
        gain = draw.integer(8, 16) if wide else draw.integer(18, 26)
    elif draw.chance(0.08):
        gain = -draw.integer(0, 4)
    else:
        spread = np.log2(terms**0.5 * LIMITS[variant.weight][1])
        gain = spread - 1 if wide else spread + 0.5
    product = float(x.scale) * float(base)
    y = draw.grid_near(product * 2.0**gain, variant.activation)
    multiplier = float(x.scale) * weight_scale.astype(float) / float(y.scale)
    bias = _bias(draw, variant, channels, np.broadcast_to(multiplier, channels), probe=probe)
    return Quantization(x, weight_scale, weight_zero, y, bias, probe)


def _bias(draw: Draw, variant: Variant, channels: int, multiplier: np.ndarray, *, probe: bool) -> np.ndarray:
    if not probe:
        limit = 1 << 13
        return draw.rng.integers(-limit, limit, channels).astype(variant.bias)
    low, high = LIMITS["int32"]
    kind = draw.integer(0, 2)
    if kind == 0:
        values = draw.rng.integers(low, high, channels, endpoint=True)
    elif kind == 1:
        values = draw.rng.choice([low, high], channels) + draw.rng.integers(-9, 10, channels)
    else:
        half = LIMITS[variant.activation][1]
        target = draw.rng.integers(-half, half, channels) + 0.5
        values = np.rint(target / multiplier) + draw.rng.integers(-1, 2, channels)
    return np.clip(values, low, high).astype(variant.bias)


def activations(draw: Draw, variant: Variant, shape: tuple[int, ...], q: Quantization) -> np.ndarray:
    """Input codes; half of the probes stay at the zero point, so that the bias alone decides."""
    codes = draw.codes(shape, variant.activation)
    if q.probe and draw.chance(0.5):
        still = draw.rng.random(shape) < 0.97
        codes = np.where(still, q.x.zero_point, codes).astype(variant.activation)
    return codes


@dataclass(frozen=True)
class Window:
    """One spatial axis: input, kernel, stride, dilation, output."""

    size: int
    kernel: int
    stride: int
    dilation: int
    output: int


def window(draw: Draw, *, same: bool, dilated: bool) -> Window:
    """Draw one axis of a sliding window; the kernel fits when nothing is padded."""
    kernel = draw.integer(1, 4)
    dilation = draw.integer(1, 3) if dilated else 1
    extent = (kernel - 1) * dilation + 1
    size = draw.integer(1 if same else extent, max(9, extent))
    stride = draw.integer(1, 3)
    output = -(-size // stride) if same else (size - extent) // stride + 1
    return Window(size, kernel, stride, dilation, output)


def conv_2d(draw: Draw) -> Case:
    """CONV_2D: all type variants, stride, dilation, groups, SAME and VALID, fused activations."""
    name = draw.weighted(SHARES)
    variant = VARIANTS[name]
    same, dilated = draw.chance(0.5), draw.chance(0.25)
    rows, columns = (window(draw, same=same, dilated=dilated) for _ in range(2))
    groups = draw.integer(2, 3) if draw.chance(0.2) else 1
    per_group, outputs = draw.integer(1, 6), groups * draw.integer(1, 4)
    weight_shape = (outputs, rows.kernel, columns.kernel, per_group)
    q = quantization(draw, variant, outputs, rows.kernel * columns.kernel * per_group)
    batch = draw.integer(1, 2)
    case = CaseBuilder("CONV_2D", draw)
    shape = (batch, rows.size, columns.size, groups * per_group)
    case.input(activations(draw, variant, shape, q), variant.activation, q.x)
    _weights_and_bias(case, variant, weight_shape, q, axis=0)
    case.output((batch, rows.output, columns.output, outputs), variant.activation, q.y)
    fields = _fields(draw, variant, rows, columns, same=same)
    return case.finish(f"{name}, groups {groups}", options("Conv2D", **fields), version=2)


def depthwise_conv_2d(draw: Draw) -> Case:
    """DEPTHWISE_CONV_2D: as CONV_2D, with a depth multiplier of 1 to 3."""
    name = draw.weighted(without("int16 bias32"))  # LiteRT asks for an int64 bias here
    variant = VARIANTS[name]
    same, dilated = draw.chance(0.5), draw.chance(0.25)
    rows, columns = (window(draw, same=same, dilated=dilated) for _ in range(2))
    multiplier = draw.integer(2, 3) if draw.chance(0.35) else 1
    channels = draw.integer(1, 9)
    q = quantization(draw, variant, channels * multiplier, rows.kernel * columns.kernel)
    batch = draw.integer(1, 2)
    case = CaseBuilder("DEPTHWISE_CONV_2D", draw)
    shape = (batch, rows.size, columns.size, channels)
    case.input(activations(draw, variant, shape, q), variant.activation, q.x)
    weight_shape = (1, rows.kernel, columns.kernel, channels * multiplier)
    _weights_and_bias(case, variant, weight_shape, q, axis=3)
    case.output((batch, rows.output, columns.output, weight_shape[3]), variant.activation, q.y)
    fields = _fields(draw, variant, rows, columns, same=same)
    return case.finish(
        f"{name}, multiplier {multiplier}",
        options("DepthwiseConv2D", depthMultiplier=multiplier, **fields),
        version=3,
    )


def transpose_conv(draw: Draw) -> Case:
    """TRANSPOSE_CONV: stride, SAME and VALID, with and without a bias."""
    name = draw.weighted(without("int4 weights"))  # LiteRT has no int4 kernel here
    variant = VARIANTS[name]
    same = draw.chance(0.5)
    rows, columns = (_transposed_window(draw, same=same) for _ in range(2))
    inputs, outputs = draw.integer(1, 6), draw.integer(1, 6)
    q = quantization(draw, variant, outputs, rows.kernel * columns.kernel * inputs)
    case = CaseBuilder("TRANSPOSE_CONV", draw)
    out_shape = (1, rows.output, columns.output, outputs)
    case.constant(np.array(out_shape), "int32", name="output_shape")
    weight_shape = (outputs, rows.kernel, columns.kernel, inputs)
    weights = draw.codes(weight_shape, variant.weight)
    case.constant(weights, variant.weight, q.weight_scale, q.weight_zero, name="weights")
    codes = activations(draw, variant, (1, rows.size, columns.size, inputs), q)
    case.input(codes, variant.activation, q.x)
    if draw.chance(0.8):
        case.constant(q.bias, variant.bias, q.x.scale * q.weight_scale, name="bias")
    case.output(out_shape, variant.activation, q.y)
    fields = _fields(draw, variant, rows, columns, same=same)
    fields = {k: v for k, v in fields.items() if not k.startswith("dilation")}
    return case.finish(name, options("TransposeConv", **fields), version=3)


def _transposed_window(draw: Draw, *, same: bool) -> Window:
    kernel, stride = draw.integer(1, 4), draw.integer(1, 3)
    size = draw.integer(1, 6)
    if same:
        output = size * stride - draw.integer(0, stride - 1)
    else:
        output = (size - 1) * stride + kernel + draw.integer(0, stride - 1)
    return Window(size, kernel, stride, 1, output)


def _weights_and_bias(
    case: CaseBuilder, variant: Variant, shape: tuple[int, ...], q: Quantization, *, axis: int
) -> None:
    weights = case.draw.codes(shape, variant.weight)
    case.constant(weights, variant.weight, q.weight_scale, q.weight_zero, axis=axis, name="weights")
    case.constant(q.bias, variant.bias, q.x.scale * q.weight_scale, name="bias")


def _fields(draw: Draw, variant: Variant, rows: Window, columns: Window, *, same: bool) -> dict[str, int]:
    fields = {
        "padding": 0 if same else 1,
        "strideH": rows.stride,
        "strideW": columns.stride,
        "dilationHFactor": rows.dilation,
        "dilationWFactor": columns.dilation,
        "fusedActivationFunction": draw.activation(),
    }
    if variant.activation == "int16" and variant.bias == "int32":
        fields["quantizedBiasType"] = _INT32
    return fields
