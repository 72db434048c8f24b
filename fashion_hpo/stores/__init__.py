"""Where results are kept.  The ledger (Optuna) is the truth, tracking (MLflow) its mirror.

MLflow reads these settings when it is imported: no usage telemetry from our users' machines, no
unpickling, which can run any code, no progress bars between our own lines, and no waiting for a
server that is away: a call of its client gives up after ten seconds, and is not repeated blindly,
because a call whose reply was lost may have been carried out.
"""

import logging
import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
for noisy in ("mlflow", "alembic"):
    logging.getLogger(noisy).setLevel(logging.WARNING)
