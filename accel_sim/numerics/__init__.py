"""The arithmetic of integer inference as an executable specification on unbounded integers."""
