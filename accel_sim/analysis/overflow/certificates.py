"""Certificates: the proved range of every accumulator of a network, in a form that others can verify.

A certificate is a JSON document of schema "accel-sim/certificate/1", with versions, and

    model       name and SHA-256 of the file
    profile     the arithmetic that intervals were propagated with
    hardware    whose order of additions claims "in order" are about
    samples     that ranges of kind "calibrated" come from
    layers[]    layer, op, terms (K), channels, SHA-256 of the weights' codes and of the bias (as stored, little-endian)
      ranges[]  kind of the input range ("type", "interval", "calibrated"), its source, low and high: zero point
                subtracted, one value or one for each channel of the input; for a product of two computed operands also
                the other's range
        claims[]  bound ("exact", "zero_centred", "l1", "data_type"), the sums it holds for ("every order", "in order",
                  "final"), minimum, maximum and bits for each output channel
        witness   the channel that needs most bits, the input of each of its terms, the value they add up to

"in order" and "final" are listed where they differ from "every order" (inputs that cannot be 0). `certificate_checker`
verifies a certificate from the weights alone, in arithmetic of its own.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from accel_sim.analysis.overflow.bounds import BoundKind, Extremes, InputKind, InputRange, RangeProof, prove
from accel_sim.analysis.overflow.certificate_checker import check_claims
from accel_sim.analysis.overflow.dot_products import DotProducts, dot_products
from accel_sim.analysis.overflow.interval_propagation import propagate
from accel_sim.analysis.overflow.intervals import Intervals, input_range
from accel_sim.analysis.overflow.witnesses import witness
from accel_sim.analysis.provenance import Provenance
from accel_sim.errors import Fault, InputError
from accel_sim.hardware import Dataflow
from accel_sim.ir import Graph, Tensor
from accel_sim.numerics.profiles import PROFILES, Profile
from accel_sim.program import Convolve, MatrixMultiply, Program, TransposeConvolve
from accel_sim.records import dataclass

Document = dict[str, Any]


@dataclass(frozen=True)
class Certificate:
    """What is proved of every accumulator of a network.

    Attributes:
        provenance: of model, arithmetic, hardware and the inputs of calibrated ranges.
        samples: how many inputs these are; 0 where no range is calibrated.
        layers: as the schema says; plain values, ready for JSON.
    """

    provenance: Provenance
    samples: int
    layers: tuple[Document, ...]

    @property
    def bits(self) -> int | None:
        """The narrowest width that every input of the network's types leaves safe; None without accumulators."""
        exact = [layer["ranges"][0]["claims"][0]["bits"] for layer in self.layers]
        return max((max(bits) for bits in exact), default=None)


def input_ranges(
    products: DotProducts, intervals: Intervals, calibrated: Intervals | None = None
) -> tuple[InputRange, ...]:
    """What is known of a layer's inputs: by type, by interval, and as given inputs led to them."""
    ranges = [InputRange.of_type(products), input_range(products, InputKind.INTERVAL, intervals)]
    if calibrated is not None:
        ranges.append(input_range(products, InputKind.CALIBRATED, calibrated))
    return tuple(ranges)


def certify(
    graph: Graph,
    profile: Profile,
    provenance: Provenance,
    calibrated: Intervals | None = None,
    samples: int = 0,
    additions: Mapping[str, int] | None = None,
) -> Certificate:
    """The certificate of a network.

    Args:
        graph: an integer graph.
        profile: the arithmetic, for the intervals.
        provenance: what the certificate is of.
        calibrated: the codes that given inputs of the network led to, by tensor name.
        samples: of these inputs.
        additions: by layer, how many terms its accumulators take at once, where not 1.
    """
    intervals = propagate(graph, profile)
    layers = []
    for products in dot_products(graph):
        ranges = input_ranges(products, intervals, calibrated)
        step = (additions or {}).get(products.node.name, 1)
        layers.append(_layer(products, [prove(products, r, step) for r in ranges], provenance.inputs, step))
    return Certificate(provenance, samples, tuple(layers))


def terms_at_once(program: Program) -> dict[str, int]:
    """By layer, how many terms its accumulators take in one addition: a tile's, where an adder tree sums them first."""
    if program.hardware.grid.dataflow is not Dataflow.ADDER_TREE:
        return {}
    found: dict[str, set[int]] = {}
    for command in program.commands:
        if isinstance(command, Convolve | MatrixMultiply | TransposeConvolve):
            found.setdefault(command.layer, set()).add(min(command.tiling.reduction, program.hardware.grid.rows))
    return {layer: steps.pop() if len(steps) == 1 else 1 for layer, steps in found.items()}


