"""From a file's bytes to a Graph: the stages in order, and every fault of the file in one error."""

import hashlib
from pathlib import Path

import numpy as np

from accel_sim.errors import Fault, UnsupportedModelError
from accel_sim.frontend._listing import ListedOperator
from accel_sim.frontend.onnx.dialect import is_integer_dialect, resolve_dialect
from accel_sim.frontend.onnx.double_pairs import merge_pairs
from accel_sim.frontend.onnx.emitter import Axes, Emitter, canonical, file_order, input_faults
from accel_sim.frontend.onnx.folding import FOLDERS, shape_slice
from accel_sim.frontend.onnx.grids import FileGrid
from accel_sim.frontend.onnx.lines import as_image, as_line, is_line
from accel_sim.frontend.onnx.network import SHAPE_READERS, Network, Step
from accel_sim.frontend.onnx.operation import Operation
from accel_sim.frontend.onnx.prepare import fold_into, prepare
from accel_sim.frontend.onnx.propagation import fuse_bias, propagate_grids
from accel_sim.frontend.onnx.proto import read_model
from accel_sim.frontend.onnx.quantization import resolve_quantization
from accel_sim.frontend.onnx.registry import DEEPLOY_SHIFT, SUPPORTED, is_known
from accel_sim.frontend.onnx.unsigned import hold_unsigned
from accel_sim.frontend.onnx.view import NodeFault, NodeView
from accel_sim.ir import ElementType, Graph, ModelFormat

_UNKNOWN = "the operator is one of the supported ones"
_CURES = {"DynamicQuantizeLinear": "its grid changes with the data: quantize statically, as accel-sim quantize does"}
_IN_FILE_ORDER = {"MatMul", "Reshape", "Flatten"}
_CONSTANT_ONLY = "this operator is supported on constants only"


def load_onnx(data: bytes, name: str, directory: Path | None = None, missing: list[str] | None = None) -> Graph:
    """Read an ONNX file.

    Args:
        data: the file's bytes.
        name: for people; the Graph's name, and how errors begin.
        directory: where the file lies, for weights kept beside it; None for bytes alone.
        missing: gets the names of weights that the file lacks, which then have stand-ins; None refuses them.

    Returns:
        The network: an integer Graph if the file quantizes its activations (QuantizeLinear, QLinear operators,
        Deeploy's RequantShift), else a float one.

    Raises:
        ModelError: bytes that are damaged or contradict themselves.
        UnsupportedModelError: with a fault for every node that this simulator does not model.
    """
    network = prepare(read_model(data, name, directory, missing=missing))
    _mark_unknown(network)
    _drop_unread_inputs(network)
    if is_integer_dialect(network):
        resolve_dialect(network)
    else:
        merge_pairs(network)
        resolve_quantization(network)
    if network.is_integer:
        propagate_grids(network)
        hold_unsigned(network)
    else:
        fuse_bias(network)
    return _Builder(network, name).build(hashlib.sha256(data).hexdigest())


def list_onnx(data: bytes) -> tuple[ListedOperator, ...]:
    """Every node of a readable file, supported or not, in execution order.

    Raises:
        ModelError: as `load_onnx` for the file's container.
    """
    model = read_model(data, "model", with_weights=False)
    known = {v.name: _describe(v.dtype, v.shape) for v in (*model.inputs, *model.outputs)}
    known |= {n: _describe(a.dtype, a.shape) for n, a in model.constants.items()}

    def shown(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f"{n} {known[n]}" if n in known else n for n in names if n)

    return tuple(ListedOperator(n.name, n.op_type, shown(n.inputs), shown(n.outputs)) for n in model.nodes)


def _describe(dtype: object, shape: tuple[int | None, ...] | None) -> str:
    axes = "" if shape is None else f"[{','.join('?' if n is None else str(n) for n in shape)}]"
    return f"{'?' if dtype is None else dtype}{axes}"


def _mark_unknown(network: Network) -> None:
    """Fault every operator that no stage can read."""
    steps = []
    for step in network.steps:
        operator = "RequantShift" if step.operator == DEEPLOY_SHIFT else step.operator
        if is_known(operator) or operator in SHAPE_READERS or operator in FOLDERS:
            steps.append(Step(step.node, operator))
        else:
            network.fail(step, Fault(step.where, step.operator, _UNKNOWN, _CURES.get(step.operator, "")))
    network.steps = steps


