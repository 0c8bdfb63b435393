"""Hand-made programs for tests of the machine: operands laid out one after the other, commands run on random codes."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import hypothesis
import hypothesis.strategies as st
import numpy as np

from accel_sim.hardware import DEFAULT_HARDWARE, AcceleratorConfig, AccumulatorConfig, OverflowPolicy, load_hardware
from accel_sim.program import Command, Operand, Port, Program, Region
from accel_sim.sim.machine import Machine
from accel_sim.sim.result import Level, RunResult

HARDWARE = load_hardware(DEFAULT_HARDWARE)
SHARE = float(os.environ.get("ACCEL_TEST_SHARE", "1"))
"""Share of the random examples to run; the run without compilation sets it."""


def random_cases(examples: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A test of `rng`, a quarter of whose draws (`tied(rng)`) are ties and extremes."""

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        count = max(1, int(examples * SHARE))
        settings = hypothesis.settings(max_examples=count, suppress_health_check=list(hypothesis.HealthCheck))
        return settings(hypothesis.given(rng=st.integers(0, 2**32 - 1).map(np.random.default_rng))(test))

    return decorate


def tied(rng: np.random.Generator) -> bool:
    """Whether this case consists of ties and extremes."""
    return bool(rng.random() < 0.25)


def codes(rng: np.random.Generator, shape: Sequence[int], dtype: Any, *, extreme: bool = False) -> np.ndarray:
    """Random codes of a type; of its ends, 0 and their neighbours where extreme."""
    limits = np.iinfo(dtype)
    if not extreme:
        return rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)
    values = np.array([limits.min, limits.min + 1, 0, limits.max - 1, limits.max], dtype)
    return rng.choice(values, shape)


def accelerator(bits: int = 32, policy: OverflowPolicy = OverflowPolicy.WRAP) -> AcceleratorConfig:
    """The default accelerator with another accumulator."""
    return replace(HARDWARE, accumulator=AccumulatorConfig(bits, policy))


class Layout:
    """Gives addresses to operands."""

    def __init__(self) -> None:
        self._size = 0
        self._constants = bytearray()
        self.inputs: dict[str, np.ndarray] = {}
        self._ports: list[Port] = []

    def result(self, name: str, shape: Sequence[int], dtype: Any) -> Operand:
        """An operand among the activations."""
        operand = Operand(name, Region.ACTIVATIONS, self._size, tuple(map(int, shape)), np.dtype(dtype).name)
        self._size = -(-(self._size + operand.size_bytes) // 8) * 8 + 8
        return operand

    def input(self, name: str, array: np.ndarray) -> Operand:
        """An operand that the run's inputs fill."""
        operand = self.result(name, array.shape, array.dtype)
        self.inputs[name] = array
        self._ports.append(Port(name, operand, None))
        return operand

    def constant(self, name: str, array: np.ndarray) -> Operand:
        """An operand among the constants."""
        self._constants += bytes(-len(self._constants) % 8)
        operand = Operand(name, Region.CONSTANTS, len(self._constants), array.shape, array.dtype.name)
        self._constants += np.ascontiguousarray(array).tobytes()
        return operand

    def program(
        self, *commands: Command, outputs: Sequence[Operand], hardware: AcceleratorConfig = HARDWARE
    ) -> Program:
        """The program of some commands."""
        ports = tuple(Port(o.name, o, None) for o in outputs)
        constants = bytes(self._constants)
        return Program("test", "tflite", hardware, commands, tuple(self._ports), ports, constants, self._size)

    def run(
        self, command: Command, output: Operand, level: Level = Level.FUNCTIONAL, hardware: AcceleratorConfig = HARDWARE
    ) -> RunResult:
        """Run one command on the inputs."""
        program = self.program(command, outputs=[output], hardware=hardware)
        with np.errstate(over="ignore"):  # 64-bit accumulators that wrap, when kernels run as plain Python
            return Machine(hardware).run(program, self.inputs, level, threads=1)

    def outputs(self, program: Program) -> Mapping[str, np.ndarray]:
        """Run a program on the inputs."""
        return Machine(program.hardware).run(program, self.inputs, Level.FUNCTIONAL, threads=1).outputs

    def result_of(self, command: Command, output: Operand) -> np.ndarray:
        """The codes that one command writes."""
        return self.outputs(self.program(command, outputs=[output]))[output.name]
