"""Recipes: what a quantized network looks like and how it is found (figure 8).

The text form is TOML (`recipe_toml`); every class below is one of its tables and every field one of its keys.
"""

from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from enum import Enum
from fnmatch import fnmatchcase

from accel_sim.errors import Fault, QuantizationError
from accel_sim.records import dataclass


class WeightRange(Enum):
    """How ranges of weights are set (3.1)."""

    MINMAX = "minmax"
    """eq 14-15."""
    MSE = "mse"
    """eq 16."""
    PERCENTILE = "percentile"
    """A share of the values is cut off at each end."""


class ActivationRange(Enum):
    """How ranges of activations are set (3.1)."""

    MINMAX = "minmax"
    """eq 14-15, over all calibration data."""
    MSE = "mse"
    """eq 16, from streaming histograms."""
    PERCENTILE = "percentile"
    """A share of the values is cut off at each end."""
    BATCHNORM = "batchnorm"
    """eq 18-19: data-free, from the statistics of batch norms."""


class LogitsRange(Enum):
    """How the ranges of a classifier's results are set."""

    SAME = "same"
    """As those of the other activations."""
    CROSS_ENTROPY = "cross_entropy"
    """eq 17."""


class When(Enum):
    """Where cross-layer equalization is applied (3.2)."""

    NEVER = "never"
    PER_TENSOR = "per_tensor"
    """Where it helps most: if weights have one grid per tensor."""
    ALWAYS = "always"


class Cap(Enum):
    """What equalization makes of a ReLU6."""

    KEEP = "keep"
    """A cap of 6 / s per channel: the network's function stays the same."""
    REMOVE = "remove"
    """A ReLU: another function, where values beyond 6 occur."""


class Absorb(Enum):
    """Where the amounts of bias absorption come from (eq 23-24)."""

    NEVER = "never"
    DATA = "data"
    """Minima on calibration data."""
    BATCHNORM = "batchnorm"
    """beta - 3 gamma."""


class RoundingMethod(Enum):
    """How weights are rounded."""

    NEAREST = "nearest"
    ADAROUND = "adaround"
    """3.4."""


class Objective(Enum):
    """What AdaRound makes small."""

    RECONSTRUCTION = "reconstruction"
    """eq 35: the error behind the activation, on what the quantized layers before deliver."""
    LAYER = "layer"
    """eq 32: the error of the layer alone, on what the float network delivers."""


class Correction(Enum):
    """How biases are corrected (3.3)."""

    NONE = "none"
    EMPIRICAL = "empirical"
    """eq 27, from calibration data."""
    ANALYTIC = "analytic"
    """eq 28, from the statistics of batch norms."""


class Tie(Enum):
    """Which operands share a grid with their result (2.3.3)."""

    NONE = "none"
    CONCAT = "concat"
    CONCAT_AND_ADD = "concat_and_add"


@dataclass(frozen=True)
class EqualizationRecipe:
    """Cross-layer equalization and bias absorption (3.2).

    Attributes:
        when: where to equalize.
        relu6: what becomes of clamps with an upper bound.
        absorb: whether high biases are absorbed, and by which amounts.
    """

    when: When = When.NEVER
    relu6: Cap = Cap.KEEP
    absorb: Absorb = Absorb.NEVER


@dataclass(frozen=True)
class WeightRecipe:
    """The grids of weights.

    Attributes:
        bits: width of a code.
        per_channel: one scale per output channel, or one per tensor.
        symmetric: signed codes -(2^(bits-1)-1) .. 2^(bits-1)-1 around 0, the lowest code unused, so that a weight and
            its negative are equally well represented and a product of two codes never reaches 2^(2 bits - 2); otherwise
            all codes with a zero point, unsigned.
        power_of_two: scales are 2^-k (2.2.2).
        range: how the range is set.
        percent: of `percentile`: values beyond it, and below 100 - it, are clipped.
    """

    bits: int = 8
    per_channel: bool = True
    symmetric: bool = True
    power_of_two: bool = False
    range: WeightRange = WeightRange.MINMAX
    percent: float = 99.99


@dataclass(frozen=True)
class RoundingRecipe:
    """How weights are rounded.

    Attributes:
        method: to nearest, or by AdaRound (convolutions and fully connected layers; what else has weights: nearest).
        objective: of AdaRound.
        iterations: of AdaRound's optimizer, per layer.
        rows: output pixels of the calibration samples that a layer is fitted on; a quarter of them for depthwise.
        seed: of the pixels' choice and of the minibatches.
    """

    method: RoundingMethod = RoundingMethod.NEAREST
    objective: Objective = Objective.RECONSTRUCTION
    iterations: int = 1000
    rows: int = 4096
    seed: int = 0


@dataclass(frozen=True)
class ActivationRecipe:
    """The grids of activations, one per tensor.

    Attributes:
        bits: width of a code.
        symmetric: zero point 0. Codes are then signed where the tensor has negative values and `signed`, or unsigned
            for tensors without (2.2.1), says so.
        signed: two's complement codes.
        power_of_two: scales are 2^-k (2.2.2).
        range: how ranges are set.
        percent: of `percentile`.
        logits: how the ranges of results [samples, classes] of linear layers are set.
        tie: operands that share their result's grid.
        input_range: smallest and largest value of the network's inputs; (0, 0): from calibration data.
    """

    bits: int = 8
    symmetric: bool = False
    signed: bool = False
    power_of_two: bool = False
    range: ActivationRange = ActivationRange.MINMAX
    percent: float = 99.99
    logits: LogitsRange = LogitsRange.SAME
    tie: Tie = Tie.NONE
    input_range: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class BiasRecipe:
    """The grid of biases: symmetric, signed, at the accumulator's scale s_x * s_w.

    Attributes:
        bits: width of a code.
        correction: of what quantized weights shift.
    """

    bits: int = 32
    correction: Correction = Correction.NONE


