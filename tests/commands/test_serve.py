"""`serve` and `predict` on a store with a champion, `serve` as a process of its own."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from fashion_hpo import predict, serve
from fashion_hpo.stores import registry
from fashion_hpo.stores.layout import Store
from tests.stores.test_registry import register

HOST = "127.0.0.1"
SECONDS = 60


@pytest.fixture
def champion(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A store's folder, and that of its champion's files."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    tracker, version = register(store, tmp_path / "model")
    return store.root, registry.download(tracker.uri, str(version.source))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def serving(store: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """The command, once it answers."""
    command = [sys.executable, "-m", "fashion_hpo.serve", "--store", str(store)]
    command += ["--port", str(port)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as server:
        try:
            deadline = time.monotonic() + SECONDS
            while not answers(port):
                assert server.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield server
        finally:
            server.kill()


def ask(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    try:
        connection.request(method, path, body, {"Content-Type": "image/png"})
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    finally:
        connection.close()


def answers(port: int) -> bool:
    try:
        return ask(port, "GET", "/health") == (200, '{"status":"ok"}')
    except OSError:
        return False


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_what_predict_says_until_it_is_stopped(
    champion: tuple[Path, Path],
    signum: signal.Signals,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    picture = tmp_path / "picture.png"
    Image.linear_gradient("L").save(picture)
    assert predict.main([str(picture), "--store", str(champion[0])]) == 0
    best = capsys.readouterr().out.splitlines()[0]
    port = free_port()
    with serving(champion[0], port) as server:
        status, text = ask(port, "POST", "/predict", picture.read_bytes())
        (found,) = json.loads(text)["predictions"]
        assert status == 200
        assert best.startswith(found["class"])
        assert best.endswith(f" {found['probabilities'][found['class']]:.1%}")
        assert ask(port, "POST", "/predict", b"no image")[0] == 422
        if Path("/proc/net/tcp").exists():
            assert listening(port) == ["0100007F"]
        server.send_signal(signum)
        out, err = server.communicate(timeout=SECONDS)
    assert server.returncode == 0
    assert f"{registry.REGISTERED_NAME} version 1 on http://{HOST}:{port}" in out
    assert '"POST /predict HTTP/1.1" 200' in out
    assert "Traceback" not in err


def test_what_was_changed_in_a_picture_is_told(
    champion: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "bright.png"
    article = Image.new("L", (280, 280), 250)
    article.paste(20, (60, 40, 160, 260))
    article.save(picture)
    assert predict.main([str(picture), "--store", str(champion[0])]) == 0
    said = capsys.readouterr()
    assert said.out.count("%") == 3
    assert said.out.endswith(f"by {registry.REGISTERED_NAME} version 1\n")
    assert said.err == (
        f"note: image {picture}: inverted, because the background is light\n"
        f"note: image {picture}: cropped to the article and centred\n"
    )


def test_what_was_changed_in_many_pictures_is_told_once(
    champion: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    article = Image.new("L", (280, 280), 250)
    article.paste(20, (60, 40, 160, 260))
    names = [f"{number}.png" for number in range(10)]
    for name in names:
        article.save(tmp_path / name)
    assert predict.main([str(tmp_path), "--store", str(champion[0])]) == 0
    said = capsys.readouterr()
    assert said.out.count("\n") == 11, "a line for each picture, and the model"
    assert said.err == (
        "note: all 10 images: inverted, because the background is light\n"
        "note: all 10 images: cropped to the article and centred\n"
    )
    for name in names[1:]:
        Image.eval(article, lambda value: 255 - value).save(tmp_path / name)
    Image.new("L", (28, 28)).save(tmp_path / "a.png")
    Image.new("L", (28, 28)).save(tmp_path / "b.png")
    assert predict.main([str(tmp_path), "--store", str(champion[0])]) == 0
    framed = ", ".join(str(tmp_path / name) for name in names[:8])
    assert capsys.readouterr().err == (
        f"note: image {tmp_path / '0.png'}: inverted, because the background is light\n"
        f"note: images {framed} and 2 more (--json shows all): cropped to the article and centred\n"
        f"note: images {tmp_path / 'a.png'}, {tmp_path / 'b.png'}: nothing stands out from the "
        "background\n"
    )


def test_a_folder_is_classified_whatever_is_wrong_with_one_file(
    champion: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("a.png", "b.jpg"):
        Image.linear_gradient("L").save(folder / name)
    (folder / "broken.png").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("not asked")
    assert predict.main([str(folder), "--store", str(champion[0])]) == 2
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert [line.partition(": ")[0] for line in lines[:2]] == [
        str(folder / "a.png"), str(folder / "b.jpg")
    ]  # fmt: skip
    assert lines[-1] == "1 of 3 files are no pictures"
    assert f"error: image {folder / 'broken.png'} is not an image of a known format" in said.err
    assert predict.main([str(folder), "--json", "--store", str(champion[0])]) == 2
    answer = json.loads(capsys.readouterr().out)
    assert answer["model"] == {"name": registry.REGISTERED_NAME, "version": "1"}
    assert [Path(entry["file"]).name for entry in answer["predictions"]] == ["a.png", "b.jpg"]
    assert [Path(entry["file"]).name for entry in answer["errors"]] == ["broken.png"]


def test_a_folder_without_pictures_is_refused(
    champion: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert predict.main([str(tmp_path / "empty"), "--store", str(champion[0])]) == 2
    assert "has no image files; known endings are .png" in capsys.readouterr().err


def listening(port: int) -> list[str]:
    """The addresses at which something listens on this port."""
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    local = [row[1].rpartition(":") for row in rows if row[3] == "0A"]
    return [address for address, _, number in local if int(number, 16) == port]


def refusals(store: Path, picture: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What `predict` and `serve` say, one sentence each."""
    found = []
    Image.new("L", (28, 28)).save(picture)
    for command, arguments in ((predict, [str(picture)]), (serve, ["--port", str(free_port())])):
        code = command.main([*arguments, "--store", str(store)])
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.count("\n") == 1
        found.append(f"{code} {printed.err}")
    return found


