"""ApplySoftmax as a native step."""

import numpy as np

from accel_kernels.native.tables import Field
from accel_sim.numerics.softmax import LaneSoftmax
from accel_sim.program import ApplySoftmax
from accel_sim.sim.native.step import OPERANDS, NativeStep, Source, lowers, pinned, target
from accel_sim.sim.preparation import Context
from accel_sim.sim.softmax import softmax_tables


@lowers(ApplySoftmax)
def lower_softmax(command: ApplySoftmax, context: Context) -> NativeStep | None:
    """The step of a softmax along the last axis."""
    x, y = command.input, command.output_to
    if x.dtype not in OPERANDS or y.dtype not in OPERANDS or not y.size or isinstance(command.recipe, LaneSoftmax):
        return None
    tables, source = softmax_tables(command), Source.of(x, context)
    table = pinned(tables.exponentials)
    extra = pinned(np.array([tables.scale]) if tables.reciprocals is None else tables.reciprocals)
    values = {
        **source.fields(),
        **target(y),
        Field.IMAGES: x.size // x.shape[-1],
        Field.SIZE: x.shape[-1],
        Field.LOW: tables.low,
        Field.HIGH: tables.high,
        Field.ZERO_POINT: tables.zero_point,
        Field.TABLE: table.ctypes.data,
        Field.EXTRA: extra.ctypes.data,
        Field.EXTRA_2: tables.bits,
    }
    name = f"softmax:{tables.form}:{OPERANDS[x.dtype]}:{8 * np.dtype(y.dtype).itemsize}"
    return NativeStep(name, values, 0, (table, extra, *source.kept))
