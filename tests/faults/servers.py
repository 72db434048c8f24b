"""A real tracking server, and a proxy before it that loses, delays or refuses replies."""

import os
import runpy
import signal
import socket
import socketserver
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Literal

from tests import forks

HOST = "127.0.0.1"
UP_WITHIN_SECONDS = 60.0
BETWEEN_TWO = ("transfer-encoding", "content-length", "connection")  # headers not passed on
Treatment = Literal["pass", "lose the reply", "refuse", "hang", "slow"]


class TrackingServer:
    """`mlflow server` on loopback, on a database of its own; stopped by its process id.

    Its process is a fork: the imports of `mlflow server` and of its worker took 12 CPU seconds.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: ForkServerProcess | None = None

    def start(self) -> None:
        """Start it, also again, and wait until it answers."""
        self._process = forks.begin(_serve, self.folder, self.port)
        deadline = time.monotonic() + UP_WITHIN_SECONDS
        while not self._answers():
            assert time.monotonic() < deadline, (self.folder / "server.log").read_text()[-2000:]
            time.sleep(0.1)

    def send(self, number: signal.Signals) -> None:
        """A signal to the server and its workers."""
        assert self._process is not None
        assert self._process.pid is not None
        os.killpg(self._process.pid, number)

    def stop(self) -> None:
        """Kill it, as a crash does."""
        if self._process is not None:
            self.send(signal.SIGKILL)
            self._process.join()
            self._process = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.port}/health", timeout=2):
                return True
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False


def _serve(folder: Path, port: int) -> None:
    """MLflow's command, whose worker runs in this process instead of one of its own."""
    from mlflow import server
    from mlflow.cli import cli

    os.setsid()
    with (folder / "server.log").open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    server._exec_cmd = _run_here
    cli([
        "server", "--host", HOST, "--port", str(port),
        "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}",
        "--artifacts-destination", str(folder / "artifacts"), "--workers", "1",
        "--allowed-hosts", "*",
    ])  # fmt: skip


def _run_here(command: list[str], extra_env: dict[str, str], **_: object) -> None:
    """Run `python -m uvicorn ...` in this process."""
    os.environ.update(extra_env)
    python, option, module, *arguments = command
    assert (python, option) == (sys.executable, "-m")
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


@dataclass
class Proxy:
    """Passes requests on to a port; `treat` says, by method and path, what becomes of each."""

    target: int
    treat: Callable[[str, str], Treatment] = lambda method, path: "pass"
    seen: list[tuple[str, str]] = field(default_factory=list)
    slow_seconds: float = 0.5

    def __post_init__(self) -> None:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _handle(self) -> None:
                proxy.handle(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                pass  # clients that give up are what is tested

        self._server = Server((HOST, 0), Handler)
        self._hung = threading.Event()
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def uri(self) -> str:
        """Where clients find it."""
        return f"http://{HOST}:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop serving, and let those that hang go."""
        self._hung.set()
        self._server.shutdown()
        self._server.server_close()

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        """One request and its treatment."""
        path = request.path.partition("?")[0]
        body = _body(request)
        treatment = self.treat(request.command, path)
        self.seen.append((request.command, path))
        request.close_connection = treatment != "pass"
        if treatment == "refuse":
            return
        if treatment == "hang":
            self._hung.wait(60)
            return
        if treatment == "slow":
            time.sleep(self.slow_seconds)
        headers = {k: v for k, v in request.headers.items() if k.lower() not in BETWEEN_TWO}
        headers["Content-Length"] = str(len(body))
        with closing(HTTPConnection(HOST, self.target, timeout=60)) as connection:
            connection.request(request.command, request.path, body, headers)
            with connection.getresponse() as reply:
                content = reply.read()
        if treatment == "lose the reply":
            return
        request.send_response(reply.status)
        for name, value in reply.getheaders():
            if name.lower() not in BETWEEN_TWO:
                request.send_header(name, value)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)


def _body(request: BaseHTTPRequestHandler) -> bytes:
    """A request's body; clients send an empty file in chunks, that is as one of length 0."""
    if request.headers.get("Transfer-Encoding") != "chunked":
        return request.rfile.read(int(request.headers.get("Content-Length") or 0))
    body = b""
    while size := int(request.rfile.readline(), 16):
        body += request.rfile.read(size)
        request.rfile.readline()
    request.rfile.readline()
    return body


def free_port() -> int:
    """A port of loopback that nobody uses."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
