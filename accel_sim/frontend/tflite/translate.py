"""A TFLite file -> a Graph: every operator checked against its rule, every fault of the file in one error."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from accel_sim.errors import Fault, ModelError, UnsupportedModelError
from accel_sim.frontend._listing import ListedOperator
from accel_sim.frontend.tflite.ends import Ends, find_ends
from accel_sim.frontend.tflite.fold import fold
from accel_sim.frontend.tflite.reader import SCHEMA_VERSION, FileModel, FileOperator, FileTensor, read_model
from accel_sim.frontend.tflite.registry import RULES
from accel_sim.frontend.tflite.rules import Call, Lowered, Rule, Shape
from accel_sim.frontend.tflite.tensors import TensorReader, known_shape
from accel_sim.ir import Graph, ModelFormat, Node, Reshape, Tensor

_FOLDED = ("SHAPE",)
_ABSENT = -1
_READY = "an operand is an input, a constant or made by an earlier operator"


def load_tflite(data: bytes, name: str) -> Graph:
    """Read the bytes of a .tflite file.

    Args:
        data: the file.
        name: what to call the graph where the file does not say.

    Raises:
        ModelError: the file is damaged or contradicts itself; every fault is listed.
        UnsupportedModelError: all of its faults are operators, or uses of operators, that are not modelled.
    """
    model = read_model(data, name)
    faults = list(_file_faults(model))
    if faults:
        raise ModelError(f"TFLite model {name!r}", faults)
    return _Translator(model).graph(model.name or name, hashlib.sha256(data).hexdigest())


def list_tflite(data: bytes) -> tuple[ListedOperator, ...]:
    """Every operator of a readable file, in its order, whether or not it is supported.

    Raises:
        ModelError: the file is damaged, or there is no graph in it.
    """
    model = read_model(data)
    if model.subgraphs == 0:
        raise ModelError("TFLite model", _file_faults(model))

    def text(indices: tuple[int, ...]) -> tuple[str, ...]:
        known = [i for i in indices if i != _ABSENT]
        return tuple(str(model.tensors[i]) if 0 <= i < len(model.tensors) else f"tensor {i}" for i in known)

    return tuple(
        ListedOperator(_node_name(model, op), op.operator, text(op.inputs), text(op.outputs)) for op in model.operators
    )


def _node_name(model: FileModel, op: FileOperator) -> str:
    first = op.outputs[0] if op.outputs else _ABSENT
    return model.tensors[first].name if 0 <= first < len(model.tensors) else f"operator {op.index}"


def _file_faults(model: FileModel) -> Iterator[Fault]:
    if model.version != SCHEMA_VERSION:
        yield Fault("file", f"schema version {model.version}", f"the schema version is {SCHEMA_VERSION}")
    if model.subgraphs != 1:
        yield Fault("file", f"{model.subgraphs} subgraphs", "a model has one subgraph: there is no control flow")
    if not model.operators:
        yield Fault("file", "no operators", "a model has at least one operator")
    if not model.outputs:
        yield Fault("file", "no outputs", "a model has at least one output")
    yield from _index_faults(model)


def _index_faults(model: FileModel) -> Iterator[Fault]:
    count = len(model.tensors)
    users = [("inputs", model.inputs, 0), ("outputs", model.outputs, 0)]
    for op in model.operators:
        where = f"node {_node_name(model, op)!r} ({op.operator})"
        users += [(where, op.inputs, _ABSENT), (where, op.outputs, 0)]
    for where, indices, least in users:
        bad = next((i for i in indices if not least <= i < count), None)
        if bad is not None:
            yield Fault(where, f"tensor {bad}", f"a tensor's number lies in [{least}, {count})")
    twice = [i for i, n in Counter(model.inputs).items() if n > 1]
    if twice:
        yield Fault("inputs", f"tensor {twice[0]}", "an input is listed once")


class _Translator:
    """Walks the operators once, in order."""

    def __init__(self, model: FileModel) -> None:
        self._model = model
        self._ends: Ends = find_ends(model)
        self._reader = TensorReader()
        self._values: dict[int, Tensor | None] = {}  # what is ready, under the name it has in the graph
        self._tensors: dict[str, Tensor] = {}
        self._taken = {tensor.name for tensor in model.tensors}
        self._nodes: list[Node] = []
        self._faults: list[Fault] = []
        self._unsupported: list[Fault] = []

    def graph(self, name: str, sha256: str) -> Graph:
        """The graph, or one error with every fault."""
        for index in self._model.inputs:
            self._add_input(index)
        for op in self._model.operators:
            if op.index not in self._ends.stripped:
                self._translate(op)
        outputs = [self._output(index) for index in self._model.outputs]
        faults = [*self._reader.faults, *self._faults]
        if faults:
            raise ModelError("TFLite model", [*faults, *self._unsupported])
        if self._unsupported:
            raise UnsupportedModelError("TFLite model", self._unsupported)
        inputs = tuple(self._model.tensors[i].name for i in self._model.inputs)
        tensors = self._used(inputs, outputs)
        return Graph(name, tuple(self._nodes), tensors, inputs, tuple(outputs), ModelFormat.TFLITE, sha256)

    def _used(self, inputs: tuple[str, ...], outputs: list[str]) -> dict[str, Tensor]:
        used = {*inputs, *outputs, *(n for node in self._nodes for n in (*node.inputs, *node.outputs))}
        return {name: tensor for name, tensor in self._tensors.items() if name in used}

    def _add_input(self, index: int) -> None:
        stated, behind = self._model.tensors[index], self._ends.behind.get(index, [index])
        tensor = self._reader.convert(self._model.tensors[behind[0]])
        if min(stated.shape, default=1) < 1:
            rule = "an input's shape is known and not empty"
            self._faults.append(Fault(f"tensor {stated.name!r}", f"shape {list(stated.shape)}", rule))
            tensor = None
        if tensor is not None:
            tensor = replace(tensor, name=stated.name, shape=known_shape(stated), data=None)
        for name in {index, *behind}:
            self._set(name, tensor)

    def _set(self, index: int, tensor: Tensor | None) -> None:
        self._values[index] = tensor
        if tensor is not None and not tensor.is_constant:
            self._tensors.setdefault(tensor.name, tensor)

    def _operand(self, index: int, where: str) -> Tensor | None:
        """A tensor that is ready: made before, or a constant. None, and a fault noted, otherwise."""
        if index not in self._values:
            stated = self._model.tensors[index]
            if stated.data is None:
                self._faults.append(Fault(where, repr(stated.name), _READY))
                return None
            self._set(index, self._reader.convert(stated))
        return self._values[index]

    def _translate(self, op: FileOperator) -> None:
        where = f"node {_node_name(self._model, op)!r} ({op.operator})"
        operands = [None if i == _ABSENT else self._operand(i, where) for i in op.inputs]
        results = [self._result(i, where) for i in op.outputs]
        rule = RULES.get(op.operator)
        if rule is None and op.operator not in _FOLDED:
            cure = "the table of supported operators lists what is"
            self._unsupported.append(Fault(where, op.operator, "this operator is not modelled", cure))
            return
        broken = any(t is None and i != _ABSENT for t, i in zip(operands, op.inputs, strict=True))
        if broken or None in results:
            return  # the fault is noted where it arose
        made = tuple(t for t in results if t is not None)
        name = made[0].name if made else _node_name(self._model, op)
        call = Call(name, op.operator, tuple(operands), made, op.options)
        if not self._folded(call, op) and not self._lowered(call, op, rule):
            for index in op.outputs:
                self._values[index] = None

    def _result(self, index: int, where: str) -> Tensor | None:
        """A result as the file states it, under its name in the graph."""
        stated = self._model.tensors[index]
        if index in self._values or stated.data is not None:
            self._faults.append(Fault(where, repr(stated.name), "a tensor is made once, by one operator"))
            return None
        self._values[index] = None
        tensor = self._reader.convert(stated)
        named = self._model.tensors[self._ends.alias.get(index, index)].name
        return None if tensor is None else replace(tensor, name=named)

    def _folded(self, call: Call, op: FileOperator) -> bool:
        contents = fold(call)
        if contents is None:
            return False
        self._set(op.outputs[0], replace(call.y, shape=contents.shape, data=contents))
        return True

    def _lowered(self, call: Call, op: FileOperator, rule: Rule | None) -> bool:
        if rule is None:
            self._unsupported.append(Fault(call.where, call.operator, "shapes are known before a run"))
            return False
        faults = rule.faults(call)
        if faults:
            self._unsupported += faults
            return False
        shapes = rule.shapes(call)
        stated = [self._model.tensors[i] for i in op.outputs]
        wrong = [s for s, shape in zip(stated, shapes, strict=True) if not _agrees(s, shape)]
        if wrong:
            self._faults += [_contradiction(call, s, shapes[stated.index(s)]) for s in wrong]
            return False
        made = tuple(replace(t, shape=shape) for t, shape in zip(call.outputs, shapes, strict=True))
        call = replace(call, outputs=made)
        self._add(call, rule.lower(call))
        for index, tensor in zip(op.outputs, made, strict=True):
            self._set(index, tensor)
        return True

    def _add(self, call: Call, lowered: Lowered) -> None:
        """Append nodes and the constants and tensors that they bring along."""
        formed = {tensor.name for tensor in lowered.tensors}
        constants = [t for t in call.inputs if t is not None and t.is_constant and t.name not in formed]
        renamed = {}
        for tensor in (*lowered.tensors, *constants):
            renamed[tensor.name] = name = self._name(tensor, call)
            self._tensors.setdefault(name, replace(tensor, name=name))
        for node in lowered.nodes:
            inputs, outputs = ([renamed.get(n, n) for n in names] for names in (node.inputs, node.outputs))
            self._nodes.append(Node(renamed.get(node.name, node.name), node.op, tuple(inputs), tuple(outputs)))

    def _name(self, tensor: Tensor, call: Call) -> str:
        """A tensor's own name, unless another tensor, or another form of it, has it already."""
        known = self._tensors.get(tensor.name, tensor)
        is_operand = any(t is not None and t.name == tensor.name for t in call.inputs)
        if _same(known, tensor) if is_operand else tensor.name not in self._taken:
            self._taken.add(tensor.name)
            return tensor.name
        name = f"{tensor.name}@{call.name}"
        while name in self._taken:
            name += "'"
        self._taken.add(name)
        return name

    def _output(self, index: int) -> str:
        """The name under which an output is in the graph; a copy is made where it needs one of its own."""
        stated, source = self._model.tensors[index], self._ends.before.get(index, index)
        tensor = self._operand(source, "outputs")
        if tensor is None or tensor.name == stated.name:
            if tensor is not None:
                self._tensors.setdefault(tensor.name, tensor)
            return stated.name
        copy = replace(tensor, name=stated.name)
        if copy.name not in self._tensors:
            self._tensors[copy.name] = copy
            self._nodes.append(Node(copy.name, Reshape(), (tensor.name,), (copy.name,)))
        return copy.name


def _same(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors of one name have the same form (their contents come from one buffer)."""
    return (a.shape, a.element, a.quant, a.file_axes) == (b.shape, b.element, b.quant, b.file_axes)


def _agrees(stated: FileTensor, shape: Shape) -> bool:
    """Whether a shape is what the file states, as far as it states one."""
    if not stated.shape:
        return True  # a scalar, or a shape left open: both are stored as no axes
    if len(stated.shape) != len(shape):
        return False
    open_axes = stated.signature if len(stated.signature) == len(shape) else stated.shape
    return all(n == m or -1 in (n, o) for n, o, m in zip(stated.shape, open_axes, shape, strict=True))


def _contradiction(call: Call, stated: FileTensor, shape: Shape) -> Fault:
    text = f"{stated.name!r} is stated {list(stated.shape)}"
    return Fault(call.where, text, f"the result has the shape that the operands give: {list(shape)}")
