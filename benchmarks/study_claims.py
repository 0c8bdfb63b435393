"""What the white paper's tables say about which method beats which, and whether it is so here."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from quantize_networks import NEAREST, NEVER, PER_TENSOR
from study_cells import ABSORB, ANALYTIC, CLE, FP32, FULL, PLAIN, Cell, Outcome, bits, has_statistics

EMPIRICAL = ("bias.correction=empirical",)
PAR_POINTS = 1.0
"""What "on par" allows, in points, or two pictures where that is more."""

Read = Callable[[int], Outcome]
"""The outcome of a cell by seed."""


@dataclass(frozen=True)
class Row:
    """A row of a table: its name and one cell a column; None where the paper's method does not apply."""

    name: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class Claim:
    """Something that a table of the paper shows: `better` is above `worse`, or they are on par."""

    text: str
    better: Cell
    worse: Cell
    par: bool = False


def table1(network: str) -> tuple[tuple[str, ...], list[Row], list[Claim]]:
    """Ranges of weights; activations stand for FP32; MobileNetV2 equalized, as its 71.16 in the paper implies."""
    first = CLE if network == "mobilenetv2" else NEVER
    widths = (8, 6, 4)
    grains = {"": PER_TENSOR, " (per-channel)": ("weights.per_channel=true",)}
    cells = {
        (method, grain, w): Cell(
            "fast", (*first, *NEAREST, *extra, *bits(w, FULL), "activations.logits=same", f"weights.range={method}")
        )
        for method in ("minmax", "mse")
        for grain, extra in grains.items()
        for w in widths
    }
    names = {"minmax": "Min-max", "mse": "MSE"}
    rows = [Row(names[m] + g, tuple(cells[m, g, w] for w in widths)) for g in grains for m in names]
    claims = []
    for g in grains:
        claims.append(Claim(f"W8{g}: min-max and MSE on par", cells["mse", g, 8], cells["minmax", g, 8], par=True))
        claims += [Claim(f"W{w}{g}: MSE above min-max", cells["mse", g, w], cells["minmax", g, w]) for w in (6, 4)]
    grain = " (per-channel)"
    for m, name in names.items():
        claims += [
            Claim(f"{name}, W{w}: per channel above per tensor", cells[m, grain, w], cells[m, "", w]) for w in (6, 4)
        ]
        for g in grains:
            pairs = ((8, 6), (6, 4))
            claims += [Claim(f"{name}{g}: W{a} above W{b}", cells[m, g, a], cells[m, g, b]) for a, b in pairs]
    return tuple(f"W{w}" for w in widths), rows, claims


def table2(network: str) -> tuple[tuple[str, ...], list[Row], list[Claim]]:
    """Ranges of activations; weights stand for FP32."""
    methods = {
        "Min-max": ("activations.range=minmax", "activations.logits=same"),
        "MSE": ("activations.range=mse", "activations.logits=same"),
        "MSE + Xent": ("activations.range=mse", "activations.logits=cross_entropy"),
        "BN (alpha = 6)": ("activations.range=batchnorm", "activations.logits=same"),
    }
    if not has_statistics(network):
        del methods["BN (alpha = 6)"]
    widths = (8, 6, 4)
    c = {
        (m, a): Cell("fast", (*NEVER, *NEAREST, *extra, *bits(FULL, a))) for m, extra in methods.items() for a in widths
    }
    rows = [Row(m, tuple(c[m, a] for a in widths)) for m in methods]
    best = "MSE + Xent"
    claims = [Claim(f"A8: {m} on par with {best}", c[best, 8], c[m, 8], par=True) for m in methods if m != best]
    for a in (6, 4):
        claims += [Claim(f"A{a}: {best} above {m}", c[best, a], c[m, a]) for m in methods if m != best]
    claims.append(Claim("A4: MSE above min-max", c["MSE", 4], c["Min-max", 4]))
    if "BN (alpha = 6)" in methods:
        claims += [Claim(f"A{a}: BN above min-max", c["BN (alpha = 6)", a], c["Min-max", a]) for a in (6, 4)]
        claims.append(Claim("A4: MSE above BN", c["MSE", 4], c["BN (alpha = 6)", 4]))
    return tuple(f"A{a}" for a in widths), rows, claims


def table3(network: str) -> tuple[tuple[str, ...], list[Row], list[Claim]]:
    """Cross-layer equalization, per tensor."""
    cells = {
        "Original model": PLAIN,
        "+ CLE": Cell("fast", (*PER_TENSOR, *CLE, *NEAREST)),
        "+ absorbing bias": Cell("fast", (*PER_TENSOR, *CLE, *NEAREST, *ABSORB)),
        "Per-channel quantization": Cell("fast", (*NEVER, *NEAREST)),
    }
    original, cle, absorbed, channel = cells.values()
    columns = ("FP32", "W8A8", "W4A8")
    rows = [
        Row(
            n,
            (
                FP32 if n in ("Original model", "Per-channel quantization") else Cell(c.recipe, c.overrides, True),
                c,
                c + bits(4, 8),
            ),
        )
        for n, c in cells.items()
    ]
    claims = [
        Claim("FP32: CLE leaves it as it is", rows[1].cells[0] or FP32, FP32, par=True),
        Claim("FP32: absorption leaves it nearly as it is", rows[2].cells[0] or FP32, FP32, par=True),
    ]
    for name, extra in (("W8A8", ()), ("W4A8", bits(4, 8))):
        if name == "W8A8":
            claims.append(
                Claim(
                    f"{name}: absorption and CLE above per channel, or on par",
                    absorbed + extra,
                    channel + extra,
                    par=True,
                )
            )
        claims.append(Claim(f"{name}: CLE above the original", cle + extra, original + extra))
        claims.append(Claim(f"{name}: absorption above CLE alone", absorbed + extra, cle + extra))
        claims.append(Claim(f"{name}: per channel above the original", channel + extra, original + extra))
    return columns, rows, claims


