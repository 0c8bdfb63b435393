"""Second stage: QuantizeLinear, DequantizeLinear and the QLinear operators become grids of values.

1. A DequantizeLinear of a constant is that constant with a grid; of an activation it is the activation, on that grid.
2. A QuantizeLinear of a value that a step makes puts that value on the grid. A second one on the same grid is the
   same value; on another grid it is a fault, because the float value between them does not exist on integer hardware.
3. A QuantizeLinear of a graph input makes the input itself an integer tensor, under the file's name.
4. A QuantizeLinear of a dequantized value is a requantization, or nothing where the grids agree.
5. A QLinear operator is its float operator between the grids that it states.
6. A dequantized constant may be transposed or reshaped before its use; its codes are.
7. Where only constants are quantized, the network is a float one and they are dequantized.
ONNX Runtime fuses the same patterns; what it keeps in float has the same grids and is one integer operator here.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from accel_sim.frontend.onnx.folding import fold
from accel_sim.frontend.onnx.grids import FileGrid, read_grid, unit_grid
from accel_sim.frontend.onnx.model import RawNode
from accel_sim.frontend.onnx.network import SHAPE_READERS, Network, Step, integer_dtype
from accel_sim.frontend.onnx.qoperator import ACCUMULATING, QLINEAR, QLinearForm
from accel_sim.frontend.onnx.view import NodeFault, NodeView

_ONE_GRID = "a value is written and read on one grid"
_SHAPING = frozenset({"Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze"})
_NEW_TYPE = frozenset({"Shape", "Size", "ArgMax", "ArgMin", "Cast"})  # their result has a type of its own


def resolve_quantization(network: Network) -> None:
    """Rewrite the network in place; see the module's rules."""
    _Resolver(network).run()
    if not network.is_integer:
        for name in set(network.grids) & set(network.constants):
            network.constants[name] = network.grids[name].dequantize(network.constants[name])
        network.grids.clear()


