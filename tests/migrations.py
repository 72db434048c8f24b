"""MLflow's newest schema, read once a process: MLflow reads its migrations for each database."""

from functools import cache

from mlflow.store.db import utils

utils._get_latest_schema_revision = cache(utils._get_latest_schema_revision)
