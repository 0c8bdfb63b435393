"""The Hessian of the task loss by one layer's weights (eq 30), from forward passes alone.

For the cross-entropy of a classifier with logits z(w) and p = softmax(z), the Gauss-Newton matrix is

    H = E[J^T (diag(p) - p p^T) J],   J = dz / dw.

Where everything after the layer is piecewise linear (ReLU, clamps, pooling), z is piecewise linear in w and H *is* the
Hessian. J comes from central differences, two passes for each weight: meant for a small first layer.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from accel_kernels.matmul_float import product
from accel_sim.errors import Fault, QuantizationError
from accel_sim.numerics.elementary import exp
from accel_sim.quantization.affine_grid import F64

Logits = Callable[[F64], NDArray[np.floating]]
"""Maps weights (of the layer's shape) to logits [N, classes]."""


def loss_hessian(logits: Logits, weight: NDArray[np.floating], step: float) -> F64:
    """H of eq 30 at `weight`, float64 [P, P] with P = weight.size, averaged over the N samples.

    Args:
        logits: the network as a function of this layer's weights.
        weight: of any shape.
        step: of the central differences; a fraction of the grid's scale is right.

    Raises:
        QuantizationError: a step that is not positive, or logits that are not [N, classes].
    """
    if not step > 0:
        raise QuantizationError("loss Hessian", [Fault("step", repr(step), "is positive")])
    center = np.asarray(weight, np.float64)
    base = np.asarray(logits(center), np.float64)
    if base.ndim != 2:
        rule = "logits are [samples, classes]"
        raise QuantizationError("loss Hessian", [Fault("logits", f"shape {list(base.shape)}", rule)])
    jacobian = np.empty((center.size, *base.shape))
    for k in range(center.size):
        moved = center.copy()
        moved.flat[k] += step
        ahead = np.asarray(logits(moved), np.float64)
        moved.flat[k] = center.flat[k] - step
        jacobian[k] = (ahead - np.asarray(logits(moved), np.float64)) / (2.0 * step)
    return _gauss_newton(jacobian, _softmax(base))


def _gauss_newton(jacobian: F64, p: F64) -> F64:
    """Mean over samples of J^T (diag(p) - p p^T) J for J [P, N, classes] and p [N, classes]."""
    centered = jacobian - (jacobian * p).sum(axis=2, keepdims=True)
    rows = (centered * np.sqrt(p)).reshape(jacobian.shape[0], -1)
    return np.asarray(product(rows, rows.T) / p.shape[0])


def _softmax(logits: F64) -> F64:
    powers = exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
