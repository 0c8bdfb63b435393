"""Mismatch, causes and comparisons of profiles as JSON: parts of `compare` and `compare-profiles` documents."""

from collections.abc import Sequence
from typing import Any

from accel_sim.analysis.causes.cause import CauseCount
from accel_sim.analysis.mismatch.profiles import ProfilePair
from accel_sim.analysis.mismatch.report import FirstDifference, MismatchReport, OwnMismatch, TensorMismatch

Document = dict[str, Any]


def causes(counts: Sequence[CauseCount]) -> list[Document]:
    """Rules by their identifiers, most frequent first."""
    return [{"causes": [c.value for c in item.causes], "count": item.count} for item in counts]


def tensor(layer: TensorMismatch) -> Document:
    """One computed tensor."""
    return {
        "node": layer.node,
        "op": layer.op,
        "tensor": layer.tensor,
        "elements": layer.elements,
        "differing": layer.differing,
        "largest_lsb": layer.largest_lsb,
        "sqnr_db": layer.sqnr_db,
        "top1_agreement": layer.top1_agreement,
        "share": layer.share,
        "histogram": layer.histogram,
        "causes": causes(layer.causes),
        "own": _own(layer.own),
    }


def _own(own: OwnMismatch | None) -> Document | None:
    if own is None:
        return None
    return {
        "elements": own.elements,
        "differing": own.differing,
        "largest_lsb": own.largest_lsb,
        "sqnr_db": own.sqnr_db,
        "share": own.share,
        "histogram": own.histogram,
        "causes": causes(own.causes),
        "double_rounding": own.double_rounding,
    }


def explanation(report: MismatchReport) -> Document:
    """What a comparison says beyond counts."""
    return {
        "explained": report.explained,
        "causes": causes(report.causes),
        "own_causes": causes(report.own_causes),
        "unexplained": report.unexplained if report.explained else None,
        "first": _first(report.first),
        "accuracy": report.accuracy,
    }


def _first(first: FirstDifference | None) -> Document | None:
    if first is None:
        return None
    return {**vars(first), "causes": [c.value for c in first.causes]}


def pair(compared: ProfilePair) -> Document:
    """Two profiles."""
    return {
        "left": compared.left,
        "right": compared.right,
        "share": compared.share,
        "differing": compared.differing,
        "top1_agreement": compared.top1_agreement,
        "causes": causes(compared.causes),
        "own_causes": causes(compared.own_causes),
        "unexplained": compared.unexplained,
        "outputs": [tensor(t) for t in compared.outputs],
        "layers": [tensor(t) for t in compared.layers],
    }
