"""Recipes: what a quantized network looks like and how its ranges are found. By name, or from a TOML file.

A recipe file holds any of these keys; what is absent is as in recipe "minmax":

    name = "w4a8"
    [weights]
    bits = 4               # 2 to 16
    per_channel = true     # one scale per output channel (2.2.3)
    symmetric = true       # zero point 0 (2.2.1)
    [activations]
    bits = 8               # 2 to 16
    symmetric = false
    signed = false         # two's complement codes
    [bias]
    bits = 32              # 16 or 32
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from accel_sim.errors import Fault, QuantizationError


@dataclass(frozen=True)
class WeightRecipe:
    """The grids of weights.

    Attributes:
        bits: width of a code.
        per_channel: one scale per output channel, or one per tensor.
        symmetric: signed codes -(2^(bits-1)-1) .. 2^(bits-1)-1 around 0, the lowest code unused, so that a weight and
            its negative are equally well represented and a product of two codes never reaches 2^(2 bits - 2); otherwise
            all codes with a zero point, unsigned.
    """

    bits: int = 8
    per_channel: bool = True
    symmetric: bool = True


@dataclass(frozen=True)
class ActivationRecipe:
    """The grids of activations, one per tensor.

    Attributes:
        bits: width of a code.
        symmetric: zero point 0. Codes are then signed where the tensor has negative values and `signed`, or unsigned
            for tensors without (2.2.1), says so.
        signed: two's complement codes.
    """

    bits: int = 8
    symmetric: bool = False
    signed: bool = False


@dataclass(frozen=True)
class BiasRecipe:
    """The grid of biases: symmetric, signed, at the accumulator's scale s_x * s_w.

    Attributes:
        bits: width of a code.
    """

    bits: int = 32


@dataclass(frozen=True)
class Recipe:
    """How a float network becomes an integer one.

    Raises:
        QuantizationError: listing every value out of range.
    """

    name: str = "minmax"
    weights: WeightRecipe = WeightRecipe()
    activations: ActivationRecipe = ActivationRecipe()
    bias: BiasRecipe = BiasRecipe()

    def __post_init__(self) -> None:
        faults = []
        for section, bits in (("weights", self.weights.bits), ("activations", self.activations.bits)):
            if not 2 <= bits <= 16:
                faults.append(Fault(f"{section}.bits", str(bits), "a bit width is 2 to 16"))
        if self.bias.bits not in (16, 32):
            faults.append(Fault("bias.bits", str(self.bias.bits), "a bias has 16 or 32 bits"))
        if faults:
            raise QuantizationError(f"recipe {self.name!r}", faults)


RECIPES: Mapping[str, Recipe] = {r.name: r for r in (Recipe("standard"), Recipe("minmax"))}
"""The built-in recipes. Both fold batch norms, fuse activations and set ranges by minimum and maximum (eq 14-15)."""


def get_recipe(recipe: "Recipe | str | Path") -> Recipe:
    """A recipe as it is, by name, or from the TOML file of that path.

    Raises:
        QuantizationError: an unknown name, or every fault of the file.
    """
    if isinstance(recipe, Recipe):
        return recipe
    if str(recipe) in RECIPES:
        return RECIPES[str(recipe)]
    path = Path(recipe)
    if path.suffix != ".toml":
        rule = f"is one of {', '.join(RECIPES)}, or a .toml file"
        raise QuantizationError("quantization", [Fault("recipe", repr(str(recipe)), rule)])
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise QuantizationError("quantization", [Fault(str(path), str(error), "is a readable text file")]) from None
    return parse_recipe(text, name=path.stem)


def parse_recipe(text: str, name: str = "recipe") -> Recipe:
    """A recipe from TOML text; `name` where the text has none.

    Raises:
        QuantizationError: text that is not TOML, every unknown key, wrong type or value out of range.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise QuantizationError(f"recipe {name!r}", [Fault("TOML", str(error), "is valid TOML")]) from None
    faults: list[Fault] = []
    recipe: Recipe = _filled(Recipe(name), tables, "", faults)
    if faults:
        raise QuantizationError(f"recipe {name!r}", faults)
    return recipe


def _filled(default: Any, table: Mapping[str, Any], path: str, faults: list[Fault]) -> Any:
    """The dataclass `default` with the table's values; faults are appended."""
    known = {f.name: getattr(default, f.name) for f in fields(default)}
    values = {}
    for key, value in table.items():
        where = f"{path}{key}"
        if key not in known:
            faults.append(Fault(where, repr(value), f"a key is one of {', '.join(known)}"))
        elif isinstance(value, dict) and not isinstance(known[key], str | int):
            values[key] = _filled(known[key], value, f"{where}.", faults)
        elif type(value) is not type(known[key]):
            faults.append(Fault(where, repr(value), f"has the type of {known[key]!r}"))
        else:
            values[key] = value
    try:
        return replace(default, **values)
    except QuantizationError as error:
        faults += error.faults
        return default


def recipe_text(recipe: Recipe) -> str:
    """The recipe as the TOML that `parse_recipe` reads."""
    return "\n".join(_lines(recipe, ""))


def _lines(value: Any, table: str) -> Iterator[str]:
    nested = []
    for f in fields(value):
        item = getattr(value, f.name)
        if isinstance(item, str):
            yield f'{f.name} = "{item}"'
        elif isinstance(item, bool | int):
            yield f"{f.name} = {str(item).lower()}"
        else:
            nested.append((f.name, item))
    for name, item in nested:
        yield f"[{table}{name}]"
        yield from _lines(item, f"{table}{name}.")
