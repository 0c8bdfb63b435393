"""tanh as ONNX Runtime computes it: a ratio of two polynomials in float32, not the rounded tanh.

Source: the minimax approximation of Eigen (generic_fast_tanh_float), used by MLAS (MlasComputeTanh). Of 200,003 normal
arguments, 117,788 give another float32 than the correctly rounded tanh; some of them become another code.
"""

import numpy as np
from numpy.typing import NDArray

from accel_sim.numerics.floats import fused_multiply_add

_F = np.float32
_BOUND = _F(9)  # beyond it the argument is limited
_NUMERATOR = (  # of x^12, x^10, ..., 1; times x
    -2.76076847742355e-16,
    2.00018790482477e-13,
    -8.60467152213735e-11,
    5.12229709037114e-08,
    1.48572235717979e-05,
    6.37261928875436e-04,
    4.89352455891786e-03,
)
_DENOMINATOR = (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)  # of x^6 ... 1


def rational_tanh(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """p(x) / q(x) for |x| limited to 9: Horner's scheme in x^2, each step one fused multiply-add."""
    limited = np.clip(x, -_BOUND, _BOUND)
    square = limited * limited
    ratio: NDArray[np.float32] = _horner(_NUMERATOR, square) * limited / _horner(_DENOMINATOR, square)
    return ratio


def _horner(coefficients: tuple[float, ...], x: NDArray[np.float32]) -> NDArray[np.float32]:
    total = np.full_like(x, _F(coefficients[0]))
    for coefficient in coefficients[1:]:
        total = fused_multiply_add(total, x, np.full_like(x, _F(coefficient)))
    return total
