"""From a Graph to a Program: legalize, tile, allocate, verify. Commands keep the order of the graph's nodes."""

from accel_sim.compiler.allocate import allocate
from accel_sim.compiler.legalize import legalize
from accel_sim.compiler.tile import tile
from accel_sim.hardware import AcceleratorConfig
from accel_sim.ir import Graph, ModelFormat
from accel_sim.numerics import ONNXRUNTIME, PAPER, TFLITE, Profile
from accel_sim.program import Command, Operand, Port, Program, operands_of, verify

DEFAULT_PROFILES = {ModelFormat.TFLITE: TFLITE, ModelFormat.ONNX: ONNXRUNTIME, ModelFormat.BUILT: PAPER}
"""The software that a format belongs to."""


def default_profile(graph: Graph) -> Profile:
    """The arithmetic of the software that a model's format belongs to."""
    return DEFAULT_PROFILES[graph.source]


def compile_graph(graph: Graph, hardware: AcceleratorConfig, profile: Profile | None = None) -> Program:
    """The command stream that computes an integer graph on an accelerator.

    Args:
        graph: every activation integer.
        hardware: what to tile for.
        profile: the arithmetic; by default that of the graph's format (`default_profile`).

    Raises:
        CompileError: every node that cannot run, with node, value and rule; a float graph; tiles that fit no memory.
    """
    profile = profile or default_profile(graph)
    lowered = legalize(graph, profile)
    placed = allocate(lowered)
    program = Program(
        name=graph.name,
        profile=profile.name,
        hardware=hardware,
        commands=tile(placed.commands, hardware),
        inputs=_ports(graph, graph.inputs, placed.inputs),
        outputs=_ports(graph, graph.outputs, placed.outputs),
        constants=placed.constants,
        activation_bytes=placed.activation_bytes,
        model_sha256=graph.sha256,
        shapes=_other_shapes(graph, placed.commands),
    )
    verify(program)
    return program


def _other_shapes(graph: Graph, commands: tuple[Command, ...]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """The tensors that a command sees in another shape than the graph's."""
    operands = (operand for command in commands for _, operand in operands_of(command))
    shapes = {o.name: graph.tensors[o.name].shape for o in operands if o.name in graph.tensors}
    seen = {o.name for c in commands for _, o in operands_of(c) if shapes.get(o.name, o.shape) != o.shape}
    return tuple((name, shape) for name, shape in shapes.items() if name in seen)


def _ports(graph: Graph, names: tuple[str, ...], operands: tuple[Operand, ...]) -> tuple[Port, ...]:
    tensors = [graph.tensors[name] for name in names]
    return tuple(Port(t.name, o, t.quant, t.file_axes) for t, o in zip(tensors, operands, strict=True))
