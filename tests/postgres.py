"""A PostgreSQL server for the tests: the system's own programs, a folder and a port of its own."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Pool, event

OWNER = "postgres"  # PostgreSQL refuses to run as root
USER, PASSWORD = "tester", "a-secret"
START_SECONDS = 60.0


class Server:
    """One cluster, from `start` to `stop` as a child process."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.port = _free_port()
        self._programs = programs
        self._folder = folder
        self._numbers = count(1)
        self._process: subprocess.Popen[bytes] | None = None
        password = folder / "password"
        password.write_text(PASSWORD)
        made = [str(programs / "initdb"), "--pgdata", str(folder / "data"), "--username", USER]
        made += ["--auth", "scram-sha-256", "--pwfile", str(password), "--no-sync"]
        made += ["--encoding", "UTF8", "--locale", "C"]
        if os.geteuid() == 0:
            shutil.chown(folder, OWNER)
            shutil.chown(password, OWNER)
        subprocess.run(made, check=True, capture_output=True, cwd=folder, **_as_owner())

    def start(self) -> None:
        """Returns when it takes connections."""
        command = [str(self._programs / "postgres"), "-D", str(self._folder / "data")]
        command += ["-p", str(self.port), "-h", "127.0.0.1", "-k", str(self._folder), "-F"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self._folder, **_as_owner()
            )
        ready = [str(self._programs / "pg_isready"), "-h", "127.0.0.1", "-p", str(self.port)]
        deadline = time.monotonic() + START_SECONDS
        while subprocess.run(ready, capture_output=True).returncode != 0:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self._folder / "log").read_text())
            time.sleep(0.05)

    def stop(self) -> None:
        """Breaks off every connection."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(START_SECONDS)

    def restart(self) -> None:
        """Stop and start at the same address, with the same databases."""
        self.stop()
        self.start()

    def url(self, database: str, password: str = PASSWORD) -> str:
        """A database's address."""
        return f"postgresql://{USER}:{password}@127.0.0.1:{self.port}/{database}"

    def fresh_database(self, like: str | None = None) -> str:
        """The address of a database without tables, or of a copy of one that nobody uses now."""
        name = f"test_{next(self._numbers)}"
        template = "template0" if like is None else like.rpartition("/")[2]
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        return self.url(name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A running server; tests that need it are skipped where it is not installed."""
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))  # pytest's own folders are closed to OWNER
    try:
        server = Server(programs, folder)
        server.start()
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def closed_connections() -> Iterator[None]:
    """The test's connections to databases are closed after it."""
    connections: list[Any] = []

    def keep(connection: Any, _: Any) -> None:
        connections.append(connection)

    event.listen(Pool, "connect", keep)
    yield
    event.remove(Pool, "connect", keep)
    for connection in connections:
        connection.close()


@pytest.fixture
def database(postgres: Server, closed_connections: None) -> str:
    """The address of a fresh database."""
    return postgres.fresh_database()


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        programs = found[-1].parent
    elif on_path := shutil.which("initdb"):
        programs = Path(on_path).parent
    else:
        pytest.skip("PostgreSQL is not installed here (Debian: apt-get install postgresql)")
    if os.geteuid() == 0 and OWNER not in {user.pw_name for user in pwd.getpwall()}:
        pytest.skip(f"PostgreSQL does not run as root, and there is no user {OWNER}")
    return programs


def _as_owner() -> dict[str, Any]:
    return {"user": OWNER, "group": OWNER, "extra_groups": []} if os.geteuid() == 0 else {}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
