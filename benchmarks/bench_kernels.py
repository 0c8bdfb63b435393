"""Speed of the multiply-accumulate and requantizing kernels on layers of real networks.

    PYTHONPATH=.:kernels python benchmarks/bench_kernels.py [--seconds 0.3]

Prints giga-multiply-accumulates (or giga-elements) per second of the best of several runs, on one thread.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from accel_sim.hardware import OverflowPolicy
from accel_sim.numerics.requantization import (
    DoubleRequantization,
    FixedPointRequantization,
    FloatRequantization,
    RationalRequantization,
    Rounding,
)
from accel_sim.sim.multiply_accumulate import Accumulator, Kernel, MultiplyAccumulate
from accel_sim.sim.requantizers import prepare_requantizer

LAYERS = {"3x3x64 -> 64": (784, 64, 576), "1x1x64 -> 128": (784, 128, 64), "3x3x256 -> 256": (196, 256, 2304)}
DEPTHWISE = {"3x3, 64 channels": (784, 64), "3x3, 256 channels": (196, 256)}
KERNELS = (
    ("exact", Kernel.EXACT, 32, OverflowPolicy.WRAP),
    ("extremes", Kernel.EXTREMES, 32, OverflowPolicy.WRAP),
    ("wrap, 20 bits", Kernel.LANES32, 20, OverflowPolicy.WRAP),
    ("saturate, 20 bits", Kernel.LANES32, 20, OverflowPolicy.SATURATE),
    ("saturate, 32 bits", Kernel.LANES64, 32, OverflowPolicy.SATURATE),
)
RECIPES = {
    "double rounding": FixedPointRequantization(3, (-128,), (127,), (1 << 30,), (-9,), Rounding.DOUBLE),
    "float32": FloatRequantization(3, (-128,), (127,), (0.001,)),
    "float64": DoubleRequantization(3, (-128,), (127,), (0.001,)),
    "exact rational": RationalRequantization(3, (-128,), (127,), (123456789012345,), (1 << 57,)),
}


def best(run: Callable[[], None], seconds: float) -> float:
    """Seconds of the fastest call within a time budget; compiled before."""
    run()
    fastest, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        run()
        fastest = min(fastest, time.perf_counter() - start)
    return fastest


def products(seconds: float) -> None:
    """Convolutions and fully connected layers."""
    rng = np.random.default_rng(0)
    record = np.zeros(3, np.int64)
    for layer, (rows, columns, depth) in LAYERS.items():
        panel = rng.integers(-255, 256, (rows, depth)).astype(np.int16)
        weights, bias = rng.integers(-127, 128, (columns, depth)), np.zeros(columns, np.int64)
        accumulators = np.zeros((rows, columns), np.int32)
        for name, kernel, bits, policy in KERNELS:
            engine = MultiplyAccumulate(Accumulator(bits, policy), kernel, np.dtype(np.int16), depth)
            packed = engine.pack(weights)
            fastest = best(partial(engine.multiply, panel, rows, packed, bias, 0, accumulators, record), seconds)
            print(f"{layer:20s} {name:20s} {rows * columns * depth / fastest / 1e9:7.1f} GMAC/s")


def depthwise(seconds: float) -> None:
    """Depthwise convolutions."""
    rng = np.random.default_rng(0)
    record = np.zeros(3, np.int64)
    for layer, (rows, channels) in DEPTHWISE.items():
        panel = rng.integers(-255, 256, (rows, 9, channels)).astype(np.int16)
        weights, bias = rng.integers(-127, 128, (9, channels)).astype(np.int16), np.zeros(channels, np.int64)
        accumulators = np.zeros((rows, channels), np.int32)
        for name, kernel, bits, policy in KERNELS:
            engine = MultiplyAccumulate(Accumulator(bits, policy), kernel, np.dtype(np.int16), 9)
            fastest = best(
                partial(engine.multiply_depthwise, panel, rows, weights, bias, accumulators, record), seconds
            )
            print(f"{layer:20s} {name:20s} {rows * channels * 9 / fastest / 1e9:7.1f} GMAC/s")


def requantizers(seconds: float) -> None:
    """Requantization of int32 accumulators to int8 codes."""
    rows, channels = 4000, 64
    accumulators = np.random.default_rng(0).integers(-(1 << 20), 1 << 20, (rows, channels)).astype(np.int32)
    codes = np.zeros((rows, channels), np.int8)
    for name, recipe in RECIPES.items():
        requantize = prepare_requantizer(recipe, channels, accumulators.dtype)
        fastest = best(partial(requantize, accumulators, rows, codes), seconds)
        print(f"{'requantize':20s} {name:20s} {rows * channels / fastest / 1e9:7.2f} G/s")


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=0.3, help="time budget of each figure")
    seconds = parser.parse_args().seconds
    products(seconds)
    depthwise(seconds)
    requantizers(seconds)


if __name__ == "__main__":
    main()
