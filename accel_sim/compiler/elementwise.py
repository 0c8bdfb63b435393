"""Rules for operators element by element: two operands, or one through a table."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from accel_sim.arithmetic import (
    PReluSlope,
    derive_elementwise,
    derive_requantize,
    derive_shift,
    derive_table,
    needs_equal_grids,
)
from accel_sim.compiler.lowering import Site, same_codes
from accel_sim.ir import (
    NO_ACTIVATION,
    Activation,
    Add,
    Clip,
    Maximum,
    Minimum,
    Multiply,
    Operator,
    Subtract,
)
from accel_sim.numerics import BinaryKind
from accel_sim.program import Elementwise, Lookup, RequantizeCodes

_KINDS: dict[type[Operator], BinaryKind] = {
    Add: BinaryKind.ADD,
    Subtract: BinaryKind.SUBTRACT,
    Multiply: BinaryKind.MULTIPLY,
    Minimum: BinaryKind.MINIMUM,
    Maximum: BinaryKind.MAXIMUM,
}


def lower_binary(site: Site) -> None:
    """Add, Subtract, Multiply, Minimum, Maximum."""
    a, b, y = site.tensor(0), site.tensor(1), site.result
    activation = getattr(site.op, "activation", NO_ACTIVATION)
    if needs_equal_grids(site.profile, site.op):
        operands, grids = (site.on_grid_of(a, y), site.on_grid_of(b, y)), (site.grid(y), site.grid(y))
    else:
        operands, grids = (site.operand(a), site.operand(b)), (site.grid(a), site.grid(b))
    recipe = derive_elementwise(site.profile, _KINDS[type(site.op)], *grids, site.grid(y), activation)
    site.emit(Elementwise, *operands, site.operand(y), recipe)


def lower_unary(site: Site) -> None:
    """Every function of one code: a table."""
    x, y = site.tensor(0), site.result
    table = derive_table(site.profile, site.op, site.table_grid(x), site.grid(y))
    site.lookup(site.operand(x), table, site.grid(x), site.operand(y))


def lower_clip(site: Site) -> None:
    """Clip: a table; with a cap per channel, a table for each cap."""
    caps = site.op.activation.high
    if not isinstance(caps, tuple):
        lower_unary(site)
        return
    low, channels = site.op.activation.low, site.tensor(0).shape[-1]
    if len(caps) != channels:
        raise site.refuse("activation", f"{len(caps)} caps", f"one for each of {channels} channels")
    distinct, index = np.unique(np.array(caps), return_inverse=True)
    operators = [(Clip(Activation(low, float(cap))), None) for cap in distinct]
    _tables(site, operators, index.reshape(channels))


def lower_prelu(site: Site) -> None:
    """PRelu: a table for each distinct slope, selected element by element."""
    slope = site.tensor(1)
    if slope.data is None:
        raise site.refuse(f"slope {slope.name!r}", "computed", "is a constant")
    if slope.quant is None:
        raise site.refuse(f"slope {slope.name!r}", "without scale", "has a scale and a zero point")
    parts = np.broadcast_arrays(slope.data, *slope.quant.broadcast(slope.data.ndim))
    distinct, index = np.unique(np.stack([part.ravel() for part in parts]), axis=1, return_inverse=True)
    slopes = [(site.op, PReluSlope(int(code), float(scale), int(zero))) for code, scale, zero in distinct.T]
    _tables(site, slopes, index.reshape(slope.shape))


def lower_requantize(site: Site) -> None:
    """Requantize: nothing on one grid, a table up to 16 bits, the requantizer for wider codes."""
    x, y = site.tensor(0), site.result
    if same_codes(x, y):
        site.view(y, site.operand(x))
    elif site.grid(x).bits <= 16:
        lower_unary(site)
    else:
        recipe = derive_requantize(site.profile, site.grid(x), site.grid(y))
        site.emit(RequantizeCodes, site.operand(x), site.operand(y), site.grid(x).zero_point[0], recipe)


def lower_requant_shift(site: Site) -> None:
    """RequantShift: multiply, add, shift, on accumulators without a grid."""
    site.emit(
        RequantizeCodes, site.operand(site.tensor(0)), site.operand(site.result), 0, derive_shift(site.op, site.result)
    )


def _tables(site: Site, cases: Sequence[tuple[Operator, PReluSlope | None]], index: np.ndarray) -> None:
    """One table for each case, and which one an element takes (broadcast against x)."""
    x, y = site.tensor(0), site.result
    grid = site.table_grid(x)
    tables = [derive_table(site.profile, op, grid, site.grid(y), slope) for op, slope in cases]
    if len(tables) == 1:
        site.lookup(site.operand(x), tables[0], grid, site.operand(y))
        return
    entries = site.constant("tables", np.stack(tables).astype(y.element.dtype))
    which = site.constant("table index", index.astype(np.int32))
    site.emit(Lookup, replace(site.operand(x), shape=y.shape), entries, which, site.operand(y), grid.low)
