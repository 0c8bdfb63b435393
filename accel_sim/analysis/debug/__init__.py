"""The debugging flow of figure 9: which quantizer costs accuracy, and what cures it."""
