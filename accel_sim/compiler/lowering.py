"""The state of legalization: commands on operands that have no address yet, constants, and views of one memory.

`Lowered` is what the pass gives on; `Lowering` collects it; `Site` is one graph node in front of its lowering rule.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_sim.arithmetic import derive_table
from accel_sim.errors import CompileError, Fault
from accel_sim.ir import Graph, Node, Operator, QuantParams, Requantize, Tensor
from accel_sim.numerics import Profile
from accel_sim.program import Command, Lookup, Operand, Region

_DEEPEST_TABLE_BITS = 16


@dataclass(frozen=True)
class Lowered:
    """A network as commands; operands are at address 0 of their region until `allocate` places them.

    Attributes:
        commands: in order.
        constants: contents of each constant operand, by name.
        views: operand name -> the operand whose memory it is, where that is not its own.
        inputs, outputs: operands of the network's ports, in the file's order.
    """

    commands: tuple[Command, ...]
    constants: Mapping[str, NDArray[np.generic]]
    views: Mapping[str, str]
    inputs: tuple[Operand, ...]
    outputs: tuple[Operand, ...]


@dataclass
class Lowering:
    """Collects what legalization makes of a graph."""

    graph: Graph
    profile: Profile
    commands: list[Command] = field(default_factory=list)
    constants: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    views: dict[str, str] = field(default_factory=dict)
    _scratch: set[str] = field(default_factory=set)

    def operand(self, tensor: Tensor, shape: tuple[int, ...] | None = None) -> Operand:
        """A tensor of the graph, seen in another shape of as many elements where one is given."""
        if tensor.data is not None:
            self.constants[tensor.name] = tensor.data
        region = Region.CONSTANTS if self.root(tensor.name) in self.constants else Region.ACTIVATIONS
        return Operand(tensor.name, region, 0, tensor.shape if shape is None else shape, tensor.element.value)

    def root(self, name: str) -> str:
        """The operand whose memory `name` is."""
        return self.views.get(name, name)

    def unused_name(self, wanted: str) -> str:
        """`wanted`, or that with primes, which no tensor and no scratch operand has."""
        while wanted in self.graph.tensors or wanted in self._scratch:
            wanted += "'"
        self._scratch.add(wanted)
        return wanted

    def finish(self) -> Lowered:
        """The result."""
        ports = [
            tuple(self.operand(self.graph.tensors[n]) for n in names)
            for names in (self.graph.inputs, self.graph.outputs)
        ]
        return Lowered(tuple(self.commands), self.constants, self.views, *ports)


@dataclass(frozen=True)
class Site:
    """One node being lowered: its operator, tensors and grids, and what a rule may do."""

    lowering: Lowering
    node: Node

    @property
    def op(self) -> Any:
        """The node's operator; a rule is registered for one class of operators and knows which."""
        return self.node.op

    @property
    def profile(self) -> Profile:
        """The arithmetic profile."""
        return self.lowering.profile

    def tensor(self, index: int) -> Tensor:
        """Operand tensor `index`; refused where absent."""
        return self.lowering.graph.operand(self.node, index)

    def optional(self, index: int) -> Tensor | None:
        """Operand tensor `index`, None where absent."""
        return self.lowering.graph.optional(self.node, index)

    @property
    def result(self) -> Tensor:
        """The first output tensor."""
        return self.lowering.graph.result(self.node)

    def operand(self, tensor: Tensor, shape: tuple[int, ...] | None = None) -> Operand:
        """See Lowering.operand."""
        return self.lowering.operand(tensor, shape)

    def emit(self, kind: type[Command], *values: Any, **named: Any) -> None:
        """Appends a command of this layer."""
        self.lowering.commands.append(kind(self.node.name, self.node.op.name, *values, **named))

    def scratch(self, purpose: str, shape: tuple[int, ...], dtype: str) -> Operand:
        """A new operand in the arena."""
        name = self.lowering.unused_name(f"{self.node.name}/{purpose}")
        return Operand(name, Region.ACTIVATIONS, 0, shape, dtype)

    def constant(self, purpose: str, data: NDArray[np.generic]) -> Operand:
        """A new constant operand."""
        name = self.lowering.unused_name(f"{self.node.name}/{purpose}")
        self.lowering.constants[name] = np.ascontiguousarray(data)
        return Operand(name, Region.CONSTANTS, 0, data.shape, data.dtype.name)

    def view(self, tensor: Tensor, of: Operand) -> None:
        """Makes an output tensor another name of the memory of `of`."""
        self.lowering.views[tensor.name] = self.lowering.root(of.name)

    def refuse(self, what: str, value: object, rule: str, cure: str = "") -> CompileError:
        """The error for something about this node."""
        return CompileError(self.node.where, [Fault(what, str(value), rule, cure)])

    def grid(self, tensor: Tensor) -> QuantParams:
        """The grid of an activation: present, and one for the whole tensor."""
        if tensor.quant is None:
            given = f"{tensor.element.value} without scale"
            raise self.refuse(f"tensor {tensor.name!r}", given, "has a scale and a zero point")
        if tensor.quant.is_per_channel:
            raise self.refuse(f"tensor {tensor.name!r}", "a scale per channel", "an activation has one scale")
        return tensor.quant

    def on_grid_of(self, x: Tensor, y: Tensor, op: Operator | None = None) -> Operand:
        """Tensor x on y's grid: itself, or requantized by a table into scratch memory.

        Args:
            x: an operand.
            y: the tensor whose grid and element type is wanted.
            op: the operator whose table requantizes, Requantize if not given (a Concat clamps as well).
        """
        source = self.operand(x)
        if same_codes(x, y) and op is None:
            return source
        table = derive_table(self.profile, op or Requantize(), self.table_grid(x), self.grid(y))
        target = self.scratch(f"{x.name} requantized", x.shape, y.element.value)
        self.lookup(source, table, self.grid(x), target)
        return target

    def table_grid(self, x: Tensor) -> QuantParams:
        """The grid of an operand that a table can be indexed with."""
        grid = self.grid(x)
        if grid.bits > _DEEPEST_TABLE_BITS:
            raise self.refuse(f"tensor {x.name!r}", f"{grid.bits} bits", f"a table has at most {_DEEPEST_TABLE_BITS}")
        return grid

    def lookup(self, x: Operand, table: NDArray[np.integer], grid: QuantParams, y: Operand) -> None:
        """Emits y = table[x - lowest code of x's grid]."""
        entries = self.constant("table", table.astype(y.dtype))
        self.emit(Lookup, replace(x, shape=y.shape), entries, None, y, grid.low)


def same_codes(x: Tensor, y: Tensor) -> bool:
    """Whether every code of x is the code of y for the same number, and stored alike."""
    if x.quant is None or y.quant is None:
        return x.element is y.element and x.quant is y.quant
    fits = y.quant.low <= x.quant.low and x.quant.high <= y.quant.high
    return x.element is y.element and x.quant.same_grid(y.quant) and fits
