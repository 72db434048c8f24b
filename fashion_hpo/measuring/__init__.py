"""Measure the speed of trainer, ledger and workers; estimate a study's time."""

from fashion_hpo import stores as stores  # its settings, before a module here imports MLflow
