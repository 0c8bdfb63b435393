"""The chain from a device's requantization to the exact one, for accumulators at D elements.

All recipes end at clamp(half_even(exact value) + zero point; bounds of the real clamp, rounded half to even).
"""

from dataclasses import fields, replace
from typing import Any

import numpy as np

from accel_sim.analysis.causes.cause import Cause, Codes, Step
from accel_sim.analysis.causes.exact import ExactReal
from accel_sim.numerics.integers import (
    rounding_divide_by_power_of_two,
    unbounded,
    where,
    wrap,
)
from accel_sim.numerics.requantization import (
    DoubleRequantization,
    FixedPointRequantization,
    FloatGridRequantization,
    FloatRequantization,
    RationalRequantization,
    Requantization,
    Rounding,
    ShiftRequantization,
)
from accel_sim.records import dataclass


@dataclass(frozen=True)
class Bounds:
    """Zero point and clamp of the output code, int64 scalars or [D]."""

    zero_point: int
    low: Codes
    high: Codes

    def codes(self, rounded: Codes) -> Codes:
        """Rounded multiples of the output step as codes."""
        return np.clip(rounded + self.zero_point, self.low, self.high)


def at_channels(recipe: Requantization, channel: Codes) -> Requantization:
    """The recipe with one value per element instead of one per channel."""
    gathered: dict[str, Any] = {}
    for field in fields(recipe):
        values = getattr(recipe, field.name)
        if isinstance(values, tuple) and len(values) > 1:
            gathered[field.name] = tuple(np.array(values, object)[channel].tolist())
    return replace(recipe, **gathered)


def device_codes(recipe: Requantization, accumulators: Codes, accumulator_bits: int) -> Codes:
    """The codes of a device whose accumulators wrap to that width."""
    codes: Codes = recipe.apply(wrap(unbounded(accumulators), accumulator_bits).astype(np.int64))
    return codes


def requantization_steps(recipe: Requantization, accumulators: Codes, exact: ExactReal) -> list[Step]:
    """From unbounded accumulators to the exact value within the device's bounds.

    Args:
        recipe: with fields of one value, or one per element (`at_channels`).
        accumulators: int64 [D], unbounded.
        exact: accumulators times the exact scale ratio.
    """
    bounds = Bounds(recipe.zero_point, np.array(recipe.low), np.array(recipe.high))
    steps: list[Step] = [(Cause.ACCUMULATOR, bounds.codes(_unwrapped(recipe, accumulators)))]
    match recipe:
        case FixedPointRequantization(rounding=Rounding.DOUBLE):
            right = np.maximum(-np.array(recipe.shift, np.int64), 0)
            twice = rounding_divide_by_power_of_two(exact.half_up(right), right)
            steps.append((Cause.MULTIPLIER_PRECISION, bounds.codes(twice)))
            once = np.where(right > 0, exact.half_away(), exact.half_up())  # the ties of RDPOT, or of SRDHM alone
            steps.append((Cause.DOUBLE_ROUNDING, bounds.codes(once)))
        case FixedPointRequantization():
            steps.append((Cause.MULTIPLIER_PRECISION, bounds.codes(exact.half_up())))
        case FloatRequantization() | FloatGridRequantization():
            product = np.rint(_narrowed(recipe, accumulators, exact)).astype(np.int64)
            steps.append((Cause.MULTIPLIER_PRECISION, bounds.codes(product)))
            steps.append((Cause.DOUBLE_ROUNDING, bounds.codes(exact.half_even())))
        case DoubleRequantization():
            steps.append((Cause.MULTIPLIER_PRECISION, bounds.codes(exact.half_away())))
        case ShiftRequantization() | RationalRequantization():
            pass
        case _:
            raise TypeError(f"no chain for {type(recipe).__name__}")
    return [*steps, (Cause.TIE_RULE, bounds.codes(exact.half_even()))]


def _unwrapped(recipe: Requantization, accumulators: Codes) -> Codes:
    """`recipe.scaled` on registers of any width, limited to int64."""
    if isinstance(recipe, FixedPointRequantization):
        scaled = _fixed_point(recipe, unbounded(accumulators))
    elif isinstance(recipe, DoubleRequantization):
        product = accumulators.astype(np.float64) * np.array(recipe.scale)
        whole = np.trunc(product)  # half away from zero, as `DoubleRequantization`, without its int32
        scaled = whole + np.where(np.abs(product - whole) >= 0.5, np.sign(product), 0)
    else:
        scaled = recipe.scaled(unbounded(accumulators))
    return np.clip(scaled, -(1 << 62), 1 << 62).astype(np.int64)


def _fixed_point(recipe: FixedPointRequantization, x: Codes) -> Codes:
    multiplier, shift = np.array(recipe.multiplier, object), np.array(recipe.shift, object)
    if recipe.rounding is Rounding.DOUBLE:
        left, right = where(shift > 0, shift, 0), where(shift > 0, 0, -shift)
        product = (x * 2**left * multiplier + (1 << 30)) >> 31
        return unbounded(rounding_divide_by_power_of_two(product, right))  # type: ignore[no-any-return]
    if recipe.rounding is Rounding.SINGLE:
        return (x * multiplier + 2 ** (30 - shift)) >> (31 - shift)  # type: ignore[no-any-return]
    reduced = where(multiplier < 0x7FFF0000, (multiplier + (1 << 15)) >> 16, 0x7FFF)
    return (x * reduced + 2 ** (14 - shift)) >> (15 - shift)  # type: ignore[no-any-return]


def _narrowed(recipe: Requantization, accumulators: Codes, exact: ExactReal) -> Codes:
    """The product with the exact ratio, still from a float32 accumulator and rounded to float32."""
    lost = accumulators.astype(np.float32).astype(np.float64) - accumulators
    ratio = np.divide(exact.approximate, accumulators, out=np.zeros(len(accumulators)), where=accumulators != 0)
    product = (exact.approximate + lost * ratio).astype(np.float32)
    return np.clip(product, -(2.0**62), 2.0**62)
