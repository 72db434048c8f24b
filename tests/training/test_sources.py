import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fashion_hpo.training import sources
from fashion_hpo.training.sources import Arrays, BrokenDataError, MissingDataError
from tests.training.conftest import WriteCsv

LABELS, IMAGES = "t10k-labels-idx1-ubyte", "t10k-images-idx3-ubyte"


def test_all_forms_of_the_files_give_the_same_arrays(
    data_folder: Path, real_train: Arrays, real_test: Arrays
) -> None:
    labels = data_folder / LABELS
    (data_folder / f"{LABELS}.gz").write_bytes(gzip.compress(labels.read_bytes()))
    labels.unlink()
    train, test = sources.read("train", data_folder), sources.read("test", data_folder)
    assert train.images.shape == (60_000, 28, 28)
    assert test.images.shape == (10_000, 28, 28)
    for read, expected in ((train, real_train), (test, real_test)):
        assert np.array_equal(read.images, expected.images)
        assert np.array_equal(read.labels, expected.labels)


def changed(content: bytes, position: int, value: int) -> bytes:
    return content[:position] + bytes([value]) + content[position + 1 :]


@pytest.mark.parametrize(
    ("name", "damage", "words"),
    [
        (IMAGES, lambda c: c[:-1], "truncated, 7,840,015 of 7,840,016 bytes"),
        (LABELS, lambda c: c[:5], "truncated, 5 of 10,008 bytes"),
        (LABELS, lambda c: b"", "truncated, 0 of 10,008 bytes"),
        (LABELS, lambda c: c + b"\0", "too long, 10,009 of 10,008 bytes"),
        (IMAGES, lambda c: c[:16] + bytes(len(c) - 16), "every value is zero"),
        (LABELS, lambda c: changed(c, 500, 77), "a label 77, allowed are 0 to 9"),
        (LABELS, lambda c: changed(c, 500, (c[500] + 1) % 10), "its labels differ"),
        (IMAGES, lambda c: changed(c, 5000, c[5000] ^ 1), "its pixels differ"),
    ],
)
def test_a_damaged_file_is_refused_with_what_is_wrong(
    data_folder: Path, name: str, damage: Callable[[bytes], bytes], words: str
) -> None:
    path = data_folder / name
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(damage(content))
    with pytest.raises(BrokenDataError) as error:
        sources.read("train", data_folder)  # also when the other part is asked for
    assert words in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("kept", [0, 7, 2000])
def test_a_truncated_gz_file_is_refused(data_folder: Path, kept: int) -> None:
    content = gzip.compress((data_folder / LABELS).read_bytes())
    (data_folder / LABELS).unlink()
    path = data_folder / f"{LABELS}.gz"
    path.write_bytes(content[:kept])
    with pytest.raises(BrokenDataError, match=r"truncated") as error:
        sources.read("test", data_folder)
    assert str(path) in str(error.value)


def test_swapped_files_are_told_by_name(data_folder: Path) -> None:
    test, train = data_folder / IMAGES, data_folder / "train-images-idx3-ubyte"
    test_target, train_target = test.resolve(), train.resolve()
    test.unlink()
    train.unlink()
    test.symlink_to(train_target)
    train.symlink_to(test_target)
    with pytest.raises(BrokenDataError, match=f"holds the content of {IMAGES} \\(swapped\\)"):
        sources.read("train", data_folder)


def test_a_missing_file_is_named_with_the_ways_out(data_folder: Path) -> None:
    (data_folder / LABELS).unlink()
    with pytest.raises(MissingDataError) as error:
        sources.read("train", data_folder)
    for word in (LABELS, str(data_folder), "apt-get install", "--data", "FASHION_HPO_DATA"):
        assert word in str(error.value)


def test_an_empty_folder_asked_for_is_refused_and_not_fallen_through(
    tmp_path: Path, real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MissingDataError, match=str(tmp_path)):
        sources.find(tmp_path)
    monkeypatch.setenv("FASHION_HPO_DATA", str(tmp_path))
    with pytest.raises(MissingDataError, match=r"correct --data or FASHION_HPO_DATA") as error:
        sources.read("train")
    assert str(tmp_path) in str(error.value)
    assert sources.find(real_data) == real_data  # the argument goes before the variable


def test_data_in_the_working_folder_go_before_the_cache(nowhere: Path) -> None:
    with pytest.raises(MissingDataError, match=r"apt-get install .* --data or FASHION_HPO_DATA"):
        sources.find()
    nowhere.mkdir(parents=True)
    (nowhere / f"{LABELS}.gz").touch()
    assert sources.find() == nowhere
    Path("data/FashionMNIST/raw").mkdir(parents=True)  # where torchvision keeps them
    Path("data/FashionMNIST/raw", LABELS).touch()
    assert sources.find() == Path("data/FashionMNIST/raw")


def test_partial_is_some_files_but_not_all(data_folder: Path, tmp_path: Path) -> None:
    assert not sources.is_partial(tmp_path)
    assert not sources.is_partial(data_folder)
    (data_folder / LABELS).unlink()
    assert sources.is_partial(data_folder)


def test_a_csv_with_one_changed_pixel_is_refused(
    tmp_path: Path, real_test: Arrays, write_csv: WriteCsv
) -> None:
    path = tmp_path / "fashion-mnist_test.csv"
    images = real_test.images.copy()
    images[4321, 14, 14] ^= 1
    write_csv(path, real_test._replace(images=images))
    with pytest.raises(BrokenDataError, match=r"not hold the original images") as error:
        sources.read("test", tmp_path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("label,pixel1\n3,0\n", "1 rows of 2 values, expected 10,000 of 785"),
        ("label,pixel1\n3,256\n", "not Kaggle's CSV form"),
        ("label,pixel1\n3,\n", "not Kaggle's CSV form"),
    ],
)
def test_a_csv_of_another_form_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "fashion-mnist_test.csv").write_text(text)
    with pytest.raises(BrokenDataError, match=words):
        sources.read("test", tmp_path)


def test_a_missing_csv_is_named(tmp_path: Path) -> None:
    (tmp_path / "fashion-mnist_test.csv").touch()
    with pytest.raises(MissingDataError, match=r"has no fashion-mnist_train\.csv"):
        sources.read("train", tmp_path)
