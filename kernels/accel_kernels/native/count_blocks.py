"""How far the screen of counted convolutions looks ahead."""

BLOCK = 16
"""Groups of 4 products of which all partial sums are bounded at once."""
