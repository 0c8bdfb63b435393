"""Which accumulators can overflow: proved for every input, counted in a run, priced in answers."""
