"""Where the data files are looked for, how they are read, and what proves them whole.

Only `data` and `final_images` import this: everyone else gets splits, never files.
"""

import gzip
import hashlib
import os
import warnings
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fashion_hpo.training.originals import IDX_FILES, WAYS_OUT, IdxFile, Part, check_content
from fashion_hpo.training.originals import BrokenDataError as BrokenDataError
from fashion_hpo.training.originals import MissingDataError as MissingDataError
from fashion_hpo.training.originals import all_idx_files as all_idx_files


class Arrays(NamedTuple):
    """images uint8 (N, 28, 28), labels uint8 (N,)."""

    images: np.ndarray
    labels: np.ndarray


IDX_NAMES = [file.name for file in all_idx_files()]
CSV_FILES: dict[Part, str] = {"train": "fashion-mnist_train.csv", "test": "fashion-mnist_test.csv"}
ROWS = {"train": 60_000, "test": 10_000}
GZIP = b"\x1f\x8b"  # how a compressed file begins
PACKED = (".zip", ".tar", ".tar.gz", ".tgz", ".7z", ".rar")
SYSTEM_FOLDER = Path("/usr/share/datasets/fashion-mnist")
SUBFOLDERS = (".", "FashionMNIST/raw", "data/fashion", "fashion")
"""Where torchvision and the data set's own repository have the files below a folder."""


def read(part: Part, folder: Path | None = None) -> Arrays:
    """The verified images and labels of one part; the sources are idx (plain, .gz) or CSV.

    Every file of the set is checked, also those of the other part: missing or broken test files
    are told of before a long study, not after it.
    """
    folder = find(folder)
    lacks_idx, lacks_csv = _lacking(folder, IDX_NAMES), _lacking(folder, CSV_FILES.values())
    if lacks_idx and (not lacks_csv or len(lacks_idx) == len(IDX_NAMES)):
        _check_complete(folder, lacks_csv)
        return {other: _read_csv(folder, other) for other in CSV_FILES}[part]
    _check_complete(folder, lacks_idx)
    contents = {file.name: verified(folder, file) for file in all_idx_files()}
    images, labels = IDX_FILES[part]
    pixels = np.frombuffer(contents[images.name], np.uint8, offset=images.header)
    return Arrays(
        pixels.reshape(-1, 28, 28),
        np.frombuffer(contents[labels.name], np.uint8, offset=labels.header),
    )


def find(folder: Path | None = None) -> Path:
    """The first folder that has a set of files.

    A folder asked for by argument or FASHION_HPO_DATA is the only one looked at, so that a typing
    mistake never trains on other data; else data/, the system's folder, the user's cache.
    """
    asked = asked_folder(folder)
    if asked is not None:
        # raw/ is in torchvision's FashionMNIST; data/raw/, unasked, may be of another data set.
        chosen = _with_files(asked, (*SUBFOLDERS, "raw"))
        if chosen is None:
            raise MissingDataError(
                f"data folder {asked} {_instead(asked)}; correct --data or FASHION_HPO_DATA, or "
                "leave it out."
            )
        return chosen
    for place in (Path("data"), SYSTEM_FOLDER, cache_folder()):
        if (chosen := _with_files(place, SUBFOLDERS)) is not None:
            return chosen
    raise MissingDataError(f"Fashion-MNIST was not found; {WAYS_OUT}.")


def asked_folder(folder: Path | None = None) -> Path | None:
    """The folder that the argument or FASHION_HPO_DATA names, if either does."""
    asked = folder or os.environ.get("FASHION_HPO_DATA")
    return Path(os.path.expanduser(asked)) if asked else None


def cache_folder() -> Path:
    """The user's cache, where a download is kept; data/ for a user without a home folder."""
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "fashion_hpo"
    try:
        return Path.home() / ".cache" / "fashion_hpo"
    except RuntimeError:
        return Path("data")


def is_partial(folder: Path) -> bool:
    """Whether some of the four files are there and some are not, as after an interruption."""
    return 0 < len(_lacking(folder, IDX_NAMES)) < len(IDX_NAMES)


