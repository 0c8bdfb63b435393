"""The stepped level: every register of the PE grid in every cycle (`commands` begins)."""
