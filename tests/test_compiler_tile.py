"""Tiles: they fit the grid and the memories they were chosen for, and together they are the whole product, once."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from matrix_commands import convolve, multiply, parts, transpose_convolve

from accel_sim.compiler.tile import tile
from accel_sim.errors import CompileError
from accel_sim.hardware import Dataflow, load_hardware
from accel_sim.program.geometry import block_input_bytes, matrix_shape
from accel_sim.sim.timing.matrix import TileWalk

EDGE = load_hardware("edge-16x16")


@st.composite
def hardwares(draw):
    rows, columns = draw(st.integers(1, 8)), draw(st.integers(1, 8))
    overrides = [
        f"grid.rows={rows}",
        f"grid.columns={columns}",
        f"grid.dataflow={draw(st.sampled_from(Dataflow)).value}",
        f"memory.weight_sram_bytes={2 * rows * columns + draw(st.integers(0, 600))}",
        f"memory.activation_sram_bytes={2 * rows * columns + draw(st.integers(0, 600))}",
        f"memory.accumulator_sram_bytes={8 * rows * columns + draw(st.integers(0, 2000))}",
        f"memory.double_buffered={str(draw(st.booleans())).lower()}",
    ]
    return load_hardware("edge-16x16", overrides)


@st.composite
def tiled(draw):
    hardware = draw(hardwares())
    zero = draw(st.sampled_from((0, 3)))
    kind = draw(st.sampled_from(("multiply", "convolve", "depthwise", "transpose")))
    if kind == "multiply":
        m, k, n = (draw(st.integers(1, 40)) for _ in range(3))
        batch = draw(st.sampled_from(((), (2,), (3, 2))))
        return hardware, multiply(hardware, m, k, n, batch, weight_zero_point=zero)
    extent, kernel, channels = draw(st.integers(3, 12)), draw(st.integers(1, 3)), draw(st.integers(1, 12))
    if kind == "transpose":
        return hardware, transpose_convolve(hardware, (1, extent, extent, 4), (kernel, kernel), channels)
    image = (draw(st.integers(1, 2)), extent, extent, channels if kind == "depthwise" else 4)
    groups = channels if kind == "depthwise" else 1
    pad = draw(st.integers(0, 1))
    return hardware, convolve(
        hardware, image, (kernel, kernel), channels, groups=groups, pad=pad, weight_zero_point=zero
    )


@given(tiled())
def test_tiles_are_the_whole_product_once(drawn):
    hardware, command = drawn
    shape, tiling = matrix_shape(command), command.tiling
    ones = 1 if any(getattr(command, "weight_zero_point", ()) or command.b_zero_point) else 0
    cells = np.zeros((shape.rows, shape.columns + ones, shape.reduction), int)
    for m, n, k in itertools.product(
        parts(shape.rows, tiling.rows),
        parts(shape.columns + ones, tiling.columns),
        parts(shape.reduction, tiling.reduction),
    ):
        cells[np.ix_(m, n, k)] += 1
    assert (cells == 1).all()
    walk = TileWalk(command, hardware)
    assert int((walk.m * walk.n * walk.k).sum()) == shape.batches * cells.size
    assert int(walk.outputs.sum()) == shape.batches * shape.rows * shape.columns
    assert int(walk.finished.sum()) * len(parts(shape.reduction, tiling.reduction)) == walk.m.size


@given(tiled())
def test_tiles_fit_grid_and_memories(drawn):
    hardware, command = drawn
    grid, memory, tiling = hardware.grid, hardware.memory, command.tiling
    halves = 2 if memory.double_buffered else 1
    resident = tiling.rows
    if grid.dataflow is Dataflow.OUTPUT_STATIONARY:
        assert tiling.columns <= grid.columns
        resident = min(tiling.rows, grid.rows)
    elif grid.dataflow is Dataflow.INPUT_STATIONARY:
        assert tiling.rows <= grid.columns
        assert tiling.reduction <= grid.rows
    else:
        assert tiling.columns <= grid.columns
        assert tiling.reduction <= grid.rows
    assert resident * tiling.reduction * halves <= memory.activation_sram_bytes
    assert tiling.reduction * tiling.columns * halves <= memory.weight_sram_bytes
    assert resident * tiling.columns * 4 * halves <= memory.accumulator_sram_bytes


def test_a_grid_is_filled_when_memories_allow():
    assert convolve(EDGE, (1, 16, 16, 64), (3, 3), 64, pad=1).tiling.reduction == 16
    tiling = convolve(EDGE, (1, 16, 16, 64), (3, 3), 64, pad=1).tiling
    assert (tiling.rows, tiling.columns) == (256, 16)  # 32 KiB of accumulators in halves


def test_the_column_of_ones_shares_a_tile_where_there_is_room():
    assert multiply(EDGE, 8, 8, 5, weight_zero_point=0).tiling.columns == 5
    assert multiply(EDGE, 8, 8, 5, weight_zero_point=9).tiling.columns == 6
    assert multiply(EDGE, 8, 8, 16, weight_zero_point=9).tiling.columns == 16


@given(st.integers(1, 9), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2), st.integers(1, 20))
def test_blocks_read_the_image_rows_that_their_windows_touch(extent, kernel, stride, pad, rows):
    assume(extent + 2 * pad >= kernel > pad)  # every window touches the image
    command = convolve(EDGE, (2, extent, extent, 3), (kernel, kernel), 4, stride=stride, pad=pad)
    out_height, out_width = command.output_to.shape[1:3]
    for first in range(0, 2 * out_height * out_width, rows):
        last = min(first + rows, 2 * out_height * out_width) - 1
        touched = set()
        for pixel in range(first, last + 1):
            image, y = divmod(pixel // out_width, out_height)
            inside = (y * stride + ky - pad for ky in range(kernel))
            touched |= {image * extent + iy for iy in inside if 0 <= iy < extent}
        whole = (max(touched) - min(touched) + 1) * extent * 3
        read = block_input_bytes(command, first, last)
        if first // out_width == last // out_width and last - first + 1 < out_width:
            assert len(touched) * 3 <= read <= whole  # a part of one row of pixels
        else:
            assert read == whole


def test_what_does_not_fit_is_told_for_all_layers_at_once():
    wide = dataclasses.replace(
        EDGE, memory=dataclasses.replace(EDGE.memory, activation_sram_bytes=32, weight_sram_bytes=512)
    )
    command = multiply(EDGE, 4, 64, 64)
    deep = dataclasses.replace(command.a, dtype="int16")
    broad = dataclasses.replace(command, a=deep)
    with pytest.raises(CompileError) as caught:
        tile([broad, command, dataclasses.replace(broad, layer="second")], wide)
    found = [str(f) for f in caught.value.faults]
    assert found == [
        f"node '{layer}' (MatMul): 16 inputs in a tile: at most 8 fit memory.activation_sram_bytes "
        "(enlarge the memory or shrink the grid)"
        for layer in ("matmul", "second")
    ]
