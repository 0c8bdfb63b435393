"""Overflow counted by the machine against accumulators of plain Python integers, event for event."""

from dataclasses import replace
from unittest import mock

import networks
import numpy as np
import pytest
from one_command import HARDWARE, Layout, codes, random_cases, tied
from structure_cases import PlainStructure, random_structure

import accel_sim
from accel_kernels.native.count_blocks import BLOCK
from accel_sim.errors import AccelSimError
from accel_sim.hardware import Dataflow
from accel_sim.ir import ElementType
from accel_sim.numerics.accumulators import OverflowPolicy, accumulate, plain
from accel_sim.program import Convolve, MatrixMultiply, Tiling, Window
from accel_sim.sim.counting import count
from accel_sim.sim.native import counted, matrices
from accel_sim.sim.offences import first_offence

TYPES = ((np.int8, np.int8), (np.uint8, np.uint8), (np.uint8, np.int8), (np.int16, np.int8))
DOT_PRODUCTS = 20_000


@pytest.fixture(autouse=True)
def small_layers_as_large_ones(monkeypatch):
    """The steps for large layers count small ones, too."""
    monkeypatch.setattr(matrices, "_WORTH_COMPILING", 0)


def dense(rng, structure, *, extreme):
    """A convolution of one pixel, constant weights: (layout, command, x, w, bias, zero points) relative operands."""
    kinds = TYPES[rng.integers(len(TYPES))] if structure.inputs is None else (structure.inputs, structure.weights)
    wide = kinds[0] == np.int16
    pixels, depth, channels = int(rng.integers(1, 5)), int(rng.integers(1, 70)), int(rng.integers(1, 20))
    x = codes(rng, (1, 1, pixels, depth), kinds[0], extreme=extreme)
    w = codes(rng, (channels, 1, 1, depth), kinds[1], extreme=extreme)
    if rng.random() < 0.5:  # small weights: some outputs fit, some do not
        w = (w.astype(np.int64) // 8).astype(w.dtype)
    zx = 0 if wide else int(codes(rng, (1,), kinds[0], extreme=extreme)[0])
    zw = int(codes(rng, (1,), kinds[1], extreme=extreme)[0]) if rng.random() < 0.3 and not wide else 0
    bias = rng.integers(-(1 << 20), 1 << 20, channels).astype(np.int64 if wide else np.int32)
    layout = Layout()
    result = layout.result("y", (1, 1, pixels, channels), np.int64 if wide else np.int32)
    command = Convolve(
        "n", "Conv2D", layout.input("x", x), layout.constant("w", w), layout.constant("b", bias), result,
        Window((1, 1), (1, 1), (1, 1), 0, 0), 1, zx, (zw,), wide, None, Tiling(1, int(rng.integers(1, depth + 1)), 1),
    )  # fmt: skip
    return layout, command, x[0, 0].astype(int) - zx, w[:, 0, 0].astype(int) - zw, bias.astype(int), (zx, zw)


def hardware_of(rng):
    dataflow = list(Dataflow)[rng.integers(len(Dataflow))]
    return replace(HARDWARE, grid=replace(HARDWARE.grid, dataflow=dataflow))


def compare_dense(rng, structure):
    """Outputs and counts of one layer equal the plain accumulator's; how many dot products were compared."""
    layout, command, x, w, bias, zeros = dense(rng, structure, extreme=tied(rng))
    hardware = hardware_of(rng)
    program = layout.program(command, outputs=[command.output_to], hardware=hardware)
    run = count(program, layout.inputs, structure, threads=1)
    kinds = command.input.dtype, command.weights.dtype
    depthwise = w.shape == (1, 1)
    its = structure.for_command(*kinds, depthwise=depthwise, wide=command.wide_accumulator)
    tree = 1
    if hardware.grid.dataflow is Dataflow.ADDER_TREE and len(its.stages) == 1:
        tree = min(command.tiling.reduction, hardware.grid.rows)
    plains = [[PlainStructure(its, x[p], w[c], bias[c], zeros, tree) for c in range(len(w))] for p in range(len(x))]
    (counts,) = run.commands
    table = np.array([[(len(a.events), bool(a.events), a.persistent) for a in row] for row in plains])
    assert [counts.events.tolist(), counts.affected.tolist(), counts.persistent.tolist()] == table.sum(0).T.tolist()
    values = np.array([[a.value for a in row] for row in plains], object)
    width = 64 if command.wide_accumulator else 32
    wrapped = (values + (1 << (width - 1))) % (1 << width) - (1 << (width - 1))
    assert run.outputs["y"][0, 0].tolist() == wrapped.tolist()
    assert not (counts.proved and table[..., 0].any())
    compare_offence(program, layout, structure, counts, plains)
    for a in plains[0][:1]:
        golden = accumulate(its, a.start, a.products, tree)
        assert (golden.value, golden.persistent) == (a.value, a.persistent)
        assert [(e.step, e.stage, e.exact, e.after) for e in golden.events] == a.events
    return x.shape[0] * len(w)


def compare_offence(program, layout, structure, counts, plains):
    found = [(p, c, a) for p, row in enumerate(plains) for c, a in enumerate(row) if a.events]
    assert counts.first_sample == (0 if found else None)
    if found:
        p, c, a = found[0]
        offence = first_offence(program, layout.inputs, structure, counts.index, 0)
        assert (offence.position, offence.channel) == ((0, 0, p), c)
        assert (offence.step, offence.stage, offence.exact, offence.after) == a.events[0]
        if offence.step >= 0:
            assert offence.operands[-1] in zip(a.inputs, a.weights, strict=True)
        if offence.step >= 0 and offence.stage == 0:
            assert sum(x * w for x, w in offence.operands) == offence.term


@random_cases(60)
def test_counts_equal_a_plain_accumulator(rng):
    compare_dense(rng, random_structure(rng))


@pytest.mark.slow
def test_counts_equal_a_plain_accumulator_on_many_dot_products():
    """Every policy, width and structure."""
    rng, compared, done = np.random.default_rng(4), 0, 0
    while compared < DOT_PRODUCTS or done < 3 * 2 * 57:
        widths = [plain(bits, policy) for bits in range(8, 65) for policy in OverflowPolicy]
        structure = widths[done % len(widths)] if done % 3 else random_structure(rng)
        compared += compare_dense(rng, structure)
        done += 1


def test_a_matrix_product_is_counted_by_columns():
    layout = Layout()
    a, b = np.full((2, 3), 100, np.int8), np.array([[100, 1]] * 3, np.int8)
    x, w = layout.input("a", a), layout.input("b", b)
    y = layout.result("y", (2, 2), np.int32)
    command = MatrixMultiply("n", "MatMul", x, w, y, False, False, 0, (0,), False, None, Tiling(1, 3, 1))
    program = layout.program(command, outputs=[y])
    (counts,) = count(program, layout.inputs, plain(15)).commands
    assert counts.events.tolist() == [2, 0]  # in each row 20,000 wraps to -12,768
    assert counts.persistent.tolist() == [2, 0]
    offence = first_offence(program, layout.inputs, plain(15), 0, 0)
    assert (offence.position, offence.channel, offence.step) == ((0,), 0, 1)
    assert (offence.before, offence.term, offence.exact, offence.after) == (10_000, 10_000, 20_000, -12_768)
    assert offence.operands == ((100, 100),)


def test_what_is_proved_is_not_counted():
    layout = Layout()
    x = layout.input("x", np.full((1, 1, 1, 4), 127, np.int8))
    w = layout.constant("w", np.full((2, 1, 1, 4), 1, np.int8))
    y = layout.result("y", (1, 1, 1, 2), np.int32)
    window = Window((1, 1), (1, 1), (1, 1), 0, 0)
    command = Convolve("n", "Conv2D", x, w, None, y, window, 1, 0, (0,), False, None, Tiling(1, 4, 1))
    program = layout.program(command, outputs=[y])
    assert count(program, layout.inputs, plain(11)).commands[0].proved  # [-512, 508]
    assert not count(program, layout.inputs, plain(9)).commands[0].proved


@pytest.mark.parametrize("spec", ["15:wrap", "15:saturate", "17:wrap", "17:saturate", "19:wrap"])
@pytest.mark.parametrize("codes", [ElementType.INT8, ElementType.UINT8])
def test_native_steps_count_what_the_general_kernel_counts(spec, codes, monkeypatch):
    builder = networks._Builder("n", 9, 5, codes, same=False)
    x = builder.convolve(builder.convolve("x", 20, 3, 2), 36, 1)
    graph = builder.classify(builder.convolve(builder.convolve(x, 48, 3, relu=False), 17, 1), 10)
    inputs, structure = accel_sim.random_inputs(graph), accel_sim.resolve_structure(spec)
    native = count(accel_sim.compile(graph), inputs, structure, threads=1)
    monkeypatch.setattr(matrices, "counted_convolution", lambda job, engine: None)
    general = count(accel_sim.compile(graph), inputs, structure, threads=1)
    for a, b in zip(native.commands, general.commands, strict=True):
        assert [a.events.tolist(), a.affected.tolist()] == [b.events.tolist(), b.affected.tolist()]
        assert (a.persistent.tolist(), a.first_sample) == (b.persistent.tolist(), b.first_sample)
    assert sum(int(a.events.sum()) for a in native.commands) > 0 or spec == "19:wrap"
    for name, outputs in native.outputs.items():
        np.testing.assert_array_equal(outputs, general.outputs[name])


@pytest.mark.parametrize("spec", ["16:wrap", "16:saturate", "17:saturate", "27:saturate"])
@pytest.mark.parametrize("depth", [240, 1300])
def test_native_steps_count_additions_that_all_overflow(spec, depth, monkeypatch):
    layout, rng = Layout(), np.random.default_rng(depth)
    weights = np.where(rng.random((70, 1, 1, depth)) < 0.5, -127, 127).astype(np.int8)
    weights[:35] = 127
    x = layout.input("x", np.full((1, 1, 18, depth), 255, np.uint8))
    y = layout.result("y", (1, 1, 18, 70), np.int32)
    window = Window((1, 1), (1, 1), (1, 1), 0, 0)
    command = Convolve(
        "n", "Conv2D", x, layout.constant("w", weights), None, y, window, 1, 0, (0,), False, None, Tiling(1, depth, 1)
    )
    program, structure = layout.program(command, outputs=[y]), accel_sim.resolve_structure(spec)
    native = count(program, layout.inputs, structure, threads=1)
    monkeypatch.setattr(matrices, "counted_convolution", lambda job, engine: None)
    general = count(layout.program(command, outputs=[y]), layout.inputs, structure, threads=1)
    (a,), (b,) = native.commands, general.commands
    assert [a.events.tolist(), a.affected.tolist()] == [b.events.tolist(), b.affected.tolist()]
    assert a.persistent.tolist() == b.persistent.tolist()
    np.testing.assert_array_equal(native.outputs["y"], general.outputs["y"])


def followed(x, w, bias, bits, policy):
    """[P, K] and [C, K], added in order: events and values [P, C], and exact sums."""
    half, value = 1 << (bits - 1), np.broadcast_to(bias, (len(x), len(w))).astype(np.int64)
    events = np.zeros(value.shape, np.int64)
    for k in range(x.shape[1]):
        total = value + np.multiply.outer(x[:, k], w[:, k])
        wrapped = (total + half) % (2 * half) - half
        value = wrapped if policy is OverflowPolicy.WRAP else total.clip(-half, half - 1)
        events += value != total
    return events, value, x @ w.T + bias


@pytest.mark.parametrize("policy", OverflowPolicy)
@pytest.mark.parametrize("deviation", [16, 22, 30, 40, 60])
@pytest.mark.parametrize(("depth", "channels", "bits"), [(320, 150, 17), (1090, 176, 18), (4100, 32, 19)])
def test_native_steps_count_what_is_rare(depth, channels, bits, deviation, policy):
    """Rates from none to many of a hundred, which screens, single outputs and whole rows have to do with."""
    rng = np.random.default_rng(depth + deviation)
    x = rng.normal(0, 60, (70, depth)).round().clip(0, 255)
    x[:, : depth // 3] *= rng.random((70, 1)) < 0.7
    w = rng.normal(0, deviation, (channels, depth)).round().clip(-127, 127)
    bias = rng.integers(-(1 << (bits - 3)), 1 << (bits - 3), channels)
    compare_followed(x, w, bias, bits, policy)


def compare_followed(x, w, bias, bits, policy, zero=0, kind=np.uint8):
    """The step that counts a convolution of relative codes [P, K] and weights [C, K] against `followed`."""
    (pixels, depth), channels, layout = x.shape, len(w), Layout()
    operand = layout.input("x", (x + zero).astype(kind).reshape(1, 1, pixels, depth))
    weights = layout.constant("w", w.astype(np.int8).reshape(channels, 1, 1, depth))
    y, b = layout.result("y", (1, 1, pixels, channels), np.int32), layout.constant("b", bias.astype(np.int32))
    window, tiling = Window((1, 1), (1, 1), (1, 1), 0, 0), Tiling(1, depth, 1)
    command = Convolve("n", "Conv2D", operand, weights, b, y, window, 1, zero, (0,), False, None, tiling)
    run = count(layout.program(command, outputs=[y]), layout.inputs, plain(bits, policy), threads=1)
    events, values, exact = followed(x.astype(np.int64), w.astype(np.int64), bias, bits, policy)
    (counts,) = run.commands
    assert counts.events.tolist() == events.sum(0).tolist()
    assert counts.affected.tolist() == (events > 0).sum(0).tolist()
    assert counts.persistent.tolist() == ((exact < -(1 << (bits - 1))) | (exact >= 1 << (bits - 1))).sum(0).tolist()
    np.testing.assert_array_equal(run.outputs["y"].reshape(pixels, channels), values)


@random_cases(20)
def test_rows_of_16_bits_of_which_some_are_safe(rng):
    """Norms tell of some that they cannot overflow; these are only added up."""
    depth, channels, bits = int(rng.integers(1, 300)), int(rng.integers(1, 20)), int(rng.integers(24, 34))
    w = rng.integers(-128, 128, (channels, depth))
    largest = (1 << (bits - 1)) / np.sqrt(np.square(w).sum(1).max() * depth)
    x = rng.normal(0, 1, (40, depth)) * largest * rng.choice([0.1, 0.5, 0.9, 1, 1.1, 3], (40, 1))
    bias = rng.integers(-(1 << (bits - 4)), 1 << (bits - 4), channels)
    compare_followed(x.round().clip(-32768, 32767), w, bias, bits, rng.choice(list(OverflowPolicy)), kind=np.int16)


@random_cases(60)
def test_native_steps_count_codes_that_go_with_weights(rng):
    """Norms of codes and weights then bound sums as closely as norms can; sums end just before a limit or behind it."""
    depth, channels, zero = int(rng.integers(1, 200)), int(rng.integers(1, 40)), int(rng.choice([0, 0, 100]))
    w = rng.normal(0, 30, (channels, depth)).round().clip(-127, 127)
    sign = int(rng.choice([-1, 1]))
    w[0, 0] = 50 * sign
    along = sign * w[0] if zero else np.maximum(sign * w[0], 0)
    x = np.ones((int(rng.integers(1, 4)), 1)) * (along * rng.uniform(0.5, 1)).round().clip(-zero, 255 - zero)
    total, beyond = int(x[0] @ w[0]), int(rng.integers(-2, 3))
    half = 1 << max(abs(total).bit_length() - int(rng.integers(2)), 15)
    bias = np.zeros(channels, np.int64)
    bias[0] = np.clip((half - 1 + beyond if sign > 0 else -half - beyond) - total, -half, half - 1)
    bits = half.bit_length()
    with mock.patch.object(counted, "_is_guarded", return_value=True):
        compare_followed(x, w, bias, bits, rng.choice(list(OverflowPolicy)), zero)


@random_cases(60)
def test_native_steps_count_codes_that_go_with_weights_up_to_a_place(rng):
    """Sums that turn back at a limit or just behind it, as far from those around a block as norms of blocks allow."""
    depth, channels, sign = int(rng.integers(2, 300)), 64, int(rng.choice([-1, 1]))
    w = rng.normal(0, 30, (channels, depth)).round().clip(-127, 127)
    turn = int(rng.integers(1, depth))
    w[0] = sign * np.where(np.arange(depth) < turn, 1, -1) * np.maximum(np.abs(w[0]), 20)
    x = np.ones((int(rng.integers(1, 4)), 1)) * (np.abs(w[0]) * rng.uniform(0.5, 3)).round().clip(0, 255)
    reached, beyond = int(x[0, :turn] @ w[0, :turn]), int(rng.integers(-2, 3))
    half = 1 << max(abs(reached).bit_length() - int(rng.integers(2)), 15)
    bias = np.zeros(channels, np.int64)
    bias[0] = np.clip((half - 1 + beyond if sign > 0 else -half - beyond) - reached, -half, half - 1)
    span = BLOCK * int(rng.integers(1, 4))
    unguarded = mock.patch.object(counted, "_is_guarded", return_value=False)
    with unguarded, mock.patch.object(counted, "_glanced", return_value=span):
        compare_followed(x, w, bias, half.bit_length(), rng.choice(list(OverflowPolicy)))


@pytest.mark.parametrize(("structures", "shape"), [(["7"], None), (["nothing"], None), ([], None), (["20"], 0)])
def test_impossible_requests_are_refused(structures, shape):
    builder = networks._Builder("n", 4, 5, ElementType.INT8, same=False)
    graph = builder.classify(builder.convolve("x", 4, 1), 3)
    inputs = {name: array[:shape] for name, array in accel_sim.random_inputs(graph).items()}
    with pytest.raises(AccelSimError):
        accel_sim.count_overflow(graph, inputs, structures)
