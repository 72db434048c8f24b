"""Data sets of one's own: their forms, their split, and what is refused."""

import gzip
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from fashion_hpo.design.data_set import DataSet
from fashion_hpo.training import own_data
from fashion_hpo.training.data import chosen_data, load_search_splits
from fashion_hpo.training.final_images import open_gate, open_test
from fashion_hpo.training.originals import BrokenDataError, MissingDataError
from fashion_hpo.training.own_data import OwnData
from tests.own_sets import digits, write_digits, write_tiles


@pytest.fixture(scope="module")
def digits_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_digits(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiles(tmp_path_factory.mktemp("tiles"))


@pytest.fixture
def own_tiles(tiles: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(tiles, tmp_path / "tiles"))


def contents(own: OwnData, part: str) -> set[bytes]:
    return {image.numpy().tobytes() for image in own.splits[part].images}


def refusal(data: DataSet) -> str:
    with pytest.raises((BrokenDataError, MissingDataError)) as error:
        own_data.read(data)
    return str(error.value)


def idx(array: np.ndarray) -> bytes:
    shape = np.array(array.shape, ">u4").tobytes()
    return bytes([0, 0, 8, array.ndim]) + shape + array.astype(np.uint8).tobytes()


def test_digits_are_split_without_overlap_in_the_stated_shares(digits_file: Path) -> None:
    own = own_data.read(DataSet(str(digits_file)))
    assert own.info.classes == tuple("0123456789")
    assert (own.info.name, own.info.channels) == ("digits", 1)
    sizes = {part: len(split) for part, split in own.splits.items()}
    assert sum(sizes.values()) == 1_797
    assert sizes["train"] / 1_797 == pytest.approx(50 / 70, abs=0.02)
    assert sizes["test"] / 1_797 == pytest.approx(10 / 70, abs=0.02)
    parts = [contents(own, part) for part in ("train", "val", "gate", "test")]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 1_797


def test_the_split_does_not_depend_on_the_order_of_the_files(tmp_path: Path) -> None:
    images, labels = digits()
    order = np.random.default_rng(0).permutation(len(labels))
    for name, rows in (("one", slice(None)), ("other", order)):
        np.savez(tmp_path / f"{name}.npz", images=images[rows], labels=labels[rows])
    one, other = (own_data.read(DataSet(str(tmp_path / f"{n}.npz"))) for n in ("one", "other"))
    assert one.data_hash == other.data_hash
    for part, split in one.splits.items():
        assert torch.equal(split.images, other.splits[part].images), part
        assert torch.equal(split.labels, other.splits[part].labels), part


def test_one_changed_pixel_is_another_data_set(tmp_path: Path) -> None:
    images, labels = digits()
    before = own_data.read(DataSet(str(write_digits(tmp_path)))).data_hash
    images[7, 3, 3] ^= 1
    np.savez(tmp_path / "digits.npz", images=images, labels=labels)
    assert own_data.read(DataSet(str(tmp_path / "digits.npz"))).data_hash != before


def test_gate_and_test_images_are_those_of_the_split(digits_file: Path, tmp_path: Path) -> None:
    data, log = DataSet(str(digits_file)), tmp_path / "openings.jsonl"
    own, searched = own_data.read(data), load_search_splits(data)
    gate, test = open_gate(log, "a test", data), open_test(log, "a test", data)
    assert torch.equal(gate.images.images, own.splits["gate"].images)
    assert torch.equal(test.images.images, own.splits["test"].images)
    assert gate.data_hash == test.data_hash == searched.data_hash
    assert open_test(log, "a test", data).openings_before == 1


def test_all_forms_of_the_same_images_give_the_same_splits(
    digits_file: Path, tmp_path: Path
) -> None:
    images, labels = digits()
    folder = tmp_path / "as_idx"
    folder.mkdir()
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(labels))
    rows = np.column_stack([labels, images.reshape(len(images), -1)])
    lines = [",".join(map(str, row)) for row in rows]
    header = ",".join(["label", *(f"pixel{i}" for i in range(64))])
    (tmp_path / "as.csv").write_text("\n".join([header, *lines]))
    wanted = own_data.read(DataSet(str(digits_file), "same"))
    for path in (folder, tmp_path / "as.csv"):
        own = own_data.read(DataSet(str(path), "same"))
        assert own.data_hash == wanted.data_hash
        for part, split in wanted.splits.items():
            assert torch.equal(split.images, own.splits[part].images)


