"""Reports as JSON documents: `"schema": "accel-sim/<kind>/1"`, the same bytes for the same run.

A number that is not finite (the signal-to-noise ratio of identical tensors, an unlimited bandwidth) is null.
"""

import hashlib
import json
import math
import platform
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import singledispatch
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_sim.analysis.debug.flow import DebugReport
from accel_sim.analysis.mismatch.profiles import ProfileReport
from accel_sim.analysis.mismatch.report import MismatchReport
from accel_sim.analysis.overflow.certificates import Certificate
from accel_sim.analysis.overflow.report import OverflowReport
from accel_sim.analysis.provenance import Provenance
from accel_sim.hardware import AcceleratorConfig
from accel_sim.program import Port
from accel_sim.quantization.quantization_report import QuantizationReport
from accel_sim.report.demonstration import DemoReport
from accel_sim.report.inspection import Inspection
from accel_sim.report.json_mismatch import explanation, pair, tensor
from accel_sim.report.json_overflow import curve_document, overflow_layer
from accel_sim.report.run_report import RunReport
from accel_sim.version import __version__

SCHEMA_VERSION = 1
Document = dict[str, Any]


def to_json(report: object) -> str:
    """A report as JSON text, keys in a fixed order, ending in a newline."""
    return json.dumps(plain(document(report)), indent=2, allow_nan=False) + "\n"


@singledispatch
def document(report: object) -> Document:
    """A report as a dictionary of plain values, by its type.

    Raises:
        TypeError: not a report.
    """
    raise TypeError(f"{type(report).__name__} is not a report")


def heading(kind: str) -> Document:
    """The keys that every document begins with."""
    versions = {"accel_sim": __version__, "python": platform.python_version()}
    versions |= {name: version(name) for name in ("numpy", "numba")}
    return {"schema": f"accel-sim/{kind}/{SCHEMA_VERSION}", "versions": versions}


def subject(provenance: Provenance) -> Document:
    """The keys that say what a report is about."""
    return {
        "model": {"name": provenance.model, "sha256": provenance.sha256},
        "profile": provenance.profile,
        "hardware": provenance.hardware,
        "inputs": provenance.inputs,
    }


def plain(value: Any) -> Any:
    """Dataclasses, enums, tuples, mappings and NumPy scalars as what JSON knows."""
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@document.register
def _run(report: RunReport) -> Document:
    result = report.result
    return {
        **heading("run"),
        **subject(report.provenance),
        "level": result.level,
        "samples": result.samples,
        "cycles": result.cycles,
        "totals": report.totals,
        "roofline": report.roofline,
        "layers": result.layers,
        "outputs": {name: _output(codes, result.ports.get(name)) for name, codes in result.outputs.items()},
    }


def _output(codes: NDArray[np.generic], port: Port | None) -> Document:
    quant = port.quant if port else None
    return {
        "shape": codes.shape,
        "dtype": codes.dtype.name,
        "scale": quant.scale if quant else None,
        "zero_point": quant.zero_point if quant else None,
        "sha256": hashlib.sha256(np.ascontiguousarray(codes).tobytes()).hexdigest(),
    }


@document.register
def _mismatch(report: MismatchReport) -> Document:
    first = report.first_differing
    return {
        **heading("compare"),
        **subject(report.provenance),
        "simulation": report.simulation,
        "samples": report.samples,
        "identical": report.identical,
        "top1_agreement": report.top1_agreement,
        "first_differing": first.node if first else None,
        **explanation(report),
        "outputs": [tensor(t) for t in report.outputs],
        "layers": [tensor(t) for t in report.layers],
    }


@document.register
def _profiles(report: ProfileReport) -> Document:
    return {
        **heading("compare-profiles"),
        **subject(report.provenance),
        "samples": report.samples,
        "identical": report.identical,
        "profiles": report.profiles,
        "pairs": [pair(p) for p in report.pairs],
    }


@document.register
def _overflow(report: OverflowReport) -> Document:
    return {
        **heading("overflow"),
        **subject(report.provenance),
        "accumulators": report.accumulators,
        "samples": report.samples,
        "safe_bits": report.safe_bits,
        "observed_bits": report.observed_bits,
        "unproved": {bits: [layer.name for layer in report.unproved(bits)] for bits in report.accumulators},
        "layers": [overflow_layer(layer) for layer in report.layers],
        "in_float": report.in_float,
        "curve": curve_document(report.curve) if report.curve else None,
    }


@document.register
def _certificate(certificate: Certificate) -> Document:
    return {
        **heading("certificate"),
        **subject(certificate.provenance),
        "samples": certificate.samples,
        "safe_bits": certificate.bits,
        "layers": certificate.layers,
    }


@document.register
def _inspection(inspection: Inspection) -> Document:
    return {
        **heading("inspect"),
        **subject(inspection.provenance),
        "format": inspection.format,
        "supported": not inspection.unsupported,
        "network_inputs": inspection.inputs,
        "network_outputs": inspection.outputs,
        "operators": inspection.operators,
        "unsupported": inspection.unsupported,
    }


@document.register
def _debug(report: DebugReport) -> Document:
    return {**heading("debug"), **plain(report)}


@document.register
def _quantization(report: QuantizationReport) -> Document:
    return {**heading("quantize"), **plain(report)}


@document.register
def _demonstration(report: DemoReport) -> Document:
    parts = {"run": report.run, "compare": report.mismatch, "overflow": report.overflow}
    return {
        **heading("demo"),
        **subject(report.run.provenance),
        "accuracies": report.accuracies,
        **{name: document(part) for name, part in parts.items()},
    }


@document.register
def _hardware(config: AcceleratorConfig) -> Document:
    return {**heading("hardware"), "hardware": config}
