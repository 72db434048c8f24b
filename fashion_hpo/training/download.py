"""Download the four original files from the data set's official mirrors."""

import gzip
import sys
import zlib
from collections.abc import Iterator, Sequence
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.request import urlopen

from fashion_hpo.files.atomic import write_atomically
from fashion_hpo.training import originals, sources
from fashion_hpo.training.originals import BrokenDataError, IdxFile, MissingDataError

MIRRORS = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)
ORIGINALS = originals.all_idx_files()
CHUNK = 1 << 18  # bytes per step of the progress bar
BAR = 30  # characters


def fetch(
    folder: Path,
    mirrors: Sequence[str] = MIRRORS,
    files: Sequence[IdxFile] = ORIGINALS,
    timeout: float = 30.0,
) -> Path:
    """Download the files (.gz) into the folder and verify them; intact files are kept.

    A mirror may stay silent for `timeout` seconds.  Raises MissingDataError, with the last reason,
    if no mirror delivers a file.
    """
    for file in files:
        if not _is_whole(folder, file):
            content = _from_first_good(mirrors, file, timeout)
            write_atomically(folder / f"{file.name}.gz", content)
    return folder


def _is_whole(folder: Path, file: IdxFile) -> bool:
    try:
        sources.verified(folder, file)
    except (MissingDataError, BrokenDataError):
        return False
    return True


def _from_first_good(mirrors: Sequence[str], file: IdxFile, timeout: float) -> bytes:
    reason = "no mirror is given"
    for mirror in mirrors:
        url = f"{mirror.rstrip('/')}/{file.name}.gz"
        try:
            return _download(url, file, timeout)
        except (OSError, HTTPException, EOFError, zlib.error) as error:
            reason = f"{url}: {error or type(error).__name__}"
        except BrokenDataError as error:
            reason = str(error).partition(";")[0]
    raise MissingDataError(f"{file.name} could not be downloaded ({reason}); {originals.WAYS_OUT}.")


def _download(url: str, file: IdxFile, timeout: float) -> bytes:
    with urlopen(url, timeout=timeout) as response:
        compressed = b"".join(_chunks(response, url))
    originals.check_content(file, gzip.decompress(compressed), url)
    return compressed


def _chunks(response: HTTPResponse, url: str) -> Iterator[bytes]:
    """The body in chunks; shows the progress on stderr."""
    on_terminal = sys.stderr.isatty()
    if not on_terminal:
        print(f"downloading {url}", file=sys.stderr, flush=True)
    total, done = response.length or 0, 0
    while chunk := response.read(CHUNK):
        done += len(chunk)
        if on_terminal:
            _draw_bar(url.rpartition("/")[2], done, total)
        yield chunk
    if on_terminal:
        print(file=sys.stderr)


def _draw_bar(name: str, done: int, total: int) -> None:
    filled = min(BAR, BAR * done // total) if total else 0
    bar = "#" * filled + "." * (BAR - filled)
    print(f"\r{name} [{bar}] {done / 1e6:.1f} MB", end="", file=sys.stderr, flush=True)
