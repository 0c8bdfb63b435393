"""Matrix commands for timing and tiling tests, tiled for a hardware."""

import numpy as np

from accel_sim.compiler.matrices import UNTILED
from accel_sim.compiler.tile import tile
from accel_sim.numerics import FixedPointRequantization, Rounding
from accel_sim.program import Convolve, MatrixMultiply, Operand, Region, TransposeConvolve, Window

RECIPE = FixedPointRequantization(0, (-128,), (127,), (1 << 30,), (-8,), Rounding.DOUBLE)


def activation(name, shape, dtype="int8"):
    return Operand(name, Region.ACTIVATIONS, 0, shape, dtype)


def constant(name, shape, dtype="int8"):
    return Operand(name, Region.CONSTANTS, 0, shape, dtype)


def convolve(hardware, image, kernel, channels, *, stride=1, groups=1, pad=0, weight_zero_point=0, output=None):
    """Ho x Wo follow from the floor rule unless `output` gives them."""
    n, height, width, depth = image
    out = output or tuple((e + 2 * pad - k) // stride + 1 for e, k in zip((height, width), kernel, strict=True))
    command = Convolve(
        "conv",
        "Conv2D",
        activation("x", image),
        constant("w", (channels, *kernel, depth // groups)),
        constant("b", (channels,), "int32"),
        activation("y", (n, *out, channels)),
        Window(kernel, (stride, stride), (1, 1), pad, pad),
        groups,
        0,
        (weight_zero_point,),
        False,
        RECIPE,
        UNTILED,
    )
    return tile([command], hardware)[0]


def transpose_convolve(hardware, image, kernel, channels, *, stride=2, dilation=1):
    n, height, width, depth = image
    out = tuple((e - 1) * stride + (k - 1) * dilation + 1 for e, k in zip((height, width), kernel, strict=True))
    command = TransposeConvolve(
        "up",
        "TransposeConv2D",
        activation("x", image),
        constant("w", (channels, *kernel, depth)),
        None,
        activation("y", (n, *out, channels)),
        Window(kernel, (stride, stride), (dilation, dilation)),
        1,
        0,
        (0,),
        False,
        RECIPE,
        UNTILED,
    )
    return tile([command], hardware)[0]


def multiply(hardware, m, k, n, batch=(), *, shared=False, weight_zero_point=0):
    b_batch = tuple(1 for _ in batch) if shared else batch
    command = MatrixMultiply(
        "matmul",
        "MatMul",
        activation("a", (*batch, m, k)),
        activation("b", (*b_batch, k, n)),
        activation("y", (*batch, m, n)),
        False,
        False,
        0,
        (weight_zero_point,),
        False,
        RECIPE,
        UNTILED,
    )
    return tile([command], hardware)[0]


def parts(extent, size):
    """The intervals into which a tiling cuts an axis, written independently of the code under test."""
    return [np.arange(first, min(first + size, extent)) for first in range(0, extent, size)]
