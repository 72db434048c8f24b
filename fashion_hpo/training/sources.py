"""Where the data files are looked for, how they are read, and what proves them whole.

Only `data` and `final_images` import this: everyone else gets splits, never files.
"""

import gzip
import hashlib
import os
import zlib
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

Part = Literal["train", "test"]


class Arrays(NamedTuple):
    """images uint8 (N, 28, 28), labels uint8 (N,)."""

    images: np.ndarray
    labels: np.ndarray


class MissingDataError(ValueError):
    """The data are nowhere where they are looked for."""


class BrokenDataError(ValueError):
    """A data file is there, and its content is not Fashion-MNIST's."""


class IdxFile(NamedTuple):
    """One of the four original files, by its uncompressed content."""

    name: str
    size: int
    sha256: str
    header: int  # bytes before the first value


IDX_FILES = {
    "train": (
        IdxFile("train-images-idx3-ubyte", 47_040_016,
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888", 16),
        IdxFile("train-labels-idx1-ubyte", 60_008,
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9", 8),
    ),
    "test": (
        IdxFile("t10k-images-idx3-ubyte", 7_840_016,
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b", 16),
        IdxFile("t10k-labels-idx1-ubyte", 10_008,
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34", 8),
    ),
}  # fmt: skip
CSV_FILES = {"train": "fashion-mnist_train.csv", "test": "fashion-mnist_test.csv"}
ROWS = {"train": 60_000, "test": 10_000}
SYSTEM_FOLDER = Path("/usr/share/datasets/fashion-mnist")
WAYS_OUT = (
    "on Debian and Ubuntu run `apt-get install dataset-fashion-mnist`, or put the four "
    "idx files or Kaggle's two CSV files into data/, or name their folder with --data or "
    "FASHION_HPO_DATA"
)


def read(part: Part, folder: Path | None = None) -> Arrays:
    """The verified images and labels of one part; the sources are idx (plain, .gz) or CSV.

    Every file of the set is checked, also those of the other part: broken test files are told
    of before a long study, not after it.
    """
    folder = find(folder)
    if _has_csv(folder) and not _has_idx(folder):
        return _read_csv(folder, part)
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
        chosen = _with_files(asked)
        if chosen is None:
            raise MissingDataError(
                f"data folder {asked} holds neither the four idx files nor Kaggle's two CSV "
                "files; correct --data or FASHION_HPO_DATA, or leave it out."
            )
        return chosen
    for place in (Path("data"), SYSTEM_FOLDER, cache_folder()):
        if (chosen := _with_files(place)) is not None:
            return chosen
    raise MissingDataError(f"Fashion-MNIST was not found; {WAYS_OUT}.")


def asked_folder(folder: Path | None = None) -> Path | None:
    """The folder that the argument or FASHION_HPO_DATA names, if either does."""
    asked = folder or os.environ.get("FASHION_HPO_DATA")
    return Path(asked) if asked else None


def cache_folder() -> Path:
    """The user's cache, where a download is kept; data/ for a user without a home folder."""
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "fashion_hpo"
    try:
        return Path.home() / ".cache" / "fashion_hpo"
    except RuntimeError:
        return Path("data")


def all_idx_files() -> tuple[IdxFile, ...]:
    """The four files of the set."""
    return IDX_FILES["train"] + IDX_FILES["test"]


def is_partial(folder: Path) -> bool:
    """Whether some of the four files are there and some are not, as after an interruption."""
    present = [_path(folder, file) is not None for file in all_idx_files()]
    return any(present) and not all(present)


def row_digests(arrays: Arrays) -> list[bytes]:
    """A keyed hash of each image and its label: identity that does not depend on order."""
    rows = np.concatenate((arrays.images.reshape(-1, 784), arrays.labels[:, None]), axis=1)
    raw, width = rows.tobytes(), rows.shape[1]
    return [
        hashlib.blake2b(raw[at : at + width], digest_size=16, key=b"fashion_hpo split 1").digest()
        for at in range(0, len(raw), width)
    ]


def check_content(file: IdxFile, content: bytes, where: str) -> None:
    """Raise BrokenDataError, saying what is wrong, unless the bytes are the original's."""
    if hashlib.sha256(content).hexdigest() == file.sha256:
        return
    raise BrokenDataError(f"{where} is not the original {file.name}: {_fault(file, content)}; "
                          f"replace the file: {WAYS_OUT}.")  # fmt: skip


def _fault(file: IdxFile, content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    for other in all_idx_files():
        if digest == other.sha256:
            return f"it holds the content of {other.name} (swapped)"
    if len(content) != file.size:
        kind = "truncated" if len(content) < file.size else "too long"
        return f"it is {kind}, {len(content):,} of {file.size:,} bytes"
    values = np.frombuffer(content, np.uint8, offset=file.header)
    if not values.any():
        return "every value is zero"
    if "labels" in file.name and values.max() > 9:
        return f"it has a label {values.max()}, allowed are 0 to 9"
    what = "labels" if "labels" in file.name else "pixels"
    return f"its {what} differ (sha256 {digest[:12]}…, expected {file.sha256[:12]}…)"


def verified(folder: Path, file: IdxFile) -> bytes:
    """A file's uncompressed content, proven to be the original's."""
    path = _path(folder, file)
    if path is None:
        raise MissingDataError(f"{folder} has no {file.name} (nor .gz); {WAYS_OUT}.")
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BrokenDataError(f"{path} is truncated or broken ({error}); replace it.") from None
    check_content(file, content, str(path))
    return content


def _path(folder: Path, file: IdxFile) -> Path | None:
    paths = (folder / file.name, folder / f"{file.name}.gz")
    return next((path for path in paths if path.is_file()), None)


def _with_files(folder: Path) -> Path | None:
    """The folder, or torchvision's place below it, if any set of files is there."""
    for place in (folder, folder / "FashionMNIST" / "raw"):
        if _has_idx(place) or _has_csv(place):
            return place
    return None


def _has_idx(folder: Path) -> bool:
    return any(_path(folder, file) is not None for file in all_idx_files())


def _has_csv(folder: Path) -> bool:
    return any((folder / name).is_file() for name in CSV_FILES.values())


def _read_csv(folder: Path, part: Part) -> Arrays:
    path = folder / CSV_FILES[part]
    if not path.is_file():
        raise MissingDataError(f"{folder} has no {path.name}; {WAYS_OUT}.")
    try:
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
