"""Verifies certificates from a model's weights alone.

Written to be read and believed by itself: plain Python integers and loops, no code in common with what made the
certificate (`bounds`, `dot_products`, `taps`). What it takes as given are the graph as the file describes it and, of a
certificate, the ranges of kind "calibrated"; those of kind "interval" are compared with intervals propagated anew.
"""

import hashlib
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

from accel_sim.errors import Fault
from accel_sim.ir import Conv2D, FullyConnected, Graph, MatMul, Node, Tensor, TransposeConv2D

SCHEMA = "accel-sim/certificate/1"
KINDS = ("type", "interval", "calibrated")
Document = dict[str, Any]
Row = list[int]
Span = tuple[int, int]
_MALFORMED = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
_WITH_ACCUMULATORS = (Conv2D, FullyConnected, MatMul, TransposeConv2D)


def check_claims(graph: Graph, certificate: Mapping[str, Any]) -> list[Fault]:
    """Everything that is wrong in a certificate of this graph; empty for a right one.

    Every layer with accumulators must be there with a range of kind "type", every claim must be exactly the number that
    its bound gives, every range must lie in the type's, and every witness must reach what it claims.
    """
    layers = certificate.get("layers") if isinstance(certificate, Mapping) else None
    if not isinstance(layers, list) or not all(isinstance(layer, dict) for layer in layers):
        return [Fault("certificate", type(certificate).__name__, "is a JSON object with a list of layers")]
    faults = list(_head(graph, certificate))
    nodes = {node.name: node for node in graph.nodes if isinstance(node.op, _WITH_ACCUMULATORS)}
    named = [layer.get("layer") for layer in layers]
    faults += [
        Fault("layers", name, "every layer with accumulators is certified") for name in nodes if name not in named
    ]
    for layer in layers:
        name = layer.get("layer")
        if isinstance(name, str) and name in nodes:
            faults += _layer_faults(graph, nodes[name], layer)
        else:
            faults.append(Fault("layers", repr(name), "is a layer of the model that has accumulators"))
    return faults or list(_summary(certificate))


def _summary(certificate: Mapping[str, Any]) -> Iterator[Fault]:
    """The width stated for the whole network, of layers that are right."""
    exact = [
        claim["bits"]
        for layer in certificate["layers"]
        for known in layer["ranges"]
        for claim in known["claims"]
        if (known["kind"], claim["bound"], claim["sums"]) == ("type", "exact", "every order")
    ]
    widest = max((max(bits) for bits in exact), default=None)
    if certificate.get("safe_bits", widest) != widest:
        yield Fault("safe_bits", repr(certificate["safe_bits"]), f"is {widest!r}")


def _layer_faults(graph: Graph, node: Node, layer: Document) -> list[Fault]:
    real = next(_reals(layer), None)
    if real is not None:  # half a code is no input; and no width holds what is infinite
        return [Fault(f"layer {node.name!r}", repr(real), "every number is a whole one")]
    faults = []
    try:
        for fault in _Layer(graph, node).faults(layer):
            faults.append(fault)
    except _MALFORMED as error:
        faults.append(Fault(f"layer {node.name!r}", f"{type(error).__name__}: {error}", "is as the schema says"))
    return faults


def _head(graph: Graph, certificate: Mapping[str, Any]) -> Iterator[Fault]:
    if certificate.get("schema") != SCHEMA:
        yield Fault("schema", repr(certificate.get("schema")), f"is {SCHEMA}")
    model = certificate.get("model")
    stated = model.get("sha256") if isinstance(model, dict) else None
    if stated != graph.sha256:
        yield Fault("model.sha256", repr(stated), f"is that of the model, {graph.sha256!r}")


def _reals(value: Any) -> Iterator[float]:
    """The numbers in a JSON value that are not written as whole ones."""
    if isinstance(value, float):
        yield value
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _reals(part)


def _bits(low: int, high: int) -> int:
    """Narrowest two's complement width of two integers."""
    bits = 1
    while not (-(2 ** (bits - 1)) <= low and high <= 2 ** (bits - 1) - 1):
        bits += 1
    return bits


