"""Convolutions and matrix products in float32, where the profile's software has no integer kernel for the types."""

import numpy as np

from accel_sim.ir import Conv2D, MatMul
from accel_sim.numerics import FloatDotProducts
from accel_sim.reference.geometry import pad_image, windows
from accel_sim.reference.integer_context import Codes, Site


def convolve_in_float(site: Site, op: Conv2D, recipe: FloatDotProducts) -> Codes:
    """Conv2D: padding is the input's zero point, the real number 0."""
    weights, shape = site.codes(1), site.result.shape
    padded = pad_image(site.codes(0), op.padding, recipe.input_zero_point)
    view = windows(padded, (weights.shape[1], weights.shape[2]), op.strides, op.dilations)
    rows = view.reshape(shape[0], shape[1] * shape[2], op.groups, -1)
    flat = weights.transpose(0, 3, 1, 2).reshape(len(weights), -1)
    return _codes(recipe.apply(rows, flat, _bias(site)), shape)


def rows_in_float(site: Site, recipe: FloatDotProducts) -> Codes:
    """FullyConnected."""
    weights = site.codes(1)
    rows = site.codes(0).reshape(1, -1, 1, weights.shape[1])
    return _codes(recipe.apply(rows, weights, _bias(site)), site.result.shape)


def matrices_in_float(site: Site, op: MatMul, recipe: FloatDotProducts) -> Codes:
    """MatMul, matrix by matrix; with one matrix on the right, all rows at once."""
    a, b = site.codes(0), site.codes(1)
    a = a.swapaxes(-1, -2) if op.transpose_a else a
    b = b if op.transpose_b else b.swapaxes(-1, -2)
    shape = site.result.shape
    if b.ndim == 2:
        return _codes(recipe.apply(a.reshape(1, -1, 1, a.shape[-1]), b, None), shape)
    left, right = (np.broadcast_to(m, (*shape[:-2], *m.shape[-2:])) for m in (a, b))
    y = np.empty(shape, np.int64)
    for index in np.ndindex(shape[:-2]):
        y[index] = recipe.apply(left[index][None, :, None, :], right[index], None)[0]
    return y


def _bias(site: Site) -> Codes | None:
    return site.codes(2) if site.has(2) else None


def _codes(codes: object, shape: tuple[int, ...]) -> Codes:
    return np.asarray(codes).astype(np.int64).reshape(shape)