def row_digests(arrays: Arrays) -> list[bytes]:
    """A keyed hash of each image and its label: identity that does not depend on order."""
    rows = np.concatenate((arrays.images.reshape(-1, 784), arrays.labels[:, None]), axis=1)
    raw, width = rows.tobytes(), rows.shape[1]
    return [
        hashlib.blake2b(raw[at : at + width], digest_size=16, key=b"fashion_hpo split 1").digest()
        for at in range(0, len(raw), width)
    ]


def verified(folder: Path, file: IdxFile) -> bytes:
    """A file's uncompressed content, proven to be the original's."""
    path = _path(folder, file.name)
    if path is None:
        raise MissingDataError(f"{folder} has no {file.name} (nor .gz); {WAYS_OUT}.")
    try:
        content = path.read_bytes()
        if content.startswith(GZIP):  # whatever its name: browsers unpack files and keep the name
            content = gzip.decompress(content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BrokenDataError(f"{path} is truncated or broken ({error}); replace it.") from None
    check_content(file, content, str(path))
    return content


def _path(folder: Path, name: str) -> Path | None:
    """The file of this name, also in upper case, with dots (train-images.idx3-ubyte) or as .gz."""
    paths = folder.iterdir() if folder.is_dir() else ()
    named = [path for path in paths if _plain(path.name) == _plain(name) and path.is_file()]
    return min(named, key=lambda path: (path.suffix.lower() == ".gz", path.name), default=None)


def _plain(name: str) -> str:
    return name.lower().removesuffix(".gz").replace(".", "-")


def _lacking(folder: Path, names: Iterable[str]) -> list[str]:
    return [name for name in names if _path(folder, name) is None]


def _check_complete(folder: Path, lacking: list[str]) -> None:
    if lacking:
        raise MissingDataError(f"{folder} has no {', '.join(lacking)} (nor .gz); {WAYS_OUT}.")


def _with_files(folder: Path, subfolders: Iterable[str]) -> Path | None:
    """The folder, or a place below it, if any of the files is there."""
    names = {_plain(name) for name in (*IDX_NAMES, *CSV_FILES.values())}
    for place in (folder / below for below in subfolders):
        if place.is_dir() and any(_plain(path.name) in names for path in place.iterdir()):
            return place
    return None


def _instead(folder: Path) -> str:
    """What a folder that was asked for is, if it has no data."""
    if not folder.exists():
        return "is not there"
    if not folder.is_dir():
        return "is a file, not the folder that holds the unpacked data files"
    packed = sorted(path.name for path in folder.iterdir() if path.name.lower().endswith(PACKED))
    unpack = f" (unpack {packed[0]} there)" if packed else ""
    return f"holds neither the four idx files nor Kaggle's two CSV files{unpack}"


def _read_csv(folder: Path, part: Part) -> Arrays:
    path = _path(folder, CSV_FILES[part])
    assert path is not None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a file without rows, which is refused below
            rows = np.loadtxt(path, dtype=np.uint8, delimiter=",", skiprows=1, ndmin=2)
    except (ValueError, OverflowError) as error:
        raise BrokenDataError(f"{path} is not Kaggle's CSV form ({error}); replace it.") from None
    if rows.shape != (ROWS[part], 785):
        raise BrokenDataError(
            f"{path} has {rows.shape[0]:,} rows of {rows.shape[1]} values, expected "
            f"{ROWS[part]:,} of 785 (label, then 784 pixels); replace it."
        )
    arrays = Arrays(np.ascontiguousarray(rows[:, 1:]).reshape(-1, 28, 28), rows[:, 0].copy())
    digest = hashlib.sha256(b"".join(sorted(row_digests(arrays)))).hexdigest()
    if digest != CONTENT_SHA256[part]:
        raise BrokenDataError(
            f"{path} does not hold the original images and labels (content sha256 "
            f"{digest[:12]}…, expected {CONTENT_SHA256[part][:12]}…); replace it."
        )
    return arrays


CONTENT_SHA256 = {
    "train": "d9e2b6d0237d5601272578be164c74bde61e453a85ce028932a86ba7b570bf3c",
    "test": "2de718d10b047ce63558eae12fb54468184a36a27164a4b815e2a942baa1e5d0",
}
"""Of the sorted row digests, taken from the verified idx files; CSV rows may come in any order."""

if __name__ == "__main__":  # for make: is there any data?
    print(find())
