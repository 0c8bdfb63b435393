"""The version of this package, as pyproject.toml states it."""

VERSION = "0.1.0"
