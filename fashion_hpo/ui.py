"""Open MLflow's UI on a store, on loopback: `python -m fashion_hpo.ui`."""

import argparse
import os
import socket
import sys
from collections.abc import Sequence

from fashion_hpo.reporting import command_line

HOST = "127.0.0.1"


def main(argv: Sequence[str] | None = None) -> int:
    """Becomes MLflow's server; returns 2 if the port is in use or the store is not there."""
    made = command_line.parser("ui", "Open the MLflow UI on the store, for this machine alone.")
    command_line.add_store(made)
    made.add_argument("--port", type=int, default=5000, metavar="N", help="default: 5000")
    return command_line.run(_run, made, argv)


def _run(args: argparse.Namespace) -> int:
    from fashion_hpo.stores.layout import Store

    store = Store.at(args.store)
    store.check_tracking()
    _check_port(args.port)
    print(f"MLflow UI on http://{HOST}:{args.port}  (Ctrl-C stops it)", flush=True)
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        HOST,
        "--port",
        str(args.port),
        "--backend-store-uri",
        store.tracking_uri,
        "--workers",
        "1",
        "--default-artifact-root",
        str(store.artifacts),
    ]
    settings = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    os.execve(sys.executable, command, {**os.environ, **settings})  # signals go to it directly


def _check_port(port: int) -> None:
    if not 1 <= port <= 65535:
        raise ValueError(f"--port is {port}; allowed is 1 to 65535.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise ValueError(f"--port {port} is in use; choose another.") from None


if __name__ == "__main__":
    sys.exit(main())
