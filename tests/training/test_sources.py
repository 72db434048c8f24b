import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fashion_hpo.training import originals, sources
from fashion_hpo.training.originals import Part
from fashion_hpo.training.sources import Arrays, BrokenDataError, MissingDataError
from tests.training.conftest import WriteCsv

TRAIN_CSV, TEST_CSV = "fashion-mnist_train.csv", "fashion-mnist_test.csv"
PARTS: tuple[Part, ...] = ("train", "test")
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
        (
            IMAGES,
            lambda c: b"<html>Please log in</html>",
            "not an idx file, it begins with b'<html>Pl'",
        ),
        (LABELS, lambda c: bytes(len(c)), "it is not an idx file"),
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


@pytest.mark.parametrize(
    ("present", "missing"),
    [
        (["train-images-idx3-ubyte", "train-labels-idx1-ubyte"], [IMAGES, LABELS]),
        ([IMAGES, LABELS, "train-images-idx3-ubyte"], ["train-labels-idx1-ubyte"]),
        ([TRAIN_CSV], [TEST_CSV]),
        ([TEST_CSV], [TRAIN_CSV]),
        ([TRAIN_CSV, LABELS], ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", IMAGES]),
    ],
)
@pytest.mark.parametrize("part", PARTS)
def test_missing_files_are_named_whichever_part_is_read(
    tmp_path: Path, part: Part, present: list[str], missing: list[str]
) -> None:
    """A search must not train for hours on a set that `register` then finds without test images."""
    for name in present:
        (tmp_path / name).touch()
    with pytest.raises(MissingDataError) as error:
        sources.read(part, tmp_path)
    assert str(error.value).startswith(f"{tmp_path} has no {', '.join(missing)} (nor .gz); ")
    for word in ("apt-get install", "--data", "FASHION_HPO_DATA"):
        assert word in str(error.value)


IDX = sources.IDX_NAMES


@pytest.mark.parametrize(
    ("below", "named"),
    [
        (".", str.upper),
        ("FashionMNIST/raw", lambda name: name.replace("-idx", ".idx")),
        ("raw", lambda name: f"{name}.gz"),  # unpacked by the browser, which keeps the name
        ("data/fashion", lambda name: f"{name.upper()}.GZ"),
        ("fashion", lambda name: name),
    ],
)
def test_the_files_are_known_by_the_names_and_in_the_folders_that_people_have(
    tmp_path: Path,
    plain_folder: Path,
    below: str,
    named: Callable[[str], str],
    real_test: Arrays,
) -> None:
    folder = tmp_path / below
    folder.mkdir(parents=True, exist_ok=True)
    for name in IDX:
        target = folder / named(name)
        if target.suffix == ".GZ":
            target.write_bytes(gzip.compress((plain_folder / name).read_bytes(), 0))
        else:
            target.symlink_to(plain_folder / name)
    assert np.array_equal(sources.read("test", tmp_path).images, real_test.images)


def test_a_csv_is_known_in_upper_case_and_compressed(tmp_path: Path) -> None:
    (tmp_path / TRAIN_CSV.upper()).write_text("label,pixel1\n3,0\n")
    (tmp_path / f"{TEST_CSV}.gz").write_bytes(gzip.compress(b"label,pixel1\n3,0\n"))
    with pytest.raises(BrokenDataError, match=r"TRAIN\.CSV has 1 rows of 2 values"):
        sources.read("train", tmp_path)
    (tmp_path / TRAIN_CSV.upper()).rename(tmp_path / "unused")
    (tmp_path / f"{TEST_CSV}.gz").rename(tmp_path / f"{TRAIN_CSV}.gz")
    (tmp_path / TEST_CSV).touch()
    with pytest.raises(BrokenDataError, match=r"train\.csv\.gz has 1 rows of 2 values"):
        sources.read("train", tmp_path)


def test_mnists_digits_are_told_by_name(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digits = data_folder / LABELS
    content = changed(digits.read_bytes(), 500, 3)
    digits.unlink()
    digits.write_bytes(content)
    monkeypatch.setattr(originals, "DIGITS", {hashlib.sha256(content).hexdigest()})
    with pytest.raises(BrokenDataError, match=r"is MNIST's file of handwritten digits; replace"):
        sources.read("train", data_folder)


def test_what_is_no_folder_with_data_is_told_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusal(given: Path | None) -> str:
        with pytest.raises(
            MissingDataError, match=r"; correct --data or FASHION_HPO_DATA"
        ) as error:
            sources.find(given)
        return str(error.value)

    file = tmp_path / "train-images-idx3-ubyte.gz"
    file.touch()
    empty = tmp_path / "empty"
    empty.mkdir()
    assert f"{file} is a file, not the folder that holds the unpacked data files" in refusal(file)
    assert f"{empty / 'x'} does not exist" in refusal(empty / "x")
    assert f"{empty} holds neither the four idx files nor Kaggle's two CSV files;" in refusal(empty)
    (empty / "archive.zip").touch()
    assert "CSV files (unpack archive.zip there);" in refusal(empty)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert sources.find(Path("~")) == tmp_path
    monkeypatch.setenv("FASHION_HPO_DATA", "~/empty")
    assert str(empty) in refusal(None)


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


HEADINGS = ",".join(["label", *(f"pixel{number}" for number in range(1, 785))])


@pytest.fixture(scope="module")
def csv_folder(
    real_train: Arrays,
    real_test: Arrays,
    write_csv: WriteCsv,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Kaggle's two files."""
    folder = tmp_path_factory.mktemp("csv")
    write_csv(folder / TEST_CSV, real_test)
    write_csv(folder / TRAIN_CSV, real_train)
    return folder


def test_a_csv_with_one_changed_pixel_is_refused(
    csv_folder: Path, real_test: Arrays, write_csv: WriteCsv, tmp_path: Path
) -> None:
    (tmp_path / TRAIN_CSV).symlink_to(csv_folder / TRAIN_CSV)
    path = tmp_path / TEST_CSV
    images = real_test.images.copy()
    images[4321, 14, 14] ^= 1
    write_csv(path, real_test._replace(images=images))
    with pytest.raises(BrokenDataError, match=r"not hold the original images") as error:
        sources.read("train", tmp_path)  # also when the other part is asked for
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("label,pixel1\n3,0\n", "1 rows of 2 values, expected 60,000 of 785"),
        ("label,pixel1\n3,256\n", "not Kaggle's CSV file"),
        ("label,pixel1\n3,\n", "not Kaggle's CSV file"),
        ("label;pixel1\n3;0\n", "not Kaggle's CSV file"),
        (f"{HEADINGS}\n", "0 rows"),
        ("", "0 rows"),
    ],
)
def test_a_csv_of_another_form_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / TEST_CSV).write_text("not looked at before the other")
    (tmp_path / TRAIN_CSV).write_text(text)
    with pytest.raises(BrokenDataError, match=words):
        sources.read("test", tmp_path)


def test_kaggles_files_are_read_when_an_idx_file_is_missing(
    csv_folder: Path, plain_folder: Path, tmp_path: Path, real_test: Arrays
) -> None:
    for path in (csv_folder / TRAIN_CSV, csv_folder / TEST_CSV, plain_folder / LABELS):
        (tmp_path / path.name).symlink_to(path)
    assert np.array_equal(sources.read("test", tmp_path).images, real_test.images)