def read_certificate(path: str | os.PathLike[str]) -> Document:
    """A certificate's file.

    Raises:
        InputError: a file that cannot be read, or that is no JSON object.
    """
    subject = f"certificate {os.fspath(path)!r}"
    try:
        document = json.loads(Path(path).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(subject, [Fault("file", why, "is a readable JSON file")]) from None
    if not isinstance(document, dict):
        raise InputError(subject, [Fault("content", type(document).__name__, "is a JSON object")])
    return document


def check_certificate(graph: Graph, certificate: Mapping[str, Any]) -> tuple[Fault, ...]:
    """Everything that is wrong in a certificate of a graph; empty for a right one.

    The bounds are computed anew by `certificate_checker`; ranges of kind "interval" must hold what intervals propagated
    anew hold. Ranges of kind "calibrated" are premises: no weights tell what inputs a network will see.

    Args:
        graph: the network, loaded from the file that the certificate names.
        certificate: the document.
    """
    faults = check_claims(graph, certificate)
    if faults:
        return tuple(faults)
    if certificate.get("profile") not in PROFILES:
        return (Fault("profile", repr(certificate.get("profile")), "is the name of a profile"),)
    return tuple(_interval_faults(graph, certificate))


def _interval_faults(graph: Graph, certificate: Mapping[str, Any]) -> list[Fault]:
    intervals, faults = propagate(graph, PROFILES[certificate["profile"]]), []
    products = {p.node.name: p for p in dot_products(graph)}
    for layer in certificate["layers"]:
        stated = [r for r in layer["ranges"] if r["kind"] == InputKind.INTERVAL.value]
        anew = input_range(products[layer["layer"]], InputKind.INTERVAL, intervals)
        for r in stated:
            if (list(r["low"]), list(r["high"])) != (list(anew.low), list(anew.high)):
                where = f"layer {layer['layer']!r}, range 'interval'"
                value = f"{min(r['low'])}..{max(r['high'])}"
                faults.append(Fault(where, value, f"is what propagates there, {min(anew.low)}..{max(anew.high)}"))
    return faults


def _layer(products: DotProducts, proofs: Iterable[RangeProof], source: str, additions: int) -> Document:
    bias = products.bias if products.knows_weights else ()
    return {
        "layer": products.node.name,
        "op": products.node.op.name,
        "terms": products.terms,
        "channels": len(products.bias),
        "weights_sha256": digest(products.w) if products.knows_weights else None,
        "bias_sha256": hashlib.sha256(np.array(bias, "<i8").tobytes()).hexdigest(),
        "ranges": [_range(products, proof, source, additions) for proof in proofs],
    }


def digest(tensor: Tensor) -> str:
    """SHA-256 of a constant's codes, as stored, little-endian."""
    codes = np.ascontiguousarray(tensor.constant)
    return hashlib.sha256(codes.astype(codes.dtype.newbyteorder("<"), copy=False).tobytes()).hexdigest()


def _range(products: DotProducts, proof: RangeProof, source: str, additions: int) -> Document:
    inputs = proof.inputs
    document: Document = {
        "kind": inputs.kind.value,
        "source": _source(products.x, inputs.kind, source),
        "low": list(inputs.low),
        "high": list(inputs.high),
    }
    if inputs.other is not None:
        document["other"] = list(inputs.other)
    document["claims"] = [_claim(*claim) for claim in _claims(proof)]
    if proof.in_order != proof.every_order:
        document["claims"].append({**_claim(BoundKind.EXACT, "in order", proof.in_order), "additions": additions})
        document["claims"].append(_claim(BoundKind.EXACT, "final", proof.final))
    shown = witness(products, proof) if products.knows_weights else None
    if shown is not None:
        document["witness"] = {"channel": shown.channel, "terms": shown.terms.tolist(), "value": shown.value}
    return document


def _claims(proof: RangeProof) -> Iterable[tuple[BoundKind, str, Extremes]]:
    for kind in BoundKind:
        extremes = proof.extremes(kind)
        if extremes is not None:
            yield kind, "every order", extremes


def _claim(kind: BoundKind, sums: str, extremes: Extremes) -> Document:
    return {
        "bound": kind.value,
        "sums": sums,
        "minimum": list(extremes.low),
        "maximum": list(extremes.high),
        "bits": list(extremes.channel_bits),
    }


def _source(x: Tensor, kind: InputKind, source: str) -> str:
    q = x.quant
    if kind is InputKind.TYPE:
        zero = f", zero point {q.zero_point[0]}" if q else ""
        return f"every code of {x.element.value}{zero}"
    return source if kind is InputKind.CALIBRATED else "interval arithmetic from every input of the network"
