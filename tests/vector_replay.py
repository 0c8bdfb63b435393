"""Golden vectors replayed as a test bench would: from the files alone, by the formulas of the manifest, on NumPy."""

import json
from itertools import product

import numpy as np


def read(folder):
    """The manifest, and the arrays of the $readmemh files: Python integers, or floats."""
    manifest = json.loads((folder / "manifest.json").read_text())
    return manifest, {name: words(folder, entry) for name, entry in manifest["arrays"].items()}


def words(folder, entry):
    bits, lines = entry["bits"], (folder / entry["file"]).read_text().split()
    assert len(lines) == entry["words"]
    assert {len(line) for line in lines} <= {bits // 4}
    values = [int(line, 16) for line in lines]
    if entry["dtype"].startswith("float"):
        return np.array(values, f"uint{bits}").view(entry["dtype"]).reshape(entry["shape"])
    if not entry["dtype"].startswith("u"):
        values = [v - (1 << bits) if v >> (bits - 1) else v for v in values]
    return np.array(values, object).reshape(entry["shape"])


def wrap(x, bits):
    return (x + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))


def accumulated(manifest, v):
    """Accumulators, addition by addition."""
    bits, policy = manifest["accumulator"]["bits"], manifest["accumulator"]["overflow"]
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    assert manifest["accumulator"]["products_per_addition"] == 1

    def add(acc, term):
        total = acc + term
        return wrap(total, bits) if policy == "wrap" else np.minimum(np.maximum(total, low), high)

    g, kind = manifest["geometry"], manifest["command"]
    if kind == "MatrixMultiply":
        a = (v["a"].swapaxes(-1, -2) if g["transpose_a"] else v["a"]) - g["input_zero_point"]
        b = v["b"].swapaxes(-1, -2) if g["transpose_b"] else v["b"]
        b = b - v["weight_zero_point"]
        acc = np.zeros(v["accumulators"].shape, object)
        if b.ndim > 2 and a.ndim != b.ndim:  # axes of batches after the axis of samples
            axes = acc.ndim
            a, b = (x.reshape(x.shape[0], *[1] * (axes - x.ndim), *x.shape[1:]) for x in (a, b))
        for k in range(a.shape[-1]):
            acc = add(acc, a[..., :, k : k + 1] * b[..., k : k + 1, :])
        return acc
    x, w = v["input"] - g["input_zero_point"], v["weights"] - v["weight_zero_point"].reshape(-1, 1, 1, 1)
    (sh, sw), (dh, dw), depth = g["strides"], g["dilations"], g["group_channels"]
    acc = np.zeros(v["accumulators"].shape, object)
    acc = add(acc, v["bias"]) if "bias" in v else acc
    _, _, height, width, channels = acc.shape
    group = np.arange(channels) // (channels // g["groups"]) * depth
    for ky, kx, ci in product(range(w.shape[1]), range(w.shape[2]), range(depth)):
        taps = x[..., group + ci] * w[:, ky, kx, ci]
        for p, q in product(range(height), range(width)) if kind == "Convolve" else ():
            iy, ix = p * sh + ky * dh - g["pad_top"], q * sw + kx * dw - g["pad_left"]
            if 0 <= iy < x.shape[2] and 0 <= ix < x.shape[3]:
                acc[:, :, p, q] = add(acc[:, :, p, q], taps[:, :, iy, ix])
        for p, q in product(range(x.shape[2]), range(x.shape[3])) if kind == "TransposeConvolve" else ():
            oy, ox = p * sh + ky * dh - g["pad_top"], q * sw + kx * dw - g["pad_left"]
            if 0 <= oy < height and 0 <= ox < width:
                acc[:, :, oy, ox] = add(acc[:, :, oy, ox], taps[:, :, p, q])
    return acc


def requantized(manifest, v, acc):
    """Results."""
    recipe = manifest["requantization"]
    if recipe is None:
        return acc
    c = {name.removeprefix("requantization_"): x for name, x in v.items() if name.startswith("requantization_")}
    zero, kind = recipe["zero_point"], recipe["kind"]
    if kind == "FixedPointRequantization":
        m, s = c["multiplier"], c["shift"]
        if recipe["rounding"] == "double":
            left, right = np.maximum(s, 0), np.maximum(-s, 0)
            product = (wrap(acc * 2**left, 32) * m + (1 << 30)) >> 31
            half = 2**right // 2
            scaled = np.where(product < 0, -((half - product) >> right), (half + product) >> right)
        elif recipe["rounding"] == "single":
            scaled = (acc * m + (1 << (30 - s))) >> (31 - s)
        else:
            short = np.where(m < 0x7FFF0000, (m + 0x8000) >> 16, 0x7FFF)
            scaled = (acc * short + (1 << (14 - s))) >> (15 - s)
        code = wrap(scaled, 32) + zero
        code = code if recipe["saturating"] else wrap(code, 32)
    elif kind == "FloatRequantization":
        real = acc.astype(np.int64).astype(np.float32) * c["scale"]
        limits = (c["low"] - zero).astype(np.float32), (c["high"] - zero).astype(np.float32)
        code = np.rint(np.clip(real, *limits)).astype(int).astype(object) + zero
    elif kind == "DoubleRequantization":
        real = acc.astype(np.float64) * c["scale"]
        code = np.vectorize(int, otypes=[object])(np.trunc(real + np.copysign(0.5, real))) + zero
    else:
        assert (kind, recipe["ties"]) == ("RationalRequantization", "half_even")
        n, d = acc * c["numerator"], c["denominator"]
        floor, rest = n // d, 2 * (n % d)
        code = floor + np.where((rest > d) | ((rest == d) & (floor % 2 == 1)), 1, 0) + zero
    return np.minimum(np.maximum(code, c["low"]), c["high"])
