"""How a file is written so that nobody meets half of it."""
