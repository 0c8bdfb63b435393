"""Rules for operators that move codes: every one is a strided copy (Move), after a Fill where something is padded."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from accel_sim.arithmetic import derive_table, pad_code
from accel_sim.compiler.lowering import Site, same_codes
from accel_sim.compiler.strides import StridedCopy, dense_strides, simplify
from accel_sim.ir import Requantize
from accel_sim.program import Fill, Gather2D, Move, Operand
from accel_sim.program.verify_commands import MOST_MOVE_AXES


def lower_reshape(site: Site) -> None:
    """Reshape: the same memory under another name; on another grid, requantized."""
    x, y = site.tensor(0), site.result
    if same_codes(x, y):
        site.view(y, site.operand(x))
    else:
        table = derive_table(site.profile, Requantize(), site.table_grid(x), site.grid(y))
        site.lookup(site.operand(x), table, site.grid(x), site.operand(y))


def lower_transpose(site: Site) -> None:
    """Transpose: input strides in the order of the permutation."""
    x = site.on_grid_of(site.tensor(0), site.result)
    strides = dense_strides(x.shape)
    move(site, x, site.operand(site.result), [strides[a] for a in site.op.permutation])


def lower_slice(site: Site) -> None:
    """Slice: an offset, and strides times the steps."""
    x = site.on_grid_of(site.tensor(0), site.result)
    strides = dense_strides(x.shape)
    offset = sum(b * s for b, s in zip(site.op.begin, strides, strict=True))
    steps = [s * step for s, step in zip(strides, site.op.strides, strict=True)]
    move(site, x, site.operand(site.result), steps, input_offset=offset)


def lower_concat(site: Site) -> None:
    """Concat: each branch, requantized where its grid differs or a clamp is fused, to its place along the axis."""
    y, start = site.operand(site.result), 0
    axis, strides = site.op.axis % len(y.shape), dense_strides(y.shape)
    for index in range(len(site.node.inputs)):
        tensor = site.tensor(index)
        needs_table = not site.op.activation.is_identity or not same_codes(tensor, site.result)
        x = site.on_grid_of(tensor, site.result, site.op if needs_table else None)
        move(
            site,
            x,
            y,
            dense_strides(x.shape),
            extent=x.shape,
            output_offset=start * strides[axis],
            output_strides=strides,
        )
        start += x.shape[axis]


def lower_pad(site: Site) -> None:
    """Pad: a Fill and a Move of the inside; reflections and edges gather rows axis by axis."""
    x = site.on_grid_of(site.tensor(0), site.result)
    op, y = site.op, site.operand(site.result)
    if op.mode != "constant":
        _gather_pad(site, x, y)
        return
    if any(n > 0 for n in (*op.before, *op.after)):
        grid = site.result.quant
        site.emit(Fill, y, int(op.value) if grid is None else pad_code(site.profile, op.value, grid))
    inside = tuple(n + min(b, 0) + min(a, 0) for n, b, a in zip(x.shape, op.before, op.after, strict=True))
    in_strides, out_strides = dense_strides(x.shape), dense_strides(y.shape)
    if all(n > 0 for n in inside):
        move(
            site,
            x,
            y,
            in_strides,
            extent=inside,
            input_offset=sum(max(-b, 0) * s for b, s in zip(op.before, in_strides, strict=True)),
            output_offset=sum(max(b, 0) * s for b, s in zip(op.before, out_strides, strict=True)),
            output_strides=out_strides,
        )


def lower_space_to_depth(site: Site) -> None:
    """SpaceToDepth: axes (n, h, i, w, j, c) of x are axes (n, h, w, i, j, c) of y."""
    x = site.on_grid_of(site.tensor(0), site.result)
    n, height, width, channels = site.result.shape
    b, depth = site.op.block, channels // site.op.block**2
    strides = dense_strides((n, height, b, width, b, depth))
    order = [strides[a] for a in (0, 1, 3, 2, 4, 5)]
    move(site, x, site.operand(site.result), order, extent=(n, height, width, b, b, depth))


def lower_depth_to_space(site: Site) -> None:
    """DepthToSpace: axes (n, h, w, i, j, c) of x, or (n, h, w, c, i, j), are axes (n, h, i, w, j, c) of y."""
    x = site.on_grid_of(site.tensor(0), site.result)
    n, height, width, channels = x.shape
    b, depth = site.op.block, channels // site.op.block**2
    if site.op.column_row_depth:
        strides, order = dense_strides((n, height, width, depth, b, b)), (0, 1, 4, 2, 5, 3)
    else:
        strides, order = dense_strides((n, height, width, b, b, depth)), (0, 1, 3, 2, 4, 5)
    move(site, x, site.operand(site.result), [strides[a] for a in order], extent=(n, height, b, width, b, depth))


def move(
    site: Site,
    x: Operand,
    y: Operand,
    input_strides: Sequence[int],
    *,
    extent: Sequence[int] | None = None,
    input_offset: int = 0,
    output_offset: int = 0,
    output_strides: Sequence[int] | None = None,
) -> None:
    """Emits a strided copy; nothing but another name where a whole tensor keeps its order.

    Without `extent`, y's shape; without `output_strides`, dense over the extent.
    """
    extent = y.shape if extent is None else tuple(extent)
    output_strides = dense_strides(extent) if output_strides is None else output_strides
    copy = simplify(StridedCopy(tuple(extent), tuple(input_strides), tuple(output_strides)))
    whole = x.size == y.size == copy.size and input_offset == output_offset == 0
    if whole and copy.is_contiguous and y.name in site.lowering.graph.tensors:
        site.view(site.lowering.graph.tensors[y.name], x)
        return
    if len(copy.extent) > MOST_MOVE_AXES:
        raise site.refuse("axes", len(copy.extent), f"a copy has at most {MOST_MOVE_AXES} axes that cannot be merged")
    site.emit(Move, x, y, copy.extent, input_offset, copy.input_strides, output_offset, copy.output_strides)


def _gather_pad(site: Site, x: Operand, y: Operand) -> None:
    """Axis by axis: each axis with padding is the rows of a [before, axis, 1, after] view."""
    axes = [a for a in range(len(y.shape)) if (site.op.before[a], site.op.after[a]) != (0, 0)]
    if not axes:
        site.view(site.result, x)
        return
    for axis in axes:
        rows = _padded_indices(site, axis, x.shape[axis])
        shape = (*x.shape[:axis], len(rows), *x.shape[axis + 1 :])
        target = y if axis == axes[-1] else site.scratch(f"padded axis {axis}", shape, y.dtype)
        outer, inner = int(np.prod(shape[:axis])), int(np.prod(shape[axis + 1 :]))
        site.emit(
            Gather2D,
            replace(x, shape=(outer, x.shape[axis], 1, inner)),
            replace(target, shape=(outer, len(rows), 1, inner)),
            rows,
            (0,),
        )
        x = replace(target, shape=shape)


def _padded_indices(site: Site, axis: int, size: int) -> tuple[int, ...]:
    """Source index of each output index; "reflect" does not repeat the edge, "symmetric" does, "edge" only that."""
    before, after = site.op.before[axis], site.op.after[axis]
    modes = {"reflect": "reflect", "symmetric": "symmetric", "edge": "edge"}
    if site.op.mode not in modes:
        raise site.refuse("mode", site.op.mode, "is constant, reflect, symmetric or edge")
    if size == 0:
        raise site.refuse("input", f"axis {axis} of 0 elements", "has elements to repeat")
    inside = np.arange(size)[max(-before, 0) : size - max(-after, 0)]
    padded = np.pad(inside, (max(before, 0), max(after, 0)), site.op.mode)
    return tuple(int(i) for i in padded)
