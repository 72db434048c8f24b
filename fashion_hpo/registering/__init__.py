"""Choose a study's winner, test it once, and register its model."""

from fashion_hpo import stores as stores  # sets MLflow's environment first
