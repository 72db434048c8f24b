"""Run studies from Python, and hold their results: what notebooks and programs call."""
