"""Rules for convolutions and matrix products."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from accel_sim.arithmetic import (
    AccumulatorKind,
    derive_float_dot_products,
    derive_float_transpose_convolution,
    derive_requantization,
    is_wide_accumulator,
)
from accel_sim.compiler.lowering import Site
from accel_sim.ir import NO_ACTIVATION, Activation, ElementType, QuantParams, Tensor
from accel_sim.numerics import FloatDotProducts, Requantization
from accel_sim.program import Convolve, MatrixMultiply, Operand, Tiling, TransposeConvolve, Window

UNTILED = Tiling(1, 1, 1)
"""Stands in a command until the tile pass has chosen."""


def lower_convolution(site: Site) -> None:
    """Conv2D, depthwise included."""
    x, w, bias = site.tensor(0), site.tensor(1), _bias(site)
    _check_convolution(site, x, w)
    wide = _is_wide(x, bias)
    site.emit(
        Convolve,
        site.operand(x),
        site.operand(w),
        bias and site.operand(bias),
        site.operand(site.result),
        _window(site, w),
        site.op.groups,
        *_zero_points(x, w),
        wide,
        *_ending(site, AccumulatorKind.CONVOLUTION, x, w, site.op.activation, wide=wide),
    )


def lower_transpose_convolution(site: Site) -> None:
    """TransposeConv2D; in float32 where the profile's software has no integer kernel."""
    x, w, bias = site.tensor(0), site.tensor(1), _bias(site)
    _check_convolution(site, x, w)
    wide = _is_wide(x, bias)
    in_float = None
    if x.quant and w.quant and site.result.quant:
        grids = (x.quant, w.quant, bias.quant if bias else None, site.result.quant)
        in_float = derive_float_transpose_convolution(site.profile, site.op, *grids)
    output = None
    if in_float is None:
        output = _output(site, AccumulatorKind.CONVOLUTION, x, w, site.op.activation, wide=wide)
    site.emit(
        TransposeConvolve,
        site.operand(x),
        site.operand(w),
        bias and site.operand(bias),
        site.operand(site.result),
        _window(site, w),
        site.op.groups,
        *_zero_points(x, w),
        wide,
        output,
        UNTILED,
        in_float,
    )


def lower_fully_connected(site: Site) -> None:
    """FullyConnected: a 1x1 convolution over an image of one row, a pixel for each row of x."""
    x, w = site.tensor(0), site.tensor(1)
    _check_weight_axis(site, w, 0)
    weights = site.operand(w, (w.shape[0], 1, 1, w.shape[1]))
    _rows_times_weights(site, x, weights, w, _bias(site), AccumulatorKind.FULLY_CONNECTED, site.op.activation)


def lower_matmul(site: Site) -> None:
    """MatMul: by a constant matrix, as FullyConnected; of two activations, a MatrixMultiply."""
    a, b = site.tensor(0), site.tensor(1)
    if min(len(a.shape), len(b.shape)) < 2:
        raise site.refuse("operands", f"{a.shape} and {b.shape}", "are matrices, or stacks of matrices")
    if b.data is not None and len(b.shape) == 2 and not site.op.transpose_a:
        rows = b.data if site.op.transpose_b else b.data.T
        _check_weight_axis(site, b, 0 if site.op.transpose_b else 1)
        weights = site.constant("weights", _as_kernels(rows))
        _rows_times_weights(site, a, weights, b, None, AccumulatorKind.MATMUL, NO_ACTIVATION)
        return
    _check_weight_axis(site, b, len(b.shape) - (2 if site.op.transpose_b else 1))
    wide = is_wide_accumulator(a.quant, None) if a.quant else False
    site.emit(
        MatrixMultiply,
        site.operand(a),
        site.operand(b),
        site.operand(site.result),
        site.op.transpose_a,
        site.op.transpose_b,
        *_zero_points(a, b),
        wide,
        *_ending(site, AccumulatorKind.MATMUL, a, b, NO_ACTIVATION, wide=wide),
    )


