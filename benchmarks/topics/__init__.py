"""How well the built-in topics agree with a reader of the real stream."""
