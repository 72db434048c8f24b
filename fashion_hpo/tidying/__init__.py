"""Delete what a store need not keep: whole studies, or files that have served."""

from fashion_hpo import stores as stores  # sets MLflow's environment first
