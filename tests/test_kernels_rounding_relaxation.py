"""AdaRound's steps as kernels: compiled code and plain Python agree to the byte, and with the formulas in float64."""

import numpy as np
import pytest

from accel_kernels import rounding_relaxation as kernels

STRETCH, OFFSET = np.float32(1.2), np.float32(-0.1)
COUNT = kernels.BLOCK + 37


def scratch() -> tuple[np.ndarray, ...]:
    bits = np.zeros(kernels.BLOCK, np.int32)
    return np.zeros(kernels.BLOCK, np.float32), np.zeros(kernels.BLOCK, np.float32), bits, bits.view(np.float32)


def draws(seed: int) -> tuple[np.ndarray, ...]:
    generator = np.random.default_rng(seed)
    v = (generator.normal(size=COUNT) * 4).astype(np.float32)
    v[:6] = [0.0, -0.0, 100.0, -100.0, 2.3978953, -2.3978953]  # ends of the rectified sigmoid
    down, step, gradient = generator.normal(size=(3, COUNT)).astype(np.float32)
    return v, down, step, gradient


def plain(kernel: object) -> object:
    return getattr(kernel, "py_func", kernel)


def softened(kernel: object, v: np.ndarray, down: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sigmoid, weights = np.empty_like(v), np.empty_like(v)
    kernel(v, down, step, STRETCH, OFFSET, sigmoid, weights, *scratch()[2:])
    return sigmoid, weights


@pytest.mark.parametrize("seed", range(3))
def test_soft_weights(seed: int) -> None:
    v, down, step, _ = draws(seed)
    sigmoid, weights = softened(kernels.soften, v, down, step)
    for got, want in zip((sigmoid, weights), softened(plain(kernels.soften), v, down, step), strict=True):
        np.testing.assert_array_equal(got, want)
    exact = 1 / (1 + np.exp(-v.astype(np.float64)))
    np.testing.assert_allclose(sigmoid, exact, rtol=1e-6, atol=1e-37)
    np.testing.assert_allclose(weights, down + step * np.clip(1.2 * exact - 0.1, 0, 1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("weight", "beta"), [(0.0, 1.0), (0.01, 20.0), (0.01, 2.0), (1.0, 3.7)])
def test_a_step_of_adam(weight: float, beta: float) -> None:
    v, down, step, gradient = draws(7)
    sigmoid, _ = softened(kernels.soften, v, down, step)
    numbers = np.array([STRETCH, OFFSET, 0.5, weight, beta, 1e-2, 1e-8], np.float32)
    first, second = np.full(COUNT, 0.01, np.float32), np.full(COUNT, 0.02, np.float32)
    results = []
    for kernel in (kernels.adam_step, plain(kernels.adam_step)):
        state = v.copy(), first.copy(), second.copy()
        kernel(state[0], step, sigmoid, gradient, *state[1:], numbers, *scratch())
        results.append(state)
    for got, want in zip(*results, strict=True):
        np.testing.assert_array_equal(got, want)
    s = sigmoid.astype(np.float64)
    h = (sigmoid * STRETCH + OFFSET).astype(np.float64)  # in float32: which side of an end it is on decides
    slope = -2 * beta * np.sign(2 * h - 1) * np.abs(2 * h - 1) ** (beta - 1)
    g = (0.5 * gradient * step + weight * slope) * 1.2 * s * (1 - s) * ((h > 0) & (h < 1))
    moments = 0.9 * 0.01 + 0.1 * g, 0.999 * 0.02 + 0.001 * g * g
    np.testing.assert_allclose(results[0][1], moments[0], rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(results[0][0], v - 1e-2 * moments[0] / (np.sqrt(moments[1]) + 1e-8), atol=2e-5)
