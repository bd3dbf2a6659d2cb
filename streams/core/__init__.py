"""Every decision about a headline, made by pure code: no I/O, no clock, no randomness.

Live agents and replay call the same functions of this package; only the state behind them differs.
"""
