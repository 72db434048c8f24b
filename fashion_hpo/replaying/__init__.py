"""Train a logged trial again and compare every value."""

from fashion_hpo import stores as stores  # its settings, before a module here imports MLflow
