"""Open MLflow's UI on a store, on loopback: `python -m fashion_hpo.ui`."""

import argparse
import json
import os
import sys
import time
import webbrowser
from collections.abc import Sequence
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

from fashion_hpo.design.ports import HOST, TRAINING, UI_PORT
from fashion_hpo.terminal import command_line

if TYPE_CHECKING:
    from fashion_hpo.stores.layout import Store

DANGEROUS = (
    "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE", "MLFLOW_UVICORN_OPTS", "MLFLOW_GUNICORN_OPTS",
)  # fmt: skip
"""Environment variables for the user's other servers, which would override the options here."""

START_SECONDS, POLL_SECONDS = 120.0, 0.2


def main(argv: Sequence[str] | None = None) -> int:
    """Become MLflow's server; returns 2 if the port is in use or the store does not exist."""
    parser = command_line.parser("ui", "Open the MLflow UI on the store, for this machine alone.")
    command_line.add_store(parser)
    command_line.add_port(parser, UI_PORT)
    parser.add_argument("--open", action="store_true", help="open the newest study in a browser")
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
    print(f"MLflow's UI starts on http://{HOST}:{args.port} (Ctrl-C stops it)", flush=True)
    server = os.getpid()
    if os.fork() == 0:
        try:
            _announce(args.port, server, args.open)
        finally:
            os._exit(0)
    command = _command(store, args.port)
    os.execve(sys.executable, command, _environment(store))  # so that MLflow gets the signals


def _announce(port: int, server: int, opens: bool) -> None:
    """Print the pages' addresses as soon as the server answers; nothing if it has ended."""
    address, deadline = f"http://{HOST}:{port}", time.monotonic() + START_SECONDS
    while (page := _newest(port)) is None:
        if os.getppid() != server or time.monotonic() > deadline:
            return
        time.sleep(POLL_SECONDS)
    print(f"all studies: {address}/#/experiments?{TRAINING}", flush=True)
    if page:
        print(f"the newest:  {address}/{page}", flush=True)
    if opens and not webbrowser.open(f"{address}/{page or f'#/experiments?{TRAINING}'}"):
        print("no browser could be opened here; open the address above.", flush=True)


def _newest(port: int) -> str | None:
    """The page of the newest study's runs; "" if there is none, None if the server is away."""
    try:
        experiments = _ask(port, "experiments/search", {"max_results": 1000})["experiments"]
        runs = _ask(
            port,
            "runs/search",
            {
                "experiment_ids": [experiment["experiment_id"] for experiment in experiments],
                "filter": "tags.`fashion_hpo.kind` = 'study'",
                "order_by": ["attributes.start_time DESC"],
                "max_results": 1,
            },
        ).get("runs", [])
    except OSError:  # the server has not started yet, or has ended
        return None
    if not runs:
        return ""
    return f"#/experiments/{runs[0]['info']['experiment_id']}/runs?{TRAINING}"


def _ask(port: int, call: str, body: dict[str, Any]) -> dict[str, Any]:
    connection = HTTPConnection(HOST, port, timeout=START_SECONDS)  # through no proxy
    try:
        kind = {"Content-Type": "application/json"}
        connection.request("POST", f"/api/2.0/mlflow/{call}", json.dumps(body), kind)
        answer: dict[str, Any] = json.load(connection.getresponse())
        return answer
    finally:
        connection.close()


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