def table4(network: str) -> tuple[tuple[str, ...], list[Row], list[Claim]]:
    """Bias correction, per tensor; analytic where the file has batch norms, as in the paper, and empirical."""
    kinds = {"empirical": EMPIRICAL} | ({"analytic": ANALYTIC} if has_statistics(network) else {})
    equal = Cell("fast", (*PER_TENSOR, *CLE, *NEAREST, *ABSORB))
    columns = ("FP32", "W8A8", "W4A8")
    float_equal = Cell(equal.recipe, equal.overrides, is_float=True)
    rows, claims = [], []
    for name, base, fp in (("Original model", PLAIN, FP32), ("CLE + bias absorption", equal, float_equal)):
        rows.append(Row(name, (fp, base, base + bits(4, 8))))
        for kind, extra in kinds.items():
            made = base + extra
            rows.append(Row(f"+ bias correction, {kind}", (fp, made, made + bits(4, 8))))
            for width, more in (("W8A8", ()), ("W4A8", bits(4, 8))):
                claims.append(Claim(f"{width}, {name}: {kind} correction above none", made + more, base + more))
    for width, more in (("W8A8", ()), ("W4A8", bits(4, 8))):
        kind = list(kinds.values())[-1]
        claims.append(Claim(f"{width}: CLE + absorption above correction alone", equal + more, PLAIN + kind + more))
    return columns, rows, claims


def table5_all_layers(width: int) -> dict[str, Cell]:
    """Table 5, column "all layers", per tensor, activations of 8 bits."""
    standard = Cell("standard", (*PER_TENSOR, *NEVER, *bits(width, 8)))
    return {
        "Nearest": PLAIN + bits(width, 8),
        "Cont. relaxation MSE (eq 32)": Cell("standard", (*standard.overrides, "rounding.objective=layer")),
        "AdaRound (eq 35)": standard,
    }


def table6() -> tuple[Cell, ...]:
    """FP32; per tensor W8A8, W4A8; per channel W8A8, W4A8: the standard pipeline."""
    return (FP32, *(Cell("standard", (*g, *bits(w, 8))) for g in (PER_TENSOR, ()) for w in (8, 4)))


def table6_claims() -> Iterator[Claim]:
    """Of section 3.6."""
    fp, tensor8, tensor4, channel8, channel4 = table6()
    yield Claim("W8A8 per tensor on par with FP32", tensor8, fp, par=True)
    yield Claim("W8A8 per channel on par with FP32", channel8, fp, par=True)
    yield Claim("W8A8: per channel no significant gain over per tensor", channel8, tensor8, par=True)
    yield Claim("W4A8: per channel above per tensor", channel4, tensor4)
    yield Claim("per tensor: W8A8 above W4A8", tensor8, tensor4)
    yield Claim("per channel: W8A8 above W4A8", channel8, channel4)
    for name, first, adaround in (("tensor", (*PER_TENSOR, *CLE), tensor4), ("channel", NEVER, channel4)):
        yield Claim(f"W4A8 per {name}: AdaRound above nearest", adaround, Cell("fast", (*first, *NEAREST, *bits(4, 8))))


def verdict(better: Sequence[Outcome], worse: Sequence[Outcome], *, par: bool = False) -> str:
    """Whether a claim holds on average over seeds; where not, the spread and what chance allows.

    Args:
        better: outcomes by seed.
        worse: outcomes on the same pictures.
        par: the claim is that they are equal, within `PAR_POINTS` or two pictures.
    """
    differences = np.array([a.accuracy - b.accuracy for a, b in zip(better, worse, strict=True)])
    mean = float(differences.mean())
    told = (
        f"{mean:+.1f} points ({differences.min():+.1f} to {differences.max():+.1f}, chance {chance(better, worse):.1f})"
    )
    if par:
        allowed = max(PAR_POINTS, 200.0 / len(better[0].hits))
        return f"holds      {told}" if abs(mean) <= allowed else f"does NOT   {told}"
    if mean > 0:
        return f"holds      {told}"
    return f"equal      {told}" if mean == 0 else f"does NOT   {told}"


def chance(a: Sequence[Outcome], b: Sequence[Outcome]) -> float:
    """Standard error in points of a mean difference: pictures that only one of the two has right, either way alike."""
    errors = [
        np.sqrt(sum(x != y for x, y in zip(p.hits, q.hits, strict=True))) / len(p.hits)
        for p, q in zip(a, b, strict=True)
    ]
    return 100.0 * float(np.mean(errors))
