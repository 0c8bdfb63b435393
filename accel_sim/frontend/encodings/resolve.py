"""Encodings on a network: which tensor of a float graph each belongs to, and its grid in the stored layout."""

from collections.abc import Mapping, Set
from dataclasses import replace

import numpy as np

from accel_sim.errors import Fault, GraphError, InputError
from accel_sim.frontend.encodings.names import file_axis, file_name
from accel_sim.frontend.encodings.records import Encoding, Encodings, Role
from accel_sim.ir import BatchNorm, Graph, QuantParams, Tensor
from accel_sim.records import dataclass

_SHOWN = 5


@dataclass(frozen=True, eq=False)
class Resolved:
    """What encodings mean for a graph.

    Attributes:
        grids: by name of a tensor of the graph, in its stored layout.
        encodings: the same with every axis and role said, so that every version can be written.
        notes: what was not used, and why, a line each.
    """

    grids: Mapping[str, QuantParams]
    encodings: Encodings
    notes: tuple[str, ...]


def resolve(
    loaded: Graph, graph: Graph, encodings: Encodings, weight_axes: Mapping[str, int], known: Set[str]
) -> Resolved:
    """Find the tensors that encodings are about.

    Args:
        loaded: float, as the file has it.
        graph: the same in canonical form.
        encodings: as read.
        weight_axes: by name of a constant that is some operator's weights, the stored axis of its output channels.
        known: further names that the file has and `loaded` lost; they are told in the notes.

    Raises:
        InputError: listing encodings of tensors that do not exist, and those that cannot be grids of theirs.
    """
    work = _Work(graph, weight_axes)
    work.faults += unfolded_faults(loaded, encodings)
    for entry in encodings.entries:
        work.take(entry, known | loaded.tensors.keys())
    if work.faults:
        raise InputError(f"encodings of graph {graph.name!r}", work.faults)
    stated = Encodings(encodings.version, tuple(work.entries), encodings.extras)
    return Resolved(work.grids, stated, tuple(work.notes()))


class _Work:
    def __init__(self, graph: Graph, weight_axes: Mapping[str, int]) -> None:
        self._axes = weight_axes
        self._tensors: dict[str, list[Tensor]] = {}
        for tensor in graph.tensors.values():
            self._tensors.setdefault(file_name(tensor), []).append(tensor)
        self._biases = {n.inputs[2] for n in graph.nodes if len(n.inputs) == 3 and n.inputs[1] in weight_axes}
        self.grids: dict[str, QuantParams] = {}
        self.entries: list[Encoding] = []
        self.faults: list[Fault] = []
        self._gone: list[str] = []
        self._unread: list[str] = []

    def take(self, entry: Encoding, known: Set[str]) -> None:
        """One encoding."""
        tensors = self._tensors.get(entry.name, [])
        if not tensors and entry.name not in known:
            rule = "names a tensor of the network"
            self.faults.append(Fault(f"encoding of {entry.name!r}", "no such tensor", rule))
        if not tensors:
            self._gone.append(entry.name)
        for tensor in tensors:
            if tensor.name in self._biases:
                self._unread.append(entry.name)
                axis = 0 if entry.per_channel else None
                self.entries.append(replace(entry, axis=axis, role=Role.PARAMETER))
            elif grid := self._grid(entry, tensor):
                self.grids[tensor.name] = grid

    def _grid(self, entry: Encoding, tensor: Tensor) -> QuantParams | None:
        before = len(self.faults)
        self._check(entry, tensor)
        if len(self.faults) > before:
            return None
        axis = self._axes[tensor.name] if entry.per_channel else None
        role = Role.PARAMETER if tensor.is_constant else Role.ACTIVATION
        stated = None if axis is None else file_axis(tensor, axis)
        self.entries.append(replace(entry, axis=stated, role=role))
        scales = tuple(float(s) for s in np.array(entry.scale, np.float32))
        try:
            return QuantParams(scales, entry.zero_point, entry.bits, entry.signed, axis)
        except GraphError as error:
            where = f"encoding of {entry.name!r}"
            self.faults += [Fault(f"{where}, {f.where}", f.value, f.rule) for f in error.faults]
            return None

    def _check(self, entry: Encoding, tensor: Tensor) -> None:
        where = f"encoding of {entry.name!r}"
        if entry.is_float:
            self.faults.append(Fault(where, f"float{entry.bits}", "integer hardware has integer tensors"))
        elif entry.block_size:
            value = f"blocks of {entry.block_size}"
            self.faults.append(Fault(where, value, "a grid is one per tensor, or one per output channel of weights"))
        elif entry.bits > 16:
            self.faults.append(Fault(where, f"{entry.bits} bits", "codes of weights and activations have 2 to 16 bits"))
        elif entry.per_channel:
            self._check_channels(where, entry, tensor)

    def _check_channels(self, where: str, entry: Encoding, tensor: Tensor) -> None:
        channel = self._axes.get(tensor.name)
        if channel is None:
            rule = "grids per channel are those of weights"
            self.faults.append(Fault(where, f"{len(entry.scale)} scales", rule, "one grid per activation"))
            return
        wanted = file_axis(tensor, channel)
        if entry.axis not in (None, wanted):
            rule = f"lies on the axis of the output channels, {wanted}"
            self.faults.append(Fault(where, f"axis {entry.axis}", rule))
        if len(entry.scale) != tensor.shape[channel]:
            rule = f"has one scale for each of the {tensor.shape[channel]} output channels"
            self.faults.append(Fault(where, f"{len(entry.scale)} scales", rule))

    def notes(self) -> list[str]:
        """What was not used."""
        lines = []
        if self._unread:
            lines.append(f"biases lie on the accumulator's grid s_x * s_w, whatever is said of {_listed(self._unread)}")
        if self._gone:
            lines.append(f"not used, for fusing and folding leave no such tensor: {_listed(self._gone)}")
        return lines


def unfolded_faults(graph: Graph, encodings: Encodings) -> list[Fault]:
    """Encodings of batch norms: their weights' grids are those of a network that no integer hardware runs."""
    named = {entry.name for entry in encodings.entries if not entry.is_float}
    found = [n for n in graph.nodes if isinstance(n.op, BatchNorm) and named & set(n.inputs[1:])]
    rule = "batch norms are folded into weights before these get a grid (eq 9-12)"
    cure = "export encodings of the folded network"
    return [Fault(node.where, "has encodings of its own", rule, cure) for node in found]


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
