"""Constants that large models keep in files beside the model."""

from collections.abc import Mapping
from math import prod
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from accel_sim.frontend.onnx.model import Array


class ExternalDataFault(Exception):  # noqa: N818  - it is a fault on its way into an error, never an error of its own
    """External data that cannot be read.

    Args:
        value: the offending value, as text.
        rule: what holds for valid external data.
        cure: what to do.
    """

    def __init__(self, value: str, rule: str, cure: str = "") -> None:
        super().__init__(value, rule, cure)
        self.value, self.rule, self.cure = value, rule, cure


def read_external(
    place: Mapping[str, str], directory: Path | None, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> Array:
    """A constant from the file that `place` names (keys location, offset, length).

    Only files inside the model's own directory are read: a model names no file elsewhere.

    Raises:
        ExternalDataFault: the place contradicts type and shape, leaves the directory, or cannot be read.
    """
    location = place.get("location", "")
    if directory is None:
        cure = "load the model by its path, or save it as one file"
        raise ExternalDataFault(location or "external data", "constants are inside a model given as bytes", cure)
    offset, length = _number(place, "offset", 0), prod(shape) * dtype.itemsize
    if _number(place, "length", length) != length:
        raise ExternalDataFault(f"length {place['length']}", f"{dtype}{list(shape)} has {length} bytes")
    path = _inside(directory, location)
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(length)
    except (OSError, ValueError) as error:
        raise ExternalDataFault(location, "the file with a model's constants can be read", str(error)[:120]) from error
    if len(data) != length:
        raise ExternalDataFault(location, f"it holds {length} bytes at offset {offset}")
    return np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype, copy=False).reshape(shape)


def _number(place: Mapping[str, str], key: str, default: int) -> int:
    text = place.get(key, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ExternalDataFault(f"{key} {text[:40]!r}", f"{key} is a number of bytes")
    return int(text)


def _inside(directory: Path, location: str) -> Path:
    relative = PurePosixPath(location)
    path = (directory / relative).resolve()
    if not location or relative.is_absolute() or ".." in relative.parts or directory.resolve() not in path.parents:
        raise ExternalDataFault(repr(location[:120]), "constants lie in a file inside the model's directory")
    return path
