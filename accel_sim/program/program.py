"""Program: everything that crosses from the compiler to the machine, besides the hardware configuration."""

from dataclasses import field, replace
from functools import cached_property

import numpy as np

from accel_sim.hardware import AcceleratorConfig
from accel_sim.ir import QuantParams
from accel_sim.program.commands import Command
from accel_sim.program.operands import Operand
from accel_sim.records import dataclass


@dataclass(frozen=True)
class Port:
    """An input or output of the network.

    Attributes:
        name: as the model file names it.
        operand: where it lies, in stored layout.
        quant: the grid of its codes; None for indices and raw accumulators.
        file_axes: stored axis i is axis file_axes[i] of the file; () for the same order.
    """

    name: str
    operand: Operand
    quant: QuantParams | None
    file_axes: tuple[int, ...] = ()

    @cached_property
    def stored_axes(self) -> tuple[int, ...]:
        """File axis i is axis stored_axes[i] of the stored layout; () for the same order."""
        return tuple(self.file_axes.index(axis) for axis in range(len(self.file_axes)))

    @cached_property
    def file_shape(self) -> tuple[int, ...]:
        """The shape of one sample in the file's layout."""
        shape = self.operand.shape
        return tuple(shape[axis] for axis in self.stored_axes) if self.file_axes else shape

    @cached_property
    def element(self) -> np.dtype[np.generic]:
        """The element type of its codes."""
        return np.dtype(self.operand.dtype)

    @cached_property
    def takes_all(self) -> bool:
        """Whether every integer of the element type is a code."""
        if self.quant is None:
            return True
        limits = np.iinfo(self.element.name)
        return self.quant.low <= limits.min and limits.max <= self.quant.high


@dataclass(frozen=True)
class Program:
    """A compiled network.

    Attributes:
        name: the network's. model_sha256: of the file, "" if none.
        profile: name of the arithmetic profile its recipes were derived by.
        hardware: the configuration it was tiled for.
        commands: in order of execution.
        inputs, outputs: in the file's order.
        constants: the image of Region.CONSTANTS.
        activation_bytes: size of Region.ACTIVATIONS for one sample.
        shapes: (name, shape in the graph) of each tensor that commands see in another shape.
    """

    name: str
    profile: str
    hardware: AcceleratorConfig
    commands: tuple[Command, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    constants: bytes = field(repr=False)
    activation_bytes: int
    model_sha256: str = ""
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = ()

    def __repr__(self) -> str:
        """In one line; `accel_sim.program.text` writes everything out."""
        made = f"{len(self.commands)} commands, profile {self.profile}, hardware {self.hardware.name}"
        return f"<Program {self.name!r}: {made}>"

    def as_tensor(self, operand: Operand) -> Operand:
        """The operand in the shape that its tensor has in the graph (stored layout)."""
        return replace(operand, shape=dict(self.shapes).get(operand.name, operand.shape))
