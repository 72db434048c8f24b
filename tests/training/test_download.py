import gzip
import hashlib
import os
import socket
import sys
from pathlib import Path

import pytest

from fashion_hpo.training.download import MIRRORS, fetch
from fashion_hpo.training.originals import IdxFile, MissingDataError
from tests.training.conftest import Mirror

HEADER = b"\0\0\x08\1" + bytes(4)
CONTENTS = {"one": HEADER + b"\1" * 5000, "two": HEADER + b"\2" * 300}
FILES = [IdxFile(n, len(c), hashlib.sha256(c).hexdigest(), 8) for n, c in CONTENTS.items()]
ONE = FILES[:1]


@pytest.fixture(autouse=True)
def good(mirror: Mirror) -> None:
    """Below good/ the mirror serves both files."""
    for name, content in CONTENTS.items():
        mirror.files[f"good/{name}.gz"] = gzip.compress(content)


def unpacked(folder: Path) -> dict[str, bytes]:
    return {path.stem: gzip.decompress(path.read_bytes()) for path in folder.iterdir()}


def test_the_mirrors_are_the_data_sets_own() -> None:
    assert MIRRORS == (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    )


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_files_are_put_in_place(tmp_path: Path, mirror: Mirror, slash: str) -> None:
    assert fetch(tmp_path / "new", [f"{mirror.url}/good{slash}"], FILES) == tmp_path / "new"
    assert unpacked(tmp_path / "new") == CONTENTS


def test_whole_files_are_kept_and_damaged_ones_fetched_again(
    tmp_path: Path, mirror: Mirror
) -> None:
    (tmp_path / "one").write_bytes(CONTENTS["one"])
    (tmp_path / "two.gz").write_bytes(gzip.compress(CONTENTS["two"])[:-9])
    fetch(tmp_path, [f"{mirror.url}/good"], FILES)
    assert mirror.requests == ["good/two.gz"]
    assert gzip.decompress((tmp_path / "two.gz").read_bytes()) == CONTENTS["two"]


def damage(mirror: Mirror, kind: str) -> str:
    """Make bad/one.gz bad in one way; the words that tell of it."""
    name, whole = "bad/one.gz", mirror.files["good/one.gz"]
    mirror.files[name] = whole
    match kind:
        case "absent":
            del mirror.files[name]
            return "HTTP Error 404"
        case "cut short":
            mirror.cut_short.add(name)
            return "end-of-stream"
        case "truncated":
            mirror.files[name] = whole[:-3]
            return "end-of-stream"
        case "garbled":
            mirror.files[name] = whole[:10] + b"\xff" * 20
            return "decompressing"
        case "web page":
            mirror.files[name] = b"<html>Please log in</html>"
            return "Not a gzipped file"
        case "other content":
            mirror.files[name] = mirror.files["good/two.gz"]
            return "truncated, 308 of 5,008 bytes"
        case "silent":
            mirror.silent.add(name)
            return "timed out"
    raise AssertionError(kind)


DAMAGES = ["absent", "cut short", "truncated", "garbled", "web page", "other content", "silent"]


@pytest.mark.parametrize("kind", DAMAGES)
def test_after_a_failure_the_next_mirror_is_tried(
    tmp_path: Path, mirror: Mirror, kind: str
) -> None:
    damage(mirror, kind)
    fetch(tmp_path, [f"{mirror.url}/bad", f"{mirror.url}/good"], ONE, timeout=0.3)
    assert mirror.requests == ["bad/one.gz", "good/one.gz"]
    assert unpacked(tmp_path) == {"one": CONTENTS["one"]}


@pytest.mark.parametrize("kind", DAMAGES)
def test_where_all_fail_the_reason_and_the_ways_out_are_told(
    tmp_path: Path, mirror: Mirror, kind: str
) -> None:
    words = damage(mirror, kind)
    with pytest.raises(MissingDataError) as error:
        fetch(tmp_path, [f"{mirror.url}/bad"], ONE, timeout=0.3)
    for expected in (words, f"{mirror.url}/bad/one.gz", "apt-get install", "FASHION_HPO_DATA"):
        assert expected in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_mirror_that_cannot_be_reached_is_passed_over(tmp_path: Path, mirror: Mirror) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    fetch(tmp_path, [f"http://127.0.0.1:{port}", f"{mirror.url}/good"], ONE)
    assert unpacked(tmp_path) == {"one": CONTENTS["one"]}


def test_off_a_terminal_each_file_is_one_plain_line(
    tmp_path: Path, mirror: Mirror, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch(tmp_path, [f"{mirror.url}/good"], FILES)
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        f"downloading {mirror.url}/good/{name}.gz" for name in CONTENTS
    ]
    assert said.out == ""


def test_on_a_terminal_a_bar_fills(
    tmp_path: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.openpty()
    with open(writing, "w") as terminal, open(reading, "rb", buffering=0) as screen:
        monkeypatch.setattr(sys, "stderr", terminal)
        fetch(tmp_path, [f"{mirror.url}/good"], ONE)
        shown = screen.read(4096).decode()
    assert f"\rone.gz [{'#' * 30}] 0.0 MB" in shown
    assert shown.endswith("\n")
