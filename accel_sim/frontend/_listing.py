"""What both formats tell about a file and about themselves: listed operators, and rows of the support table."""

from accel_sim.records import dataclass


@dataclass(frozen=True)
class ListedOperator:
    """One operator of a readable file, whether or not it is supported.

    Attributes:
        name: the node as errors name it.
        operator: the file's own operator name ("CONV_2D", "QLinearConv").
        inputs, outputs: text such as "conv1/out int8[1,32,32,16]", as far as the file says.
    """

    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class SupportedOperator:
    """One row of the table of supported operators.

    Attributes:
        format: "TFLite" or "ONNX".
        operator: the file's operator name.
        becomes: names of the Graph's operators that stand for it.
        constraints: sentences; each is the rule of the error that breaking it gives.
    """

    format: str
    operator: str
    becomes: tuple[str, ...]
    constraints: tuple[str, ...]
