"""Check what must hold across a study's stores, and mend violations."""

from fashion_hpo import stores as stores  # sets MLflow's environment first
