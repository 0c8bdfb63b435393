"""Every rule by operator, and the table of supported operators that the rules spell."""

from accel_sim.frontend._listing import SupportedOperator
from accel_sim.frontend.tflite import (
    activation,
    convolution,
    dense,
    elementwise,
    movement,
    reduction,
    resample,
    slicing,
    stacking,
)
from accel_sim.frontend.tflite.rules import Rule

_MODULES = (convolution, dense, elementwise, activation, reduction, movement, slicing, resample, stacking)
RULES: dict[str, Rule] = {rule.operator: rule for module in _MODULES for rule in module.RULES}


def supported_tflite() -> tuple[SupportedOperator, ...]:
    """The table of supported operators, by name."""
    rows = (
        SupportedOperator("TFLite", rule.operator, tuple(op.__name__ for op in rule.becomes), rule.sentences)
        for rule in RULES.values()
    )
    return tuple(sorted(rows, key=lambda row: row.operator))
