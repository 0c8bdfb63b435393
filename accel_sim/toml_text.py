"""TOML from outside: whatever the text is, it is parsed or refused."""

import tomllib
from typing import Any


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML text.

    Raises:
        ValueError: saying why the text is none; also where its brackets are nested too deeply for the parser, or where
            a number has too many digits for Python.
    """
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("brackets are nested too deeply") from None
