"""exp, log and tanh from IEEE operations, against 40 digits."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_sim.numerics import elementary
from accel_sim.numerics.transcendental import exponential, hyperbolic_tangent

FLOATS = st.one_of(
    st.floats(-500, 500), st.floats(-2, 2), st.sampled_from([0.0, -0.0, 1.0, 0.5, -0.5, 2.0**-30, 2.0**-1060])
)


def units_off(got: np.ndarray, exact: Fraction) -> float:
    return float(abs(Fraction(float(got)) - exact) / Fraction(float(np.spacing(abs(float(exact))))))


@given(FLOATS)
def test_exp_is_within_four_units(x: float) -> None:
    assert units_off(elementary.exp(np.array(x)), exponential(Fraction(x))) <= 4


@given(FLOATS)
def test_tanh_is_within_four_units_and_odd(x: float) -> None:
    got = elementary.tanh(np.array([x, -x]))
    exact = hyperbolic_tangent(Fraction(x)) if abs(x) > 1e-10 else Fraction(x)  # the rest is below 10^-20 of it
    assert units_off(got[0], exact) <= 4
    assert got[1] == -got[0]


@given(st.one_of(st.floats(1e-300, 1e300), st.floats(0.5, 2.0)))
def test_log_is_the_inverse_of_exp(x: float) -> None:
    y = Fraction(float(elementary.log(np.array(x))))
    # |log x - y| <= u  <=>  exp(y - u) <= x <= exp(y + u)
    unit = 4 * Fraction(float(max(np.spacing(abs(float(y))), 2.0**-1074)))
    assert exponential(y - unit) <= Fraction(x) <= exponential(y + unit) or abs(y) > 500


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ends_and_types(dtype: type) -> None:
    x = np.array([0.0, np.inf, -np.inf, np.nan, 1000.0, -1000.0], dtype)
    with np.errstate(invalid="raise", divide="raise", over="raise"):
        np.testing.assert_array_equal(elementary.exp(x), np.array([1, np.inf, 0, np.nan, np.inf, 0], dtype))
        np.testing.assert_array_equal(elementary.tanh(x), np.array([0, 1, -1, np.nan, 1, -1], dtype))
        positive = np.array([0.0, 1.0, np.inf, np.nan, -1.0], dtype)
        np.testing.assert_array_equal(elementary.log(positive), np.array([-np.inf, 0, np.inf, np.nan, np.nan], dtype))
    assert elementary.exp(x).dtype == elementary.log(abs(x)).dtype == elementary.tanh(x).dtype == dtype