def test_test_images_that_the_data_bring_stay_the_test_set(tmp_path: Path) -> None:
    images, labels = digits()
    for name, rows in (("train", slice(1_500)), ("t10k", slice(1_500, None))):
        (tmp_path / f"{name}-images-idx3-ubyte").write_bytes(idx(images[rows]))
        (tmp_path / f"{name}-labels-idx1-ubyte").write_bytes(idx(labels[rows]))
    (tmp_path / "classes.txt").write_text("\n".join(f"digit {i}" for i in range(10)))
    own = own_data.read(DataSet(str(tmp_path), "mine"))
    assert own.info.test == 297
    assert own.info.val == own.info.gate == pytest.approx(1_500 / 12, abs=10)
    assert own.info.classes[3] == "digit 3"


def test_colour_tiles_are_scaled_and_keep_their_channels(tiles: Path) -> None:
    own = own_data.read(DataSet(str(tiles)))
    assert own.info.channels == 3
    assert own.info.classes == ("flower", "temple")
    assert own.splits["train"].images.shape[1:] == (3, 28, 28)
    red, green, blue = own.splits["train"].images.float().mean((0, 2, 3)).tolist()
    assert len({round(red), round(green), round(blue)}) > 1


def test_a_wide_picture_is_centred_on_black(tmp_path: Path) -> None:
    from fashion_hpo.training.pictures import fitted

    framed = fitted(np.full((10, 40), 200, np.uint8))
    assert framed.shape == (28, 28)
    assert framed[:10].max() == framed[-10:].max() == 0
    assert framed[13:15].min() == 200


def _add(path: Path, content: bytes = b"no image") -> Path:
    path.write_bytes(content)
    return path


def test_files_that_are_no_images_are_named_counted_and_skipped(own_tiles: Path) -> None:
    for number in range(5):
        _add(own_tiles / "flower" / f"x{number}.png")
    _add(own_tiles / "flower" / ".DS_Store")
    told = refusal(DataSet(str(own_tiles)))
    assert "5 of 125 files" in told
    assert re.search(r"flower/x0\.png \(no image of a known format\)", told)
    assert "and 2 more" in told
    assert "--skip-bad" in told
    own = own_data.read(DataSet(str(own_tiles), skip_bad=True))
    assert sum(map(len, own.splits.values())) == 120
    assert own.notes == ("data set tiles: 5 file(s) that are no images are left out",)


def test_an_image_under_two_classes_is_refused_or_left_out(own_tiles: Path) -> None:
    shutil.copy(own_tiles / "flower/003.png", own_tiles / "temple/again.png")
    told = refusal(DataSet(str(own_tiles)))
    assert "1 image(s) under two classes" in told
    assert "flower/003.png" in told
    assert "temple/again.png" in told
    own = own_data.read(DataSet(str(own_tiles), skip_bad=True))
    assert sum(map(len, own.splits.values())) == 119


def test_copies_within_a_class_count_once(own_tiles: Path) -> None:
    before = own_data.read(DataSet(str(own_tiles)))
    shutil.copy(own_tiles / "flower/003.png", own_tiles / "flower/again.png")
    after = own_data.read(DataSet(str(own_tiles)))
    assert after.data_hash == before.data_hash
    assert after.notes == ("data set tiles: 1 exact copy is left out",)


