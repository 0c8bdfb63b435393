"""What one operator asks and becomes: the types that constraints and lowerings share.

A constraint is a function of a `Call`; its docstring is both the rule of the error and a line of the table of supported
operators. It returns the offending value as text, or None where the rule holds.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from accel_sim.errors import Fault
from accel_sim.frontend.tflite.options import Options
from accel_sim.ir import Node, Operator, Tensor

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Call:
    """One operator with its tensors.

    Attributes:
        name: the name of its node: its first result's.
        inputs: operands, None where absent. An operand's shape is known; a result's is what the file states.
    """

    name: str
    operator: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: Options

    @property
    def where(self) -> str:
        """The operator as errors name it."""
        return f"node {self.name!r} ({self.operator})"

    def operand(self, index: int) -> Tensor:
        """A required operand; a constraint has seen that it is there."""
        tensor = self.inputs[index]
        assert tensor is not None
        return tensor

    def optional(self, index: int) -> Tensor | None:
        """An optional operand, or None."""
        return self.inputs[index] if index < len(self.inputs) else None

    @property
    def x(self) -> Tensor:
        """The first operand."""
        return self.operand(0)

    @property
    def y(self) -> Tensor:
        """The first result."""
        return self.outputs[0]

    def integers(self, index: int) -> tuple[int, ...]:
        """The contents of a constant integer operand."""
        return tuple(int(v) for v in self.operand(index).constant.reshape(-1))


Constraint = Callable[[Call], str | None]


@dataclass
class Lowered:
    """The nodes that stand for one operator, and tensors besides its operands and results."""

    nodes: list[Node] = field(default_factory=list)
    tensors: list[Tensor] = field(default_factory=list)


@dataclass(frozen=True)
class Rule:
    """How one builtin operator is checked and lowered.

    Attributes:
        operator: the schema's name.
        becomes: the Graph's operators that stand for it.
        structure: constraints on which the others and `shapes` build; the first that fails ends the checking.
        constraints: further constraints, all checked.
        shapes: shapes of the results, from the operands.
        lower: the nodes; called with results of those shapes.
    """

    operator: str
    becomes: tuple[type[Operator], ...]
    structure: tuple[Constraint, ...]
    constraints: tuple[Constraint, ...]
    shapes: Callable[[Call], list[Shape]]
    lower: Callable[[Call], Lowered]

    def faults(self, call: Call) -> list[Fault]:
        """Every violated constraint."""
        for constraint in self.structure:
            fault = _check(constraint, call)
            if fault is not None:
                return [fault]
        return [fault for c in self.constraints if (fault := _check(c, call)) is not None]

    @property
    def sentences(self) -> tuple[str, ...]:
        """The constraints as sentences."""
        return tuple(sentence(c) for c in (*self.structure, *self.constraints))


def sentence(constraint: Constraint) -> str:
    """The rule that a constraint checks."""
    text = constraint.__doc__
    assert text is not None
    return " ".join(text.split())


def _check(constraint: Constraint, call: Call) -> Fault | None:
    value = constraint(call)
    return None if value is None else Fault(call.where, value, sentence(constraint))


def ruled(text: str) -> Callable[[Constraint], Constraint]:
    """Give a constraint that is made by a function its sentence."""

    def decorate(constraint: Constraint) -> Constraint:
        constraint.__doc__ = text
        return constraint

    return decorate


def single(call: Call, op: Operator, *inputs: str) -> Lowered:
    """One node on the given operands (all of the call's where none are given)."""
    operands = inputs or tuple(t.name if t is not None else "" for t in call.inputs)
    return Lowered([Node(call.name, op, operands, tuple(t.name for t in call.outputs))])
