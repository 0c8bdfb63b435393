"""Bias correction (3.3): quantizing weights shifts the mean of a layer's output; the bias takes the shift back.

    E[W^ x] = E[W x] + dW E[x]      (25),  dW = W^ - W
    E[y_corr] = E[W^ x] - dW E[x]   (26),  so  b' = b - dW E[x].

*Empirical* (eq 27): dW E[x] = E[W^ x] - E[W x], from the channel means of the quantized and the float layer on data.
Layers are corrected in order, each on inputs that the corrected layers before it produce.

*Analytic* (eq 28): E[x] from batch-norm statistics (`normal_moments`), no data. A tap of a kernel that lies beyond the
border sees 0 in place of a mean: `tap_means` has what each tap sees on average over the output pixels,

    m[p, q, c] = 1 / (Ho Wo)  sum over (i, j) with (i s + p d - top, j s + q d - left) inside of E[x]
                 at that place in channel c,        dW E[x] = sum over p, q, c of dW[:, p, q, c] m[p, q, c].
"""

import numpy as np
from numpy.typing import NDArray

from accel_sim.errors import Fault, QuantizationError
from accel_sim.quantization.affine_grid import F64
from accel_sim.quantization.convolution_rows import Window


def empirical_shift(quantized_mean: NDArray[np.floating], float_mean: NDArray[np.floating]) -> F64:
    """eq 27: E[W^ x] - E[W x] from the output means of the quantized and the float layer, [Co]."""
    quantized, wanted = np.asarray(quantized_mean, np.float64), np.asarray(float_mean, np.float64)
    if quantized.shape != wanted.shape:
        shapes = f"{list(quantized.shape)} and {list(wanted.shape)}"
        raise QuantizationError("bias correction", [Fault("means", shapes, "both layers have the same channels")])
    return quantized - wanted


def analytic_shift(
    weight: NDArray[np.floating], quantized: NDArray[np.floating], input_mean: F64, groups: int = 1
) -> F64:
    """dW E[x], float64 [Co].

    Args:
        weight: float weights [Co, ..., Ci / groups] (OHWI, or [Co, K]).
        quantized: the same after quantization and de-quantization.
        input_mean: E[x] of each input channel, [Ci]; for [Co, K] weights, [K]; or what each tap sees of each channel,
            [..., Ci] with the taps of the weights, from `tap_means`.
        groups: of the convolution; Ci for depthwise.

    Raises:
        QuantizationError: shapes that do not belong together.
    """
    if weight.shape != quantized.shape:
        shapes = f"{list(weight.shape)} and {list(quantized.shape)}"
        raise QuantizationError("bias correction", [Fault("weights", shapes, "both have the same shape")])
    difference = np.asarray(quantized, np.float64) - np.asarray(weight, np.float64)
    outputs, inputs = difference.shape[0], difference.shape[-1] * groups
    if np.shape(input_mean) not in ((inputs,), (*difference.shape[1:-1], inputs)) or outputs % groups:
        rule = f"one mean for each of {inputs} input channels, and {outputs} outputs divisible by {groups} groups"
        raise QuantizationError("bias correction", [Fault("input mean", str(np.shape(input_mean)), rule)])
    taps = difference.reshape(groups, outputs // groups, -1, inputs // groups)
    seen = np.broadcast_to(
        np.asarray(input_mean, np.float64).reshape(-1, groups, inputs // groups),
        (taps.shape[2], groups, inputs // groups),
    )
    return np.asarray(np.einsum("gotc,tgc->go", taps, seen).reshape(-1))


def tap_means(mean: NDArray[np.floating], window: Window, output_shape: tuple[int, int]) -> F64:
    """What each tap of a zero-padded convolution sees of each input channel, on average over its output pixels.

    Args:
        mean: E[x] at each place, [H, W, Ci].
        window: of the convolution.
        output_shape: Ho and Wo.

    Returns:
        float64 [kh, kw, Ci].
    """
    height, width, channels = mean.shape
    taps = np.empty((*window.kernel, channels))
    for p, q in np.ndindex(*window.kernel):
        rows = np.arange(output_shape[0]) * window.strides[0] + p * window.dilations[0] - window.top
        columns = np.arange(output_shape[1]) * window.strides[1] + q * window.dilations[1] - window.left
        rows, columns = rows[(rows >= 0) & (rows < height)], columns[(columns >= 0) & (columns < width)]
        taps[p, q] = mean[np.ix_(rows, columns)].sum(axis=(0, 1), dtype=np.float64)
    return taps / (output_shape[0] * output_shape[1])


def corrected_bias(bias: NDArray[np.floating] | None, shift: F64) -> F64:
    """eq 26: b - shift, float64 [Co]; an absent bias counts as 0. It is quantized after, to the accumulator's grid."""
    return -shift if bias is None else np.asarray(bias, np.float64) - shift
