"""Windows of depthwise convolutions that have code of their own."""

_KNOWN = {(3, 1), (3, 2)}


def shape_of(width: int, stride: int, dilation: int) -> str:
    """The SHAPE of a variant of `depthwise`."""
    return f"{width}s{stride}" if (width, stride) in _KNOWN and dilation == 1 else "any"
