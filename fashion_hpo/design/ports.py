"""Where our own servers listen, and how MLflow's pages are asked for."""

HOST = "127.0.0.1"  # this machine alone
UI_PORT = 5000  # of MLflow's UI, unless `ui` is told another
TRAINING = "workflowType=machine_learning"
"""Without this query MLflow opens its GenAI pages, whatever an experiment's kind."""
