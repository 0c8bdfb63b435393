"""Integer machine against fake-quant simulation: where, how much, why."""
