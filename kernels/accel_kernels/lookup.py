"""Look-up tables of codes."""

import numpy as np

from accel_kernels._jit import kernel
from accel_kernels._types import Array, Int64


@kernel
def lookup(x: Array, table: Array, first: Int64, codes: Array) -> None:
    """codes[i] = table[x[i] - first], for table [entries] that covers every x."""
    for i in range(codes.size):
        codes[i] = table[np.int64(x[i]) - first]


@kernel
def lookup_indexed(x: Array, tables: Array, index: Array, first: Int64, codes: Array) -> None:
    """codes[i] = tables[index[i], x[i] - first], for tables [tables, entries] that cover every x and index."""
    for i in range(codes.size):
        codes[i] = tables[index[i], np.int64(x[i]) - first]
