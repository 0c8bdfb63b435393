"""The fast path: commands as native steps, run one after the other by an interpreter without Python between them."""
