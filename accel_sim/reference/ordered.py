"""Matrix products of floating-point numbers in one order of additions, whatever the processor.

A library of linear algebra adds in an order that depends on the processor and on how many threads it takes, and float32
sums depend on that order. Here each product is rounded, then added to the sum of those before it: k ascending.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_ELEMENTS = 1 << 14  # of a block of sums, which stay in a processor's cache while k goes on


def product_in_order(a: Array, b: Array) -> Array:
    """a [..., M, K] times b [..., K, N], leading axes broadcast: sums of rounded products, k ascending, from 0."""
    leading = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (np.broadcast_to(side, (*leading, *side.shape[-2:])) for side in (a, b))
    result = np.zeros((*leading, a.shape[-2], b.shape[-1]), np.result_type(a, b))
    for index in np.ndindex(leading):
        _multiply(a[index], b[index], result[index])
    return result


def _multiply(a: Array, b: Array, result: Array) -> None:
    """Block by block of rows; sums lie [N, M], so that the long axis is the inner one."""
    by_k = np.ascontiguousarray(b)[:, :, np.newaxis]
    rows = max(1, math.ceil(_ELEMENTS / max(b.shape[1], 1)))
    for first in range(0, len(a), rows):
        block = np.ascontiguousarray(a[first : first + rows].T)
        total = np.zeros((b.shape[1], block.shape[1]), result.dtype)
        term = np.empty_like(total)
        for k in range(len(block)):
            np.multiply(by_k[k], block[k], out=term)
            np.add(total, term, out=total)
        result[first : first + rows] = total.T