@dataclass(frozen=True)
class LayerRecipe:
    """What is different for some layers; None: as everywhere.

    Attributes:
        weight_bits: width of the weights' codes.
        per_channel: granularity of the weights' grids.
        activation_bits: width of the result's codes.
    """

    weight_bits: int | None = None
    per_channel: bool | None = None
    activation_bits: int | None = None


@dataclass(frozen=True)
class Recipe:
    """How a float network becomes an integer one.

    Attributes:
        name: for people.
        weights, activations, bias: grids, and how they are found.
        equalization: what is done to the float network before.
        rounding: of weights.
        samples: calibration samples that are kept in memory, for what needs the same samples more than once: AdaRound,
            empirical bias correction, absorption from data. Ranges see all samples.
        layers: what is different for some layers: names of nodes (or of the network's inputs, for their width), or
            patterns with * and ?, to `LayerRecipe`.

    Raises:
        QuantizationError: listing every value out of range.
    """

    name: str = "minmax"
    weights: WeightRecipe = WeightRecipe()
    activations: ActivationRecipe = ActivationRecipe()
    bias: BiasRecipe = BiasRecipe()
    equalization: EqualizationRecipe = EqualizationRecipe()
    rounding: RoundingRecipe = RoundingRecipe()
    samples: int = 32
    layers: Mapping[str, LayerRecipe] = field(default_factory=dict)

    def __post_init__(self) -> None:
        faults = list(_faults(self))
        if faults:
            raise QuantizationError(f"recipe {self.name!r}", faults)

    @property
    def needs_statistics(self) -> bool:
        """Whether a step uses the statistics of batch norms."""
        return (
            self.activations.range is ActivationRange.BATCHNORM
            or self.bias.correction is Correction.ANALYTIC
            or self.equalization.absorb is Absorb.BATCHNORM
        )

    @property
    def data_steps(self) -> tuple[str, ...]:
        """The keys whose values need calibration data."""
        steps = {
            "equalization.absorb": self.equalization.absorb is Absorb.DATA,
            "rounding.method": self.rounding.method is RoundingMethod.ADAROUND,
            "bias.correction": self.bias.correction is Correction.EMPIRICAL,
            "activations.range": self.activations.range is not ActivationRange.BATCHNORM,
            "activations.logits": self.activations.logits is LogitsRange.CROSS_ENTROPY,
            "activations.input_range": self.activations.input_range == (0.0, 0.0),
        }
        return tuple(key for key, needed in steps.items() if needed)

    @property
    def equalizes(self) -> bool:
        """Whether layers are equalized."""
        when = self.equalization.when
        per_tensor = not self.weights.per_channel or any(v.per_channel is False for v in self.layers.values())
        return when is When.ALWAYS or (when is When.PER_TENSOR and per_tensor)

    def weights_of(self, node: str) -> WeightRecipe:
        """The grids of the weights of one node."""
        recipe = self.weights
        for layer in self._layers_of(node):
            bits = recipe.bits if layer.weight_bits is None else layer.weight_bits
            per_channel = recipe.per_channel if layer.per_channel is None else layer.per_channel
            recipe = replace(recipe, bits=bits, per_channel=per_channel)
        return recipe

    def activations_of(self, node: str) -> ActivationRecipe:
        """The grid of the result of one node, or of the network's input of that name."""
        recipe = self.activations
        for layer in self._layers_of(node):
            recipe = replace(recipe, bits=recipe.bits if layer.activation_bits is None else layer.activation_bits)
        return recipe

    def _layers_of(self, node: str) -> Iterator[LayerRecipe]:
        return (layer for pattern, layer in self.layers.items() if fnmatchcase(node, pattern))


def _faults(recipe: Recipe) -> Iterator[Fault]:
    widths = {"weights.bits": recipe.weights.bits, "activations.bits": recipe.activations.bits}
    for pattern, layer in recipe.layers.items():
        widths |= {
            f"layers.{pattern}.{key}": bits
            for key, bits in (("weight_bits", layer.weight_bits), ("activation_bits", layer.activation_bits))
            if bits is not None
        }
    for where, bits in widths.items():
        if not 2 <= bits <= 16:
            yield Fault(where, str(bits), "a bit width is 2 to 16")
    if recipe.bias.bits not in (16, 32):
        yield Fault("bias.bits", str(recipe.bias.bits), "a bias has 16 or 32 bits")
    for where, percent in (("weights", recipe.weights.percent), ("activations", recipe.activations.percent)):
        if not 50.0 < percent <= 100.0:
            yield Fault(f"{where}.percent", repr(percent), "a percentile range keeps more than the upper half")
    for where, count in (
        ("samples", recipe.samples),
        ("rounding.iterations", recipe.rounding.iterations),
        ("rounding.rows", recipe.rounding.rows),
    ):
        if count < 1:
            yield Fault(where, str(count), "is positive")
    low, high = recipe.activations.input_range
    if not (-float("inf") < low <= high < float("inf")):
        yield Fault("activations.input_range", f"[{low}, {high}]", "is the smallest and the largest value, finite")
