"""Where results are kept.  The ledger (Optuna) is the truth, tracking (MLflow) its mirror.

MLflow reads these settings when it is imported: no usage telemetry from our users' machines, and
no unpickling, which can run any code.
"""

import logging
import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
for noisy in ("mlflow", "alembic"):
    logging.getLogger(noisy).setLevel(logging.WARNING)
