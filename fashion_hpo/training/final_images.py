"""The gate and the test images.  Only `register` and `claims` may import this module.

Every opening is logged before any image is returned, and counted per data set, so that a test
accuracy can be reported with the number of earlier openings.
"""

import json
import os
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fashion_hpo.design.data_set import DataSet
from fashion_hpo.training import data, own_data, sources
from fashion_hpo.training.split import Split


class Opened(NamedTuple):
    """Images, and how often their set was opened before."""

    images: Split
    openings_before: int
    data_hash: str


def open_gate(log: Path, purpose: str, folder: Path | DataSet | None = None) -> Opened:
    """The 5,000 gate images, on which a challenger is compared with the champion."""
    if isinstance(folder, DataSet):
        return _open_own("gate", log, purpose, folder)
    arrays = sources.read("train", folder)
    digests = sources.row_digests(arrays)
    split = data.take(arrays, data.partition(arrays.labels, digests).gate)
    return _open("gate", split, log, purpose, data.data_hash(digests))


def open_test(log: Path, purpose: str, folder: Path | DataSet | None = None) -> Opened:
    """The 10,000 test images, in the files' order."""
    if isinstance(folder, DataSet):
        return _open_own("test", log, purpose, folder)
    arrays = sources.read("test", folder)
    split = data.take(arrays, np.arange(len(arrays.labels)))
    return _open("test", split, log, purpose, data.data_hash(sources.row_digests(arrays)))


def _open_own(part: str, log: Path, purpose: str, folder: DataSet) -> Opened:
    own = own_data.read(folder)
    return _open(part, own.splits[part], log, purpose, own.data_hash)


def _open(part: str, split: Split, log: Path, purpose: str, digest: str) -> Opened:
    log.parent.mkdir(parents=True, exist_ok=True)
    before = _openings(log, part, digest)
    entry = {"part": part, "data_hash": digest, "purpose": purpose, "unix_time": int(time.time())}
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return Opened(split, before, digest)


def _openings(log: Path, part: str, digest: str) -> int:
    """Openings so far; a line truncated by a full disk counts as an opening."""
    count = 0
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    for line in lines:
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            count += 1
        else:
            count += (entry["part"], entry["data_hash"]) == (part, digest)
    return count
