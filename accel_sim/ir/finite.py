"""Real numbers that no code stands for, as a message tells of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def not_finite(array: NDArray[Any], dtype: np.dtype[Any]) -> str:
    """`3 of 6,144 values, the first nan at [3, 1, 5, 7]`: those that a float type cannot hold; nothing if it holds all.

    Looks at one row of the first axis at a time: the array may be a mapped file.
    """
    found, first = 0, ""
    with np.errstate(over="ignore"):
        for i, row in enumerate(array if array.ndim > 1 else array[np.newaxis]):
            bad = ~np.isfinite(row.astype(dtype, copy=False))
            if bad.any() and not found:
                place = tuple(int(p) for p in np.argwhere(bad)[0])
                first = f"{row[place]} at {[i, *place] if array.ndim > 1 else [*place]}"
            found += int(np.count_nonzero(bad))
    return f"{found:,} of {array.size:,} values, the first {first}" if found else ""
