"""Convolutions and matrix products on codes (fig 4a): exact accumulators, wrapped once, requantized.

Sums are formed in float64 by matrix products where every partial sum, in any order, is an integer below 2^53, so that
each addition is exact; the bound is the number of terms times the largest magnitudes. Otherwise int64 is used, which
the bound of 2^63 covers for all codes of at most 16 bits.
"""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_sim.arithmetic import (
    AccumulatorKind,
    derive_float_dot_products,
    derive_float_transpose_convolution,
    derive_requantization,
    is_wide_accumulator,
)
from accel_sim.ir import Activation, Conv2D, FullyConnected, MatMul, TransposeConv2D
from accel_sim.numerics import wrap
from accel_sim.reference.float_matrix import convolve_in_float, matrices_in_float, rows_in_float
from accel_sim.reference.geometry import convolve, convolve_transposed
from accel_sim.reference.integer_accumulators import accumulated
from accel_sim.reference.integer_context import Codes, Site

_EXACT_IN_FLOAT64 = 1 << 53
Array = NDArray[Any]
Product = Callable[[Array, Array], Array]


def conv_2d(site: Site, op: Conv2D) -> Codes:
    """Conv2D and depthwise; padding is the input's zero point, so it adds 0. In float32 where the profile does so."""
    in_float = derive_float_dot_products(site.profile, site.graph, site.node)
    if in_float is not None:
        return convolve_in_float(site, op, in_float)
    weights = site.centred(1)

    def product(x: Array, w: Array) -> Array:
        return convolve(x, w, op.strides, op.dilations, op.padding, op.groups)

    total = _exactly(product, site.centred(0), weights, terms=prod(weights.shape[1:]))
    return _requantized(site, AccumulatorKind.CONVOLUTION, total, op.activation, product)


def transpose_conv_2d(site: Site, op: TransposeConv2D) -> Codes:
    """TransposeConv2D with integers, or in float32 where the profile has no integer kernel."""
    out_hw = (site.result.shape[1], site.result.shape[2])
    if site.result.quant is not None:
        bias = site.tensor(2).quant if site.has(2) else None
        recipe = derive_float_transpose_convolution(
            site.profile, op, site.grid(0), site.grid(1), bias, site.result_grid
        )
        if recipe is not None:
            addend = site.codes(2) if site.has(2) else None
            codes: Codes = recipe.apply_transposed(site.codes(0), site.codes(1), addend, op, out_hw)
            return codes

    def product(x: Array, w: Array) -> Array:
        return convolve_transposed(x, w, op.strides, op.dilations, op.padding, op.groups, out_hw)

    weights = site.centred(1)
    total = _exactly(product, site.centred(0), weights, terms=prod(weights.shape[1:]))
    return _requantized(site, AccumulatorKind.CONVOLUTION, total, op.activation, product)


def fully_connected(site: Site, op: FullyConnected) -> Codes:
    """Rows of K times weights [Co, K]."""
    in_float = derive_float_dot_products(site.profile, site.graph, site.node)
    if in_float is not None:
        return rows_in_float(site, in_float)
    weights = site.centred(1)
    rows = site.centred(0).reshape(-1, weights.shape[1])

    def product(x: Array, w: Array) -> Array:
        return np.asarray(x.reshape(-1, w.shape[1]) @ w.T)

    total = _exactly(product, rows, weights, terms=weights.shape[1])
    return _requantized(site, AccumulatorKind.FULLY_CONNECTED, total, op.activation, product).reshape(site.result.shape)


def mat_mul(site: Site, op: MatMul) -> Codes:
    """Product of the last two axes, leading axes broadcast."""
    in_float = derive_float_dot_products(site.profile, site.graph, site.node)
    if in_float is not None:
        return matrices_in_float(site, op, in_float)

    def product(a: Array, b: Array) -> Array:
        a = a.swapaxes(-1, -2) if op.transpose_a else a
        return np.asarray(np.matmul(a, b.swapaxes(-1, -2) if op.transpose_b else b))

    a, b = site.centred(0), site.centred(1)
    total = _exactly(product, a, b, terms=a.shape[-2 if op.transpose_a else -1])
    return _requantized(site, AccumulatorKind.MATMUL, total, Activation(), product).reshape(site.result.shape)


def _exactly(product: Product, x: Codes, w: Codes, terms: int) -> Codes:
    """The product's integers, exactly."""
    bound = terms * _magnitude(x) * _magnitude(w)
    kind = np.float64 if bound < _EXACT_IN_FLOAT64 else np.int64
    return product(x.astype(kind), w.astype(kind)).astype(np.int64)


def _magnitude(x: Codes) -> int:
    return max(1, int(np.abs(x).max(initial=0)))


def _requantized(site: Site, kind: AccumulatorKind, total: Codes, activation: Activation, product: Product) -> Codes:
    """Bias added, wrapped to the accumulator's width, requantized where the result has a grid."""
    bias = site.tensor(2) if site.has(2) else None
    x = site.tensor(0).quant
    wide = x is not None and is_wide_accumulator(x, bias.element if bias else None)
    accumulators = total + site.codes(2) if bias else total
    if site.accumulators is not None:
        accumulators = accumulated(site, site.accumulators, product, accumulators, wide=wide)
    if not wide:
        accumulators = wrap(accumulators, 32)
    if site.result.quant is None:
        return accumulators
    recipe = derive_requantization(
        site.profile, kind, site.grid(0), site.grid(1), site.result_grid, activation, wide_accumulator=wide
    )
    codes: Codes = recipe.apply(accumulators)
    return codes
