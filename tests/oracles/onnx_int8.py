"""Random QDQ models of int8 activations between float inputs and outputs, as quantization tools write them.

    case = onnx_int8.case("Add", np.random.default_rng([seed, index]))        # one operator, every QDQ pattern
    case = onnx_int8.chain(np.random.default_rng([seed, index]))              # several, with shared values

ONNX Runtime makes their QuantizeLinear / DequantizeLinear pairs uint8, but not where several operators read one value.
"""

from typing import Any

import numpy as np
from oracles import onnx_models
from oracles.onnx_builder import INT8, Grid, ModelBuilder
from oracles.onnx_draw import Draw
from oracles.onnx_models import QDQ_GENERATORS, Case

# They name their types themselves, or give indices.
OPERATORS = tuple(n for n in QDQ_GENERATORS if not n.startswith(("Requantize", "ArgMax")))
Value = tuple[str, Grid]
SHAPES = ((1, 16, 4, 5), (1, 5, 4, 7))  # float windows of 16 channels are added up pixel by pixel, of 5 by columns


class SignedDraw(Draw):
    """Draws int8 grids and float ends only."""

    def dtype(self) -> np.dtype[Any]:
        return INT8

    def float_ends(self, dtype: np.dtype[Any], operator: str = "") -> bool:
        return True


def case(operator: str, rng: np.random.Generator) -> Case:
    """A random model of one operator."""
    return onnx_models.made_by(operator, QDQ_GENERATORS[operator], SignedDraw(rng))


def chain(rng: np.random.Generator) -> Case:
    """A random network of 2 to 6 quantized operators, all on images of one shape."""
    return onnx_models.made_by("chain", _Chain, SignedDraw(rng))


class _Chain(ModelBuilder):
    """Values live in two pools: fresh ones nobody has read, and others."""

    def __init__(self, draw: Draw) -> None:
        super().__init__(13, float_ends=True)
        self.draw, self.shape = draw, draw.pick(SHAPES)
        self.fresh: list[Value] = []
        self.read: list[Value] = []
        for index in range(draw.integer(1, 2)):
            grid = draw.grid()
            self.fresh.append((self.quantized_input(f"x{index}", draw.codes(grid, self.shape), grid), grid))
        for _ in range(draw.integer(2, 6)):
            self._step()
        for index, (value, grid) in enumerate(self.fresh):
            self._rename(value, f"y{index}")
            self.output_grids[self.output(f"y{index}", np.float32)] = grid

    def _step(self) -> None:
        value, grid = self._take()
        if self.draw.chance(0.25):
            self._convolution(value, grid)
        elif (self.read or self.fresh) and self.draw.chance(0.5):
            self._binary(value, grid, self._take()[0])
        else:
            self._unary(value, grid)

    def _unary(self, value: str, grid: Grid) -> None:
        operator = self.draw.pick(("AveragePool", "MaxPool", "Sigmoid", "LeakyRelu"))
        window = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]} if operator.endswith("Pool") else {}
        made = self.node(operator, [value], **window)
        self.fresh.append(self._quantized(made, grid if operator == "MaxPool" else self._near(grid)))

    def _binary(self, left: str, grid: Grid, right: str) -> None:
        operator = self.draw.pick(("Add", "Add", "Mul", "Concat", "GlobalAveragePool"))
        near = self._near(grid)
        if operator == "Concat":
            self._convolution(*self._quantized(self.node("Concat", [left, right], axis=1), near), joined=2)
            return
        if operator == "GlobalAveragePool":
            right = self._quantized(self.node(operator, [right]), self.draw.grid(scale=float(near.scale)))[0]
            operator = "Add"
        if operator == "Mul":
            near = near._replace(scale=np.float32(grid.scale * grid.scale * 20))
        self.fresh.append(self._quantized(self.node(operator, [left, right]), near))

    def _convolution(self, value: str, grid: Grid, joined: int = 1) -> None:
        weights = Grid(np.float32(2.0**-6), 0, INT8)
        size = self.draw.pick((1, 3))
        codes = self.draw.codes(weights, (self.shape[1], joined * self.shape[1], size, size))
        made = self.node("Conv", [value, self.quantized_constant(codes, weights)], pads=[size // 2] * 4)
        self.fresh.append(self._quantized(made, self._near(grid)))

    def _take(self) -> Value:
        """An operand; now and then one that is read already."""
        if self.read and (not self.fresh or self.draw.chance(0.35)):
            found: Value = self.draw.pick(self.read)
            return found
        chosen = self.fresh.pop(self.draw.integer(0, len(self.fresh) - 1))
        self.read.append(chosen)
        return chosen

    def _near(self, grid: Grid) -> Grid:
        """A grid of half the scale, the same, or twice."""
        return self.draw.grid(scale=float(grid.scale) * self.draw.pick((0.5, 1, 1, 2)))

    def _quantized(self, value: str, grid: Grid) -> Value:
        return self.dequantize(self.quantize(value, grid), grid.scale, grid.zero), grid

    def _rename(self, value: str, name: str) -> None:
        for node in self._nodes:
            for names in (node.input, node.output):
                names[:] = [name if n == value else n for n in names]
