import gc

gc.set_threshold(100_000, 50, 100)  # what MLflow and torch import is large, and stays
