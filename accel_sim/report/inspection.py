"""What a model consists of and what each part runs on, without running it."""

import hashlib
from collections.abc import Iterable
from dataclasses import fields, replace
from enum import Enum
from pathlib import Path

from accel_sim.analysis.choices import Hardware, resolve_hardware, resolve_profile
from accel_sim.analysis.provenance import Provenance
from accel_sim.errors import CompileError, Fault, UnsupportedModelError
from accel_sim.hardware import AcceleratorConfig
from accel_sim.ir import (
    RELU,
    RELU6,
    RELU_N1_TO_1,
    Activation,
    Graph,
    Node,
    Operator,
    Padding2D,
    QuantParams,
    Tensor,
)
from accel_sim.ir.text import format_quant
from accel_sim.numerics.profiles import Profile
from accel_sim.program import (
    Command,
    Convolve,
    Fill,
    Gather2D,
    MatrixMultiply,
    Move,
    Program,
    TransposeConvolve,
)
from accel_sim.records import dataclass

GRID, VECTOR, DMA, NOTHING = "PE grid", "vector unit", "DMA", "merged"


@dataclass(frozen=True)
class InspectedOperator:
    """One operator.

    Attributes:
        name: the node's. operator: ours with its attributes, or the file's own name where the model is not supported.
        inputs, outputs: text of its tensors: name, type, shape.
        grids: quantization of its result and of its constant operands, as text; "" where unknown.
        runs_on: the units that compute it; "" where it cannot be lowered.
    """

    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    grids: tuple[str, ...] = ()
    runs_on: str = ""


@dataclass(frozen=True)
class Inspection:
    """A model, operator by operator.

    Attributes:
        provenance: the model and what it was lowered for.
        format: of the file, "tflite" or "onnx".
        inputs, outputs: of the network, as text.
        operators: in the file's order.
        unsupported: every rule that the model breaks; empty for one that runs.
    """

    provenance: Provenance
    format: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    operators: tuple[InspectedOperator, ...]
    unsupported: tuple[Fault, ...] = ()


def inspect_model(source: Path | bytes, hardware: Hardware, profile: str | Profile | None = None) -> Inspection:
    """A model file operator by operator, whether or not it can run.

    Raises:
        ModelError: a file that cannot be read at all.
    """
    from accel_sim.compiler import compile_graph
    from accel_sim.frontend import load

    config = resolve_hardware(hardware)
    try:
        graph = load(source)
        graph = graph if isinstance(source, bytes) else replace(graph, name=source.stem)
    except UnsupportedModelError as error:
        return _listed(source, config, profile, error.faults)
    arithmetic = resolve_profile(profile, graph)
    try:
        return _lowered(graph, compile_graph(graph, config, arithmetic), config, arithmetic)
    except CompileError as error:
        return _lowered(graph, None, config, arithmetic, error.faults)


def _lowered(
    graph: Graph,
    program: Program | None,
    hardware: AcceleratorConfig,
    profile: Profile,
    faults: tuple[Fault, ...] = (),
) -> Inspection:
    return Inspection(
        Provenance(graph.name, graph.sha256, profile.name, hardware, ""),
        graph.source.value,
        tuple(port_text(graph.tensors[n]) for n in graph.inputs),
        tuple(port_text(graph.tensors[n]) for n in graph.outputs),
        inspect_graph(graph, program),
        faults,
    )


def _listed(
    source: Path | bytes, hardware: AcceleratorConfig, profile: str | Profile | None, faults: tuple[Fault, ...]
) -> Inspection:
    """What can be said of a file that the front end refuses: its own operators."""
    from accel_sim.frontend import list_operators

    name = "model" if isinstance(source, bytes) else source.stem
    arithmetic = profile.name if isinstance(profile, Profile) else profile or "of the format"
    content = source if isinstance(source, bytes) else source.read_bytes()
    operators = tuple(InspectedOperator(o.name, o.operator, o.inputs, o.outputs) for o in list_operators(source))
    digest = hashlib.sha256(content).hexdigest()
    return Inspection(Provenance(name, digest, arithmetic, hardware, ""), "", (), (), operators, faults)


def inspect_graph(graph: Graph, program: Program | None) -> tuple[InspectedOperator, ...]:
    """The operators of a graph; `program` says what they run on, None where it cannot be lowered."""
    units = _units(program.commands) if program else {}
    return tuple(_operator(graph, node, units.get(node.name, NOTHING) if program else "") for node in graph.nodes)


def tensor_text(tensor: Tensor) -> str:
    """`name int8[1,32,32,16]`, stored layout."""
    return f"{tensor.name} {tensor.element.value}[{','.join(map(str, tensor.shape))}]"


def grid_text(q: QuantParams) -> str:
    """`s8 0.0235 z-128`, or `s8 x64` for a scale per channel."""
    kind = f"{'s' if q.signed else 'u'}{q.bits}"
    return f"{kind} x{len(q.scale)}" if q.is_per_channel else f"{kind} {q.scale[0]:.4g} z{q.zero_point[0]}"


def operator_text(op: Operator) -> str:
    """`Conv2D strides 2x2, padding 4 5 1 1, relu`: the attributes that differ from their defaults."""
    parts = [_attribute_text(f.name, getattr(op, f.name)) for f in fields(op) if getattr(op, f.name) != f.default]
    return f"{op.name} {', '.join(parts)}".rstrip()


_ACTIVATIONS = {RELU: "relu", RELU6: "relu6", RELU_N1_TO_1: "relu -1..1"}


def _attribute_text(name: str, value: object) -> str:
    match value:
        case Activation():
            return _ACTIVATIONS.get(value) or f"clamp {value.low:g}..{_high_text(value.high)}"
        case Padding2D():
            return f"padding {value.top} {value.bottom} {value.left} {value.right}"
        case Enum():
            return str(value.value)
        case tuple():
            return f"{name} {'x'.join(map(str, value))}"
        case bool():
            return name.replace("_", " ")
        case _:
            return f"{name} {value}"


def _high_text(high: float | tuple[float, ...]) -> str:
    return "channel caps" if isinstance(high, tuple) else f"{high:g}"


def port_text(tensor: Tensor) -> str:
    """A network input or output with its grid."""
    return f"{tensor_text(tensor)} {format_quant(tensor.quant)}".rstrip()


def _operator(graph: Graph, node: Node, runs_on: str) -> InspectedOperator:
    operands = [graph.tensors[name] for name in node.inputs if name]
    results = [graph.tensors[name] for name in node.outputs]
    gridded = [*results, *(t for t in operands if t.is_constant)]
    return InspectedOperator(
        name=node.name,
        operator=operator_text(node.op),
        inputs=tuple(map(tensor_text, operands)),
        outputs=tuple(map(tensor_text, results)),
        grids=tuple(grid_text(t.quant) for t in gridded if t.quant and t.quant.bits <= 16),
        runs_on=runs_on,
    )


def _units(commands: Iterable[Command]) -> dict[str, str]:
    """Layer name to the units of its commands, in order of first use."""
    found: dict[str, dict[str, None]] = {}
    for command in commands:
        found.setdefault(command.layer, {})[unit_of(command)] = None
    return {layer: ", ".join(units) for layer, units in found.items()}


def unit_of(command: Command) -> str:
    """The unit that executes a command."""
    match command:
        case Convolve() | TransposeConvolve() | MatrixMultiply():
            return GRID
        case Move() | Fill() | Gather2D():
            return DMA
        case _:
            return VECTOR
