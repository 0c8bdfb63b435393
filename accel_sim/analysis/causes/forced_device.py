"""One layer of a network as a device computes it from operands that it is given."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_sim.analysis.causes.accumulators import MATRIX_OPERATORS
from accel_sim.compiler import compile_graph
from accel_sim.hardware import AcceleratorConfig
from accel_sim.ir import Add, Graph, Multiply, Subtract
from accel_sim.numerics import Profile
from accel_sim.program import Program
from accel_sim.reference import evaluate_integer
from accel_sim.sim.machine import Machine
from accel_sim.sim.result import Level

Array = NDArray[Any]
_ON_MACHINE = (*MATRIX_OPERATORS, Add, Subtract, Multiply)


class ForcedDevice:
    """A graph of one node under a profile. Large layers run on the machine, the others on the golden evaluator.

    Both give the same codes. The order of some float32 means depends on the file's layout, which
    only the evaluator keeps.
    """

    def __init__(self, layer: Graph, hardware: AcceleratorConfig, profile: Profile) -> None:
        self.layer = layer
        self._hardware, self._profile = hardware, profile
        node = layer.nodes[0]
        stacks = all(layer.tensors[name].shape for name in (*layer.inputs, *layer.outputs))
        self._fast = isinstance(node.op, _ON_MACHINE) and stacks and bool(layer.inputs)

    @cached_property
    def _program(self) -> Program:
        tensors = {name: replace(tensor, file_axes=()) for name, tensor in self.layer.tensors.items()}
        return compile_graph(replace(self.layer, tensors=tensors), self._hardware, self._profile)

    def run(self, operands: Mapping[str, Array], samples: int) -> Array:
        """Codes of the result [samples * N, ...] from codes of the operands, stored layout, first axis all samples."""
        name = self.layer.outputs[0]
        if self._fast:
            return Machine(self._hardware).run(self._program, operands, Level.FUNCTIONAL).outputs[name]
        parts = []
        for k in range(samples):
            one = {n: a.reshape(samples, *self.layer.tensors[n].shape)[k] for n, a in operands.items()}
            parts.append(np.atleast_1d(evaluate_integer(self.layer, one, self._profile)[name]))
        return np.concatenate(parts)
