"""What must hold across the stores of a study; find where it does not, and mend it."""

from fashion_hpo import stores as stores  # its settings, before a module here imports MLflow
