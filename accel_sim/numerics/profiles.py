"""Arithmetic profiles: which arithmetic each operator uses, named after the software whose bytes it reproduces.

A profile is a bundle of independent rules, so that one rule at a time can be changed (`dataclasses.replace`) to find
out which of them makes two devices disagree.
"""

from enum import Enum

from accel_sim.arguments import wrong_kind
from accel_sim.errors import AccelSimError, Fault
from accel_sim.records import dataclass


class Arithmetic(Enum):
    """The family of formulas an operator follows."""

    FIXED_DOUBLE = "fixed_double"
    """int32 multiplier and shift, two roundings (TFLite, TFLM, CMSIS-NN)."""
    FIXED_SINGLE = "fixed_single"
    """int32 multiplier and shift, one rounding (CMSIS_NN_USE_SINGLE_ROUNDING)."""
    TOSA = "tosa"
    """TOSA 1.0 RESCALE and friends; double_round chosen by `Profile.tosa_double_round`."""
    FLOAT32 = "float32"
    """float32, half to even (ONNX Runtime)."""
    FLOAT64 = "float64"
    """double, half away (LiteRT >= 1.3 FULLY_CONNECTED)."""
    EXACT = "exact"
    """the exact rational value, rounded once, half to even (the white paper read literally)."""
    SHIFT = "shift"
    """scales are powers of two: one rounding shift, half up (2.2.2)."""


@dataclass(frozen=True)
class Profile:
    """One device's arithmetic.

    Attributes:
        name: as the user writes it.
        reproduces: the software and version, or the document.
        requantization: convolutions, matrix products and everything not named below.
        fully_connected: FULLY_CONNECTED / Gemm.
        elementwise: add, subtract, multiply, minimum, maximum.
        pooling: average pooling; reduction: means.
        softmax, table, resize: softmax; unary functions by table; bilinear resizing.
        boundary: float -> code at the network's inputs.
        tosa_double_round: the double_round attribute of TOSA's RESCALE.
    """

    name: str
    reproduces: str
    requantization: Arithmetic
    fully_connected: Arithmetic
    elementwise: Arithmetic
    pooling: Arithmetic
    reduction: Arithmetic
    softmax: Arithmetic
    table: Arithmetic
    resize: Arithmetic
    boundary: Arithmetic
    tosa_double_round: bool = False


def _uniform(name: str, reproduces: str, rule: Arithmetic) -> Profile:
    return Profile(name, reproduces, rule, rule, rule, rule, rule, rule, rule, rule, rule)


TFLITE = _uniform("tflite", "TFLM, CMSIS-NN, LiteRT reference kernels up to 1.2.0", Arithmetic.FIXED_DOUBLE)
LITERT = Profile(
    "litert",
    "LiteRT >= 1.3 reference kernels (BUILTIN_REF, certified with 2.3.0)",
    Arithmetic.FIXED_DOUBLE,
    Arithmetic.FLOAT64,
    *(Arithmetic.FIXED_DOUBLE,) * 7,
)
SINGLE_ROUND = _uniform(
    "single_round", "TFLite with single rounding (CMSIS_NN_USE_SINGLE_ROUNDING)", Arithmetic.FIXED_SINGLE
)
ONNXRUNTIME = _uniform(
    "onnxruntime",
    "ONNX Runtime CPU kernels, on x86 with AVX-512 and one thread (certified with 1.32.0)",
    Arithmetic.FLOAT32,
)
TOSA = _uniform("tosa", "TOSA 1.0 specification, single rounding", Arithmetic.TOSA)
POWER_OF_TWO = _uniform("power_of_two", "white paper 2.2.2: scales 2^-k, one rounding shift", Arithmetic.SHIFT)
PAPER = _uniform("paper", "the white paper read literally: exact scales, half to even", Arithmetic.EXACT)

PROFILES = {p.name: p for p in (TFLITE, LITERT, SINGLE_ROUND, ONNXRUNTIME, TOSA, POWER_OF_TWO, PAPER)}


class UnsupportedByProfileError(AccelSimError):
    """An operator or grid for which a profile has no arithmetic."""


def refuse(profile: Profile, what: str, value: str, rule: str) -> UnsupportedByProfileError:
    """The error for something that the profile cannot compute."""
    return UnsupportedByProfileError(f"profile {profile.name!r}", [Fault(what, value, rule, "choose another profile")])


class UnknownProfileError(AccelSimError):
    """A profile name that does not exist."""


def get_profile(name: str) -> Profile:
    """The profile of that name; UnknownProfileError lists the names, TypeError tells what is no name."""
    if not isinstance(name, str):
        raise wrong_kind("profile", name, f"is the name of a profile: {', '.join(PROFILES)}")
    if name not in PROFILES:
        raise UnknownProfileError("profile", [Fault("name", repr(name), f"is one of {', '.join(PROFILES)}")])
    return PROFILES[name]
