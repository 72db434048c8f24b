"""Where our own servers listen."""

HOST = "127.0.0.1"  # this machine alone
UI_PORT = 5000  # of MLflow's UI, unless `ui` is told another
