"""Pooling, means and softmax on codes."""

import numpy as np

from accel_sim.arithmetic import (
    ReductionLayout,
    activation_bounds,
    derive_average_pool,
    derive_mean,
    derive_softmax,
    needs_equal_grids,
    softmax_grid,
)
from accel_sim.ir import AveragePool2D, GlobalAveragePool2D, MaxPool2D, Mean, Softmax
from accel_sim.numerics import FloatAverage
from accel_sim.reference.geometry import pad_image, windows
from accel_sim.reference.integer_context import Codes, Site, requantized


def max_pool_2d(site: Site, op: MaxPool2D) -> Codes:
    """The largest code of the window, clamped; padding never wins."""
    x = site.on_result_grid(0)
    padded = pad_image(x, op.padding, np.iinfo(np.int64).min)
    largest: Codes = windows(padded, op.kernel, op.strides, op.dilations).max(axis=(-2, -1))
    if site.result.quant is None:
        return largest
    (low,), (high,) = activation_bounds(site.profile, op.activation, site.result.quant)
    return np.asarray(np.clip(largest, low, high))


def average_pool_2d(site: Site, op: AveragePool2D) -> Codes:
    """Averages of the pixels inside the image, or inside image and padding with count_include_pad."""
    same = needs_equal_grids(site.profile, op)
    x, q = (site.on_result_grid(0), site.result_grid) if same else (site.codes(0), site.grid(0))
    recipe = derive_average_pool(site.profile, op, q, site.result_grid, x.shape)
    whole = isinstance(recipe, FloatAverage) and recipe.columns > 0
    padded = pad_image(x, op.padding, q.zero_point[0] if whole or op.count_include_pad else 0)
    window = _flattened(windows(padded, op.kernel, op.strides, (1, 1)))
    inside = pad_image(np.full((1, *x.shape[1:3], 1), fill_value=True), op.padding, op.count_include_pad)
    valid = np.broadcast_to(_flattened(windows(inside, op.kernel, op.strides, (1, 1))), window.shape)
    if not whole:
        first = np.argsort(~valid, axis=-1, kind="stable")  # the valid elements, in their order, before the others
        window = np.take_along_axis(window, first, -1)
    codes: Codes = recipe.apply(window, valid.sum(axis=-1))
    return codes


def _flattened(view: Codes) -> Codes:
    return view.reshape(*view.shape[:4], -1)


def global_average_pool_2d(site: Site, op: GlobalAveragePool2D) -> Codes:
    """The mean of every channel."""
    x = site.codes(0)
    elements = x.transpose(0, 3, 1, 2).reshape(x.shape[0], x.shape[3], -1)
    count = elements.shape[-1]
    grids = site.grid(0), site.result_grid
    recipe = derive_mean(site.profile, count, *grids, global_pool=True, in_float=op.in_float)
    codes: Codes = recipe.apply(elements)
    return codes.reshape(site.result.shape)


def mean(site: Site, op: Mean) -> Codes:
    """The mean over stored axes; elements are taken in the file's order, which decides float32 sums."""
    x = site.codes(0)
    order = site.tensor(0).file_axes or tuple(range(x.ndim))
    by_file = sorted(range(x.ndim), key=lambda stored: order[stored])
    kept = [axis for axis in by_file if axis not in op.axes]
    reduced = [axis for axis in by_file if axis in op.axes]
    elements = x.transpose(*kept, *reduced).reshape(*(x.shape[a] for a in kept), -1)
    layout = ReductionLayout(tuple(x.shape[a] for a in by_file), tuple(by_file.index(a) for a in reduced))
    recipe = derive_mean(
        site.profile, elements.shape[-1], site.grid(0), site.result_grid, global_pool=False, layout=layout
    )
    codes: Codes = recipe.apply(elements)
    return codes.transpose(np.argsort(kept)).reshape(site.result.shape)


def softmax(site: Site, op: Softmax) -> Codes:
    """Softmax along a stored axis."""
    x = np.moveaxis(site.codes(0), op.axis, -1)
    grid, y = site.grid(0), site.result_grid
    codes: Codes = derive_softmax(site.profile, op, grid, y, x.shape[-1]).apply(x)
    natural = softmax_grid(site.profile, grid, y)
    if natural != y:
        codes = requantized(site.profile, codes, natural, y)
    return np.moveaxis(codes, -1, op.axis)
