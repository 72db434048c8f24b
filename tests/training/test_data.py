import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from fashion_hpo.training import data, sources
from fashion_hpo.training.data import SearchSplits, load_or_download, load_search_splits
from fashion_hpo.training.sources import Arrays, MissingDataError
from tests.training.conftest import Mirror, WriteCsv


@pytest.fixture(scope="module")
def noise() -> Arrays:
    """1,010 images of each class, in random order."""
    numbers = np.random.default_rng(5)
    labels = numbers.permutation(np.arange(10_100) % 10).astype(np.uint8)
    return Arrays(numbers.integers(0, 256, size=(10_100, 28, 28), dtype=np.uint8), labels)


def partition(arrays: Arrays) -> data.Thirds:
    return data.partition(arrays.labels, sources.row_digests(arrays))


def data_hash(arrays: Arrays) -> str:
    return data.data_hash(sources.row_digests(arrays))


def test_the_parts_are_disjoint_stratified_and_everything(noise: Arrays) -> None:
    parts = partition(noise)
    assert sorted(np.concatenate(parts)) == list(range(10_100))
    for part, per_class in zip(parts, (10, 500, 500), strict=True):
        assert np.bincount(noise.labels[part]).tolist() == [per_class] * 10


def test_the_split_is_a_function_of_content_not_of_order(noise: Arrays) -> None:
    order = np.random.default_rng(6).permutation(len(noise.labels))
    shuffled = Arrays(noise.images[order], noise.labels[order])
    assert data_hash(shuffled) == data_hash(noise)
    for before, after in zip(partition(noise), partition(shuffled), strict=True):
        assert np.array_equal(noise.images[before], shuffled.images[after])
        assert np.array_equal(noise.labels[before], shuffled.labels[after])


@pytest.mark.parametrize("part", ["images", "labels"])
def test_the_data_hash_covers_every_byte(noise: Arrays, part: str) -> None:
    values = getattr(noise, part).copy()
    values.flat[-1] ^= 1
    assert data_hash(noise._replace(**{part: values})) != data_hash(noise)


def test_the_real_split_is_50_000_and_5_000(real_splits: SearchSplits, real_train: Arrays) -> None:
    assert real_splits.data_hash == sources.CONTENT_SHA256["train"]
    for split, size in ((real_splits.train, 50_000), (real_splits.val, 5_000)):
        assert split.images.shape == (size, 28, 28)
        assert split.images.dtype == torch.uint8
        assert split.labels.dtype == torch.int64
        assert torch.bincount(split.labels).tolist() == [size // 10] * 10
    train, val, gate = partition(real_train)
    digests = [set(np.array(sources.row_digests(real_train))[part]) for part in (train, val, gate)]
    assert sum(map(len, digests)) == len(set.union(*digests)) == 60_000


@pytest.mark.parametrize("count", [10, 995, 12_800, 20_000])
def test_every_prefix_of_the_training_split_is_stratified(
    real_splits: SearchSplits, count: int
) -> None:
    counts = torch.bincount(real_splits.train.first(count).labels, minlength=10)
    assert counts.sum() == count
    assert counts.max() - counts.min() <= 1


def test_a_csv_in_any_row_order_gives_the_same_splits(
    tmp_path: Path,
    real_train: Arrays,
    real_test: Arrays,
    real_splits: SearchSplits,
    write_csv: WriteCsv,
) -> None:
    order = np.random.default_rng(7).permutation(60_000)
    shuffled = Arrays(real_train.images[order], real_train.labels[order])
    write_csv(tmp_path / "fashion-mnist_train.csv", shuffled)
    write_csv(tmp_path / "fashion-mnist_test.csv", real_test)
    loaded = load_search_splits(tmp_path)
    assert loaded.data_hash == real_splits.data_hash
    for ours, theirs in ((loaded.train, real_splits.train), (loaded.val, real_splits.val)):
        assert torch.equal(ours.images, theirs.images)
        assert torch.equal(ours.labels, theirs.labels)


@pytest.fixture
def full_mirror(mirror: Mirror, plain_folder: Path) -> Mirror:
    """Serves the real files."""
    for file in sources.all_idx_files():
        content = (plain_folder / file.name).read_bytes()
        mirror.files[f"{file.name}.gz"] = gzip.compress(content, 1)
    return mirror


def test_data_found_nowhere_are_fetched_once(
    nowhere: Path, full_mirror: Mirror, real_splits: SearchSplits
) -> None:
    fetched = load_or_download(mirrors=[full_mirror.url])
    assert fetched.data_hash == real_splits.data_hash
    assert len(full_mirror.requests) == 4
    assert load_or_download(mirrors=[full_mirror.url]).data_hash == real_splits.data_hash
    assert len(full_mirror.requests) == 4
    interrupted = nowhere / "t10k-labels-idx1-ubyte.gz"
    interrupted.unlink()
    load_or_download(mirrors=[full_mirror.url])
    assert full_mirror.requests[4:] == [interrupted.name]


def test_a_folder_asked_for_is_never_replaced_by_a_download(
    nowhere: Path, mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MissingDataError, match=str(tmp_path)):
        load_or_download(tmp_path, [mirror.url])
    monkeypatch.setenv("FASHION_HPO_DATA", str(tmp_path))
    with pytest.raises(MissingDataError, match=str(tmp_path)):
        load_or_download(mirrors=[mirror.url])
    assert mirror.requests == []
    assert not nowhere.exists()


def test_without_a_mirror_that_answers_the_ways_out_are_told(nowhere: Path, mirror: Mirror) -> None:
    with pytest.raises(MissingDataError, match=r"404.*apt-get install dataset-fashion-mnist"):
        load_or_download(mirrors=[mirror.url])
