"""What a profile makes of an operator on given grids: `derive_*` turn grids into recipes of `accel_sim.numerics`."""

from accel_sim.arithmetic.boundary import activation_bounds, dequantize, pad_code, quantize_real
from accel_sim.arithmetic.derive_elementwise import derive_elementwise
from accel_sim.arithmetic.derive_float_convolution import derive_float_transpose_convolution
from accel_sim.arithmetic.derive_float_dot_products import derive_float_dot_products
from accel_sim.arithmetic.derive_pooling import (
    ReductionLayout,
    derive_average_pool,
    derive_mean,
)
from accel_sim.arithmetic.derive_requantization import (
    AccumulatorKind,
    derive_requantization,
    derive_requantize,
    derive_shift,
    is_wide_accumulator,
)
from accel_sim.arithmetic.derive_resize import derive_bilinear, nearest_indices
from accel_sim.arithmetic.derive_softmax import derive_softmax, softmax_grid
from accel_sim.arithmetic.support import needs_equal_grids, unsupported_reason
from accel_sim.arithmetic.table_slope import PReluSlope
from accel_sim.arithmetic.tables import TABLE_OPERATORS, derive_table

__all__ = [
    "TABLE_OPERATORS",
    "AccumulatorKind",
    "PReluSlope",
    "ReductionLayout",
    "activation_bounds",
    "dequantize",
    "derive_average_pool",
    "derive_bilinear",
    "derive_elementwise",
    "derive_float_dot_products",
    "derive_float_transpose_convolution",
    "derive_mean",
    "derive_requantization",
    "derive_requantize",
    "derive_shift",
    "derive_softmax",
    "derive_table",
    "is_wide_accumulator",
    "nearest_indices",
    "needs_equal_grids",
    "pad_code",
    "quantize_real",
    "softmax_grid",
    "unsupported_reason",
]
