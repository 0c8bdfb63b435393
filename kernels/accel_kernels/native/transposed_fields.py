"""What a phase of a transposed convolution is told by."""

from enum import IntEnum, auto


class Phase(IntEnum):
    """Places in a row of int64."""

    ROWS = 0
    """Output rows of the phase in an image, STRIDE_HEIGHT apart from OUTPUT_ROW on; columns likewise."""
    COLUMNS = auto()
    OUTPUT_ROW = auto()
    OUTPUT_COLUMN = auto()
    INPUT_ROW = auto()
    """Output row i of the phase meets input rows INPUT_ROW + i less each tap's distance; columns likewise."""
    INPUT_COLUMN = auto()
    TAP_COUNT = auto()
    TAPS = auto()
    """Address of two int64 for each tap: its distances down and across."""
    STEPS = auto()
    WEIGHTS = auto()
    GROUP_WEIGHTS = auto()
    TABLE = auto()
    PANEL_ROWS = auto()


FIELDS = len(Phase)
