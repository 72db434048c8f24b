"""Estimates with their uncertainty: intervals, comparisons, verdicts."""
