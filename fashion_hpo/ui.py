"""Open MLflow's UI on a store, on loopback: `python -m fashion_hpo.ui`."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fashion_hpo.terminal import command_line
from fashion_hpo.terminal.command_line import HOST

if TYPE_CHECKING:
    from fashion_hpo.stores.layout import Store

DANGEROUS = (
    "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE", "MLFLOW_UVICORN_OPTS", "MLFLOW_GUNICORN_OPTS",
)  # fmt: skip
"""Environment variables for the user's other servers, which would override the options here."""

EXPERIMENTS = "/#/experiments?workflowType=machine_learning"
"""The page of experiments; without the query MLflow opens its GenAI pages, without models."""


def main(argv: Sequence[str] | None = None) -> int:
    """Become MLflow's server; returns 2 if the port is in use or the store does not exist."""
    parser = command_line.parser("ui", "Open the MLflow UI on the store, for this machine alone.")
    command_line.add_store(parser)
    command_line.add_port(parser, 5000)
    return command_line.run(_run, parser, argv)


def _run(args: argparse.Namespace) -> int:
    from fashion_hpo.stores.addresses import is_server
    from fashion_hpo.stores.layout import Store, without_password
    from fashion_hpo.stores.reading import store_to_load_from

    address = Store.named(args.store).tracking_uri
    if is_server(address):
        shown = without_password(address)
        raise ValueError(
            f"MLFLOW_TRACKING_URI is the server {shown}; open that address in the browser."
        )
    command_line.check_port(args.port)
    store = store_to_load_from(args.store)
    if store.copied is not None:  # MLflow's server cannot start on a read-only database
        print(
            f"store {store.root} is read-only: the UI shows a copy of its database made now, in "
            f"{store.copied}; changes in the UI are lost"
        )
    print(f"MLflow UI on http://{HOST}:{args.port}{EXPERIMENTS}  (Ctrl-C stops it)", flush=True)
    command = _command(store, args.port)
    os.execve(sys.executable, command, _environment(store))  # so that MLflow gets the signals


def _command(store: "Store", port: int) -> list[str]:
    from fashion_hpo.stores.addresses import artifact_location

    hosts = [f"{HOST}:{port}", f"localhost:{port}"]
    options = {
        "--host": HOST,
        "--port": str(port),
        "--workers": "1",
        "--allowed-hosts": ",".join(hosts),
        "--cors-allowed-origins": ",".join(f"http://{host}" for host in hosts),
        "--default-artifact-root": artifact_location(store.artifacts),
    }
    return [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        *(part for o in options.items() for part in o),
    ]


def _environment(store: "Store") -> dict[str, str]:
    """The environment with the database's address, whose password a command line would show."""
    return {
        **{name: value for name, value in os.environ.items() if name not in DANGEROUS},
        "MLFLOW_BACKEND_STORE_URI": store.tracking_uri,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


if __name__ == "__main__":
    sys.exit(main())
