"""Read, check and split a data set of one's own.

Only `data` and `final_images` import this module; all others use splits.

The split depends on content alone.  Exact copies within a class are left out.  Then the images of
each class are ranked by a keyed hash of the class's name and the image's bytes as they were given
(of a picture, the file's bytes): the first fourteenth is the gate, the second validates, the next
seventh tests, the rest trains.  Data that bring test images keep them as the test set; then a
twelfth each is gate and validation.
"""

import csv
import gzip
import hashlib
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from fashion_hpo.design.data_set import DataInfo, DataSet
from fashion_hpo.design.sentences import quoted
from fashion_hpo.training.originals import BrokenDataError, MissingDataError, Part
from fashion_hpo.training.pictures import SUFFIXES, channels_first, fitted, read_picture
from fashion_hpo.training.split import Split, by_turns

LEAST_IMAGES = 20  # of a class
MOST_CLASSES = 1_000
NAMED = 3  # at most so many files are named in a message
KEY = b"fashion_hpo own split 1"
DESKTOP_FILES = ("Thumbs.db", "desktop.ini", "classes.txt")
IDX_BYTES = b"\0\0\x08"
SKIP = "leave them out with --skip-bad (in a study file: skip_bad=True of the DataSet)"


class Item(NamedTuple):
    """One image: where it is, for messages; its class; its content's hash; pixels as of `fitted`;
    whether the data say that it trains or tests."""

    where: str
    label: str
    content: bytes
    pixels: np.ndarray
    part: Part | None


class Bad(NamedTuple):
    """A file that is no image, and why."""

    where: str
    reason: str


class OwnData(NamedTuple):
    """A data set's splits by name, the hash of all its images, and what was left out, in words."""

    info: DataInfo
    data_hash: str
    splits: dict[str, Split]
    notes: tuple[str, ...]


def is_own(path: Path) -> bool:
    """Whether a path that --data names is a data set of one's own, by its form."""
    if path.is_file():
        return path.suffix.lower() in (".npz", ".csv")
    kinds = [*_class_folders(path), *_class_folders(path / "train")]
    return any(file.suffix.lower() in SUFFIXES for kind in kinds for file in kind.iterdir())


def read(data: DataSet) -> OwnData:
    """The data set's splits.

    Raises MissingDataError if there are no data, and BrokenDataError, naming the file, for files
    that are no images, images with two labels, fewer than two classes and too small classes.
    """
    items, classes = _items(data)
    found = list(items)
    bad = [item for item in found if isinstance(item, Bad)]
    if bad and not data.skip_bad:
        named = "; ".join(f"{item.where} ({item.reason})" for item in bad[:NAMED])
        more = f" and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
        raise BrokenDataError(
            f"{len(bad)} of {len(found)} files of {data.path} are no images: {named}{more}; "
            f"replace them, or {SKIP}."
        )
    notes = [f"{len(bad)} file(s) that are no images are left out"] if bad else []
    images = [item for item in found if isinstance(item, Item)]
    images = _without_conflicts(data, images, notes)
    images = _without_copies(images, notes)
    names = classes or sorted({item.label for item in images}, key=_order)
    _check_classes(data, names, images)
    return _split(data, names, images, tuple(f"data set {data.name}: {note}" for note in notes))


def _items(data: DataSet) -> tuple[Iterable[Item | Bad], list[str] | None]:
    """The images, and the class names where the data give their order."""
    path = Path(data.path)
    if not path.exists():
        raise MissingDataError(
            f"data {path} does not exist; correct --data, or the path of the study's DataSet."
        )
    if path.suffix.lower() == ".npz":
        return _npz(path)
    if path.is_file():
        return _csv(path), None
    if files := sorted(f for f in path.iterdir() if _is_idx_images(f)):
        return (item for file in files for item in _idx(file)), _listed_classes(path)
    if parts := _parts(path):
        names = {kind.name for folder in parts for kind in _class_folders(folder)}
        return _pictures(parts), sorted(names, key=_order)
    raise MissingDataError(
        f"data {path} has no folder of pictures for each class, no idx files, and is no .npz or "
        ".csv file; name one of these with --data."
    )


