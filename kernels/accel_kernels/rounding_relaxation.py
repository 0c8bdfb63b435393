"""AdaRound's relaxation, one pass over the weights for each half of a step: eq 33, and Adam on eq 34 and 35.

exp and log are polynomials in float32 (Cephes: `expf` and `logf`, error about 1 in the last bit) of separate
multiplications and additions, so that every processor gives the same bytes; those of NumPy and of C libraries differ
between processors. Weights are taken in blocks of BLOCK, which stay in the first-level cache.

Scratch memory is one array seen twice, `bits` as int32 and `reals` as float32 [BLOCK]: exponents are made and read as
integers.
"""

import numpy as np
from numpy.typing import NDArray

from accel_kernels._jit import kernel
from accel_kernels._types import Float32, Int64

BLOCK = 1024
"""Weights that are taken at once: what scratch memory holds."""

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

_ZERO, _HALF, _ONE, _TWO = np.float32(0.0), np.float32(0.5), np.float32(1.0), np.float32(2.0)
_LOG2_E, _LN2_HIGH, _LN2_LOW = np.float32(1.44269504088896341), np.float32(0.693359375), np.float32(-2.12194440e-4)
_TO_INTEGER = np.float32(12582912.0)  # 1.5 * 2^23: added and taken off, a small number becomes whole
_FAR = np.float32(87.0)  # exp(-87) is still a normal number
_SMALLEST = np.float32(1e-30)
_ROOT_HALF = np.float32(0.707106781186547524)
_E0, _E1, _E2, _E3, _E4, _E5 = (
    np.float32(c)
    for c in (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
)
_L0, _L1, _L2, _L3, _L4, _L5, _L6, _L7, _L8 = (
    np.float32(c)
    for c in (
        7.0376836292e-2,
        -1.1514610310e-1,
        1.1676998740e-1,
        -1.2420140846e-1,
        1.4249322787e-1,
        -1.6668057665e-1,
        2.0000714765e-1,
        -2.4999993993e-1,
        3.3333331174e-1,
    )
)


@kernel
def _exponentials(x: F32, count: Int64, bits: I32, reals: F32) -> None:
    """x = exp(x) for the first `count` elements."""
    for i in range(count):
        near = min(max(x[i], -_FAR), _FAR)
        whole = (near * _LOG2_E + _TO_INTEGER) - _TO_INTEGER
        bits[i] = (np.int32(whole) + 127) << 23
        x[i] = (near - whole * _LN2_HIGH) - whole * _LN2_LOW
    for i in range(count):
        r = x[i]
        p = ((((_E0 * r + _E1) * r + _E2) * r + _E3) * r + _E4) * r + _E5
        x[i] = ((p * (r * r) + r) + _ONE) * reals[i]


@kernel
def _logarithms(x: F32, count: Int64, bits: I32, reals: F32, exponents: F32) -> None:
    """x = log(x) for the first `count` elements, which are positive and normal."""
    for i in range(count):
        reals[i] = x[i]
    for i in range(count):
        exponents[i] = np.float32((bits[i] >> 23) - 126)
        bits[i] = (bits[i] & 0x7FFFFF) | 0x3F000000
    for i in range(count):
        small = reals[i] < _ROOT_HALF
        m = (reals[i] + reals[i] if small else reals[i]) - _ONE
        e = exponents[i] - _ONE if small else exponents[i]
        p = (((_L0 * m + _L1) * m + _L2) * m + _L3) * m + _L4
        p = (((p * m + _L5) * m + _L6) * m + _L7) * m + _L8
        square = m * m
        y = ((p * m) * square + e * _LN2_LOW) - _HALF * square
        x[i] = (m + y) + e * _LN2_HIGH


@kernel
def soften(
    v: F32, down: F32, step: F32, stretch: Float32, offset: Float32, sigmoid: F32, weights: F32, bits: I32, reals: F32
) -> None:
    """W~ = down + step * clamp(stretch * sigmoid(v) + offset; 0, 1)   (eq 33), and sigmoid(v); all float32 [n].

    Args:
        v: the relaxed variables.
        down: the lower choice of each weight.
        step: from the lower to the upper choice.
        stretch: zeta - gamma.
        offset: gamma.
        sigmoid: written.
        weights: written.
        bits: scratch memory as int32.
        reals: the same memory as float32.
    """
    for start in range(0, v.size, BLOCK):
        count = min(BLOCK, v.size - start)
        part = sigmoid[start : start + count]
        for i in range(count):
            part[i] = -v[start + i]
        _exponentials(part, count, bits, reals)
        for i in range(count):
            s = _ONE / (_ONE + part[i])
            part[i] = s
            h = min(max(s * stretch + offset, _ZERO), _ONE)
            weights[start + i] = h * step[start + i] + down[start + i]


@kernel
def adam_step(
    v: F32,
    step: F32,
    sigmoid: F32,
    gradient: F32,
    first: F32,
    second: F32,
    numbers: F32,
    power: F32,
    exponents: F32,
    bits: I32,
    reals: F32,
) -> None:
    """One step of Adam on v; all float32 [n].

    Args:
        v: the relaxed variables; written.
        step: from the lower to the upper choice of each weight.
        sigmoid: of v, from `soften`.
        gradient: of the error by the soft weights.
        first: Adam's first moments; written.
        second: its second moments; written.
        numbers: [7]: stretch and offset as in `soften`, what gradients are multiplied by, the weight of eq 34 (0 for
            none), its exponent beta, the learning rate, the smallest denominator.
        power: scratch memory [BLOCK].
        exponents: scratch memory [BLOCK].
        bits: scratch memory as int32.
        reals: the same memory as float32.
    """
    stretch, offset, unit, weight, beta, rate, smallest = numbers
    keep_first, take_first = np.float32(0.9), np.float32(0.1)
    keep_second, take_second = np.float32(0.999), np.float32(0.001)
    for start in range(0, v.size, BLOCK):
        count = min(BLOCK, v.size - start)
        if weight != _ZERO:
            for i in range(count):
                h = sigmoid[start + i] * stretch + offset
                power[i] = max(abs(h * _TWO - _ONE), _SMALLEST)
            _logarithms(power, count, bits, reals, exponents)
            for i in range(count):
                power[i] *= beta - _ONE
            _exponentials(power, count, bits, reals)
        for i in range(count):
            k = start + i
            s = sigmoid[k]
            h = s * stretch + offset
            g = gradient[k] * step[k] * unit
            if weight != _ZERO:
                slope = -_TWO * beta * power[i]
                g += weight * (slope if h * _TWO - _ONE >= _ZERO else -slope)
            g = g * s * (stretch - stretch * s)
            g = g if _ZERO < h < _ONE else _ZERO
            first[k] = keep_first * first[k] + take_first * g
            second[k] = keep_second * second[k] + take_second * (g * g)
            v[k] -= rate * first[k] / (np.sqrt(second[k]) + smallest)
