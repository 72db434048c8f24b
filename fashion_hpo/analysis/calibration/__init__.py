"""Intervals and verdicts held against simulated studies."""