def _parts(path: Path) -> dict[Path, Part | None]:
    """The folders that hold class folders: train and test, or the folder itself."""
    folders = {folder.name for folder in _class_folders(path)}
    if {"train", "test"} <= folders and _class_folders(path / "train"):
        return {path / "train": "train", path / "test": "test"}
    return {path: None} if folders else {}


def _class_folders(path: Path) -> list[Path]:
    """The visible folders in a folder, if it is a folder."""
    if not path.is_dir():
        return []
    return sorted(p for p in path.iterdir() if p.is_dir() and p.name[0] not in "._")


def _pictures(parts: dict[Path, Part | None]) -> Iterator[Item | Bad]:
    for folder, part in parts.items():
        for kind in _class_folders(folder):
            for file in sorted(path for path in kind.rglob("*") if path.is_file()):
                if file.name[0] == "." or file.name in DESKTOP_FILES:
                    continue
                where = str(file.relative_to(folder))
                try:
                    pixels = read_picture(file)
                    yield Item(where, kind.name, _hash(file.read_bytes()), pixels, part)
                except (ValueError, OSError) as error:
                    yield Bad(where, str(error))


def _npz(path: Path) -> tuple[Iterator[Item], list[str] | None]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise BrokenDataError(f"{path} cannot be read ({error}); write it with np.savez.") from None
    for name in ("images", "labels"):
        if name not in arrays:
            raise BrokenDataError(
                f"{path} has the arrays {', '.join(arrays) or '(none)'}, no {name}; name them "
                "images and labels."
            )
    names = [str(name) for name in arrays["classes"]] if "classes" in arrays else None
    parts: list[tuple[str, Part | None]] = [("", None)]
    if "test_images" in arrays and "test_labels" in arrays:
        parts = [("", "train"), ("test_", "test")]
    items = (
        item
        for prefix, part in parts
        for item in _of_arrays(
            path, arrays[f"{prefix}images"], arrays[f"{prefix}labels"], names, part
        )
    )
    return items, names


