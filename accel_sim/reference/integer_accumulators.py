"""Matrix operators on accumulators of any structure (fig 4a): each sum added product by product, in plain integers.

The order is that of systolic dataflows: k ascending over ky, kx, input channel, or for a transposed convolution over
the taps in the order of the input pixels. Slow: for small graphs.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_sim.errors import Fault, GraphError
from accel_sim.ir import MatMul, TransposeConv2D
from accel_sim.numerics.accumulators import AccumulatorStructure, accumulate
from accel_sim.reference.integer_context import Codes, Site

Array = NDArray[Any]
Product = Callable[[Array, Array], Array]


def accumulated(site: Site, structure: AccumulatorStructure, product: Product, exact: Codes, *, wide: bool) -> Codes:
    """What accumulators hold at the end.

    Args:
        site: a convolution, fully connected layer or matrix product.
        structure: of the device's accumulators.
        product: the operator's sums of products, bilinear in its operands.
        exact: the sums, bias included.
        wide: whether software accumulates in 64 bits.

    Raises:
        GraphError: a transposed convolution on several stages, whose pairs depend on the phase of a pixel.
    """
    x, w = site.tensor(0), site.tensor(1)
    depthwise = len(w.shape) == 4 and w.shape[3] == 1 and getattr(site.node.op, "groups", 1) == w.shape[0]
    its = structure.for_command(x.element.value, w.element.value, depthwise=depthwise, wide=wide)
    if isinstance(site.node.op, TransposeConv2D) and len(its.stages) > 1:
        raise GraphError(site.node.where, [Fault("accumulator", its.name, "has one stage for transposed convolutions")])
    terms = np.stack([term.reshape(-1) for term in _terms(site, its, product)], axis=1)
    starts = exact.reshape(-1) - terms.sum(axis=1)
    pairs = zip(starts.tolist(), terms.tolist(), strict=True)
    held = [accumulate(its, start, products).value for start, products in pairs]
    return np.array(held, np.int64).reshape(exact.shape)


def _terms(site: Site, structure: AccumulatorStructure, product: Product) -> list[Codes]:
    """For each k, in order, the product that every output takes: by weights of which only those of k are not 0."""
    x, w = site.centred(0), site.centred(1)
    zero = site.tensor(0).quant.zero_point[0] if structure.raw_codes and site.tensor(0).quant else 0  # type: ignore[union-attr]
    raw = site.codes(1) if structure.raw_codes else w
    ones = np.ones_like(x)
    terms = []
    for at in _places(site, w.shape):
        only = np.zeros_like(w)
        only[at] = raw[at]
        term = product(x, only)
        if zero:
            term = term + zero * _everywhere(product, ones, only)
        terms.append(term)
    return terms


def _everywhere(product: Product, ones: Codes, only: Codes) -> Codes:
    """The weight that each output multiplies, in padding too: the largest magnitude over all pixels of a channel."""
    share = product(ones, only)
    flat = share.reshape(-1, share.shape[-1])
    rows = np.argmax(np.abs(flat), axis=0)
    return np.broadcast_to(flat[rows, np.arange(flat.shape[1])], share.shape)


def _places(site: Site, shape: tuple[int, ...]) -> list[tuple[Any, ...]]:
    """The weights of each k."""
    op = site.node.op
    if isinstance(op, MatMul):
        axis = -1 if op.transpose_b else -2
        every = [slice(None)] * len(shape)
        return [(*every[:axis], k, *every[len(shape) + axis + 1 :]) for k in range(shape[axis])]
    places = [(slice(None), *index) for index in np.ndindex(shape[1:])]
    if isinstance(op, TransposeConv2D):
        taps = [places[i : i + shape[3]] for i in range(0, len(places), shape[3])]
        return [place for tap in reversed(taps) for place in tap]
    return places
