"""Where results are stored: the ledger (Optuna) is the truth, tracking (MLflow) its mirror.

MLflow reads these settings when it is imported.  They switch off usage telemetry, progress bars and
unpickling, which can run any code.  A call to a server gives up after ten seconds and is not
repeated: the server may have carried out a call whose reply was lost.
"""

import logging
import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # two lines a run
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
for logger in ("mlflow", "alembic"):
    logging.getLogger(logger).setLevel(logging.WARNING)
