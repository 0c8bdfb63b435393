"""tanh and the logistic function as ONNX Runtime computes them: ratios of polynomials in float32, not rounded values.

Source: the minimax approximations of Eigen (generic_fast_tanh_float, scalar_logistic_op of version 3.3), used by MLAS
(MlasComputeTanh, MlasComputeLogistic). Of 200,003 normal arguments, 117,788 give another float32 than the correctly
rounded tanh, and a third another than the logistic function; some of them become another code.
"""

import numpy as np
from numpy.typing import NDArray

from accel_sim.numerics.floats import fused_multiply_add

_F = np.float32
_TANH_BOUND, _LOGISTIC_BOUND = _F(9), _F(18)
"""Beyond it the argument is limited."""
_TANH = (  # of x^12, x^10, ..., 1; times x
    -2.76076847742355e-16,
    2.00018790482477e-13,
    -8.60467152213735e-11,
    5.12229709037114e-08,
    1.48572235717979e-05,
    6.37261928875436e-04,
    4.89352455891786e-03,
)
_TANH_DIVISOR = (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)  # of x^6 ... 1
_LOGISTIC = (  # of x^8, ..., 1; times x
    4.37031012579801e-11,
    1.15627324459942e-07,
    6.08574864600143e-05,
    8.51377133304701e-03,
    2.48287947061529e-01,
)
_LOGISTIC_DIVISOR = (  # of x^10, ..., 1
    6.10247389755681e-13,
    5.76102136993427e-09,
    6.29106785017040e-06,
    1.70198817374094e-03,
    1.16817656904453e-01,
    9.93151921023180e-01,
)


def rational_tanh(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """p(x) / q(x) for |x| limited to 9: Horner's scheme in x^2, each step one fused multiply-add."""
    return _ratio(_TANH, _TANH_DIVISOR, np.clip(x, -_TANH_BOUND, _TANH_BOUND))


def rational_logistic(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """p(x) / q(x) + 1/2, limited to [0, 1], for |x| limited to 18; otherwise as `rational_tanh`."""
    ratio = _ratio(_LOGISTIC, _LOGISTIC_DIVISOR, np.clip(x, -_LOGISTIC_BOUND, _LOGISTIC_BOUND))
    limited: NDArray[np.float32] = np.clip(ratio + _F(0.5), _F(0), _F(1))
    return limited


def _ratio(numerator: tuple[float, ...], divisor: tuple[float, ...], x: NDArray[np.float32]) -> NDArray[np.float32]:
    square = x * x
    ratio: NDArray[np.float32] = _horner(numerator, square) * x / _horner(divisor, square)
    return ratio


def _horner(coefficients: tuple[float, ...], x: NDArray[np.float32]) -> NDArray[np.float32]:
    total = np.full_like(x, _F(coefficients[0]))
    for coefficient in coefficients[1:]:
        total = fused_multiply_add(total, x, np.full_like(x, _F(coefficient)))
    return total
