"""Recipes as text.

A file holds any of the keys of `Recipe`; what is absent is as in recipe "minmax":

    name = "w4a8"
    [weights]
    bits = 4
    range = "mse"
    [rounding]
    method = "adaround"
    [layers."head*"]       # what is different for the nodes of that name
    weight_bits = 8
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from accel_sim.arguments import check_texts, wrong_kind
from accel_sim.errors import Fault, QuantizationError
from accel_sim.quantization.recipe import LayerRecipe, Recipe
from accel_sim.toml_text import parse_toml

_FOLDER = "recipes"


def recipe_names() -> tuple[str, ...]:
    """The built-in recipes' names."""
    found = (f.name.removesuffix(".toml") for f in files("accel_sim.quantization").joinpath(_FOLDER).iterdir())
    return tuple(sorted(found))


@cache
def _built_in(name: str) -> Recipe:
    text = files("accel_sim.quantization").joinpath(_FOLDER, f"{name}.toml").read_text(encoding="utf-8")
    return parse_recipe(text, name)


def get_recipe(recipe: "Recipe | str | os.PathLike[str]", overrides: Sequence[str] = ()) -> Recipe:
    """A recipe as it is, by name, or from the TOML file of that path.

    Args:
        recipe: what to get.
        overrides: changes such as "weights.bits=4"; a value is TOML, or a bare word.

    Raises:
        QuantizationError: an unknown name, or every fault of the file, or of the overrides.
        TypeError: neither a recipe, a name nor a path; or overrides that are no list of texts.
    """
    if not isinstance(recipe, Recipe | str | os.PathLike):
        raise wrong_kind("recipe", recipe, "is a recipe's name, the path of a TOML file, or a Recipe")
    chosen = _recipe(recipe)
    faults: list[Fault] = []
    for text in check_texts("overrides", overrides, '["weights.bits=4"]'):
        try:
            chosen = _overridden(chosen, text)
        except QuantizationError as error:
            faults += error.faults
    if faults:
        raise QuantizationError(f"recipe {chosen.name!r}", faults)
    return chosen


def _recipe(recipe: "Recipe | str | os.PathLike[str]") -> Recipe:
    if isinstance(recipe, Recipe):
        return recipe
    if str(recipe) in recipe_names():
        return _built_in(str(recipe))
    path = Path(recipe)
    if path.suffix != ".toml":
        rule = f"is one of {', '.join(recipe_names())}, or a .toml file"
        raise QuantizationError("quantization", [Fault("recipe", repr(str(recipe)), rule)])
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a name that no file can have
        raise QuantizationError("quantization", [Fault(str(path), str(error), "is a readable text file")]) from None
    return parse_recipe(text, name=path.stem)


def parse_recipe(text: str, name: str = "recipe") -> Recipe:
    """A recipe from TOML text; `name` where the text has none.

    Raises:
        QuantizationError: text that is not TOML, every unknown key, wrong type or value out of range.
    """
    return _from_tables(Recipe(name), _tables(text, name), name)


def _overridden(recipe: Recipe, text: str) -> Recipe:
    key, equals, value = text.partition("=")
    if not equals:
        fault = Fault("override", repr(text), "is KEY=VALUE, e.g. weights.bits=4")
        raise QuantizationError(f"recipe {recipe.name!r}", [fault])
    try:
        tables = parse_toml(f"{key}={value}")
    except ValueError:
        tables = _tables(f'{key}="{value}"', recipe.name)
    return _from_tables(recipe, tables, recipe.name)


def _tables(text: str, name: str) -> dict[str, Any]:
    try:
        return parse_toml(text)
    except ValueError as error:
        raise QuantizationError(f"recipe {name!r}", [Fault("TOML", str(error), "is valid TOML")]) from None


def _from_tables(default: Recipe, tables: Mapping[str, Any], name: str) -> Recipe:
    faults: list[Fault] = []
    recipe: Recipe = _filled(default, tables, "", faults)
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
        else:
            values[key] = _value(known[key], value, where, faults)
    try:
        return replace(default, **values)
    except QuantizationError as error:
        faults += error.faults
        return default


def _value(default: Any, value: Any, where: str, faults: list[Fault]) -> Any:
    """A value of the default's type; the default itself where there is a fault."""
    if is_dataclass(default) and isinstance(value, dict):
        return _filled(default, value, f"{where}.", faults)
    if isinstance(default, Mapping) and isinstance(value, dict):
        return dict(default) | {
            name: _value(default.get(name, LayerRecipe()), layer, f"{where}.{name}", faults)
            for name, layer in value.items()
        }
    if isinstance(default, Enum):
        names = [member.value for member in type(default)]
        if value in names:
            return type(default)(value)
        faults.append(Fault(where, repr(value), f"is one of {', '.join(names)}"))
    elif isinstance(default, tuple):
        if isinstance(value, list) and len(value) == len(default) and all(type(v) in (int, float) for v in value):
            return tuple(map(float, value))
        faults.append(Fault(where, repr(value), f"is a list of {len(default)} numbers"))
    elif default is None:
        wanted = bool if where.endswith("per_channel") else int
        if type(value) is wanted:
            return value
        faults.append(Fault(where, repr(value), "is true or false" if wanted is bool else "is a whole number"))
    elif isinstance(default, float) and type(value) is int:
        return float(value)
    elif type(value) is type(default):
        return value
    else:
        faults.append(Fault(where, repr(value), f"has the type of {_text(default)}"))
    return default


def recipe_text(recipe: Recipe) -> str:
    """A recipe as TOML that `parse_recipe` reads back."""
    return "\n".join(_lines(recipe, ""))


def _lines(value: Any, table: str) -> Iterator[str]:
    nested = []
    for f in fields(value):
        item = getattr(value, f.name)
        if is_dataclass(item):
            nested.append((f.name, item))
        elif isinstance(item, Mapping):
            nested += [(f'{f.name}."{name}"', layer) for name, layer in item.items()]
        elif item is not None:
            yield f"{f.name} = {_text(item)}"
    for name, item in nested:
        yield f"[{table}{name}]"
        yield from _lines(item, f"{table}{name}.")


def _text(item: Any) -> str:
    if isinstance(item, Enum):
        return f'"{item.value}"'
    if isinstance(item, str):
        return f'"{item}"'
    if isinstance(item, tuple):
        return f"[{', '.join(map(repr, item))}]"
    return str(item).lower() if isinstance(item, bool) else repr(item)
