"""The parts of an overflow report as plain dictionaries, for its JSON document."""

from typing import Any

from accel_sim.analysis.overflow.counts import LayerCounts
from accel_sim.analysis.overflow.curve import CurvePoint, OverflowCurve
from accel_sim.analysis.overflow.report import LayerOverflow

Document = dict[str, Any]


def overflow_layer(layer: LayerOverflow) -> Document:
    """What is proved and observed of a layer."""
    bound, seen = layer.bound, layer.observed
    return {
        "name": layer.name,
        "op": layer.op,
        "minimum": bound.minimum,
        "maximum": bound.maximum,
        "safe_bits": bound.safe_bits,
        "bound": bound,
        "ranges": layer.ranges,
        "observed": seen
        and {
            "minimum": seen.minimum,
            "maximum": seen.maximum,
            "overflow_events": seen.overflow_events,
            "bits": seen.bits,
        },
        "verdicts": layer.verdicts,
    }


def curve_document(curve: OverflowCurve) -> Document:
    """What accumulators cost."""
    return {
        "samples": curve.samples,
        "accuracy": curve.accuracy,
        "accumulators": [_point(point) for point in curve.points],
    }


def _point(point: CurvePoint) -> Document:
    counts = point.counts
    return {
        "name": point.structure.name,
        "structure": point.structure,
        "layers_proved": counts.layers_proved,
        "events": counts.events,
        "persistent": counts.persistent,
        "transient": counts.transient,
        "outputs": counts.outputs_counted,
        "accuracy": point.accuracy,
        "agreement": point.agreement,
        "differing": point.differing,
        "layers": [_counts(layer) for layer in counts.layers],
    }


def _counts(layer: LayerCounts) -> Document:
    """Counts of one layer; those of its channels where there are any events."""
    document = {
        "name": layer.name,
        "applies": layer.applies,
        "proved": layer.proved,
        "outputs": layer.outputs,
        "events": layer.events,
        "persistent": layer.persistent,
        "transient": layer.transient,
        "first": layer.first,
    }
    if layer.events:
        channels = (layer.channel_events, layer.channel_persistent, layer.channel_transient)
        names = ("channel_events", "channel_persistent", "channel_transient")
        document |= {name: found.tolist() for name, found in zip(names, channels, strict=True)}
    return document
