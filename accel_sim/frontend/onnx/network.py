"""The graph between the file and the Graph: ordinary operators on values that may have a grid.

QuantizeLinear, DequantizeLinear and the QLinear operators are gone: a Step is a float operator's name, and the grids of
the values that it reads and writes say whether it is an integer operator.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from accel_sim.errors import Fault
from accel_sim.frontend.onnx.grids import FileGrid
from accel_sim.frontend.onnx.model import Array, Attribute, RawNode, RawValue
from accel_sim.ir import NO_ACTIVATION, Activation

# Steps that read only the shape of their operand: they use no value.
SHAPE_READERS = frozenset({"Shape", "Size"})


@dataclass(frozen=True, eq=False)
class Step:
    """One operator, read as its float form.

    Attributes:
        node: the file's node, whose operands and results are here under their resolved names.
        operator: the float operator ("Conv" for Conv and QLinearConv).
        activation: a clamp fused behind it.
        on_codes: whether the file itself applies it to integers: its result keeps the grid.
        in_float: whether ONNX Runtime leaves it in float32, between DequantizeLinear and QuantizeLinear.
    """

    node: RawNode
    operator: str
    activation: Activation = NO_ACTIVATION
    on_codes: bool = False
    in_float: bool = False

    @property
    def inputs(self) -> tuple[str, ...]:
        """Operand names; "" is an absent operand."""
        return self.node.inputs

    @property
    def outputs(self) -> tuple[str, ...]:
        """Result names."""
        return self.node.outputs

    @property
    def where(self) -> str:
        """The step as errors name it."""
        return self.node.where

    def renamed(self, names: Mapping[str, str]) -> "Step":
        """The same step with values under other names."""
        inputs = tuple(names.get(n, n) for n in self.inputs)
        outputs = tuple(names.get(n, n) for n in self.outputs)
        return replace(self, node=replace(self.node, inputs=inputs, outputs=outputs))

    def with_attributes(self, **attributes: Attribute) -> "Step":
        """The same step with more attributes."""
        return replace(self, node=replace(self.node, attributes={**self.node.attributes, **attributes}))


@dataclass
class Network:
    """A graph under translation; the stages of the importer rewrite it in turn.

    Attributes:
        name: the graph's name.
        steps: in topological order.
        constants: arrays by value name.
        inputs: graph inputs.
        outputs: file output name -> value name.
        grids: grids of values, constant or not.
        raw: values that are int32 accumulators without a grid.
        codes: type of the values that are integers in the file itself, not floats behind a DequantizeLinear.
        pinned: values whose stored type no runtime may change: others read their codes, or no zero point is stated.
        quantized: values that a QuantizeLinear puts on their grid.
        float_reads: values that are read as floats, past any DequantizeLinear -> the step or output, for errors.
        unpaired: values whose grid follows from other values', which ONNX Runtime therefore computes with in float32.
        broken: values of faulty steps; whoever reads them is left out without a further fault.
        faults: everything found wrong so far.
    """

    name: str
    steps: list[Step]
    constants: dict[str, Array]
    inputs: list[RawValue]
    outputs: dict[str, str]
    grids: dict[str, FileGrid] = field(default_factory=dict)
    raw: set[str] = field(default_factory=set)
    codes: dict[str, np.dtype[Any]] = field(default_factory=dict)
    pinned: set[str] = field(default_factory=set)
    quantized: set[str] = field(default_factory=set)
    float_reads: dict[str, str] = field(default_factory=dict)
    unpaired: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)

    @property
    def is_integer(self) -> bool:
        """Whether any activation has a grid or is an integer."""
        made = {v.name for v in self.inputs} | {o for s in self.steps for o in s.outputs}
        return bool((set(self.grids) | set(self.codes) | self.raw) & made)

    def readers(self) -> dict[str, list[Step]]:
        """The steps that use each value's contents."""
        found: dict[str, list[Step]] = {}
        for step in self.steps:
            if step.operator in SHAPE_READERS:
                continue
            for name in filter(None, step.inputs):
                found.setdefault(name, []).append(step)
        return found

    def makers(self) -> dict[str, Step]:
        """The step that makes each value."""
        return {name: step for step in self.steps for name in step.outputs if name}

    def fail(self, step: Step, fault: Fault) -> None:
        """Note a fault of a step and forget its results."""
        self.faults.append(fault)
        self.broken.update(step.outputs)

    def rename(self, names: Mapping[str, str]) -> None:
        """Give values other names everywhere."""
        self.steps = [s.renamed(names) for s in self.steps]
        self.inputs = [replace(v, name=names.get(v.name, v.name)) for v in self.inputs]
        self.outputs = {file: names.get(value, value) for file, value in self.outputs.items()}
        self.grids = {names.get(n, n): g for n, g in self.grids.items()}
        self.constants = {names.get(n, n): c for n, c in self.constants.items()}
        self.raw = {names.get(n, n) for n in self.raw}
        self.codes = {names.get(n, n): d for n, d in self.codes.items()}
        self.pinned = {names.get(n, n) for n in self.pinned}
        self.quantized = {names.get(n, n) for n in self.quantized}
        self.float_reads = {names.get(n, n): w for n, w in self.float_reads.items()}
        self.unpaired = {names.get(n, n) for n in self.unpaired}
        self.broken = {names.get(n, n) for n in self.broken}


def integer_dtype(dtype: np.dtype[Any] | None) -> bool:
    """Whether values of this type are integer codes."""
    return dtype is not None and dtype.kind in "iu" and dtype.itemsize <= 2
