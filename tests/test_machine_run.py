"""Machine.run: samples, layouts, threads, what is kept and observed, and a user's mistakes."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from one_command import HARDWARE, Layout, accelerator, codes

from accel_sim.errors import InputError, ProgramError
from accel_sim.hardware import AcceleratorConfig, OverflowPolicy, load_hardware
from accel_sim.ir import QuantParams
from accel_sim.numerics.elementwise import BinaryKind, CodeExtremum
from accel_sim.numerics.requantization import FloatRequantization
from accel_sim.program import Command, Convolve, Elementwise, Operand, Port, Program, Region, Tiling, Window
from accel_sim.sim.batch import run_samples
from accel_sim.sim.machine import Machine
from accel_sim.sim.result import Level

GRID = QuantParams.per_tensor(0.5, 3)


def small_network(hardware: AcceleratorConfig = HARDWARE, bits: int = 8) -> Program:
    """Two convolutions and a maximum over NCHW files: x [2,3,6,5] -> y [2,4,6,5]; `first`, `second` in between."""
    rng, layout = np.random.default_rng(0), Layout()
    shape = (2, 6, 5, 4)
    x = layout.result("x", (2, 6, 5, 3), "int8")
    first, second, y = (layout.result(name, shape, "int8") for name in ("first", "second", "y"))
    recipe = FloatRequantization(0, (-128,), (127,), (0.01,))
    window = Window((3, 3), (1, 1), (1, 1), 1, 1)

    def convolve(name: str, source: Operand, target: Operand) -> Command:
        weights = layout.constant(f"{name}/w", codes(rng, (4, 3, 3, source.shape[3]), "int8"))
        bias = layout.constant(f"{name}/b", np.arange(4, dtype=np.int32) * 1000)
        return Convolve(
            name, "Conv2D", source, weights, bias, target, window, 1, 3, (0,), False, recipe, Tiling(4, 4, 4)
        )

    commands = (
        convolve("conv1", x, first),
        convolve("conv2", first, second),
        Elementwise("max", "Maximum", first, second, y, CodeExtremum(BinaryKind.MAXIMUM)),
    )
    program = layout.program(*commands, outputs=[], hardware=hardware)
    file_axes = (0, 2, 3, 1)
    grid = replace(GRID, bits=bits) if bits != 8 else GRID
    inputs, outputs = (Port("in", x, grid, file_axes),), (Port("out", y, GRID, file_axes),)
    return replace(program, inputs=inputs, outputs=outputs)


def images(samples: int) -> np.ndarray:
    return codes(np.random.default_rng(1), (2 * samples, 3, 6, 5), "int8")


@pytest.fixture(scope="module")
def program() -> Program:
    return small_network()


def test_samples_run_as_one_by_one(program: Program) -> None:
    x = images(5)
    together = Machine(HARDWARE).run(program, {"in": x}, Level.FUNCTIONAL)
    assert together.samples == 5
    assert together.outputs["out"].shape == (10, 4, 6, 5)
    for i in range(5):
        alone = Machine(HARDWARE).run(program, {"in": x[2 * i : 2 * i + 2]}, Level.FUNCTIONAL)
        np.testing.assert_array_equal(alone.outputs["out"], together.outputs["out"][2 * i : 2 * i + 2])


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_results_do_not_depend_on_threads_or_level(program: Program, threads: int) -> None:
    machine, x = Machine(accelerator(16, OverflowPolicy.SATURATE)), images(9)
    one = machine.run(program, {"in": x}, Level.CYCLE, keep=["second"], threads=1)
    many = machine.run(program, {"in": x}, Level.CYCLE, keep=["second"], threads=threads)
    fast = machine.run(program, {"in": x}, Level.FUNCTIONAL, keep=["second"], threads=threads)
    assert many.layers == one.layers
    assert one.layers[0].overflow_events
    for result in (many, fast):
        np.testing.assert_array_equal(result.outputs["out"], one.outputs["out"])
        np.testing.assert_array_equal(result.tensors["second"], one.tensors["second"])


def test_layers_say_what_the_level_models(program: Program) -> None:
    cycle = Machine(HARDWARE).run(program, {"in": images(1)})
    functional = Machine(HARDWARE).run(program, {"in": images(1)}, Level.FUNCTIONAL)
    assert [layer.name for layer in cycle.layers] == ["conv1", "conv2", "max"]
    assert [layer.macs for layer in functional.layers] == [2 * 30 * 4 * 27, 2 * 30 * 4 * 36, 0]
    assert cycle.cycles == sum(layer.cycles or 0 for layer in cycle.layers) > 0
    assert cycle.layers[2].accumulator_min is None
    assert cycle.layers[0].overflow_events == 0
    assert functional.cycles is functional.layers[0].cycles is functional.layers[0].accumulator_max is None


def test_kept_tensors_are_those_of_their_moment(program: Program) -> None:
    result = Machine(HARDWARE).run(program, {"in": images(3)}, Level.FUNCTIONAL, keep=["first", "x", "second", "y"])
    tensors = result.tensors
    np.testing.assert_array_equal(tensors["x"], images(3).transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(np.maximum(tensors["first"], tensors["second"]), tensors["y"])
    np.testing.assert_array_equal(tensors["y"].transpose(0, 3, 1, 2), result.outputs["out"])


def test_a_tensor_under_a_second_name_is_kept(program: Program) -> None:
    """A reshape is no command: its result is an operand that is only read."""
    renamed = replace(program.commands[2].a, name="view", shape=(60, 4))  # type: ignore[attr-defined]
    last = replace(program.commands[2], a=renamed, b=replace(renamed, name="other"))
    y = replace(written(program), shape=(60, 4))
    commands = (*program.commands[:2], replace(last, output_to=y))
    changed = replace(program, commands=commands, outputs=(Port("out", y, None),))
    kept = Machine(HARDWARE).run(changed, {"in": images(2)}, Level.FUNCTIONAL, keep=["view", "first"]).tensors
    np.testing.assert_array_equal(kept["view"].reshape(kept["first"].shape), kept["first"])


def written(program: Program) -> Operand:
    return program.outputs[0].operand


class Watcher:
    """An observer that notes everything and tries to interfere."""

    def __init__(self) -> None:
        self.seen: dict[tuple[int, int], np.ndarray] = {}

    def command_done(self, sample: int, index: int, command: Command, output: Any) -> None:
        self.seen[sample, index] = output.copy()
        with pytest.raises(ValueError, match="read-only"):
            output[...] = 0


def test_observers_see_every_command_of_every_sample(program: Program) -> None:
    watcher, progress = Watcher(), []
    result = Machine(HARDWARE).run(
        program,
        {"in": images(3)},
        Level.FUNCTIONAL,
        keep=["first"],
        observers=[watcher],
        progress=lambda done, total: progress.append((done, total)),
    )
    assert sorted(watcher.seen) == [(s, i) for s in range(3) for i in range(3)]
    np.testing.assert_array_equal(watcher.seen[1, 0], result.tensors["first"][2:4])
    assert progress == [(1, 3), (2, 3), (3, 3)]


def test_floats_are_quantized_with_the_input_grid(program: Program) -> None:
    x = images(2)
    real = ((x.astype(np.int64) - 3) * 0.5).astype(np.float32)
    by_code = Machine(HARDWARE).run(program, {"in": x}, Level.FUNCTIONAL)
    for dtype in (np.float32, np.float64):
        by_value = Machine(HARDWARE).run(program, {"in": real.astype(dtype)}, Level.FUNCTIONAL)
        np.testing.assert_array_equal(by_value.outputs["out"], by_code.outputs["out"])


WRONG_INPUTS = [
    ({}, "missing"),
    ({"in": images(1), "other": images(1)}, "is an input of the network: in"),
    ({"in": images(1)[:1]}, "shape"),
    ({"in": images(1)[:0]}, "shape"),
    ({"in": images(1).transpose(0, 2, 3, 1)}, "shape"),
    ({"in": images(1).astype(np.int16)}, "element type int8"),
    ({"in": images(1) > 0}, "element type int8"),
    ({"in": np.full((2, 3, 6, 5), np.nan)}, "finite"),
    ({"in": np.full((2, 3, 6, 5), np.inf, np.float32)}, "finite"),
]


@pytest.mark.parametrize(("inputs", "message"), WRONG_INPUTS)
def test_wrong_inputs_are_refused(program: Program, inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Machine(HARDWARE).run(program, inputs, Level.FUNCTIONAL)


def test_codes_of_fewer_bits_lie_on_their_grid() -> None:
    network = small_network(bits=4)
    with pytest.raises(InputError, match=r"codes of 4 bits lie in \[-8, 7\]"):
        Machine(HARDWARE).run(network, {"in": np.full((2, 3, 6, 5), 8, np.int8)}, Level.FUNCTIONAL)


def test_all_faults_are_told_at_once() -> None:
    layout = Layout()
    a, b = layout.input("a", np.zeros((2, 3), np.int8)), layout.input("b", np.zeros((2, 3), np.int8))
    y = layout.result("y", (2, 3), "int8")
    command = Elementwise("l", "op", a, b, y, CodeExtremum(BinaryKind.MINIMUM))
    two = layout.program(command, outputs=[y])
    wrong = {"a": np.zeros((2, 4), np.int16), "c": np.zeros(1)}
    with pytest.raises(InputError) as error:
        Machine(HARDWARE).run(two, wrong)
    assert len(error.value.faults) == 4  # b missing, c unknown, a's shape and type
    with pytest.raises(InputError, match="equally many"):
        Machine(HARDWARE).run(two, {"a": np.zeros((4, 3), np.int8), "b": np.zeros((2, 3), np.int8)})
    with pytest.raises(InputError, match="'nothing'"):
        Machine(HARDWARE).run(two, layout.inputs, keep=["nothing"])


def test_scalars_get_an_axis_of_samples() -> None:
    layout = Layout()
    a, y = layout.input("a", np.array(5, np.int8)), layout.result("y", (), "int8")
    b = layout.constant("b", np.array(7, np.int8))
    command = Elementwise("l", "op", a, b, y, CodeExtremum(BinaryKind.MAXIMUM))
    program = layout.program(command, outputs=[y])
    assert Machine(HARDWARE).run(program, layout.inputs).outputs["y"].tolist() == [7]
    assert Machine(HARDWARE).run(program, {"a": np.array([9, 1], np.int8)}).outputs["y"].tolist() == [9, 7]


def test_operands_outside_their_region_are_refused(program: Program) -> None:
    with pytest.raises(ProgramError, match="ends inside"):
        Machine(HARDWARE).run(replace(program, activation_bytes=100), {"in": images(1)})


def test_a_program_for_another_grid_is_refused(program: Program) -> None:
    with pytest.raises(ProgramError, match="compile for it"):
        Machine(load_hardware("paper-4x4")).run(program, {"in": images(1)})


def test_everything_unsupported_is_told_before_work_begins() -> None:
    layout = Layout()
    x, y = layout.input("x", np.zeros((1, 2, 2, 1), np.int8)), layout.result("y", (1, 2, 2, 1), "int8")
    huge = FloatRequantization(0, (-128,), (127,), (1.0,))
    weights = Operand("w", Region.ACTIVATIONS, x.address, (1, 1, 1, 1), "int8")
    commands = [
        Convolve(name, "op", x, weights, None, y, Window((1, 1)), 1, 0, (0,), False, huge, Tiling(1, 1, 1))
        for name in ("one", "two")
    ]
    with pytest.raises(ProgramError) as error:
        Machine(HARDWARE).run(layout.program(*commands, outputs=[y]), layout.inputs)
    assert [fault.where for fault in error.value.faults] == [
        "Convolve of layer 'one': weights",
        "Convolve of layer 'two': weights",
    ]


@pytest.mark.parametrize("workers", [1, 3])
def test_the_first_error_ends_a_batch(workers: int) -> None:
    begun: list[int] = []

    def run(sample: int, worker: int) -> None:
        begun.append(sample)
        if sample == 2:
            raise ValueError("sample 2")

    with pytest.raises(ValueError, match="sample 2"):
        run_samples(run, range(workers), 1000)
    assert 2 in begun
    assert len(begun) <= 2 + workers
    run_samples(lambda sample, worker: begun.append(sample), range(workers), 1000)
    assert sorted(begun[-1000:]) == list(range(1000))
