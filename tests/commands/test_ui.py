"""MLflow's server as `ui` starts it: a real one, with what a hostile page may send to it."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import mlflow.server
import pytest

from fashion_hpo import ui
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.tracking import KIND

HOST = "127.0.0.1"
SEARCH = "/api/2.0/mlflow/experiments/search"
SECONDS = 60

pytestmark = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="looks into /proc")


class Ui(NamedTuple):
    """A running server: its port and the process that was started."""

    port: int
    pid: int


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def ask(port: int, method: str, path: str, body: object = None, **headers: str) -> tuple[int, str]:
    """The status and the text of a reply."""
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    try:
        given = {"Content-Type": "application/json", **headers}
        connection.request(method, path, None if body is None else json.dumps(body), given)
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def running(fresh_databases: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    store = tmp_path_factory.mktemp("ui")
    (store / "mlflow.db").write_bytes((fresh_databases / "mlflow.db").read_bytes())
    port = free_port()
    command = [sys.executable, "-m", "fashion_hpo.ui", "--store", str(store), "--port", str(port)]
    hostile = {
        "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "true",
        "MLFLOW_SERVER_ALLOWED_HOSTS": "*",
    }
    environment = {**os.environ, **hostile}
    environment.pop("MLFLOW_TRACKING_URI", None)
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            wait_for(port)
            yield Ui(port, server.pid)
        finally:
            server.terminate()
    with socket.socket() as probe:
        assert probe.connect_ex((HOST, port)) != 0, "the server outlived its command"


def wait_for(port: int) -> None:
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            assert ask(port, "GET", "/health") == (200, "OK")
            return
        except OSError:
            assert time.monotonic() < deadline, "no reply"
            time.sleep(0.2)


def descendants(pid: int) -> dict[int, str]:
    """Command lines of a process and of all that it started."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return {one: Path(f"/proc/{one}/cmdline").read_text().replace("\0", " ") for one in found}


def test_the_ui_answers_by_the_names_of_this_machine(running: Ui) -> None:
    for host in (f"{HOST}:{running.port}", f"localhost:{running.port}"):
        status, text = ask(running.port, "POST", SEARCH, {"max_results": 5}, Host=host)
        assert status == 200
        assert "experiments" in json.loads(text)
        assert ask(running.port, "GET", "/", Host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{}", "127.0.0.1", "192.168.0.1", "127.0.0.1:1"]
)
def test_another_host_is_refused(running: Ui, host: str) -> None:
    for method, path, body in (("POST", SEARCH, {"max_results": 5}), ("GET", "/", None)):
        status, text = ask(running.port, method, path, body, Host=host.format(running.port))
        assert status == 403
        assert "experiments" not in text


def test_another_sites_page_cannot_write(running: Ui) -> None:
    create = "/api/2.0/mlflow/experiments/create"
    for origin in ("http://evil.example", "https://127.0.0.1.evil.example", "null"):
        status, _ = ask(running.port, "POST", create, {"name": "evil"}, Origin=origin)
        assert status == 403
    own = f"http://{HOST}:{running.port}"
    assert ask(running.port, "POST", create, {"name": "own"}, Origin=own)[0] == 200
    names = ask(running.port, "POST", SEARCH, {"max_results": 50})[1]
    assert '"own"' in names
    assert '"evil"' not in names


def test_it_listens_on_loopback_alone(running: Ui) -> None:
    listening = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            address, _, port = local.rpartition(":")
            if int(port, 16) == running.port and state == "0A":
                listening.append(address)
    assert listening == ["0100007F"]


def test_there_are_no_job_consumers_and_no_address_on_a_command_line(running: Ui) -> None:
    found = descendants(running.pid)
    assert any("uvicorn" in command for command in found.values())
    assert 2 <= len(found) <= 4
    for command in found.values():
        assert "huey" not in command
        assert "job" not in command
        assert "sqlite" not in command


def test_a_databases_password_is_not_on_the_command_line(tmp_path: Path) -> None:
    """Of the command that takes the process over; an environment is for its owner's eyes."""
    store = Store(tmp_path, tracking="postgresql://me:s3cret@host/db")
    command = ui._command(store, 5000)
    assert "s3cret" not in " ".join(command)
    environment = ui._environment(store)
    assert environment["MLFLOW_BACKEND_STORE_URI"] == "postgresql://me:s3cret@host/db"


def test_a_password_reaches_the_server_and_no_command_line(tmp_path: Path) -> None:
    """A server that fails at once, because nothing listens at its database's address."""
    url = "postgresql+psycopg://me:s3cret@127.0.0.1:1/db"
    environment = {**os.environ, "MLFLOW_TRACKING_URI": url}
    command = [sys.executable, "-m", "fashion_hpo.ui", "--store", str(tmp_path)]
    command += ["--port", str(free_port())]
    seen: set[str] = set()
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        try:
            assert server.stdout is not None
            for line in server.stdout:  # pragma: no branch
                seen |= set(descendants(server.pid).values())
                assert "s3cret" not in line
                if "connection" in line.lower():
                    break
        finally:
            server.kill()
    assert any("mlflow server" in command for command in seen)
    assert not any("s3cret" in command for command in seen)


def test_the_ui_of_a_server_is_the_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:s3cret@127.0.0.1:1")
    assert ui.main(["--store", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert err == (
        "error: MLFLOW_TRACKING_URI is the server http://***@127.0.0.1:1; open that address in the "
        "browser.\n"
    )


def test_the_printed_page_is_one_that_mlflow_knows() -> None:
    """A part of the address that MLflow no longer reads would be without effect, and unseen."""
    name, _, value = ui.TRAINING.partition("=")
    scripts = Path(mlflow.server.__file__).parent.glob("js/build/static/js/*.js")
    texts = [script.read_text(encoding="utf-8") for script in scripts]
    assert any(f'.get("{name}")' in text for text in texts)
    assert any(f'"{value}"' in text for text in texts)
    assert any(f'"{KIND["mlflow.experimentKind"]}"' in text for text in texts)
