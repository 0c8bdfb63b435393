"""Rules for pooling and reductions."""

from math import prod

import numpy as np

from accel_sim.arithmetic import ReductionLayout, activation_bounds, derive_average_pool, derive_mean, needs_equal_grids
from accel_sim.compiler.lowering import Site
from accel_sim.compiler.moves import move
from accel_sim.compiler.strides import dense_strides
from accel_sim.ir import Tensor
from accel_sim.numerics import Arithmetic, MeanRecipe
from accel_sim.program import FindExtremum, PoolAverage, PoolMaximum, Reduce, Window


def lower_max_pool(site: Site) -> None:
    """MaxPool2D: codes of one grid compare like the numbers, so an input on another grid is requantized first."""
    op, y = site.op, site.result
    low, high = _bounds(site, y)
    window = Window(op.kernel, op.strides, op.dilations, op.padding.top, op.padding.left)
    site.emit(PoolMaximum, site.on_grid_of(site.tensor(0), y), site.operand(y), window, low, high)


def lower_average_pool(site: Site) -> None:
    """AveragePool2D."""
    op, tensor, y = site.op, site.tensor(0), site.result
    equal = needs_equal_grids(site.profile, op)
    x = site.on_grid_of(tensor, y) if equal else site.operand(tensor)
    grid = site.grid(y) if equal else site.grid(tensor)
    recipe = derive_average_pool(site.profile, op, grid, site.grid(y), x.shape)
    padding = op.padding
    window = Window(op.kernel, op.strides, (1, 1), padding.top, padding.left)
    include = op.count_include_pad
    site.emit(
        PoolAverage, x, site.operand(y), window, padding.bottom, padding.right, include, grid.zero_point[0], recipe
    )


def lower_global_average_pool(site: Site) -> None:
    """GlobalAveragePool2D: a mean over height and width."""
    x, y = site.tensor(0), site.result
    count, grids = _counted(site, x.shape[1] * x.shape[2]), (site.grid(x), site.grid(y))
    recipe = derive_mean(site.profile, count, *grids, global_pool=True, in_float=site.op.in_float)
    site.emit(Reduce, site.operand(x), site.operand(y), (1, 2), recipe)


def lower_mean(site: Site) -> None:
    """Mean. Where the order of float additions follows the file's axes, x is brought into that order first."""
    x, y = site.tensor(0), site.result
    axes = tuple(sorted({axis % len(x.shape) for axis in site.op.axes}))
    if site.profile.reduction is Arithmetic.FLOAT32 and x.file_axes and axes != (1, 2):
        _mean_in_file_order(site, x, y, axes)
        return
    site.emit(Reduce, site.operand(x), site.operand(y), axes, _mean(site, x, y, axes))


def lower_arg_max(site: Site) -> None:
    """ArgMax: on the codes; a scale is positive, so they compare like the numbers."""
    x, op = site.tensor(0), site.op
    axis = op.axis % len(x.shape)
    site.emit(FindExtremum, site.operand(x), site.operand(site.result), axis, op.select_last, op.minimum)


def _mean(site: Site, x: Tensor, y: Tensor, axes: tuple[int, ...]) -> MeanRecipe:
    """The recipe, told where the reduced axes lie in the file."""
    order = x.file_axes or tuple(range(len(x.shape)))  # stored axis i is file axis order[i]
    shape = tuple(x.shape[order.index(i)] for i in range(len(order)))
    layout = ReductionLayout(shape, tuple(sorted(order[a] for a in axes)))
    count = _counted(site, prod(x.shape[a] for a in axes))
    return derive_mean(site.profile, count, site.grid(x), site.grid(y), global_pool=False, layout=layout)


def _mean_in_file_order(site: Site, x: Tensor, y: Tensor, axes: tuple[int, ...]) -> None:
    """x to the file's axis order, the mean there, and what is kept back to the stored order."""
    order = tuple(int(a) for a in np.argsort(x.file_axes))  # file axis i is stored axis order[i]
    strides = dense_strides(x.shape)
    in_file = site.scratch("file order", tuple(x.shape[a] for a in order), x.element.value)
    move(site, site.operand(x), in_file, [strides[a] for a in order])
    kept = [a for a in order if a not in axes]
    means = site.scratch("means in file order", tuple(x.shape[a] for a in kept), y.element.value)
    site.emit(Reduce, in_file, means, tuple(i for i, a in enumerate(order) if a in axes), _mean(site, x, y, axes))
    strides = dense_strides(means.shape)
    stored = sorted(kept)
    target = site.operand(y, tuple(x.shape[a] for a in stored))
    move(site, means, target, [strides[kept.index(a)] for a in stored])


def _counted(site: Site, count: int) -> int:
    if count == 0:
        raise site.refuse("input", f"{site.tensor(0).shape}", "has elements to average")
    return count


def _bounds(site: Site, y: Tensor) -> tuple[int, int]:
    """The clamp of a fused activation as codes; the whole type without a grid."""
    if y.quant is None:
        info = np.iinfo(y.element.value)
        return int(info.min), int(info.max)
    low, high = activation_bounds(site.profile, site.op.activation, site.grid(y))
    if len(set(low)) > 1 or len(set(high)) > 1:
        raise site.refuse("activation", "a bound per channel", "pooling clamps all channels alike")
    return low[0], high[0]
