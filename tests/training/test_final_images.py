import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fashion_hpo.training import data, sources
from fashion_hpo.training.data import SearchSplits, Split
from fashion_hpo.training.final_images import open_gate, open_test
from fashion_hpo.training.sources import Arrays


def identities(split: Split) -> set[bytes]:
    labels = split.labels.numpy().astype(np.uint8)
    return set(sources.row_digests(Arrays(split.images.numpy(), labels)))


def test_the_gate_holds_5_000_images_that_no_search_sees(
    tmp_path: Path, real_data: Path, real_splits: SearchSplits
) -> None:
    gate, before, digest = open_gate(tmp_path / "openings.jsonl", "challenger", real_data)
    assert torch.bincount(gate.labels).tolist() == [500] * 10
    assert before == 0
    assert digest == real_splits.data_hash
    seen = identities(real_splits.train) | identities(real_splits.val)
    assert len(seen | identities(gate)) == 60_000


def test_the_test_set_is_the_files_in_order(
    tmp_path: Path, real_data: Path, real_test: Arrays
) -> None:
    opened = open_test(tmp_path / "openings.jsonl", "claims", real_data)
    assert np.array_equal(opened.images.images.numpy(), real_test.images)
    assert opened.images.labels.tolist() == real_test.labels.tolist()
    assert opened.data_hash == data.data_hash(sources.row_digests(real_test))


def test_openings_are_logged_and_counted_by_set(tmp_path: Path, real_data: Path) -> None:
    log = tmp_path / "new" / "openings.jsonl"
    assert open_test(log, "first look", real_data).openings_before == 0
    assert open_gate(log, "challenger", real_data).openings_before == 0
    assert open_test(log, "second look", real_data).openings_before == 1
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(e["part"], e["purpose"]) for e in entries] == [
        ("test", "first look"), ("gate", "challenger"), ("test", "second look")
    ]  # fmt: skip


def test_openings_of_other_data_do_not_count(tmp_path: Path, real_data: Path) -> None:
    log = tmp_path / "openings.jsonl"
    log.write_text(json.dumps({"part": "test", "data_hash": "of other images"}) + "\n")
    assert open_test(log, "first look", real_data).openings_before == 0


def test_without_a_log_no_image_is_handed_out(tmp_path: Path, real_data: Path) -> None:
    with pytest.raises(OSError):
        open_test(tmp_path, "a folder cannot be written to", real_data)
