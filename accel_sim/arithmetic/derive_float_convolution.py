"""Transposed convolution in float32: which profiles compute it so, and with which grids."""

import numpy as np

from accel_sim.ir import Activation, QuantParams, TransposeConv2D
from accel_sim.numerics.float_convolution import FloatConvolution
from accel_sim.numerics.profiles import Arithmetic, Profile


def derive_float_transpose_convolution(
    profile: Profile,
    op: TransposeConv2D,
    x: QuantParams,
    w: QuantParams,
    bias: QuantParams | None,
    y: QuantParams,
) -> FloatConvolution | None:
    """The recipe of a transposed convolution in float32; None where the profile computes it with integers.

    A bias without grid lies at s_x * s_w.
    """
    if profile.requantization is not Arithmetic.FLOAT32:
        return None
    with np.errstate(over="ignore", under="ignore"):
        natural = np.float32(x.scale[0]) * np.array(w.scale, np.float32)
    bias_scale = bias.scale if bias else tuple(float(s) for s in natural)
    low, high = _clip(op.activation)
    return FloatConvolution(
        x.scale[0],
        x.zero_point[0],
        w.scale,
        w.zero_point,
        bias_scale,
        y.scale[0],
        y.zero_point[0],
        y.low,
        y.high,
        low,
        high,
    )


def _clip(activation: Activation) -> tuple[float, float]:
    high = activation.high
    return activation.low, max(high) if isinstance(high, tuple) else high
