"""First stage: constant nodes are computed, identities vanish. What is left works on activations."""

from accel_sim.frontend.onnx.folding import FOLDERS, fold
from accel_sim.frontend.onnx.model import RawModel
from accel_sim.frontend.onnx.network import Network, Step
from accel_sim.frontend.onnx.view import NodeFault, NodeView

# Their first result is their first operand; Dropout does nothing at inference.
_IDENTITIES = frozenset({"Identity", "Dropout"})


def prepare(model: RawModel) -> Network:
    """The file's graph with constants folded (DequantizeLinear excepted: it carries a grid) and identities removed."""
    outputs = {v.name: v.name for v in model.outputs}
    network = Network(model.name, [], dict(model.constants), list(model.inputs), outputs)
    alias: dict[str, str] = {}
    for raw in model.nodes:
        step = Step(raw, raw.op_type).renamed(alias)
        if network.broken & set(step.inputs):
            network.broken.update(step.outputs)
        elif raw.op_type in FOLDERS and raw.op_type != "DequantizeLinear" and _constant(network, step):
            fold_into(network, step)
        elif _is_identity(step):
            alias[step.outputs[0]] = step.inputs[0]
        else:
            network.steps.append(step)
    network.outputs = {file: alias.get(value, value) for file, value in outputs.items()}
    return network


def fold_into(network: Network, step: Step) -> None:
    """Compute a constant step; its results become constants of the network."""
    try:
        results = fold(NodeView(step.node, network.constants))
    except NodeFault as fault:
        network.fail(step, fault.at(step.where))
        return
    network.constants.update(zip(step.outputs, results, strict=False))


def _constant(network: Network, step: Step) -> bool:
    return all(name in network.constants for name in step.inputs if name)


def _is_identity(step: Step) -> bool:
    return step.operator in _IDENTITIES and bool(step.inputs and step.inputs[0])