def _csv(path: Path) -> Iterator[Item]:
    """A row an image: the label, then the pixels, row by row; a first row without numbers is a
    header."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BrokenDataError(f"{path} cannot be read ({error}); write it as CSV.") from None
    rows = [row for row in rows if row]
    header = bool(rows) and not any(value.strip().isdecimal() for value in rows[0][1:])
    first, rows = 1 + header, rows[header:]
    pixels = []
    for number, row in enumerate(rows, first):
        try:
            values = np.array(row[1:], dtype=np.int64)
        except ValueError:
            raise BrokenDataError(
                f"{path}, row {number}: a pixel is no whole number; write the label, then pixels."
            ) from None
        shape = _square(len(values))
        is_byte = (values >= 0) & (values < 256)
        if shape is None or len(row) != len(rows[0]) or not is_byte.all():
            raise BrokenDataError(
                f"{path}, row {number} has {len(values)} pixels, or one outside 0 to 255; each row "
                "is a label and the pixels of a square, grey or colour (red, green, blue)."
            )
        pixels.append(values.astype(np.uint8).reshape(shape))
    images = np.stack(pixels) if pixels else np.empty((0, 1, 1), np.uint8)
    yield from _of_arrays(path, images, np.array([row[0].strip() for row in rows]), None, None)


def _square(values: int) -> tuple[int, ...] | None:
    """The shape of an image of so many values."""
    for channels, shape in ((1, ()), (3, (3,))):
        side = round((values / channels) ** 0.5)
        if values and side * side * channels == values:
            return (side, side, *shape)
    return None


def _idx(images: Path) -> Iterator[Item]:
    labels = _labels_of(images)
    if labels is None:
        raise MissingDataError(f"{images} has no file of labels beside it; put it there.")
    part: Part | None = None
    if any(_is_test(path) for path in images.parent.iterdir() if _is_idx_images(path)):
        part = "test" if _is_test(images) else "train"
    names = _listed_classes(images.parent)
    yield from _of_arrays(images, _idx_array(images), _idx_array(labels), names, part)


def _is_idx_images(path: Path) -> bool:
    name = path.name.lower()
    return path.is_file() and "images" in name and "idx3" in name


def _is_test(path: Path) -> bool:
    return "t10k" in path.name.lower() or "test" in path.name.lower()


def _labels_of(images: Path) -> Path | None:
    plain = images.name.lower().removesuffix(".gz").replace(".", "-")
    wanted = plain.replace("images", "labels").replace("idx3", "idx1")
    names = {
        p.name.lower().removesuffix(".gz").replace(".", "-"): p for p in images.parent.iterdir()
    }
    return names.get(wanted)


def _idx_array(path: Path) -> np.ndarray:
    try:
        content = path.read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise BrokenDataError(f"{path} cannot be read ({error}); replace it.") from None
    dimensions = content[3] if content.startswith(IDX_BYTES) and len(content) > 3 else 0
    shape = np.frombuffer(content[4 : 4 + 4 * dimensions], ">u4").tolist()
    values = content[4 + 4 * dimensions :]
    if not dimensions or len(values) != np.prod(shape):
        raise BrokenDataError(
            f"{path} is no whole idx file of bytes ({len(content):,} bytes, of shape {shape}); "
            "replace it."
        )
    return np.frombuffer(values, np.uint8).reshape(shape)


def _listed_classes(folder: Path) -> list[str] | None:
    """The class names in classes.txt, a line each, in the order of the labels."""
    path = folder / "classes.txt"
    if not path.exists():
        return None
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip()]


def _of_arrays(
    path: Path,
    images: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str] | None,
    part: Part | None,
) -> Iterator[Item]:
    pixels = _bytes(path, images)
    if labels.ndim != 1 or len(labels) != len(images):
        raise BrokenDataError(
            f"{path} has {len(images):,} images and labels of shape {labels.shape}; give one label "
            "an image."
        )
    if labels.dtype.kind == "f" and (labels % 1 == 0).all():
        labels = labels.astype(np.int64)
    if names is None:
        texts = [str(label) for label in labels.tolist()]
    else:
        outside = [label for label in labels.tolist() if label not in range(len(names))]
        if outside:
            raise BrokenDataError(
                f"{path} has a label {outside[0]!r}, and {len(names)} class names; allowed are 0 "
                f"to {len(names) - 1}."
            )
        texts = [names[label] for label in labels.tolist()]
    tests = "test " if part == "test" else ""
    for number, (image, label) in enumerate(zip(pixels, texts, strict=True)):
        where = f"{tests}image {number}"
        yield Item(where, label, _hash(image.tobytes()), fitted(image), part)


def _bytes(path: Path, images: np.ndarray) -> np.ndarray:
    """Images as uint8 (N, H, W) or (N, H, W, 3)."""
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    if images.ndim == 4 and images.shape[1] in (1, 3) and images.shape[3] != 3:
        images = images.transpose(0, 2, 3, 1)[..., 0 if images.shape[1] == 1 else slice(None)]
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] != 3):
        raise BrokenDataError(
            f"{path} has images of shape {images.shape}; allowed are (N, H, W) and (N, H, W, 3)."
        )
    if images.dtype == np.uint8 or not len(images):
        return images.astype(np.uint8)
    low, high = float(images.min()), float(images.max())
    whole = images.dtype.kind in "iu" and 0 <= low <= high <= 255
    if not whole and not (images.dtype.kind == "f" and 0 <= low <= high <= 1):
        raise BrokenDataError(
            f"{path} has pixels of type {images.dtype} from {low:g} to {high:g}; allowed are whole "
            "numbers from 0 to 255, and fractions from 0 to 1."
        )
    return (images if whole else np.rint(255 * images)).astype(np.uint8)


def _hash(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


def _without_conflicts(data: DataSet, images: list[Item], notes: list[str]) -> list[Item]:
    """The images without those that have two labels; raises BrokenDataError unless skipped."""
    by_content: dict[bytes, list[Item]] = defaultdict(list)
    for item in images:
        by_content[item.content].append(item)
    conflicts = [items for items in by_content.values() if len({item.label for item in items}) > 1]
    if not conflicts:
        return images
    first = conflicts[0][0]
    other = next(item for item in conflicts[0] if item.label != first.label)
    if not data.skip_bad:
        raise BrokenDataError(
            f"{data.path} has {len(conflicts)} image(s) under two classes: {first.where} "
            f"({quoted(first.label, 40)}) and {other.where} ({quoted(other.label, 40)}) are the "
            f"same; remove one of the two, or {SKIP}."
        )
    notes.append(f"{len(conflicts)} image(s) with two labels are left out")
    contents = {items[0].content for items in conflicts}
    return [item for item in images if item.content not in contents]


def _without_copies(images: list[Item], notes: list[str]) -> list[Item]:
    """The images without exact copies; of copies in both parts, the test image stays."""
    by_content: dict[bytes, Item] = {}
    for item in sorted(images, key=lambda item: item.part != "test"):
        by_content.setdefault(item.content, item)
    if copies := len(images) - len(by_content):
        notes.append(f"{copies} exact cop{'y is' if copies == 1 else 'ies are'} left out")
    return list(by_content.values())


def _check_classes(data: DataSet, names: Sequence[str], images: list[Item]) -> None:
    if len(names) < 2:
        only = f"one class, {quoted(names[0], 40)}" if names else "no images"
        raise BrokenDataError(f"{data.path} has {only}; a classifier needs at least two classes.")
    if len(names) > MOST_CLASSES or len(set(names)) < len(names):
        raise BrokenDataError(
            f"{data.path} has {len(names)} classes, {len(set(names))} of them different; allowed "
            f"are up to {MOST_CLASSES} different classes."
        )
    counts = Counter(item.label for item in images if item.part != "test")
    for name in names:
        if counts[name] < LEAST_IMAGES:
            have = f"{counts[name]} image(s)" if counts[name] else "no images"
            raise BrokenDataError(
                f"class {quoted(name, 40)} of {data.path} has {have}, copies left out; a class "
                f"needs at least {LEAST_IMAGES}: add some, or remove the class."
            )


def _order(name: str) -> tuple[bool, int, str]:
    """Numbers by value, then texts."""
    return (not name.isdecimal(), int(name) if name.isdecimal() else 0, name)


def _split(
    data: DataSet, names: Sequence[str], images: list[Item], notes: tuple[str, ...]
) -> OwnData:
    keyed = [_digest(item) for item in images]
    number = {name: label for label, name in enumerate(names)}
    given_test = any(item.part == "test" for item in images)
    rows: dict[str, list[np.ndarray]] = {part: [] for part in ("gate", "val", "test", "train")}
    for name in names:
        mine = [i for i, item in enumerate(images) if item.label == name and item.part != "test"]
        ranked = np.array(sorted(mine, key=keyed.__getitem__))
        held = max(1, len(ranked) // (12 if given_test else 14))
        ends = [held, 2 * held, 2 * held + (0 if given_test else max(1, len(ranked) // 7))]
        for part, chosen in zip(rows, np.split(ranked, ends), strict=True):
            rows[part].append(chosen)
        tests = [i for i, item in enumerate(images) if item.label == name and item.part == "test"]
        rows["test"][-1] = np.concatenate((rows["test"][-1], tests)).astype(np.int64)
    channels = 3 if any(item.pixels.ndim == 3 for item in images) else 1
    pixels = np.stack([channels_first(item.pixels, channels) for item in images])
    labels = np.array([number[item.label] for item in images], dtype=np.int64)
    splits = {}
    for part, by_class in rows.items():
        order = by_turns(by_class)
        splits[part] = Split(torch.from_numpy(pixels[order]), torch.from_numpy(labels[order]))
    info = DataInfo(
        name=data.name,
        classes=tuple(names),
        channels=channels,
        files=data.absolute(),
        **{part: len(split) for part, split in splits.items()},
    )
    digest = hashlib.sha256(b"".join(sorted(keyed))).hexdigest()
    return OwnData(info, digest, splits, notes)


def _digest(item: Item) -> bytes:
    """The hash that ranks an image: of its class's name, its content and whether it is a test
    image of the data."""
    text = f"{item.label}\0{item.part == 'test'}\0".encode()
    return hashlib.blake2b(text + item.content, digest_size=16, key=KEY).digest()