def _rows_times_weights(
    site: Site,
    x: Tensor,
    weights: Operand,
    w: Tensor,
    bias: Tensor | None,
    kind: AccumulatorKind,
    activation: Activation,
) -> None:
    """x read as rows of K, times weights [Co,1,1,K], as a convolution."""
    channels, depth = weights.shape[0], weights.shape[3]
    rows = x.size // depth if depth else 0
    if rows * depth != x.size or rows * channels != site.result.size:
        shapes = f"{x.shape} x {w.shape} -> {site.result.shape}"
        raise site.refuse("shapes", shapes, "are rows of K, weights of K and rows of outputs")
    wide = _is_wide(x, bias)
    site.emit(
        Convolve,
        site.operand(x, (1, 1, rows, depth)),
        weights,
        bias and site.operand(bias),
        site.operand(site.result, (1, 1, rows, channels)),
        Window((1, 1)),
        1,
        *_zero_points(x, w),
        wide,
        *_ending(site, kind, x, w, activation, wide=wide),
    )


def _ending(
    site: Site, kind: AccumulatorKind, x: Tensor, w: Tensor, activation: Activation, *, wide: bool
) -> tuple[Requantization | None, Tiling, FloatDotProducts | None]:
    """The last fields of a command: how sums become results, in integers or in float32."""
    in_float = derive_float_dot_products(site.profile, site.lowering.graph, site.node)
    output = None if in_float is not None else _output(site, kind, x, w, activation, wide=wide)
    return output, UNTILED, in_float


def _output(
    site: Site, kind: AccumulatorKind, x: Tensor, w: Tensor, activation: Activation, *, wide: bool
) -> Requantization | None:
    """The requantization of the result; None where the result is the accumulators themselves."""
    y = site.result
    if y.quant is None or y.quant.bits == 32:
        if y.element not in (ElementType.INT32, ElementType.INT64):
            raise site.refuse(f"tensor {y.name!r}", f"{y.element.value} without scale", "raw accumulators are int32")
        if not activation.is_identity:
            raise site.refuse("activation", activation, "raw accumulators are not clamped")
        return None
    grids = site.grid(x), _weight_grid(site, w), site.grid(y)
    return derive_requantization(site.profile, kind, *grids, activation, wide_accumulator=wide)


def _weight_grid(site: Site, w: Tensor) -> QuantParams:
    if w.quant is None:
        raise site.refuse(f"tensor {w.name!r}", f"{w.element.value} without scale", "has a scale and a zero point")
    return w.quant


def _zero_points(x: Tensor, w: Tensor) -> tuple[int, tuple[int, ...]]:
    """Of the input, and of the weights; a tensor without grid has none. Equal ones are told once."""
    zeros: Sequence[int] = w.quant.zero_point if w.quant else (0,)
    return x.quant.zero_point[0] if x.quant else 0, (zeros[0],) if len(set(zeros)) == 1 else tuple(zeros)


def _bias(site: Site) -> Tensor | None:
    bias = site.optional(2)
    if bias is not None and bias.element not in (ElementType.INT32, ElementType.INT64):
        raise site.refuse(f"bias {bias.name!r}", bias.element.value, "is int32 or int64")
    return bias


def _is_wide(x: Tensor, bias: Tensor | None) -> bool:
    if bias is not None and bias.element is ElementType.INT64:
        return True
    return is_wide_accumulator(x.quant, bias.element if bias else None) if x.quant else False


def _window(site: Site, w: Tensor) -> Window:
    op = site.op
    return Window((w.shape[1], w.shape[2]), op.strides, op.dilations, op.padding.top, op.padding.left)


def _check_convolution(site: Site, x: Tensor, w: Tensor) -> None:
    if len(x.shape) != 4 or len(w.shape) != 4 or len(site.result.shape) != 4:
        raise site.refuse("shapes", f"{x.shape} and {w.shape}", "input, weights and output have 4 axes")
    if x.shape[3] != site.op.groups * w.shape[3] or w.shape[0] % site.op.groups:
        shapes = f"{x.shape[3]} input, {w.shape} weights, {site.op.groups} groups"
        raise site.refuse("groups", shapes, "groups divide input and output channels")
    _check_weight_axis(site, w, 0)


def _check_weight_axis(site: Site, w: Tensor, axis: int) -> None:
    if w.quant is not None and w.quant.axis not in (None, axis):
        rule = f"scales per channel lie on the output channels (axis {axis})"
        raise site.refuse(f"weights {w.name!r}", f"axis {w.quant.axis}", rule)


def _as_kernels(rows: NDArray[np.generic]) -> NDArray[np.generic]:
    """[Co, K] as [Co,1,1,K]."""
    return np.ascontiguousarray(rows)[:, None, None, :]
