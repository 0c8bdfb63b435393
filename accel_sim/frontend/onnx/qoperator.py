"""The integer operators of ONNX, read as the float operator that they stand for, with the grids of its values."""

from accel_sim.records import dataclass


@dataclass(frozen=True)
class QLinearForm:
    """Where an integer operator keeps its operands.

    Attributes:
        operator: the float operator.
        operands: (data, scale, zero point) positions, one triple per operand of the float operator.
        result: (scale, zero point) positions of the result's grid.
        extra: position of a further operand without grid (an int32 bias), or None.
        variadic: triples repeat from the position of the first one on.
    """

    operator: str
    operands: tuple[tuple[int, int, int], ...]
    result: tuple[int, int]
    extra: int | None = None
    variadic: bool = False

    def triples(self, count: int) -> tuple[tuple[int, int, int], ...]:
        """The operand triples of a node with `count` inputs."""
        if not self.variadic:
            return self.operands
        start = self.operands[0][0]
        return tuple((i, i + 1, i + 2) for i in range(start, count - 2, 3))


_ONE = ((0, 1, 2),)
_TWO = ((0, 1, 2), (3, 4, 5))
QLINEAR: dict[str, QLinearForm] = {
    "QLinearConv": QLinearForm("Conv", _TWO, (6, 7), extra=8),
    "QLinearMatMul": QLinearForm("MatMul", _TWO, (6, 7)),
    "com.microsoft.QGemm": QLinearForm("Gemm", _TWO, (7, 8), extra=6),
    "com.microsoft.QLinearAdd": QLinearForm("Add", _TWO, (6, 7)),
    "com.microsoft.QLinearMul": QLinearForm("Mul", _TWO, (6, 7)),
    "com.microsoft.QLinearConcat": QLinearForm("Concat", ((2, 3, 4),), (0, 1), variadic=True),
    "com.microsoft.QLinearAveragePool": QLinearForm("AveragePool", _ONE, (3, 4)),
    "com.microsoft.QLinearGlobalAveragePool": QLinearForm("GlobalAveragePool", _ONE, (3, 4)),
    "com.microsoft.QLinearSigmoid": QLinearForm("Sigmoid", _ONE, (3, 4)),
    "com.microsoft.QLinearLeakyRelu": QLinearForm("LeakyRelu", _ONE, (3, 4)),
    "com.microsoft.QLinearSoftmax": QLinearForm("Softmax", _ONE, (3, 4)),
}
# Integer operators without output grid: (float operator); operands x, w, zero point of x, zero point of w.
ACCUMULATING: dict[str, str] = {"ConvInteger": "Conv", "MatMulInteger": "MatMul"}
