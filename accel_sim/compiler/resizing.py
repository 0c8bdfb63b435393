"""Rules for resizing and softmax."""

from accel_sim.arithmetic import (
    derive_bilinear,
    derive_softmax,
    derive_table,
    nearest_indices,
    needs_equal_grids,
    softmax_grid,
)
from accel_sim.compiler.lowering import Site
from accel_sim.compiler.moves import move
from accel_sim.compiler.strides import dense_strides
from accel_sim.ir import ElementType, Requantize
from accel_sim.numerics import SoftmaxRecipe
from accel_sim.program import ApplySoftmax, Gather2D, Interpolate, Operand


def lower_resize_nearest(site: Site) -> None:
    """ResizeNearest: the source row and column of every output pixel."""
    x, y = site.on_grid_of(site.tensor(0), site.result), site.operand(site.result)
    rows, columns = nearest_indices(site.op, (x.shape[1], x.shape[2]), (y.shape[1], y.shape[2]))
    site.emit(Gather2D, x, y, rows, columns)


def lower_resize_bilinear(site: Site) -> None:
    """ResizeBilinear."""
    tensor, y = site.tensor(0), site.result
    equal = needs_equal_grids(site.profile, site.op)
    x = site.on_grid_of(tensor, y) if equal else site.operand(tensor)
    grid = site.grid(y) if equal else site.grid(tensor)
    sizes = (tensor.shape[1], tensor.shape[2]), (y.shape[1], y.shape[2])
    site.emit(Interpolate, x, site.operand(y), derive_bilinear(site.profile, site.op, *sizes, grid, site.grid(y)))


def lower_softmax(site: Site) -> None:
    """Softmax: the axis is moved to the end and back; a result on the profile's own grid is requantized."""
    x, y = site.tensor(0), site.result
    if not x.shape:
        raise site.refuse("input", "a scalar", "has an axis")
    axis = site.op.axis % len(x.shape)
    grid, wanted = softmax_grid(site.profile, site.grid(x), site.grid(y)), site.grid(y)
    recipe = derive_softmax(site.profile, site.op, site.grid(x), wanted, x.shape[axis])
    own_grid = grid == wanted
    made = site.operand(y) if own_grid else site.scratch("softmax", y.shape, ElementType.for_grid(grid).value)
    if axis == len(x.shape) - 1:
        site.emit(ApplySoftmax, site.operand(x), made, recipe)
    else:
        _across(site, axis, site.operand(x), made, recipe)
    if not own_grid:
        site.lookup(made, derive_table(site.profile, Requantize(), grid, wanted), grid, site.operand(y))


def _across(site: Site, axis: int, x: Operand, y: Operand, recipe: SoftmaxRecipe) -> None:
    """Softmax along another axis than the last."""
    last = len(x.shape) - 1
    order = (*(a for a in range(last + 1) if a != axis), axis)  # of x's axes when the axis stands last
    back = tuple(order.index(a) for a in range(last + 1))
    shape = tuple(x.shape[a] for a in order)
    turned, result = site.scratch("axis last", shape, x.dtype), site.scratch("softmax, axis last", shape, y.dtype)
    strides = dense_strides(x.shape)
    move(site, x, turned, [strides[a] for a in order])
    site.emit(ApplySoftmax, turned, result, recipe)
    strides = dense_strides(shape)
    move(site, result, y, [strides[a] for a in back])
