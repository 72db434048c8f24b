"""The data set's four original files: their names and hashes, and the fault of any other."""

import hashlib
from typing import Literal, NamedTuple

import numpy as np

Part = Literal["train", "test"]


class MissingDataError(ValueError):
    """No data were found."""


class BrokenDataError(ValueError):
    """The content of a data file is not Fashion-MNIST's."""


class IdxFile(NamedTuple):
    """One of the four original files; size and hash are of the uncompressed content."""

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
DIGITS = {
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
"""sha256 of MNIST's four files, which have the same names and sizes."""
IDX = b"\0\0\x08"  # the first bytes of an idx file of bytes
WAYS_OUT = (
    "on Debian and Ubuntu run `apt-get install dataset-fashion-mnist`, or put the four "
    "idx files or Kaggle's two CSV files into data/, or name their folder with --data or "
    "FASHION_HPO_DATA"
)


def all_idx_files() -> tuple[IdxFile, ...]:
    """The four files."""
    return IDX_FILES["train"] + IDX_FILES["test"]


def check_content(file: IdxFile, content: bytes, where: str) -> None:
    """Raise BrokenDataError, saying what is wrong, unless the content is the original."""
    if hashlib.sha256(content).hexdigest() == file.sha256:
        return
    raise BrokenDataError(f"{where} is not the original {file.name}: {_fault(file, content)}; "
                          f"replace the file: {WAYS_OUT}.")  # fmt: skip


def _fault(file: IdxFile, content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    for other in all_idx_files():
        if digest == other.sha256:
            return f"it holds the content of {other.name} (swapped)"
    if digest in DIGITS:
        return "it is MNIST's file of handwritten digits"
    if content and not content.startswith(IDX):
        return f"it is not an idx file, it begins with {content[:8]!r}"
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
