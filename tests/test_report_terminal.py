"""What is printed: it fits the terminal, loses no digit, and numbers read as what they are."""

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_sim.analysis.mismatch.report import MismatchReport, TensorMismatch
from accel_sim.analysis.overflow.bounds import AccumulatorBound, InputKind
from accel_sim.analysis.overflow.report import LayerOverflow, Observed, OverflowReport, ProvedRange, WidthVerdict
from accel_sim.analysis.provenance import Provenance
from accel_sim.hardware import load_hardware
from accel_sim.report.inspection import InspectedOperator, Inspection
from accel_sim.report.json_form import to_json
from accel_sim.report.run_report import RunReport
from accel_sim.report.terminal.fitted import Column, FittedTable, Side, distinguishing, shorten, shortened
from accel_sim.report.terminal.pages import to_text
from accel_sim.report.terminal.style import bar, decibel, percent, scaled, size_bytes, to_string
from accel_sim.sim.result import LayerResult, Level, RunResult

ABOUT = Provenance("net", "ab" * 32, "tflite", load_hardware("edge-16x16"), "500 samples of x.npz")
LONG = "functional_1/activation_{}/Relu;functional_1/batch_normalization/FusedBatchNormV3;conv2d_{}/Conv2D"
NAMES = [LONG.format(i, i) for i in range(5)]


def run_report(level=Level.CYCLE):
    cost = {"traffic": {"dram_read": 2048}, "energy_pj": 1.5e6, "accumulator_min": -54_321, "accumulator_max": 98_765}
    timed = level is Level.CYCLE
    layers = tuple(
        LayerResult(name, "Conv2D", 2_345_678, 12_345, 123, 0.3, overflow_events=0, **cost)
        if timed
        else LayerResult(name, "Conv2D", 2_345_678)
        for name in NAMES
    )
    codes = {"Identity": np.arange(-20, 20, dtype=np.int8).reshape(2, 20)}
    return RunReport(ABOUT, RunResult(codes, {}, layers, 2, level, 61_725 if timed else None))


def mismatch_report(differing=371):
    sqnr = 38.25 if differing else math.inf
    layers = tuple(TensorMismatch(n, "Conv2D", f"t{i}", 125_000, differing, 3, sqnr) for i, n in enumerate(NAMES))
    return MismatchReport(
        ABOUT, "float32", 500, layers, (TensorMismatch("o", "Softmax", "out", 6000, 0, 0, math.inf, 1.0),)
    )


def overflow_report():
    bound = AccumulatorBound(576, (-1_234_567, -3), (45, 7_654_321), 25, 28)
    observed = Observed(-400_000, 500_000, 0)
    verdicts = tuple(WidthVerdict(b, p, 1, f) for b, p, f in ((16, False, False), (20, False, True), (24, True, True)))
    ranges = tuple(
        ProvedRange(kind, -128, 127, -1_234_567, high, bits, 25, None, 28)
        for kind, high, bits in ((InputKind.TYPE, 7_654_321, 24), (InputKind.CALIBRATED, 2_000_000, 22))
    )
    layers = tuple(LayerOverflow(name, "Conv2D", bound, ranges, observed, verdicts) for name in NAMES)
    return OverflowReport(ABOUT, (16, 20, 24), 500, layers)


def inspection():
    operators = tuple(InspectedOperator(n, "Conv2D(strides=(2, 2))", ("x",), ("y int8[1,8,8,16]",)) for n in NAMES)
    return Inspection(ABOUT, "tflite", ("x int8[1,8,8,3]",), ("y int8[1,10]",), operators)


REPORTS = {"run": run_report, "compare": mismatch_report, "overflow": overflow_report, "inspect": inspection}


