"""What every generator shares: the random draws, and the description of a one-operator model.

A quarter of all cases is *extreme*: scales are powers of two (so that requantization meets exact
ties), codes come from {lowest, highest, middle} and zero points from the same three. In the other
cases each of these happens by itself now and then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from oracles.tflite_builder import ModelBuilder

LIMITS = {
    "int4": (-8, 7),
    "int8": (-128, 127),
    "uint8": (0, 255),
    "int16": (-32768, 32767),
    "int32": (-(1 << 31), (1 << 31) - 1),
}
ACTIVATIONS = {"NONE": 0, "RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3}


@dataclass(frozen=True)
class Case:
    """A one-operator model and its inputs by name (in the file's order)."""

    model: bytes
    inputs: dict[str, np.ndarray]
    operator: str
    note: str


@dataclass(frozen=True)
class Grid:
    """A per-tensor quantization grid: real = scale * (code - zero_point); scale is float32."""

    scale: np.float32
    zero_point: int


class Draw:
    """Random choices of one case; `extreme` is decided once per case."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.extreme = bool(rng.random() < 0.25)

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return bool(self.rng.random() < probability)

    def integer(self, low: int, high: int) -> int:
        """A uniform integer of the closed interval [low, high]."""
        return int(self.rng.integers(low, high + 1))

    def pick(self, choices: Sequence[Any]) -> Any:
        """One of `choices`, uniformly."""
        return choices[int(self.rng.integers(len(choices)))]

    def weighted(self, choices: dict[str, float]) -> str:
        """One of the keys, with probability proportional to its value."""
        weights = np.array(list(choices.values()))
        return str(self.rng.choice(list(choices), p=weights / weights.sum()))

    def shape(self, rank: int, low: int = 1, high: int = 6) -> tuple[int, ...]:
        """`rank` dimensions, each of [low, high]."""
        return tuple(self.integer(low, high) for _ in range(rank))

    def exponent(self, low: float, high: float) -> float:
        """An exponent of two; a whole number in extreme cases and in a tenth of the others."""
        value = self.rng.uniform(low, high)
        return float(round(value)) if self.extreme or self.chance(0.1) else float(value)

    def scale(self, low: float = -8, high: float = 0) -> np.float32:
        """A float32 scale between 2**low and 2**high."""
        return np.float32(2.0 ** self.exponent(low, high))

    def scale_near(self, base: float, low: float = -1, high: float = 1) -> np.float32:
        """A float32 scale between base * 2**low and base * 2**high."""
        return np.float32(float(base) * 2.0 ** self.exponent(low, high))

    def zero_point(self, dtype: str) -> int:
        """A zero point of `dtype`; always 0 for int16, int32 and int4."""
        if dtype not in ("int8", "uint8"):
            return 0
        low, high = LIMITS[dtype]
        if self.extreme or self.chance(0.1):
            return int(self.pick([low, (low + high + 1) // 2, high]))
        return self.integer(low, high)

    def grid(self, dtype: str, low: float = -8, high: float = 0) -> Grid:
        """A scale between 2**low and 2**high with a zero point of `dtype`."""
        return Grid(self.scale(low, high), self.zero_point(dtype))

    def grid_near(self, base: float, dtype: str, low: float = -1, high: float = 1) -> Grid:
        """A scale between base * 2**low and base * 2**high with a zero point of `dtype`."""
        return Grid(self.scale_near(base, low, high), self.zero_point(dtype))

    def codes(self, shape: Sequence[int], dtype: str) -> np.ndarray:
        """Codes over the whole range of `dtype` (int4 as int8)."""
        low, high = LIMITS[dtype]
        storage = "int8" if dtype == "int4" else dtype
        if self.extreme or self.chance(0.1):
            return self.rng.choice([low, high, (low + high + 1) // 2], tuple(shape)).astype(storage)
        return self.rng.integers(low, high, tuple(shape), endpoint=True).astype(storage)

    def activation(self, probability: float = 0.4) -> int:
        """The schema's number of a fused activation; NONE otherwise."""
        kinds = list(ACTIVATIONS.values())
        return int(self.pick(kinds[1:])) if self.chance(probability) else 0


class CaseBuilder:
    """Collects the tensors of one operator by role, then writes the case."""

    def __init__(self, operator: str, draw: Draw) -> None:
        self.operator = operator
        self.draw = draw
        self.model = ModelBuilder()
        self._sources: list[int] = []
        self._results: list[int] = []
        self._operands: list[int] = []
        self.inputs: dict[str, np.ndarray] = {}

    def input(self, codes: np.ndarray, dtype: str, grid: Grid | None, name: str = "x") -> None:
        """Add the next operand as an input of the model."""
        scale, zero = (grid.scale, grid.zero_point) if grid else (None, 0)
        index = self.model.tensor(codes.shape, dtype, scale, zero, name=name)
        self._operands.append(index)
        self._sources.append(index)
        self.inputs[name] = codes

    def constant(
        self,
        data: Any,
        dtype: str,
        scale: Any = None,
        zero_point: Any = 0,
        *,
        axis: int = 0,
        name: str = "constant",
    ) -> None:
        """Add the next operand as a constant."""
        array = np.asarray(data)
        self._operands.append(
            self.model.tensor(array.shape, dtype, scale, zero_point, data=array, axis=axis, name=name)
        )

    def operand(self, codes: np.ndarray, dtype: str, grid: Grid, name: str, *, constant: bool) -> None:
        """Add the next operand, as a constant or as an input."""
        if constant:
            self.constant(codes, dtype, grid.scale, grid.zero_point, name=name)
        else:
            self.input(codes, dtype, grid, name)

    def absent(self) -> None:
        """Leave the next, optional operand out."""
        self._operands.append(-1)

    def output(self, shape: Sequence[int], dtype: str, grid: Grid | None, name: str = "y") -> None:
        """Add the next result."""
        scale, zero = (grid.scale, grid.zero_point) if grid else (None, 0)
        self._results.append(self.model.tensor(shape, dtype, scale, zero, name=name))

    def finish(self, note: str, options: Any = None, *, version: int = 1) -> Case:
        """Write the model; `note` says which variant was drawn."""
        self.model.op(self.operator, self._operands, self._results, options, version=version)
        data = self.model.build(self._sources, self._results)
        kind = "extreme" if self.draw.extreme else "plain"
        return Case(data, self.inputs, self.operator, f"{note}, {kind}")