class _Resolver:
    def __init__(self, network: Network) -> None:
        self.network = network
        self.alias: dict[str, str] = {}  # value -> the value that stands for it
        self.names: dict[str, str] = {}  # value -> the file's name of its codes
        self.steps: list[Step] = []
        network.codes.update(
            {v.name: v.dtype for v in network.inputs if v.dtype is not None and integer_dtype(v.dtype)}
        )
        self.floats = {v.name for v in network.inputs} - set(network.codes)
        self.dequantized: set[str] = set()
        self.constants = network.constants.keys()
        self.integers = set(network.codes)  # file names of values that are integers in the file

    def run(self) -> None:
        network = self.network
        for step in network.steps:
            read = step.renamed(self.alias)
            if network.broken & set(read.inputs):
                network.broken.update(step.outputs)
                continue
            try:
                self._resolve(step, read)
            except NodeFault as fault:
                network.fail(step, fault.at(step.where))
        network.steps = self.steps
        integers = {value for value in network.outputs.values() if value in self.integers}
        network.pinned.update(self.alias.get(value, value) for value in integers)
        plain = {v: file for file, v in network.outputs.items() if v not in self.alias and v not in self.integers}
        network.float_reads.update({value: f"output {file!r}" for value, file in plain.items()})
        network.outputs = {file: self.alias.get(value, value) for file, value in network.outputs.items()}
        network.rename(self._final_names())

    def _resolve(self, step: Step, read: Step) -> None:
        view = NodeView(read.node, self.network.constants)
        if step.operator == "DequantizeLinear":
            self._dequantize(step, view)
        elif step.operator == "QuantizeLinear":
            self._quantize(step, view)
        elif step.operator in QLINEAR:
            self._qlinear(step, view, QLINEAR[step.operator])
        elif step.operator in ACCUMULATING:
            self._accumulate(step, view, ACCUMULATING[step.operator])
        elif step.operator in _SHAPING and view.given(0) and view.name(0) in self.network.grids.keys() & self.constants:
            self._shape_constant(step, view)
        else:
            self._ordinary(step, read)

    def _dequantize(self, step: Step, view: NodeView) -> None:
        source, result = view.name(0), step.outputs[0]
        if source in self.network.constants:
            codes = self.network.constants[source]
            self.network.grids[result] = read_grid(view, 1, 2, codes.dtype, codes.shape)
            self.network.constants[result] = codes
            return
        self._state(source, read_grid(view, 1, 2, self._dtype(source), None))
        self._pin_untyped(view, source)
        self.alias[result] = source
        self.dequantized.add(result)

    def _pin_untyped(self, view: NodeView, value: str) -> None:
        if not view.given(2):
            self.network.pinned.add(value)

    def _shape_constant(self, step: Step, view: NodeView) -> None:
        source, result = view.name(0), step.outputs[0]
        grid = self.network.grids[source]
        codes = fold(view)[0]
        if grid.axis is not None:
            if step.operator != "Transpose":
                raise NodeFault(f"{len(grid.scale)} scales", "a constant with a scale per channel is only transposed")
            order = view.integers("perm", tuple(reversed(range(codes.ndim))))
            grid = FileGrid(grid.scale, grid.zero_point, grid.dtype, order.index(grid.axis))
        self.network.constants[result], self.network.grids[result] = codes, grid

    def _quantize(self, step: Step, view: NodeView) -> None:
        source, result = view.name(0), step.outputs[0]
        output_type = {3: np.int8, 2: np.uint8, 5: np.int16, 4: np.uint16}.get(view.integer("output_dtype", 0))
        grid = read_grid(view, 1, 2, np.dtype(output_type) if output_type else None, None)
        _require_activation(grid.dtype)
        self.integers.add(result)
        if step.inputs[0] not in self.dequantized:
            self._state(source, grid)
            self.names.setdefault(source, result)
            self.network.quantized.add(source)
        elif self.network.grids[source] != grid:
            self._pin_untyped(view, result)
            self.network.grids[result] = grid
            self.steps.append(Step(view.node.reading((source,)), "Requantize"))
            return
        self._pin_untyped(view, source)
        self.alias[result] = source

    def _qlinear(self, step: Step, view: NodeView, form: QLinearForm) -> None:
        operands = [self._operand(view, *triple) for triple in form.triples(len(step.inputs))]
        if form.extra is not None:
            operands.append(view.node.inputs[form.extra] if view.given(form.extra) else "")
        grid = read_grid(view, *form.result, None, None)
        _require_activation(grid.dtype)
        result = step.outputs[0]
        self.network.grids[result] = grid
        self.network.codes[result] = grid.dtype
        self.integers.add(result)
        self.steps.append(Step(view.node.reading(tuple(operands)), form.operator))

    def _operand(self, view: NodeView, data: int, scale: int, zero: int) -> str:
        """The name of a QLinear operand, its grid stated."""
        name = view.name(data)
        if name not in self.network.constants:
            self._state(name, read_grid(view, scale, zero, self._dtype(name), None))
            self.network.pinned.add(name)
            return name
        codes = self.network.constants[name]
        return self._constant(name, read_grid(_weight_axis(view, codes.ndim), scale, zero, codes.dtype, codes.shape))

    def _accumulate(self, step: Step, view: NodeView, operator: str) -> None:
        names = []
        for data, zero in ((0, 2), (1, 3)):
            name = view.name(data)
            constant = self.network.constants.get(name)
            dtype, rank = (self._dtype(name), 0) if constant is None else (constant.dtype, constant.ndim)
            _require_activation(dtype)
            grid = _integer_grid(view, zero, dtype, rank)
            if constant is None:
                if name in self.network.grids and self.network.grids[name].zero_point == grid.zero_point:
                    grid = self.network.grids[name]
                self._state(name, grid)
                self.network.pinned.add(name)
            names.append(name if constant is None else self._constant(name, grid))
        self.network.raw.add(step.outputs[0])
        self.steps.append(Step(view.node.reading(tuple(names)), operator))

    def _ordinary(self, step: Step, read: Step) -> None:
        direct = {name for name, own in zip(read.inputs, step.inputs, strict=True) if name == own}
        self.network.pinned.update(n for n, own in zip(read.inputs, step.inputs, strict=True) if own in self.integers)
        if step.operator not in SHAPE_READERS:
            self.network.float_reads.update(dict.fromkeys(direct - self.integers, step.where))
        on_codes = bool(step.inputs) and step.inputs[0] in self.integers and step.operator not in _NEW_TYPE
        if on_codes:
            self.integers.update(step.outputs)
            self.network.codes.update(dict.fromkeys(step.outputs, self._dtype(read.inputs[0])))
        self.steps.append(replace(read, on_codes=on_codes))

    def _constant(self, name: str, grid: FileGrid) -> str:
        """A constant operand under a name of its own where the same codes are read on several grids."""
        own = name
        while self.network.grids.get(own, grid) != grid:
            own += "'"
        self.network.constants[own] = self.network.constants[name]
        self.network.grids[own] = grid
        return own

    def _state(self, name: str, grid: FileGrid) -> None:
        known = self.network.grids.setdefault(name, grid)
        if known != grid:
            given = f"{name!r} at scale {grid.scale[0]:g} zero point {grid.zero_point[0]} ({grid.dtype})"
            rule = f"{_ONE_GRID}, here scale {known.scale[0]:g} zero point {known.zero_point[0]} ({known.dtype})"
            raise NodeFault(given, rule)

    def _dtype(self, name: str) -> np.dtype[Any]:
        dtype = self.network.codes.get(name)
        if dtype is None and name in self.network.grids:
            dtype = self.network.grids[name].dtype
        if dtype is None:
            raise NodeFault(name, "an operand that is dequantized holds 8 or 16 bit integers")
        return dtype

    def _final_names(self) -> dict[str, str]:
        """Names of the file for values: of the graph's outputs, else of the quantized tensor.

        A graph input keeps its own; a value that is several outputs gets a copy for each further one.
        """
        network = self.network
        names = {value: file for value, file in self.names.items() if value not in self.floats}
        taken = {v.name for v in network.inputs}
        for file, value in list(network.outputs.items()):
            if value in network.broken:
                continue
            if value in taken and value != file:
                network.outputs[file] = self._copy(value, file)
            else:
                names[value] = file
            taken.add(value)
        return {value: name for value, name in names.items() if value != name}

    def _copy(self, value: str, file: str) -> str:
        node = RawNode(f"{file}/copy", "Identity", (value,), (file,))
        self.network.steps.append(Step(node, "Identity"))
        if value in self.network.grids:
            self.network.grids[file] = self.network.grids[value]
        return file


