"""Every operator of the graph becomes commands. A graph that cannot run is refused with everything that is wrong.

The rules stand in `matrices`, `pooling`, `elementwise`, `moves` and `resizing`; here is the list of them.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from accel_sim.arithmetic import unsupported_reason
from accel_sim.compiler.elementwise import (
    lower_binary,
    lower_clip,
    lower_prelu,
    lower_requant_shift,
    lower_requantize,
    lower_unary,
)
from accel_sim.compiler.lowering import Lowered, Lowering, Site
from accel_sim.compiler.matrices import (
    lower_convolution,
    lower_fully_connected,
    lower_matmul,
    lower_transpose_convolution,
)
from accel_sim.compiler.moves import (
    lower_concat,
    lower_depth_to_space,
    lower_pad,
    lower_reshape,
    lower_slice,
    lower_space_to_depth,
    lower_transpose,
)
from accel_sim.compiler.pooling import (
    lower_arg_max,
    lower_average_pool,
    lower_global_average_pool,
    lower_max_pool,
    lower_mean,
)
from accel_sim.compiler.resizing import lower_resize_bilinear, lower_resize_nearest, lower_softmax
from accel_sim.errors import AccelSimError, CompileError, Fault
from accel_sim.ir import (
    Add,
    ArgMax,
    AveragePool2D,
    Clip,
    Concat,
    Conv2D,
    DepthToSpace,
    FullyConnected,
    GlobalAveragePool2D,
    Graph,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Logistic,
    MatMul,
    Maximum,
    MaxPool2D,
    Mean,
    Minimum,
    Multiply,
    Node,
    Operator,
    Pad,
    PRelu,
    Requantize,
    RequantShift,
    Reshape,
    ResizeBilinear,
    ResizeNearest,
    Slice,
    Softmax,
    SpaceToDepth,
    Subtract,
    Tanh,
    Transpose,
    TransposeConv2D,
)
from accel_sim.ir.text import first_name
from accel_sim.numerics import Profile

RULES: dict[type[Operator], Callable[[Site], None]] = {
    Add: lower_binary,
    ArgMax: lower_arg_max,
    AveragePool2D: lower_average_pool,
    Clip: lower_clip,
    Concat: lower_concat,
    Conv2D: lower_convolution,
    DepthToSpace: lower_depth_to_space,
    FullyConnected: lower_fully_connected,
    GlobalAveragePool2D: lower_global_average_pool,
    HardSigmoid: lower_unary,
    HardSwish: lower_unary,
    LeakyRelu: lower_unary,
    Logistic: lower_unary,
    MatMul: lower_matmul,
    MaxPool2D: lower_max_pool,
    Maximum: lower_binary,
    Mean: lower_mean,
    Minimum: lower_binary,
    Multiply: lower_binary,
    PRelu: lower_prelu,
    Pad: lower_pad,
    RequantShift: lower_requant_shift,
    Requantize: lower_requantize,
    Reshape: lower_reshape,
    ResizeBilinear: lower_resize_bilinear,
    ResizeNearest: lower_resize_nearest,
    Slice: lower_slice,
    Softmax: lower_softmax,
    SpaceToDepth: lower_space_to_depth,
    Subtract: lower_binary,
    Tanh: lower_unary,
    Transpose: lower_transpose,
    TransposeConv2D: lower_transpose_convolution,
}
"""The lowering rule of each operator."""


def legalize(graph: Graph, profile: Profile) -> Lowered:
    """The graph as commands, in the order of its nodes.

    Raises:
        CompileError: every node that cannot be lowered, with node, value and rule.
    """
    faults = [*_float_faults(graph)]
    if faults:
        raise CompileError(f"graph {graph.name!r}", faults)
    lowering = Lowering(graph, profile)
    for node in graph.nodes:
        faults += _lower(lowering, node)
    if faults:
        raise CompileError(f"graph {graph.name!r}, profile {profile.name!r}", faults)
    return lowering.finish()


def _lower(lowering: Lowering, node: Node) -> list[Fault]:
    """Lowers one node; gives what hinders it."""
    rule = RULES.get(type(node.op))
    names = [n for n in (*node.inputs, *node.outputs) if n]
    grids = [q for q in (lowering.graph.tensors[n].quant for n in names) if q is not None]
    reason = unsupported_reason(lowering.profile, node.op, grids)
    if rule is None or reason:
        return [Fault(node.where, node.op.name, reason or "is an operator that integer hardware executes")]
    try:
        rule(Site(lowering, node))
    except AccelSimError as error:
        return [replace(f, where=f"{node.where}: {f.where}") for f in error.faults]
    return []


def _float_faults(graph: Graph) -> Iterator[Fault]:
    floats = [t.name for t in graph.activations() if t.element.is_float]
    if floats:
        shown = ", ".join(repr(first_name(n)) for n in floats[:5]) + (
            f" and {len(floats) - 5} more" if len(floats) > 5 else ""
        )
        rule = "integer hardware computes on codes, and these tensors hold real numbers"
        yield Fault("float tensors", shown, rule, "quantize the network first: accel-sim quantize, accel_sim.quantize")
