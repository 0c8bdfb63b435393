"""ONNX Runtime on an x86 processor without VNNI, whose pairs of products saturate in 16 bits: every byte of it.

`qemu-x86_64 -cpu Haswell` emulates the processor; the machine has the accumulators `x86-vpmaddubsw`.
"""

import numpy as np
import pytest
from conformance import feeds
from conformance.harness import SEED, differences

import accel_sim

pytest.importorskip("onnxruntime")

from oracles import onnx_emulated, onnx_models

OPERATORS = ("QLinearConv", "QLinearMatMul", "QGemm", "MatMulInteger", "Conv", "MatMul", "Gemm")
CPU, STRUCTURE = "Haswell", "accumulator.structure=x86-vpmaddubsw"


def reads_int8(case):
    """Whether ONNX Runtime would first turn a QDQ graph's int8 activations into uint8, which the importer does not."""
    graph = accel_sim.load(case.model)
    return any(graph.tensors[name].quant.signed for name in graph.inputs)


def on_pairs(model, inputs):
    """Outputs of the machine with paired accumulators, and with plain ones."""
    graph = accel_sim.load(model)
    sides = (accel_sim.load_hardware("edge-16x16", (STRUCTURE,)), "edge-16x16")
    return [accel_sim.run(accel_sim.compile(graph, side), inputs, "functional") for side in sides]


def check_random_models(count, folder):
    drawn = [
        onnx_models.case(operator, np.random.default_rng([SEED, index]))
        for operator in OPERATORS
        for index in range(count)
    ]
    cases = [case for case in drawn if case.operator not in onnx_models.QDQ or not reads_int8(case)]
    found = onnx_emulated.run_on(CPU, [(case.model, case.inputs) for case in cases], folder)
    saturated = 0
    for case, outputs in zip(cases, found, strict=True):
        grids = case.output_grids
        expected = {n: grids[n].codes_of(v) if n in grids else v for n, v in outputs.items()}
        paired, exact = on_pairs(case.model, case.inputs)
        wrong = differences(expected, paired.outputs)
        assert not wrong, f"{case.operator}, {case.note}: {wrong}"
        saturated += any(not np.array_equal(paired.outputs[n], exact.outputs[n]) for n in expected)
    assert saturated > count / 4, "some of these models saturate"


@pytest.mark.slow
def test_random_models(models, tmp_path):
    check_random_models(models, tmp_path)


@pytest.mark.slow
def test_resnet20_has_the_wrong_codes_of_such_a_processor(data, tmp_path):
    model = (data / "onnx/cifar_resnet20_qdq_u8s8_pertensor.onnx").read_bytes()
    name, samples = "input", feeds.cifar_float(data)[0][:20]
    (outputs,) = onnx_emulated.run_on(CPU, [(model, {name: samples})], tmp_path)
    paired, exact = on_pairs(model, {name: samples})
    for output, values in outputs.items():
        quant = paired.ports[output].quant
        codes = np.rint(values.astype(np.float64) / quant.scales[0]).astype(np.int64) + quant.zero_points[0]
        np.testing.assert_array_equal(paired.outputs[output], codes)
        assert np.mean(paired.outputs[output] != exact.outputs[output]) > 0.5
