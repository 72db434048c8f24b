"""Find, read and verify the data files.

Only `data` and `final_images` import this module; all others use splits.
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
GZIP = b"\x1f\x8b"  # the first bytes of a compressed file
PACKED = (".zip", ".tar", ".tar.gz", ".tgz", ".7z", ".rar")
SYSTEM_FOLDER = Path("/usr/share/datasets/fashion-mnist")
SUBFOLDERS = (".", "FashionMNIST/raw", "data/fashion", "fashion")
"""Where torchvision and the data set's own repository put the files in a folder."""


def read(part: Part, folder: Path | None = None) -> Arrays:
    """The verified images and labels of one part, from idx (plain or .gz) or CSV files.

    Verifies the files of both parts, so that a missing or broken test file is reported before a
    long study, not after it.
    """
    folder = find(folder)
    missing_idx, missing_csv = _missing(folder, IDX_NAMES), _missing(folder, CSV_FILES.values())
    if missing_idx and (not missing_csv or len(missing_idx) == len(IDX_NAMES)):
        _check_complete(folder, missing_csv)
        return {name: _read_csv(folder, name) for name in CSV_FILES}[part]
    _check_complete(folder, missing_idx)
    contents = {file.name: verified(folder, file) for file in all_idx_files()}
    images, labels = IDX_FILES[part]
    pixels = np.frombuffer(contents[images.name], np.uint8, offset=images.header)
    return Arrays(
        pixels.reshape(-1, 28, 28),
        np.frombuffer(contents[labels.name], np.uint8, offset=labels.header),
    )


def find(folder: Path | None = None) -> Path:
    """The folder with the data files.

    If an argument or FASHION_HPO_DATA names a folder, only that one is searched, so that a typing
    mistake never trains on other data.  Else data/, the system's folder, then the user's cache.
    """
    asked = asked_folder(folder)
    if asked is not None:
        # raw/ is in torchvision's FashionMNIST; by default it is skipped, as data/raw/ may belong
        # to another data set.
        with_files = _with_files(asked, (*SUBFOLDERS, "raw"))
        if with_files is None:
            raise MissingDataError(
                f"data folder {asked} {_instead(asked)}; correct --data or FASHION_HPO_DATA, or "
                "leave it out."
            )
        return with_files
    for candidate in (Path("data"), SYSTEM_FOLDER, cache_folder()):
        if (with_files := _with_files(candidate, SUBFOLDERS)) is not None:
            return with_files
    raise MissingDataError(f"Fashion-MNIST was not found; {WAYS_OUT}.")


def has_files(folder: Path) -> bool:
    """Whether a folder that a person named has any file of Fashion-MNIST's names."""
    return _with_files(folder, (*SUBFOLDERS, "raw")) is not None


def asked_folder(folder: Path | None = None) -> Path | None:
    """The folder named by the argument or FASHION_HPO_DATA, if any."""
    asked = folder or os.environ.get("FASHION_HPO_DATA")
    return Path(os.path.expanduser(asked)) if asked else None


def cache_folder() -> Path:
    """The folder for downloads in the user's cache; data/ for a user without a home folder."""
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "fashion_hpo"
    try:
        return Path.home() / ".cache" / "fashion_hpo"
    except RuntimeError:
        return Path("data")


def is_partial(folder: Path) -> bool:
    """Whether some but not all of the four files exist, as after an interrupted download."""
    return 0 < len(_missing(folder, IDX_NAMES)) < len(IDX_NAMES)


def row_digests(arrays: Arrays) -> list[bytes]:
    """A keyed hash of each image with its label, independent of the rows' order."""
    rows = np.concatenate((arrays.images.reshape(-1, 784), arrays.labels[:, None]), axis=1)
    return [
        hashlib.blake2b(row, digest_size=16, key=b"fashion_hpo split 1").digest() for row in rows
    ]


def verified(folder: Path, file: IdxFile) -> bytes:
    """The verified, uncompressed content of a file."""
    path = _path(folder, file.name)
    if path is None:
        raise MissingDataError(f"{folder} has no {file.name} (nor .gz); {WAYS_OUT}.")
    try:
        content = path.read_bytes()
        if content.startswith(GZIP):  # the name says nothing: browsers unpack a .gz and keep it
            content = gzip.decompress(content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BrokenDataError(f"{path} is truncated or broken ({error}); replace it.") from None
    check_content(file, content, str(path))
    return content


def _path(folder: Path, name: str) -> Path | None:
    """The file of this name, also in upper case, with dots (train-images.idx3-ubyte) or as .gz."""
    paths = folder.iterdir() if folder.is_dir() else ()
    matches = [path for path in paths if _plain(path.name) == _plain(name) and path.is_file()]
    return min(matches, key=lambda path: (path.suffix.lower() == ".gz", path.name), default=None)


def _plain(name: str) -> str:
    return name.lower().removesuffix(".gz").replace(".", "-")


def _missing(folder: Path, names: Iterable[str]) -> list[str]:
    return [name for name in names if _path(folder, name) is None]


def _check_complete(folder: Path, missing: list[str]) -> None:
    if missing:
        raise MissingDataError(f"{folder} has no {', '.join(missing)} (nor .gz); {WAYS_OUT}.")


def _with_files(folder: Path, subfolders: Iterable[str]) -> Path | None:
    """The first of these subfolders that has any of the files."""
    names = {_plain(name) for name in (*IDX_NAMES, *CSV_FILES.values())}
    for candidate in (folder / subfolder for subfolder in subfolders):
        if candidate.is_dir() and any(_plain(path.name) in names for path in candidate.iterdir()):
            return candidate
    return None


def _instead(folder: Path) -> str:
    """Why a folder that was named has no data."""
    if not folder.exists():
        return "does not exist"
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
            warnings.simplefilter("ignore")  # about a file without rows, which is refused below
            rows = np.loadtxt(path, dtype=np.uint8, delimiter=",", skiprows=1, ndmin=2)
    except (ValueError, OverflowError) as error:
        raise BrokenDataError(f"{path} is not Kaggle's CSV file ({error}); replace it.") from None
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
"""Hashes of the sorted row digests of the verified idx files; CSV rows may have any order."""

if __name__ == "__main__":  # the Makefile asks whether there are data
    print(find())
