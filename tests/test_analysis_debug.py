"""The debugging flow: what it finds in networks whose fault is known."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from float_graphs import FloatGraph
from ptq_networks import data, inverted_residual

from accel_sim import demo_data
from accel_sim.analysis.debug.flow import debug
from accel_sim.analysis.debug.quantizers import Judge, Kind, QuantizedNetwork
from accel_sim.cli import run
from accel_sim.errors import InputError
from accel_sim.ir import RELU, Add, Conv2D, Graph
from accel_sim.quantization import get_recipe, quantize_with_report
from accel_sim.reference import evaluate_fake_quant, evaluate_float
from accel_sim.report.html import to_html
from accel_sim.report.json_form import to_json
from accel_sim.report.terminal.pages import to_text

PLAIN = get_recipe("minmax", ("weights.per_channel=false", "weights.bits=5"))


def uneven() -> Graph:
    """A triple in which all channels count, though their weights differ a thousandfold."""
    g, random = FloatGraph(), np.random.default_rng(0)
    s, t = np.exp(random.uniform(-3.5, 3.5, (2, 12, 1, 1, 1)))
    x = g.input("x", (1, 6, 6, 4))
    expand, middle, project = (random.normal(0, 1, shape) for shape in ((12, 1, 1, 4), (12, 3, 3, 1), (5, 1, 1, 12)))
    y = g.op(Conv2D(activation=RELU), x, g.constant(expand * s), shape=(1, 6, 6, 12))
    depthwise = Conv2D(groups=12, activation=RELU)
    y = g.op(depthwise, y, g.constant(middle / s * t), shape=(1, 4, 4, 12))
    return g.graph(g.op(Conv2D(), y, g.constant(project / t.reshape(1, 1, 1, 12)), shape=(1, 4, 4, 5), name="y"))


def flow(recipe=PLAIN, graph: Graph | None = None, **options):
    return debug(graph or inverted_residual(), data(16), data(12, seed=9), recipe=recipe, **options)


def test_all_quantizers_together_are_the_fake_quantized_network() -> None:
    graph, inputs = inverted_residual(), data(12, seed=9)
    made = quantize_with_report(graph, data(16), PLAIN)
    network = QuantizedNetwork(made)
    stored = {"x": inputs.transpose(0, 2, 3, 1)}
    exact, got = evaluate_float(graph, stored)["y"], evaluate_fake_quant(made.graph, stored)["y"]
    expected = 10 * np.log10(np.square(exact).sum() / np.square(got - exact).sum())
    score = Judge(graph, inputs).score(*network.with_quantizers(network.quantizers))
    assert score.signal_to_noise_db == pytest.approx(expected, abs=0.2)


def test_thirty_two_bits_are_the_float_network() -> None:
    report = flow()
    assert report.is_sane
    assert report.wide.agreement == report.floating.agreement == 1.0


def test_a_network_with_uneven_channels_suffers_from_its_weights_and_is_cured() -> None:
    report = flow(graph=uneven())
    assert report.worse_kind is Kind.WEIGHTS
    assert report.weights.signal_to_noise_db < report.activations.signal_to_noise_db
    assert report.trials[0].quantizer.kind is Kind.WEIGHTS
    assert len(report.trials) == 3 + 4
    ratios = [t.score.signal_to_noise_db for t in report.trials]
    assert ratios == sorted(ratios)
    changes = {c.change: c.score.signal_to_noise_db for c in report.cures}
    assert changes["equalization.when=always"] > report.everything.signal_to_noise_db + 3
    assert changes["weights.per_channel=true"] > report.everything.signal_to_noise_db + 1
    assert report.cures[0].change == "equalization.when=always"  # per channel, activations stay as uneven as they were


def test_coarse_activations_are_found_and_cured() -> None:
    report = flow(get_recipe("fast", ("activations.bits=4", "equalization.when=always")))
    assert report.worse_kind is Kind.ACTIVATION
    changes = {c.change for c in report.cures}
    assert {"activations.range=minmax", "equalization.absorb=data"} <= changes
    wider = [c for c in report.cures if "activation_bits" in c.change]
    assert wider[0].score.signal_to_noise_db > report.everything.signal_to_noise_db


def test_channel_ranges_are_those_of_the_weights() -> None:
    report = flow()
    graph = inverted_residual()
    node = next(n for n in graph.nodes if n.name == report.channels[0].node)
    rows = graph.operand(node, 1).constant.reshape(len(report.channels[0].median), -1)
    np.testing.assert_allclose(report.channels[0].maximum, rows.max(axis=1))
    np.testing.assert_allclose(report.channels[0].median, np.median(rows, axis=1), rtol=1e-6)


def test_labels_give_accuracy() -> None:
    labels = np.arange(12) % 3
    report = flow(labels=labels)
    stored = {"x": data(12, seed=9).transpose(0, 2, 3, 1)}
    expected = (evaluate_float(inverted_residual(), stored)["y"].argmax(axis=1) == labels).mean()
    assert report.floating.accuracy == pytest.approx(expected)
    with pytest.raises(InputError, match="3 for 12 samples: there is one for each"):
        flow(labels=labels[:3])


def test_the_flow_resumes_from_its_journal(tmp_path, monkeypatch) -> None:
    journal = tmp_path / "journal.json"
    done = 0
    whole = Judge.score

    def interrupted(self, *arguments):
        nonlocal done
        done += 1
        if done == 5:
            raise KeyboardInterrupt
        return whole(self, *arguments)

    monkeypatch.setattr(Judge, "score", interrupted)
    with pytest.raises(KeyboardInterrupt):
        flow(journal=journal)
    first = json.loads(journal.read_text())["scores"]
    assert len(first) == 4
    report = flow(journal=journal)
    assert done == 5 + len(report.trials) + len(report.cures)
    assert flow(journal=journal) == report
    assert done == 5 + len(report.trials) + len(report.cures)
    with pytest.raises(InputError, match="the same network"):
        flow(get_recipe("minmax"), journal=journal)
    journal.write_text("[]")
    with pytest.raises(InputError, match="is a journal"):
        flow(journal=journal)


def test_a_journal_that_cannot_be_written_is_told_before_the_first_score(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("accel_sim.analysis.debug.flow.quantize_with_report", None)  # would fail if it were called
    missing = tmp_path / "nowhere" / "j.json"
    with pytest.raises(InputError, match=re.escape(f"journal {str(missing)!r}: path: No such file or directory")):
        flow(journal=missing)
    assert list(tmp_path.iterdir()) == []


def test_the_page_and_the_document_tell_the_same() -> None:
    report = flow()
    text, document = to_text(report, 120), json.loads(to_json(report))
    for part in ("sanity check passed", "weights only", "by channel", "equalization.when=always"):
        assert part in text
    assert document["schema"] == "accel-sim/debug/1"
    assert len(document["trials"]) == len(report.trials)


def test_the_suggestion_is_the_best_cure_and_its_effect() -> None:
    report = flow(graph=uneven())
    assert report.suggestion == report.cures[0]
    text = to_text(report, 200)
    before, after = report.everything.signal_to_noise_db, report.cures[0].score.signal_to_noise_db
    assert f"suggested: equalization.when=always: from {before:.1f} to {after:.1f} dB" in text
    helpless = replace(report, cures=(replace(report.cures[0], score=report.everything),))
    assert helpless.suggestion is None
    assert "no change of the recipe that was tried helps" in to_text(helpless, 200)


def test_the_page_shows_channels_quantizers_and_cures() -> None:
    report = flow(graph=uneven())
    html = to_html(report)
    assert html == to_html(report)
    assert html.count("<svg") == 1 + len(report.channels)
    for trial in report.trials:
        assert html.count(trial.quantizer.name) >= 2  # in the table, and where a pointer rests
    five = report.channels[0]
    numbers = (five.minimum, five.first_quartile, five.median, five.third_quartile, five.maximum)
    for channel in range(12):
        assert f"channel {channel}\n{' · '.join(f'{v[channel]:.4g}' for v in numbers)}</title>" in html
    assert "Suggested: equalization.when=always" in html


def test_the_command_writes_the_page_and_takes_folders(capsys, tmp_path) -> None:
    (tmp_path / "float.onnx").write_bytes(demo_data.network_bytes())
    (tmp_path / "digits").mkdir()
    np.save(tmp_path / "digits" / "0.npy", demo_data.calibration()[:16])
    arguments = ["debug", tmp_path / "float.onnx", "--calibration", tmp_path / "digits", "--recipe", "minmax"]
    assert run([str(a) for a in [*arguments, "--report", tmp_path / "r.html"]]) == 0
    page = (tmp_path / "r.html").read_text()
    assert "Weights of" in page
    assert "sanity check" in page
    assert capsys.readouterr().out


def test_the_command_without_data_or_with_damaged_data_is_one_message(capsys, tmp_path) -> None:
    (tmp_path / "float.onnx").write_bytes(demo_data.network_bytes())
    (tmp_path / "x.npz").write_bytes(b"PK\x03\x04 nothing")
    arguments = ["debug", tmp_path / "float.onnx", "--report", tmp_path / "r.html", "--calibration"]
    for data_path in ("x.npz", "absent.npz"):
        assert run([str(a) for a in [*arguments, tmp_path / data_path]]) == 2
        assert capsys.readouterr().err.count("error:") == 1
    assert sorted(f.name for f in tmp_path.iterdir()) == ["float.onnx", "x.npz"]


def test_the_command(capsys, tmp_path) -> None:
    (tmp_path / "float.onnx").write_bytes(demo_data.network_bytes())
    images, labels = demo_data.heldout()
    np.savez(tmp_path / "x.npz", image=images[:24])
    np.savez(tmp_path / "y.npz", labels=labels[:24])
    arguments = ["debug", tmp_path / "float.onnx", "--calibration", tmp_path / "x.npz", "--labels", tmp_path / "y.npz"]
    arguments += ["--recipe", "minmax", "--journal", tmp_path / "j.json", "--samples", "24"]
    assert run([str(a) for a in arguments]) == 0
    assert "accuracy" in capsys.readouterr().out
    np.savez(tmp_path / "y.npz", labels=labels[:24] / 2)
    assert run([str(a) for a in arguments]) == 2
    assert "a label is the number of a class, an integer" in capsys.readouterr().err


def test_a_network_without_weights_has_nothing_to_plot() -> None:
    g = FloatGraph()
    graph: Graph = g.graph(g.op(Add(), g.input("x", (1, 4)), g.constant([1.0]), shape=(1, 4), name="y"))
    inputs = np.random.default_rng(0).normal(0, 1, (8, 4)).astype(np.float32)
    report = debug(graph, inputs, inputs, recipe="minmax")
    assert (report.channels, report.weights.signal_to_noise_db) == ((), float("inf"))
    assert report.worse_kind is Kind.ACTIVATION
    assert "y" in to_text(report)
