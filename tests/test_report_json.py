"""JSON documents: schema, provenance, determinism, and nothing that JSON cannot say."""

import hashlib
import json
import math
from dataclasses import replace

import pytest
from test_report_terminal import ABOUT, REPORTS, mismatch_report, overflow_report, run_report

from accel_sim.hardware import load_hardware
from accel_sim.report.json_form import to_json
from accel_sim.version import __version__


@pytest.mark.parametrize("kind", REPORTS)
def test_documents_say_what_they_depend_on(kind):
    document = json.loads(to_json(REPORTS[kind]()))
    assert document["schema"] == f"accel-sim/{kind}/1"
    assert document["versions"]["accel_sim"] == __version__
    assert document["model"] == {"name": "net", "sha256": "ab" * 32}
    assert document["profile"] == "tflite"
    assert document["hardware"]["grid"]["dataflow"] == "weight_stationary"
    assert document["inputs"] == "500 samples of x.npz"


@pytest.mark.parametrize("kind", REPORTS)
def test_equal_reports_give_equal_text(kind):
    assert to_json(REPORTS[kind]()) == to_json(REPORTS[kind]())


def test_a_run_lists_layers_totals_and_digests_of_outputs():
    report = run_report()
    document = json.loads(to_json(report))
    codes = report.result.outputs["Identity"]
    assert document["cycles"] == 61_725
    assert document["totals"]["macs"] == 5 * 2_345_678
    assert document["totals"]["traffic"] == {"dram_read": 5 * 2048}
    assert document["totals"]["utilization"] == pytest.approx(5 * 2_345_678 / (61_725 * 256))
    assert document["layers"][0]["accumulator_min"] == -54_321
    assert document["outputs"]["Identity"]["sha256"] == hashlib.sha256(codes.tobytes()).hexdigest()
    assert document["outputs"]["Identity"]["shape"] == [2, 20]


def test_identical_tensors_have_no_ratio():
    document = json.loads(to_json(mismatch_report(0)))
    assert document["identical"] is True
    assert document["layers"][0]["sqnr_db"] is None
    assert document["first_differing"] is None


def test_a_comparison_names_the_first_difference():
    document = json.loads(to_json(mismatch_report(371)))
    assert document["first_differing"] == mismatch_report().layers[0].node
    assert document["layers"][0]["share"] == pytest.approx(371 / 125_000)
    assert document["top1_agreement"] == 1.0


def test_an_overflow_report_holds_bounds_observations_and_verdicts():
    document = json.loads(to_json(overflow_report()))
    layer = document["layers"][0]
    assert (layer["minimum"], layer["maximum"], layer["safe_bits"]) == (-1_234_567, 7_654_321, 24)
    assert layer["bound"]["channel_max"] == [45, 7_654_321]
    assert layer["observed"] == {"minimum": -400_000, "maximum": 500_000, "overflow_events": 0, "bits": 20}
    assert [v["proved"] for v in layer["verdicts"]] == [False, False, True]
    assert len(document["unproved"]["20"]) == 5
    assert document["unproved"]["24"] == []


def test_unlimited_is_null():
    memory = replace(load_hardware("edge-16x16").memory, dram_bytes_per_cycle=math.inf)
    report = replace(run_report(), provenance=replace(ABOUT, hardware=replace(ABOUT.hardware, memory=memory)))
    assert json.loads(to_json(report))["hardware"]["memory"]["dram_bytes_per_cycle"] is None
