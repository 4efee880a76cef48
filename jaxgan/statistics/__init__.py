"""Intervals, power and tests; numpy and scipy only."""
