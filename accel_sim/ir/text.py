"""A Graph as text, one line per tensor and node, for people and for tests."""

from dataclasses import fields

from accel_sim.ir.graph import Graph, Node
from accel_sim.ir.operators import Operator
from accel_sim.ir.quant_params import QuantParams
from accel_sim.ir.tensor import Tensor


def first_name(name: str) -> str:
    """The first of the names that converters join by `;` for a fused layer."""
    return name.split(";")[0]


def format_quant(q: QuantParams | None) -> str:
    """A grid in a few characters: `s8 0.0235 z-128`, `s4/ch3 x64`."""
    if q is None:
        return ""
    kind = f"{'s' if q.signed else 'u'}{q.bits}"
    if q.axis is not None:
        return f"{kind} per-channel axis {q.axis} ({len(q.scale)} scales)"
    return f"{kind} {q.scale[0]:.6g} z{q.zero_point[0]}"


def format_tensor(tensor: Tensor) -> str:
    """`name: int8[1,32,32,16] s8 0.0235 z-128`."""
    shape = ",".join(map(str, tensor.shape))
    return f"{tensor.name}: {tensor.element.value}[{shape}] {format_quant(tensor.quant)}".rstrip()


def format_operator(op: Operator) -> str:
    """`Conv2D(strides=(1, 1), groups=1)`: the fields that differ from their defaults."""
    parts = [f"{f.name}={getattr(op, f.name)!r}" for f in fields(op) if getattr(op, f.name) != f.default]
    return f"{op.name}({', '.join(parts)})"


def format_node(node: Node) -> str:
    """`%y = Conv2D(...) %x, %w, %b`."""
    made = ", ".join(f"%{n}" for n in node.outputs)
    used = ", ".join(f"%{n}" if n else "-" for n in node.inputs)
    return f"{made} = {format_operator(node.op)} {used}"


def format_graph(graph: Graph) -> str:
    """The whole graph, nodes with the tensors that they make."""
    lines = [f"graph {graph.name!r} ({graph.source.value})"]
    lines += [f"  input  {format_tensor(graph.tensors[n])}" for n in graph.inputs]
    lines += [f"  const  {format_tensor(t)}" for t in graph.tensors.values() if t.is_constant]
    for node in graph.nodes:
        lines.append(f"  {format_node(node)}")
        lines += [f"      {format_tensor(graph.tensors[n])}" for n in node.outputs]
    lines.append(f"  output {', '.join(graph.outputs)}")
    return "\n".join(lines)
