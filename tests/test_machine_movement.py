"""Commands that move, look up or find codes, against NumPy and plain loops."""

from itertools import product

import numpy as np
import pytest
from one_command import Layout, codes, random_cases, tied

from accel_sim.errors import ProgramError
from accel_sim.program import Fill, FindExtremum, Gather2D, Lookup, Move


@random_cases(60)
def test_move(rng: np.random.Generator) -> None:
    """A slice of x, read with steps of either sign, lands transposed inside y."""
    dtype = rng.choice(["int8", "uint8", "int16", "int32", "int64"])
    axes = int(rng.integers(1, 5))
    extent = tuple(int(n) for n in rng.integers(1, 5, axes))
    sides = []
    for _ in range(2):
        order, strides, step = rng.permutation(axes), [0] * axes, 1
        for axis in order:
            strides[axis] = step
            step *= extent[axis] + int(rng.integers(0, 2))
        offset = int(rng.integers(0, 3))
        for axis in range(axes):
            if rng.integers(3) == 0:
                offset += strides[axis] * (extent[axis] - 1)
                strides[axis] = -strides[axis]
        sides.append((offset, tuple(strides), step + offset))
    (x_offset, x_strides, x_size), (y_offset, y_strides, y_size) = sides
    x = codes(rng, (x_size,), dtype)
    layout = Layout()
    y = layout.result("y", (y_size,), dtype)
    command = Move("l", "op", layout.input("x", x), y, extent, x_offset, x_strides, y_offset, y_strides)
    written = layout.result_of(command, y) if y_size == np.prod(extent) else _moved_over_a_fill(layout, command)
    expected = np.zeros(y_size, dtype)
    for index in product(*map(range, extent)):
        expected[y_offset + np.dot(index, y_strides)] = x[x_offset + np.dot(index, x_strides)]
    np.testing.assert_array_equal(written, expected)


def _moved_over_a_fill(layout: Layout, command: Move) -> np.ndarray:
    program = layout.program(Fill("l", "op", command.output_to, 0), command, outputs=[command.output_to])
    return layout.outputs(program)["y"]


@random_cases(40)
def test_fill(rng: np.random.Generator) -> None:
    layout = Layout()
    y = layout.result("y", (3, int(rng.integers(0, 9))), "int8")
    code = int(rng.integers(-128, 128))
    assert (layout.result_of(Fill("l", "op", y, code), y) == code).all()


@random_cases(40)
def test_gather(rng: np.random.Generator) -> None:
    x = codes(rng, tuple(rng.integers(1, 6, 4)), rng.choice(["int8", "uint8", "int16"]))
    rows, columns = (tuple(int(i) for i in rng.integers(0, x.shape[axis], rng.integers(1, 8))) for axis in (1, 2))
    layout = Layout()
    y = layout.result("y", (x.shape[0], len(rows), len(columns), x.shape[3]), x.dtype)
    written = layout.result_of(Gather2D("l", "op", layout.input("x", x), y, rows, columns), y)
    np.testing.assert_array_equal(written, x[:, rows][:, :, columns])


@random_cases(60)
def test_extremum(rng: np.random.Generator) -> None:
    x = codes(rng, tuple(rng.integers(1, 6, rng.integers(1, 5))), "int8", extreme=tied(rng))
    axis, last, minimum = int(rng.integers(x.ndim)), bool(rng.integers(2)), bool(rng.integers(2))
    layout = Layout()
    y = layout.result("y", [n for i, n in enumerate(x.shape) if i != axis], rng.choice(["int32", "int64"]))
    written = layout.result_of(FindExtremum("l", "op", layout.input("x", x), y, axis, last, minimum), y)
    for index in np.ndindex(y.shape):
        line = np.moveaxis(x, axis, -1)[index]
        places = np.flatnonzero(line == (line.min() if minimum else line.max()))
        assert written[index] == places[-1 if last else 0]


@random_cases(40)
def test_lookup(rng: np.random.Generator) -> None:
    x_type, y_type = rng.choice(["int8", "uint8"]), rng.choice(["int8", "uint8", "int16"])
    x = codes(rng, (2, 5, 3), x_type, extreme=tied(rng))
    first = int(np.iinfo(x_type).min)
    layout = Layout()
    y = layout.result("y", x.shape, y_type)
    if rng.integers(2):
        table = codes(rng, (256,), y_type)
        command = Lookup("l", "op", layout.input("x", x), layout.constant("t", table), None, y, first)
        expected = table[x.astype(int) - first]
    else:
        tables, index = codes(rng, (4, 256), y_type), rng.integers(0, 4, (5, 1)).astype(np.int32)
        placed = layout.constant("t", tables), layout.constant("i", index)
        command = Lookup("l", "op", layout.input("x", x), *placed, y, first)
        expected = tables[index, x.astype(int) - first]
    np.testing.assert_array_equal(layout.result_of(command, y), expected)


def test_a_table_for_four_bits_is_never_left() -> None:
    layout, table = Layout(), np.arange(16, dtype=np.int8)
    x = np.array([-8, 7, 0], np.int8)
    y = layout.result("y", (3,), "int8")
    command = Lookup("l", "op", layout.input("x", x), layout.constant("t", table), None, y, -8)
    np.testing.assert_array_equal(layout.result_of(command, y), [0, 15, 8])


def test_an_index_beyond_the_tables_is_refused() -> None:
    layout = Layout()
    y = layout.result("y", (3,), "int8")
    tables, index = layout.constant("t", np.zeros((2, 256), np.int8)), layout.constant("i", np.full(3, 2, np.int32))
    command = Lookup("l", "op", layout.input("x", np.zeros(3, np.int8)), tables, index, y, -128)
    with pytest.raises(ProgramError, match="selects one of 2 tables"):
        layout.result_of(command, y)
