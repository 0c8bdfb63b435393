"""The exact accumulators of one layer: unbounded integers, without the wrap of a device's registers."""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_sim.analysis.causes.cause import Codes
from accel_sim.arithmetic import AccumulatorKind, is_wide_accumulator
from accel_sim.ir import NO_ACTIVATION, Activation, Conv2D, FullyConnected, MatMul, Operator, TransposeConv2D
from accel_sim.records import dataclass
from accel_sim.reference.geometry import convolve, convolve_transposed
from accel_sim.reference.integer_context import Site

Array = NDArray[Any]
MATRIX_OPERATORS = (Conv2D, TransposeConv2D, FullyConnected, MatMul)
_EXACT_IN_FLOAT64 = 1 << 53


@dataclass(frozen=True, eq=False)
class Accumulators:
    """What a layer's accumulators hold, flat, in row-major order of the result.

    Attributes:
        products: int64, sums of products without bias. bias: int64 [C] or [1], 0 without.
        channels: C, the length of the result's last axis.
        terms: products of one sum.
    """

    products: Codes
    bias: Codes
    channels: int
    terms: int

    def channel(self, elements: Codes) -> Codes:
        """The output channel of flat element numbers."""
        return elements % self.channels

    def bias_at(self, elements: Codes) -> Codes:
        """The bias of elements."""
        return self.bias[self.channel(elements)] if self.bias.size > 1 else np.broadcast_to(self.bias, elements.shape)

    def at(self, elements: Codes) -> Codes:
        """Products and bias of elements."""
        return self.products[elements] + self.bias_at(elements)


def accumulators(site: Site) -> Accumulators:
    """The exact sums of a convolution or matrix product; sums of absolute values where `magnitudes`."""
    x, w = site.centred(0), site.centred(1)
    terms = _terms(site.node.op, w.shape)
    bias = site.codes(2).reshape(-1) if site.has(2) else np.zeros(1, np.int64)
    return Accumulators(_products(site, x, w, terms).reshape(-1), bias, site.result.shape[-1], terms)


def magnitudes(site: Site) -> Codes:
    """The sums of the products' magnitudes, bias included, flat."""
    x, w = np.abs(site.centred(0)), np.abs(site.centred(1))
    bias = np.abs(site.codes(2)).reshape(-1) if site.has(2) else np.zeros(1, np.int64)
    total = _products(site, x, w, _terms(site.node.op, w.shape)).reshape(-1, site.result.shape[-1])
    return (total + bias).reshape(-1)


def activation_of(op: Operator) -> Activation:
    """The clamp fused into an operator."""
    found = getattr(op, "activation", NO_ACTIVATION)
    assert isinstance(found, Activation)
    return found


def accumulator_kind(op: Operator) -> AccumulatorKind:
    """As recipes are derived for it."""
    kinds: dict[type[Operator], AccumulatorKind] = {
        FullyConnected: AccumulatorKind.FULLY_CONNECTED,
        MatMul: AccumulatorKind.MATMUL,
    }
    return kinds.get(type(op), AccumulatorKind.CONVOLUTION)


def is_wide(site: Site) -> bool:
    """Whether the device accumulates in 64 bits."""
    bias = site.tensor(2) if site.has(2) else None
    x = site.tensor(0).quant
    return x is not None and is_wide_accumulator(x, bias.element if bias else None)


def _terms(op: Operator, weights: tuple[int, ...]) -> int:
    if isinstance(op, MatMul):
        return weights[-1 if op.transpose_b else -2]
    return prod(weights[1:])


def _products(site: Site, x: Codes, w: Codes, terms: int) -> Codes:
    """In float64 where every partial sum is exact there, else in int64."""
    bound = terms * max(1, int(np.abs(x).max(initial=0))) * max(1, int(np.abs(w).max(initial=0)))
    kind = np.float64 if bound < _EXACT_IN_FLOAT64 else np.int64
    return _product(site)(x.astype(kind), w.astype(kind)).astype(np.int64)


def _product(site: Site) -> Callable[[Array, Array], Array]:
    op = site.node.op
    match op:
        case Conv2D():
            return lambda x, w: convolve(x, w, op.strides, op.dilations, op.padding, op.groups)
        case TransposeConv2D():
            out_hw = (site.result.shape[1], site.result.shape[2])
            return lambda x, w: convolve_transposed(x, w, op.strides, op.dilations, op.padding, op.groups, out_hw)
        case FullyConnected():
            return lambda x, w: np.asarray(x.reshape(-1, w.shape[1]) @ w.T)
        case MatMul():
            return lambda a, b: np.asarray(
                np.matmul(
                    a.swapaxes(-1, -2) if op.transpose_a else a,
                    b.swapaxes(-1, -2) if op.transpose_b else b,
                )
            )
    raise TypeError(f"{op.name} has no accumulators")
