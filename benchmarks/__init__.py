"""Benchmarks: each figure beside a peer's, taken in the same run. ``make bench``, or ``make bench ONLY=name``."""
