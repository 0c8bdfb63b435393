"""Fused multiply-add of float32, exactly rounded, the same on every CPU and without compilation."""

import numpy as np

from accel_kernels._jit import kernel
from accel_kernels._types import Float32


@kernel
def fused_multiply_add(a: Float32, b: Float32, c: Float32) -> Float32:
    """a * b + c with one rounding.

    The product is exact in double. Its sum with c is rounded to odd: where the sum is inexact (Knuth's two-sum tells)
    and its last bit is 0, it moves one unit towards the exact value. The second rounding, to float32, then decides as
    it would on the exact value.
    """
    product = np.float64(a) * np.float64(b)
    addend = np.float64(c)
    total = product + addend
    part = total - product
    error = (product - (total - part)) + (addend - part)
    bits = np.float64(total).view(np.int64)
    if error != 0 and bits & 1 == 0:
        bits += 1 if (error > 0) == (total > 0) else -1
    return np.float32(np.int64(bits).view(np.float64))
