"""Choose a study's winner, test it once, and register its model."""

from fashion_hpo import stores as stores  # its settings, before a module here imports MLflow