@pytest.mark.parametrize("width", [80, 100, 120])
@pytest.mark.parametrize("kind", REPORTS)
def test_pages_fit_the_terminal_and_tell_layers_apart(kind, width):
    text = to_text(REPORTS[kind](), width=width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert text.endswith("\n")
    for i in range(len(NAMES)):
        assert sum(line.startswith(f"activation_{i}/Relu ") for line in lines) == 1
    assert "\x1b" not in text


@pytest.mark.parametrize("width", [80, 100, 120])
def test_numbers_are_whole_or_absent(width):
    text = to_text(run_report(), width=width)
    assert "12,345" in text
    for number in ("-54,321", "98,765"):
        assert text.count(number) in (0, len(NAMES))
    assert "61,725 per sample, 123 µs at 500 MHz" in text


@pytest.mark.parametrize("width", [20, 40, 60])
def test_no_cell_of_a_table_is_cut(width):
    """Numbers keep their digits and headings their letters, however little room there is."""
    rows = [["a/long/name/of/a/layer", "Conv2D", "5.98 M", "99.33 %", "-1,234,567", "double rounding"]] * 2
    columns = (
        Column("Layer", Side.NAME), Column("Operator", Side.LEFT), Column("persistent"), Column("Share"),
        Column("Lowest"), Column("Cause", Side.TEXT),
    )  # fmt: skip
    heading, _, first, *_ = to_string(FittedTable(columns, rows), width=width).splitlines()
    for text in ("Layer", "Operator", "persistent", "Share", "Lowest", "Cause"):
        assert text in heading
    for text in ("ayer ", "Conv2D", "5.98 M", "99.33 %", "-1,234,567", "double"):
        assert text in first


@pytest.mark.parametrize("kind", REPORTS)
def test_a_narrow_page_has_no_number_that_a_wide_one_has_not(kind):
    words = {w: set(re.findall(r"[^\s:;,()]*\d[^\s:;()]*", to_text(REPORTS[kind](), width=w))) for w in (30, 400)}
    assert {word for word in words[30] if "…" not in word and len(word) > 1} <= words[400]


def test_columns_without_figures_are_not_shown():
    functional = to_text(run_report(Level.FUNCTIONAL), width=120)
    for heading in ("Cycles", "Stalled", "PE use", "Acc. min", "energy"):
        assert heading not in functional
        assert heading in to_text(run_report(), width=120)


def test_a_comparison_ends_in_a_verdict():
    assert "first difference in activation_0/Relu (Conv2D)" in to_text(mismatch_report(), width=120)
    assert "every code of every layer is the same" in to_text(mismatch_report(0), width=120)


def test_widths_are_marked_by_proof_and_observation():
    text = to_text(overflow_report(), width=120)
    row = next(line for line in text.splitlines() if line.startswith("activation_0"))
    assert row.split()[-3:] == ["✗", "~", "✓"]
    assert "proved in 0 of 5 layers; observed values exceed it in 5" in text


def test_colour_only_when_asked():
    assert "\x1b[" in to_text(overflow_report(), width=100, color=True)


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=60), st.integers(1, 40))
def test_shortened_names_have_the_length_asked_for(name, length):
    assert len(shorten(name, length)) == min(len(name), length)


@pytest.mark.parametrize("length", range(16, 30))
def test_shortened_names_stay_different(length):
    names = [f"layer{i}/layer{i}.{j}/conv{k}/Conv" for i in (1, 2, 3) for j in (0, 1) for k in (1, 2)]
    short = shortened(names, length)
    assert len(set(short)) == len(names)
    assert max(map(len, short)) <= length


@pytest.mark.parametrize(
    ("names", "reduced"),
    [
        (["m/a/Relu;m/x/Bias", "m/b/Relu;m/x/Bias", "m/pool"], ["a/Relu", "b/Relu", "pool"]),
        (["m/x;m/y", "m/x;m/y2", "m/x"], ["y", "y2", "x"]),
        (["conv1", "conv2"], ["conv1", "conv2"]),
        (["a/b", "a/b"], ["a/b", "a/b"]),
        (["m/a;m/x", "m/b;m/x", "m/a;m/x"], ["a", "b", "a"]),
        (["only/one"], ["only/one"]),
        (["m/n/a", "m/n/b", "out"], ["a", "b", "out"]),
        ([], []),
    ],
)
def test_names_are_reduced_to_what_tells_them_apart(names, reduced):
    assert distinguishing(names) == reduced


@given(st.floats(0, 1))
def test_a_bar_has_one_width(share):
    assert len(bar(share, 10)) == 10


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0 %"),
        (1e-9, "< 0.01 %"),
        (0.0034, "0.34 %"),
        (0.1234, "12.3 %"),
        (0.9951, "99.51 %"),
        (0.99999, "> 99.99 %"),
        (1, "100 %"),
    ],
)
def test_percentages_never_round_to_nothing_or_everything(share, text):
    assert percent(share) == text


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (scaled(2.5e-4, "s"), "250 µs"),
        (scaled(1.5e-6, "J"), "1.5 µJ"),
        (scaled(3, "J"), "3 J"),
        (scaled(2.3e9, "B"), "2.3 GB"),
        (scaled(0, "J"), "0 J"),
        (size_bytes(1023), "1023 B"),
        (size_bytes(1536), "1.5 KiB"),
        (size_bytes(3 << 30), "3.0 GiB"),
        (decibel(math.inf), "∞"),
        (decibel(-math.inf), "-inf"),
        (decibel(40.26), "40.3"),
    ],
)
def test_quantities(made, text):
    assert made == text


def test_what_is_no_report_is_refused():
    with pytest.raises(TypeError, match="int is not a report"):
        to_text(3)
    with pytest.raises(TypeError, match="int is not a report"):
        to_json(3)
