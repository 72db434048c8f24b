"""What happens: the one place where ledger, trainer and tracker meet."""

from fashion_hpo import stores as stores  # its settings, before a module here imports MLflow