def _require_activation(dtype: np.dtype[Any]) -> None:
    if not integer_dtype(dtype):
        raise NodeFault(dtype, "a quantized value is an 8 or 16 bit integer")


def _weight_axis(view: NodeView, rank: int) -> NodeView:
    """The view with the channel axis that a QLinear operator implies: 0 for convolutions, the columns of a matrix."""
    columns = 0 if view.flag("transB") else rank - 1
    axis = 0 if view.node.op_type == "QLinearConv" else columns
    attributes = {**view.node.attributes, "axis": axis}
    node = RawNode(view.node.name, view.node.op_type, view.node.inputs, view.node.outputs, attributes, view.opset)
    return NodeView(node, view.constants)


def _integer_grid(view: NodeView, zero: int, dtype: np.dtype[Any], rank: int) -> FileGrid:
    """The grid of an operand of ConvInteger or MatMulInteger: scale 1 and its zero point."""
    if not view.given(zero):
        return unit_grid(dtype)
    zeros = view.array(zero)
    if zeros.dtype != dtype:
        raise NodeFault(f"{zeros.dtype} for {dtype} codes", "a zero point has the type of the codes")
    flat = zeros.ravel()
    if flat.size and np.all(flat == flat[0]):
        return FileGrid((1.0,), (int(flat[0]),), dtype)
    if not rank or zeros.ndim != 1:
        raise NodeFault(
            f"zero points {list(zeros.shape)}", "an activation has one zero point, weights one per output channel"
        )
    axis = 0 if view.node.op_type == "ConvInteger" else rank - 1
    return FileGrid((1.0,) * flat.size, tuple(int(z) for z in flat), dtype, axis)
