"""Compare intervals and verdicts with the truth of simulated studies."""
