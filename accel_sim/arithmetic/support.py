"""What a profile can compute, and what it needs of the grids."""

from collections.abc import Iterable

from accel_sim.ir import (
    AveragePool2D,
    BatchNorm,
    Concat,
    DepthToSpace,
    Maximum,
    MaxPool2D,
    Minimum,
    Operator,
    Pad,
    QuantParams,
    RequantShift,
    Reshape,
    ResizeBilinear,
    ResizeNearest,
    Slice,
    SpaceToDepth,
    Transpose,
)
from accel_sim.numerics.profiles import Arithmetic, Profile

_ON_CODES = (
    Concat,
    DepthToSpace,
    MaxPool2D,
    Maximum,
    Minimum,
    Pad,
    Reshape,
    ResizeNearest,
    Slice,
    SpaceToDepth,
    Transpose,
)
_ANY_FIXED = {Arithmetic.FIXED_DOUBLE, Arithmetic.FIXED_SINGLE}


def needs_equal_grids(profile: Profile, op: Operator) -> bool:
    """Whether the operator works on codes, so that its operands must lie on the result's grid.

    An operand on another grid is requantized first, by `derive_table(profile, Requantize(), operand, result)`, for a
    Concat by `derive_table(profile, op, operand, result)`. Moving and comparing codes is this in every profile;
    average pooling in fixed point (TFLite, TOSA) and bilinear resizing in TFLite too.
    """
    if isinstance(op, AveragePool2D):
        return profile.pooling in _ANY_FIXED | {Arithmetic.TOSA}
    if isinstance(op, ResizeBilinear):
        return profile.resize in _ANY_FIXED
    return isinstance(op, _ON_CODES)


def unsupported_reason(profile: Profile, op: Operator, grids: Iterable[QuantParams]) -> str | None:
    """Why the profile cannot compute the operator on these grids (operands and results), as a rule; None if it can.

    A scale ratio that leaves no room for a shift (2^30 and more) is found when the recipe is derived.
    """
    present = tuple(grids)
    if isinstance(op, BatchNorm):
        return "batch normalization is folded before a graph becomes integer"
    if isinstance(op, RequantShift):
        return None
    if Arithmetic.SHIFT in _rules(profile) and not all(q.is_power_of_two for q in present):
        return f"profile {profile.name!r} needs scales that are powers of two (2.2.2)"
    return None


def _rules(profile: Profile) -> set[Arithmetic]:
    return {
        profile.requantization,
        profile.fully_connected,
        profile.elementwise,
        profile.pooling,
        profile.reduction,
        profile.table,
    }