def test_without_a_champion_nothing_is_served(
    store: Store,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for said in refusals(store.root, tmp_path / "a.png", capsys):
        assert said.startswith(f"2 error: {registry.CHAMPION_URI} cannot be read (")
        register = f"python -m fashion_hpo.register STUDY --store {store.root}"
        assert said.endswith(f"; register a model with `{register}`.\n")


def test_a_champion_that_was_altered_is_not_served(
    champion: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (champion[1] / "data" / "model.pt2").open("ab") as file:
        file.write(b"more")
    for said in refusals(champion[0], tmp_path / "a.png", capsys):
        assert said.startswith(f"1 error: {registry.REGISTERED_NAME} version 1 is not what was ")
        assert "data/model.pt2 is altered" in said


def test_predict_explains_each_picture_in_a_folder(
    champion: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = [tmp_path / "a" / "boot.png", tmp_path / "b" / "boot.png"]
    for picture in pictures:
        picture.parent.mkdir()
        Image.linear_gradient("L").save(picture)
    typed = [*map(str, pictures), "--store", str(champion[0]), "--explain"]
    for where, names in ((tmp_path / "maps", ["boot.png", "boot-2.png"]),) * 2:  # again: the same
        assert predict.main([*typed, str(where), "--json"]) == 0
        told = json.loads(capsys.readouterr().out)["predictions"]
        assert [entry["explanation"] for entry in told] == [str(where / name) for name in names]
        for name in names:
            with Image.open(where / name) as drawn:
                assert drawn.size == (456, 224)
    assert predict.main([*typed, str(tmp_path / "maps")]) == 0
    assert f"where it looks in {pictures[0]}: {tmp_path / 'maps' / 'boot.png'}" in (
        capsys.readouterr().out
    )
    assert predict.main([*typed, str(pictures[0])]) == 2
    assert capsys.readouterr().err == (
        f"error: --explain is {pictures[0]}, which is no folder; name another.\n"
    )
