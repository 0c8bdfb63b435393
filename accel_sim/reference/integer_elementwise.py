"""Element-wise operators on codes: of two operands by recipe, of one by table."""

import numpy as np

from accel_sim.arithmetic import (
    PReluSlope,
    derive_bilinear,
    derive_elementwise,
    derive_shift,
    derive_table,
    needs_equal_grids,
    pad_code,
)
from accel_sim.ir import (
    NO_ACTIVATION,
    Add,
    Concat,
    Maximum,
    Minimum,
    Multiply,
    Operator,
    Pad,
    PRelu,
    RequantShift,
    ResizeBilinear,
    Subtract,
)
from accel_sim.numerics import BinaryKind
from accel_sim.reference.integer_context import Codes, Site, requantized
from accel_sim.reference.movement import pad as pad_array

_KINDS: dict[type[Operator], BinaryKind] = {
    Add: BinaryKind.ADD,
    Subtract: BinaryKind.SUBTRACT,
    Multiply: BinaryKind.MULTIPLY,
    Minimum: BinaryKind.MINIMUM,
    Maximum: BinaryKind.MAXIMUM,
}


def binary(site: Site, op: Operator) -> Codes:
    """Add, Subtract, Multiply, Minimum, Maximum."""
    y = site.result_grid
    if needs_equal_grids(site.profile, op):
        a, b, grid_a, grid_b = site.on_result_grid(0), site.on_result_grid(1), y, y
    else:
        a, b, grid_a, grid_b = site.codes(0), site.codes(1), site.grid(0), site.grid(1)
    activation = op.activation if isinstance(op, Add | Subtract | Multiply) else NO_ACTIVATION
    recipe = derive_elementwise(site.profile, _KINDS[type(op)], grid_a, grid_b, y, activation)
    codes: Codes = recipe.apply(a, b)
    return codes


def unary(site: Site, op: Operator) -> Codes:
    """Every function of one code: a table."""
    x = site.grid(0)
    return derive_table(site.profile, op, x, site.result_grid)[site.codes(0) - x.low]


def requantize(site: Site, op: Operator) -> Codes:
    """Codes on another grid."""
    return requantized(site.profile, site.codes(0), site.grid(0), site.result_grid)


def requant_shift(site: Site, op: RequantShift) -> Codes:
    """An explicit multiply-add-shift."""
    codes: Codes = derive_shift(op, site.result).apply(site.codes(0))
    return codes


def prelu(site: Site, op: PRelu) -> Codes:
    """One table per distinct slope."""
    x, grid = site.grid(0), site.grid(1)
    slopes, scales = np.broadcast_arrays(site.codes(1), np.float64(grid.broadcast(site.codes(1).ndim)[0]))
    zeros = np.broadcast_to(grid.broadcast(slopes.ndim)[1], slopes.shape)
    distinct = sorted({*zip(slopes.ravel().tolist(), scales.ravel().tolist(), zeros.ravel().tolist(), strict=True)})
    number = {slope: i for i, slope in enumerate(distinct)}
    tables = np.stack([derive_table(site.profile, op, x, site.result_grid, PReluSlope(*slope)) for slope in distinct])
    keys = zip(slopes.ravel().tolist(), scales.ravel().tolist(), zeros.ravel().tolist(), strict=True)
    index = np.array([number[key] for key in keys]).reshape(slopes.shape)
    return np.asarray(tables[index, site.codes(0) - x.low])


def concat(site: Site, op: Concat) -> Codes:
    """Branches on other grids than the result's are requantized (2.3.3)."""
    if site.result.quant is None:
        return np.concatenate([site.codes(i) for i in range(len(site.node.inputs))], axis=op.axis)
    branches = []
    for i in range(len(site.node.inputs)):
        x = site.grid(i)
        branches.append(derive_table(site.profile, op, x, site.result_grid)[site.codes(i) - x.low])
    return np.concatenate(branches, axis=op.axis)


def pad(site: Site, op: Pad) -> Codes:
    """Padding with the code of a real value; the zero point for 0.0."""
    value = int(op.value) if site.result.quant is None else pad_code(site.profile, op.value, site.result.quant)
    return pad_array(op, site.on_result_grid(0), value)


def resize_bilinear(site: Site, op: ResizeBilinear) -> Codes:
    """Bilinear resizing."""
    same = needs_equal_grids(site.profile, op)
    x, q = (site.on_result_grid(0), site.result_grid) if same else (site.codes(0), site.grid(0))
    in_hw, out_hw = (x.shape[1], x.shape[2]), (site.result.shape[1], site.result.shape[2])
    codes: Codes = derive_bilinear(site.profile, op, in_hw, out_hw, q, site.result_grid).apply(x)
    return codes
