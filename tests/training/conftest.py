"""The real data in each form that users have, and a mirror on this machine."""

import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from fashion_hpo.training import sources
from fashion_hpo.training.sources import Arrays

WriteCsv = Callable[[Path, Arrays], None]


@pytest.fixture(scope="session")
def real_train(real_data: Path) -> Arrays:
    return sources.read("train", real_data)


@pytest.fixture(scope="session")
def real_test(real_data: Path) -> Arrays:
    return sources.read("test", real_data)


@pytest.fixture(scope="session")
def plain_folder(
    real_train: Arrays, real_test: Arrays, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The four original files, uncompressed."""
    folder = tmp_path_factory.mktemp("plain")
    for part, arrays in (("train", real_train), ("t10k", real_test)):
        count = len(arrays.labels)
        pixels, labels = arrays.images.tobytes(), arrays.labels.tobytes()
        header = struct.pack(">4I", 2051, count, 28, 28)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(header + pixels)
        header = struct.pack(">2I", 2049, count)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(header + labels)
    return folder


@pytest.fixture
def data_folder(plain_folder: Path, tmp_path: Path) -> Path:
    """The four original files, in a folder in which a test may replace some."""
    folder = tmp_path / "given"
    folder.mkdir()
    for path in plain_folder.iterdir():
        (folder / path.name).symlink_to(path)
    return folder


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty world: no data asked for, here, in the system or in the cache; the cache's path."""
    monkeypatch.delenv("FASHION_HPO_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sources, "SYSTEM_FOLDER", tmp_path / "absent")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "cache" / "fashion_hpo"


@pytest.fixture(scope="session")
def write_csv() -> WriteCsv:
    """A writer of Kaggle's form, fast enough for 47 million values."""

    def write(path: Path, arrays: Arrays) -> None:
        rows = np.concatenate((arrays.labels[:, None], arrays.images.reshape(-1, 784)), axis=1)
        words = np.array([f"{value},".rjust(4).encode() for value in range(256)])
        text = words[rows].view(np.uint8).reshape(len(rows), -1)
        text[:, -1] = ord("\n")
        names = ["label", *(f"pixel{number}" for number in range(1, 785))]
        path.write_bytes(",".join(names).encode() + b"\n" + text[text != ord(" ")].tobytes())

    return write


@dataclass
class Mirror:
    """A web server on this machine; `files` is what it serves, by path below its root."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    cut_short: set[str] = field(default_factory=set)  # half of the announced bytes are sent
    silent: set[str] = field(default_factory=set)  # never answered
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    leaving = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.lstrip("/")
            state.requests.append(name)
            if name in state.silent:
                leaving.wait()
                return
            content = state.files.get(name)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            sent = len(content or b"") // (2 if name in state.cut_short else 1)
            self.wfile.write((content or b"")[:sent])

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Mirror(url=f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    leaving.set()
    server.shutdown()
    thread.join()
    server.server_close()