def _only(name: str) -> Callable[[Path], object]:
    return lambda tiles: [shutil.rmtree(p) for p in tiles.iterdir() if p.name != name]


def _emptied(tiles: Path) -> None:
    for path in (tiles / "temple").iterdir():
        path.unlink()


def _few(tiles: Path) -> None:
    for path in sorted((tiles / "temple").iterdir())[19:]:
        path.unlink()


def _same(tiles: Path) -> None:
    shutil.rmtree(tiles / "temple")
    shutil.copytree(tiles / "flower", tiles / "temple")


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "one class": (_only("flower"), "has one class, 'flower'; a classifier needs at least two"),
    "no class": (_only("none"), "has no folder of pictures for each class"),
    "an empty class": (_emptied, "class 'temple' of .* has no images"),
    "a small class": (_few, r"class 'temple' of .* has 19 image\(s\).* at least 20"),
    "two equal classes": (_same, r"60 image\(s\) under two classes"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_bad_folders_are_refused_by_name(case: str, own_tiles: Path) -> None:
    spoil, message = BROKEN[case]
    spoil(own_tiles)
    told = refusal(DataSet(str(own_tiles)))
    assert re.search(message, told), told
    assert str(own_tiles) in told


ARRAYS: dict[str, tuple[dict[str, object], str]] = {
    "no labels": ({"images": np.zeros((40, 8, 8), np.uint8)}, "no labels"),
    "too few labels": (
        {"images": np.zeros((40, 8, 8), np.uint8), "labels": np.zeros(39)},
        "40 images and labels of shape",
    ),
    "pixels up to 16": (
        {"images": np.full((40, 8, 8), 16.0), "labels": np.zeros(40)},
        "pixels of type float64 from 16 to 16",
    ),
    "flat images": (
        {"images": np.zeros((40, 64), np.uint8), "labels": np.zeros(40)},
        r"images of shape \(40, 64\)",
    ),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_bad_arrays_are_refused_by_file(case: str, tmp_path: Path) -> None:
    arrays, message = ARRAYS[case]
    path = tmp_path / "mine.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    told = refusal(DataSet(str(path)))
    assert re.search(message, told), told
    assert str(path) in told


def test_a_pickle_in_an_npz_is_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    np.savez(path, images=np.array([object()]), labels=np.zeros(1))
    assert "cannot be read" in refusal(DataSet(str(path)))


@pytest.mark.parametrize("row", ["1,2,3", "1,0,0,0,999", "1,0,0,0,x"])
def test_a_bad_row_of_a_csv_is_named(row: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("label,a,b,c,d\n0,1,2,3,4\n" + row)
    assert f"{path}, row 3" in refusal(DataSet(str(path)))


def test_a_truncated_idx_file_is_named(tmp_path: Path) -> None:
    images, labels = digits()
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(images)[:-5])
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(labels))
    told = refusal(DataSet(str(tmp_path), "mine"))
    assert "train-images-idx3-ubyte is no whole idx file" in told


def test_a_folder_of_fashion_mnists_files_stays_fashion_mnist(
    tmp_path: Path, tiles: Path, digits_file: Path
) -> None:
    (tmp_path / "train-images-idx3-ubyte").touch()
    assert chosen_data(tmp_path) == tmp_path
    assert chosen_data(tmp_path, "mine") == DataSet(str(tmp_path), "mine")
    assert chosen_data(tiles) == DataSet(str(tiles), "tiles")
    assert chosen_data(digits_file) == DataSet(str(digits_file), "digits")
    assert chosen_data(None) is None
    assert chosen_data(tmp_path / "absent") == tmp_path / "absent"
    with pytest.raises(ValueError, match="--skip-bad needs --data"):
        chosen_data(None, None, True)


@pytest.mark.parametrize("name", ["fashion-mnist", "Å", "-x", "x" * 41])
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="data set name is"):
        DataSet("pictures", name)