class _Layer:
    """One layer: its rows of weights as lists of Python ints, in the order of accumulation."""

    def __init__(self, graph: Graph, node: Node) -> None:
        self.where = f"layer {node.name!r}"
        self.node, self.op = node, node.op
        self.x, self.w = graph.operand(node, 0), graph.operand(node, 1)
        self.swapped = isinstance(node.op, MatMul) and self.x.is_constant and not self.w.is_constant
        if self.swapped:
            self.x, self.w = self.w, self.x
        bias = None if isinstance(node.op, MatMul) else graph.optional(node, 2)
        self.y = graph.result(node)
        self.known = self.w.is_constant
        self.rows = self._rows() if self.known else []
        channels = len(self.rows) or (1 if isinstance(node.op, MatMul) else self.w.shape[0])
        self.bias = [0] * channels if bias is None else [int(b) for b in bias.constant.reshape(-1)]
        self.sets = self._sets()
        self.order = self._order()

    def _rows(self) -> list[Row]:
        codes, q = self.w.constant, self.w.quant
        axis = q.axis if q else None
        zeros = list(q.zero_point) if q else [0]
        if isinstance(self.op, MatMul):
            terms_last = self.op.transpose_b if not self.swapped else not self.op.transpose_a
            moved = codes if terms_last or codes.ndim < 2 else codes.swapaxes(-1, -2)
            rows = moved.reshape(-1, moved.shape[-1]).tolist()
            zero_of = [zeros[i % len(zeros)] for i in range(len(rows))]
        else:
            rows = codes.reshape(codes.shape[0], -1).tolist()
            zero_of = zeros if axis == 0 else zeros * len(rows)
        return [[int(v) - z for v in row] if z else row for row, z in zip(rows, zero_of, strict=False)]

    def _sets(self) -> list[list[bool]]:
        """Which terms meet in an output element: one list of flags for each set that occurs."""
        op = self.op
        if not isinstance(op, Conv2D | TransposeConv2D) or not self.known:
            return [[True] * (len(self.rows[0]) if self.rows else 0)]
        _, height, width, channels = self.w.shape
        before = op.padding.top, op.padding.left
        by_axis: list[set[tuple[bool, ...]]] = [set(), set()]
        for i, kernel in enumerate((height, width)):
            for out in range(self.y.shape[1 + i]):
                by_axis[i].add(tuple(self._is_inside(i, out, tap, before[i]) for tap in range(kernel)))
        return [
            [a and b for a in rows for b in columns for _ in range(channels)]
            for rows in sorted(by_axis[0])
            for columns in sorted(by_axis[1])
        ]

    def _order(self) -> list[int]:
        """Terms in the order of accumulation: that of the input pixels they read."""
        terms = range(len(self.rows[0]) if self.rows else 0)
        if not isinstance(self.op, TransposeConv2D):
            return list(terms)
        channels = self.w.shape[3]
        return [
            k for tap in reversed(range(len(terms) // channels)) for k in range(tap * channels, (tap + 1) * channels)
        ]

    def _is_inside(self, axis: int, out: int, tap: int, before: int) -> bool:
        op = self.op
        assert isinstance(op, Conv2D | TransposeConv2D)
        stride, dilation, size = op.strides[axis], op.dilations[axis], self.x.shape[1 + axis]
        if isinstance(op, Conv2D):
            return 0 <= out * stride + tap * dilation - before < size
        return any(i * stride + tap * dilation - before == out for i in range(size))

    # -- what the certificate says ------------------------------------------------------------------------------

    def faults(self, layer: Document) -> Iterator[Fault]:
        yield from self._identity(layer)
        ranges = layer.get("ranges", [])
        if not any(r.get("kind") == "type" for r in ranges):
            yield Fault(self.where, "no range of kind 'type'", "the range of the inputs' type is certified")
        for stated in ranges:
            yield from self._range(stated)

    def _identity(self, layer: Document) -> Iterator[Fault]:
        expected = {
            "op": self.op.name,
            "terms": self._terms(),
            "channels": len(self.bias),
            "weights_sha256": hashlib.sha256(_little_endian(self.w)).hexdigest() if self.known else None,
            "bias_sha256": hashlib.sha256(
                b"".join(b.to_bytes(8, "little", signed=True) for b in (self.bias if self.known else []))
            ).hexdigest(),
        }
        for key, value in expected.items():
            if layer.get(key) != value:
                yield Fault(f"{self.where}, {key}", repr(layer.get(key)), f"is {value!r}")

    def _terms(self) -> int:
        if self.known:
            return max(sum(taken) for taken in self.sets)
        if isinstance(self.op, MatMul):
            return self.x.shape[-2 if self.op.transpose_a else -1]
        return prod(self.w.shape[1:])

    def _range(self, stated: Document) -> Iterator[Fault]:
        where = f"{self.where}, range {stated.get('kind')!r}"
        low, high = list(stated.get("low", [])), list(stated.get("high", []))
        type_low, type_high = _type_range(self.x)
        if stated.get("kind") not in KINDS:
            yield Fault(where, "unknown", f"is one of {', '.join(KINDS)}")
            return
        if not (len(low) == len(high) and len(low) in (1, self.x.shape[-1] if self.x.shape else 1)):
            yield Fault(where, f"{len(low)} and {len(high)} values", "has one pair, or one for each input channel")
            return
        if not all(type_low <= a <= b <= type_high for a, b in zip(low, high, strict=True)):
            yield Fault(where, f"{min(low)}..{max(high)}", f"lies in the type's range, {type_low}..{type_high}")
            return
        if stated["kind"] == "type" and (low, high) != ([type_low], [type_high]):
            yield Fault(where, f"{low}..{high}", f"is {type_low}..{type_high}")
            return
        every = [self._exact("every order", n, stated, 1) for n in range(len(self.rows))]
        for claim in stated.get("claims", []):
            yield from self._claim(where, claim, stated, every)
        if not any((c.get("bound"), c.get("sums")) == ("exact", "every order") for c in stated.get("claims", [])):
            yield Fault(where, "no exact claim", "claims the exact range of every order")
        if self.known and "witness" in stated:
            yield from self._witness(f"{where}, witness", stated, max(_bits(*ends) for ends in every))

    def _claim(self, where: str, claim: Document, stated: Document, every: list[Span]) -> Iterator[Fault]:
        where = f"{where}, {claim.get('bound')} bound, {claim.get('sums')}"
        expected = self._expected(claim, stated, every)
        if expected is None:
            yield Fault(where, "unknown", "is a bound of this schema")
            return
        for channel, (low, high) in enumerate(expected):
            shown = [
                (list(claim.get(key, ())) + [None] * len(expected))[channel] for key in ("minimum", "maximum", "bits")
            ]
            if shown != [low, high, _bits(low, high)]:
                text = f"{shown[0]}..{shown[1]} in {shown[2]} bits"
                yield Fault(f"{where}, channel {channel}", text, f"is {low}..{high} in {_bits(low, high)} bits")

    def _expected(self, claim: Document, stated: Document, every: list[Span]) -> list[Span] | None:
        bound, sums = claim.get("bound"), claim.get("sums")
        if bound == "data_type" and sums == "every order":
            return [self._by_type(b, stated) for b in self.bias]
        if bound in ("zero_centred", "l1") and sums == "every order" and self.known:
            return [self._by_norm(str(bound), n, stated) for n in range(len(self.rows))]
        if bound == "exact" and sums in ("every order", "in order", "final"):
            if not self.known:
                return [self._by_operands(str(sums), b, stated) for b in self.bias]
            if sums == "every order":
                return every
            step = int(claim.get("additions", 1))
            return [self._exact(str(sums), n, stated, step) for n in range(len(self.rows))]
        return None

    # -- the bounds ---------------------------------------------------------------------------------------------

    def _inputs(self, channel: int, stated: Document) -> tuple[Row, Row]:
        """The least and greatest input of each term of an output channel."""
        terms = len(self.rows[channel])
        low, high = stated["low"], stated["high"]
        if len(low) == 1:
            return list(low) * terms, list(high) * terms
        per_group = self.w.shape[3] if isinstance(self.op, Conv2D | TransposeConv2D) else len(low)
        groups = self.op.groups if isinstance(self.op, Conv2D | TransposeConv2D) else 1
        first = channel // (len(self.rows) // groups) * per_group
        index = [first + k % per_group for k in range(terms)]
        return [low[i] for i in index], [high[i] for i in index]

    def _exact(self, sums: str, channel: int, stated: Document, step: int) -> tuple[int, int]:
        ends = [
            (q * a, q * b) if q >= 0 else (q * b, q * a)
            for q, a, b in zip(self.rows[channel], *self._inputs(channel, stated), strict=True)
        ]
        lows, highs = [], []
        for taken in self.sets:
            if sums == "every order":
                lows.append(sum(min(low, 0) for (low, _), t in zip(ends, taken, strict=True) if t))
                highs.append(sum(max(high, 0) for (_, high), t in zip(ends, taken, strict=True) if t))
                continue
            low = high = 0
            if sums == "in order":
                lows.append(0)
                highs.append(0)
            for k, at in enumerate(self.order):
                (least, most), t = ends[at], taken[at]
                low, high = low + least * t, high + most * t
                if sums == "in order" and ((k + 1) % step == 0 or k + 1 == len(ends)):
                    lows.append(low)
                    highs.append(high)
            lows += [low] * (sums == "final")
            highs += [high] * (sums == "final")
        return self.bias[channel] + min(lows), self.bias[channel] + max(highs)

    def _by_norm(self, bound: str, channel: int, stated: Document) -> tuple[int, int]:
        low, high = min(0, *stated["low"]), max(0, *stated["high"])
        largest = 0
        for taken in self.sets:
            weights = [q for q, t in zip(self.rows[channel], taken, strict=True) if t]
            norm, total = sum(abs(q) for q in weights), sum(weights)
            if bound == "l1":
                largest = max(largest, norm * self._magnitude(stated))
            else:
                largest = max(largest, (norm * (high - low) + abs(total) * abs(high + low)) // 2)
        largest += abs(self.bias[channel])
        return -largest, largest

    def _by_type(self, bias: int, stated: Document) -> tuple[int, int]:
        largest = abs(bias) + self._terms() * self._magnitude(stated) * _type_magnitude(self.w)
        return -largest, largest

    def _magnitude(self, stated: Document) -> int:
        if stated["kind"] == "type":
            return _type_magnitude(self.x)
        return max(abs(int(min(stated["low"]))), abs(int(max(stated["high"]))))

    def _by_operands(self, sums: str, bias: int, stated: Document) -> tuple[int, int]:
        """Both operands computed: every product at the same corner."""
        corners = [a * b for a in (min(stated["low"]), max(stated["high"])) for b in stated["other"]]
        terms, low, high = self._terms(), min(corners), max(corners)
        if sums == "final":
            return bias + terms * low, bias + terms * high
        if sums == "in order":
            return bias + min(low, terms * low, 0), bias + max(high, terms * high, 0)
        return bias + terms * min(low, 0), bias + terms * max(high, 0)

    def _witness(self, where: str, stated: Document, widest: int) -> Iterator[Fault]:
        shown = stated["witness"]
        channel, terms, value = shown.get("channel"), shown.get("terms", []), shown.get("value")
        if channel not in range(len(self.rows)) or len(terms) != len(self.rows[0]):
            yield Fault(where, f"channel {channel}, {len(terms)} terms", "has a channel of the layer and all its terms")
            return
        low, high = self._inputs(channel, stated)
        met = [
            taken
            for taken in self.sets
            if all((a <= v <= b) if t else v == 0 for v, a, b, t in zip(terms, low, high, taken, strict=True))
        ]
        if not met:
            yield Fault(where, "inputs out of range", "has inputs of the range that meet in an output element")
        total = self.bias[channel] + sum(q * v for q, v in zip(self.rows[channel], terms, strict=True))
        if total != value:
            yield Fault(where, str(value), f"adds up to {total}")
        if _bits(total, total) != widest:
            yield Fault(where, f"needs {_bits(total, total)} bits", f"needs all of the layer's {widest} bits")


def _type_range(tensor: Tensor) -> tuple[int, int]:
    """The codes of a tensor's grid, or of its type, zero point subtracted."""
    q = tensor.quant
    if q is None:
        bits, signed = 8 * tensor.element.dtype.itemsize, tensor.element.dtype.kind == "i"
        return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    low, high = (-(1 << (q.bits - 1)), (1 << (q.bits - 1)) - 1) if q.signed else (0, (1 << q.bits) - 1)
    return low - max(q.zero_point), high - min(q.zero_point)


def _type_magnitude(tensor: Tensor) -> int:
    """2^(N - 1_signed): symmetric two's complement codes lose a bit to the sign, others do not."""
    q = tensor.quant
    if q is None:
        bits, signed = 8 * tensor.element.dtype.itemsize, tensor.element.dtype.kind == "i"
        return 1 << (bits - signed)
    return 1 << (q.bits - (q.signed and not any(q.zero_point)))


def _little_endian(tensor: Tensor) -> bytes:
    codes = tensor.constant
    return codes.astype(codes.dtype.newbyteorder("<")).tobytes()