def _drop_unread_inputs(network: Network) -> None:
    """Inputs that no step uses; where a step is faulty already, nobody knows."""
    read = {n for s in network.steps for n in s.inputs} | set(network.outputs.values())
    network.inputs = [v for v in network.inputs if v.name in read or network.broken]


class _Builder:
    """Translates the steps of a Network whose grids are settled."""

    def __init__(self, network: Network, name: str) -> None:
        self.network = network
        self.name = name
        self.emitter = Emitter(network)

    def build(self, sha256: str) -> Graph:
        network = self.network
        self._inputs()
        for step in network.steps:
            self._step(step)
        outputs = self._outputs()
        if network.faults:
            raise UnsupportedModelError(f"model {self.name!r}", network.faults)
        emitter, inputs = self.emitter, tuple(v.name for v in network.inputs)
        nodes = tuple(emitter.nodes)
        return Graph(self.name, nodes, emitter.tensors, inputs, tuple(outputs), ModelFormat.ONNX, sha256)

    def _inputs(self) -> None:
        readers = self.network.readers()
        for value in self.network.inputs:
            faults = input_faults(value)
            self.network.faults += faults
            if faults or value.shape is None or value.dtype is None:
                self.network.broken.add(value.name)
                continue
            shape = tuple(n or 1 for n in value.shape)
            axes = _input_axes(len(shape), readers.get(value.name, []))
            self.emitter.input(value.name, shape, axes, ElementType(value.dtype.name))

    def _step(self, step: Step) -> None:
        network = self.network
        if network.broken & set(step.inputs):
            network.broken.update(step.outputs)
            return
        try:
            if step.operator in SHAPE_READERS or self._is_constant(step):
                self._fold(step)
                return
            self._translate(step)
        except NodeFault as fault:
            network.fail(step, fault.at(step.where))

    def _is_constant(self, step: Step) -> bool:
        """Whether NumPy can compute the step: its operands are plain constants, without a grid."""
        operands = {n for n in step.inputs if n}
        plain = operands <= set(self.network.constants) and not operands & set(self.network.grids)
        return plain and step.node.op_type in FOLDERS

    def _fold(self, step: Step) -> None:
        """A constant step, or one that reads the shape of an activation."""
        name = step.inputs[0] if step.inputs else ""
        if step.operator in SHAPE_READERS and name in self.emitter.values:
            shape = self.emitter.values[name].shape
            view = NodeView(step.node, self.network.constants)
            found = shape_slice(view, shape)
            self.network.constants[step.outputs[0]] = found if step.operator == "Shape" else np.array(np.prod(found))
            return
        fold_into(self.network, step)

    def _translate(self, step: Step) -> None:
        support = SUPPORTED.get(step.operator)
        if support is None:
            raise NodeFault(step.operator, _CONSTANT_ONLY)
        line = is_line(step, self.emitter)
        read = as_image(step, self.emitter) if line else step
        op = Operation(read, self.emitter)
        faults = []
        for constraint in support.constraints:
            try:
                value = constraint(op)
            except NodeFault as fault:
                faults.append(fault.at(step.where))
            else:
                if value is not None:
                    faults.append(Fault(step.where, value, constraint.__doc__ or ""))
        if faults:
            self.network.faults += faults
            self.network.broken.update(step.outputs)
        else:
            support.translate(op)
            if line:
                as_line(step, read, self.emitter)

    def _outputs(self) -> list[str]:
        """The tensors of the file's outputs, in its order."""
        tensors = []
        for file, value in self.network.outputs.items():
            try:
                tensors.append(self._output(file, value))
            except NodeFault as fault:
                self.network.faults.append(fault.at(f"output {file!r}"))
        return tensors

    def _output(self, file: str, value: str) -> str:
        """The tensor of an output of the file."""
        if value in self.emitter.values:
            return self.emitter.values[value].tensor
        if value in self.network.constants and value not in self.network.broken:
            grid: FileGrid | None = self.network.grids.get(value)
            array = self.network.constants[value]
            return self.emitter.constant(value, array, tuple(range(array.ndim)), grid.stored() if grid else None)
        return file


def _input_axes(rank: int, readers: list[Step]) -> Axes:
    """Channels last, unless every reader wants the file's order or transposes at once: then as its result wants it."""
    wanted = canonical(rank)
    operators = {s.operator for s in readers}
    if operators and operators <= _IN_FILE_ORDER:
        return file_order(rank)
    if operators != {"Transpose"}:
        return wanted
    order = readers[0].node.attributes.get("perm")
    if not isinstance(order, list) or sorted(order) != list(range(rank)):
        return wanted
    return tuple(int(order[a]) for a in wanted)
