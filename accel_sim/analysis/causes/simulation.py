"""How far a floating-point simulation of one layer can be from the exact value: a bound, so that nothing hides in it.

n operations of relative error e (2^-24, or 2^-53) on a sum of terms are off by at most about n e times the sum of the
terms' magnitudes. A code may be charged to the simulation's floating point only within that of the exact value.
"""

import numpy as np
from numpy.typing import NDArray

from accel_sim.analysis.causes.accumulators import MATRIX_OPERATORS, activation_of, magnitudes
from accel_sim.analysis.causes.cause import Codes
from accel_sim.analysis.causes.chains import LayerSample
from accel_sim.analysis.mismatch.report import grid_of
from accel_sim.ir import HardSwish, Multiply, Softmax
from accel_sim.numerics import PAPER
from accel_sim.reference import evaluate_float
from accel_sim.reference.real_context import RealSite, to_reals

SimulationType = type[np.float32] | type[np.float64]
Doubles = NDArray[np.float64]
_STEPS = 64  # operations of an element-wise function, dequantization and quantization included


def within_rounding_errors(
    sample: LayerSample, elements: Codes, sides: tuple[Codes, Codes], simulation: SimulationType
) -> NDArray[np.bool_]:
    """Whether both codes lie within rounding errors of the exact value; bool [D], at flat element numbers."""
    real = evaluate_float(sample.layer, sample.operands, np.float64)[sample.node.outputs[0]]
    site = sample.site(PAPER)
    scale, zero_point = grid_of(site.result, real.ndim)
    multiples = (real.astype(np.float64) / scale + zero_point).reshape(-1)[elements]
    error = float(np.finfo(simulation).eps) * _magnitude(sample, elements, multiples) + 1e-9
    q = site.result.quant
    limits = (q.low, q.high) if q else (-(1 << 63), 1 << 63)
    low, high = (np.clip(np.rint(multiples + side), *limits) for side in (-error, error))
    before, after = ((low <= side) & (side <= high) for side in sides)
    return np.asarray(before & after)


def _magnitude(sample: LayerSample, elements: Codes, multiples: Doubles) -> Doubles:
    """Operations times magnitudes of the terms, in steps of the result's grid."""
    if isinstance(sample.node.op, MATRIX_OPERATORS):
        return _of_products(sample, elements)
    site = sample.site(PAPER)
    reals = [
        float(np.abs(to_reals(site.codes(i), site.tensor(i).quant, np.float64)).max(initial=0.0))
        for i in range(len(site.node.inputs))
        if site.has(i)
    ]
    size = 1 + sum(reals)
    if isinstance(site.node.op, Multiply | HardSwish):
        size *= size
    if isinstance(site.node.op, Softmax):
        size *= site.node.op.beta
    activation = activation_of(site.node.op)
    bounds = [activation.low, *np.atleast_1d(activation.high)]
    size += max((abs(b) for b in bounds if np.isfinite(b)), default=0.0)
    operations = _STEPS + site.codes(0).size / max(1, site.result.size)
    step = float(min(site.result.quant.scale)) if site.result.quant else 1.0
    return operations * (size / step + np.abs(multiples))


def _of_products(sample: LayerSample, elements: Codes) -> Doubles:
    site = sample.site(PAPER)
    sums = magnitudes(site)[elements].astype(np.float64)
    operations = sample.sums.terms + _STEPS
    if site.result.quant is None:
        return operations * sums
    natural = RealSite(sample.layer, sample.node, np.float64, {}).natural_scale()
    scale = natural[0] if natural.size == 1 else natural[sample.sums.channel(elements)]
    return np.asarray(operations * sums * scale / site.result.quant.scale[0], np.float64)
