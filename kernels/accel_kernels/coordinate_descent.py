"""Single flips of binary choices that lower a quadratic form, one problem per row (eq 31)."""

import numpy as np
from numpy.typing import NDArray

from accel_kernels._jit import kernel

F64 = NDArray[np.float64]


@kernel
def descend(gram: F64, gradient: F64, step: F64, up: NDArray[np.bool_], least: F64, sweeps: int) -> None:
    """Flip, row by row and in the order of the columns, what changes the error by less than `least`; `up` is written.

    Flipping choice i of a row moves its weight by d = step (down to up) or -step, and the error by
    d (2 gradient_i + d gram_ii). A row is done when a sweep over it flips nothing.

    Args:
        gram: G, symmetric, float64 [K, K].
        gradient: w G - r for the choice at the start, float64 [rows, K]; overwritten.
        step: from down to up, float64 [rows, K]; 0 where there is no choice.
        up: the choice, bool [rows, K].
        least: the largest change that counts, float64 [rows], not positive.
        sweeps: over each row, at most.
    """
    columns = gram.shape[0]
    for row in range(step.shape[0]):
        for _ in range(sweeps):
            flipped = False
            for i in range(columns):
                delta = -step[row, i] if up[row, i] else step[row, i]
                if delta * (2.0 * gradient[row, i] + delta * gram[i, i]) < least[row]:
                    up[row, i] = not up[row, i]
                    flipped = True
                    for j in range(columns):
                        gradient[row, j] += delta * gram[i, j]
            if not flipped:
                break
