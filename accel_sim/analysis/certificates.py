"""Certificates: the proved range of every accumulator of a network, in a form that others can verify.

A certificate is a JSON document of schema "accel-sim/certificate/1":

    model       name and SHA-256 of the file
    profile     the arithmetic that intervals were propagated with
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
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from accel_sim.analysis.bounds import BoundKind, Extremes, InputKind, InputRange, RangeProof, prove
from accel_sim.analysis.certificate_checker import check_claims
from accel_sim.analysis.dot_products import DotProducts, dot_products
from accel_sim.analysis.interval_propagation import propagate
from accel_sim.analysis.intervals import Intervals, input_range
from accel_sim.analysis.witnesses import witness
from accel_sim.errors import Fault
from accel_sim.ir import Graph, Tensor
from accel_sim.numerics.profiles import PROFILES, Profile

SCHEMA = "accel-sim/certificate/1"
Document = dict[str, Any]


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
    calibrated: Intervals | None = None,
    source: str = "",
    additions: Mapping[str, int] | None = None,
) -> Document:
    """The certificate of a network.

    Args:
        graph: an integer graph.
        profile: the arithmetic, for the intervals.
        calibrated: the codes that given inputs of the network led to, by tensor name.
        source: of these inputs, as a phrase.
        additions: by layer, how many terms its accumulators take at once, where not 1.
    """
    intervals = propagate(graph, profile)
    layers = []
    for products in dot_products(graph):
        ranges = input_ranges(products, intervals, calibrated)
        step = (additions or {}).get(products.node.name, 1)
        layers.append(_layer(products, [prove(products, r, step) for r in ranges], source, step))
    return {
        "schema": SCHEMA,
        "model": {"name": graph.name, "sha256": graph.sha256},
        "profile": profile.name,
        "layers": layers,
    }


def check_certificate(graph: Graph, certificate: Document) -> tuple[Fault, ...]:
    """Everything that is wrong in a certificate of a graph; empty for a right one.

    The bounds are computed anew by `certificate_checker`; ranges of kind "interval" must hold what intervals propagated
    anew hold. Ranges of kind "calibrated" are premises: no weights tell what inputs a network will see.

    Args:
        graph: the network, loaded from the file that the certificate names.
        certificate: as `certify` made it, from JSON or not.
    """
    faults = check_claims(graph, certificate)
    if faults:
        return tuple(faults)
    if certificate.get("profile") not in PROFILES:
        return (Fault("profile", repr(certificate.get("profile")), "is the name of a profile"),)
    return tuple(_interval_faults(graph, certificate))


def _interval_faults(graph: Graph, certificate: Document) -> list[Fault]:
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
        "low": inputs.low,
        "high": inputs.high,
    }
    if inputs.other is not None:
        document["other"] = inputs.other
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
        "minimum": extremes.low,
        "maximum": extremes.high,
        "bits": extremes.channel_bits,
    }


def _source(x: Tensor, kind: InputKind, source: str) -> str:
    q = x.quant
    if kind is InputKind.TYPE:
        zero = f", zero point {q.zero_point[0]}" if q else ""
        return f"every code of {x.element.value}{zero}"
    return source if kind is InputKind.CALIBRATED else "interval arithmetic from every input of the network"
