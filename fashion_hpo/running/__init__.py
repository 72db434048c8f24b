"""Run studies: the only room where ledger, trainer and tracker meet."""

from fashion_hpo import stores as stores  # sets MLflow's environment first
