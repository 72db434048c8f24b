"""The sheet of augmentations: a page of its own, from the real data."""

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fashion_hpo import augment
from fashion_hpo.training.augment.randaugment import OPERATIONS
from fashion_hpo.training.data import load_search_splits


def written(folder: Path, data: Path, *arguments: str) -> str:
    out = folder / "sheet.html"
    assert augment.main(["--out", str(out), "--data", str(data), *arguments]) == 0
    return out.read_text(encoding="utf-8")


def titles(page: str) -> list[str]:
    return re.findall(r'<th scope="row">([^<]*)</th>', page)


def pictures(page: str) -> list[np.ndarray]:
    found = re.findall(r'src="data:image/png;base64,([^"]*)" alt="', page)
    return [np.array(Image.open(io.BytesIO(base64.b64decode(data)))) for data in found]


def test_the_sheet_shows_every_option_on_real_images(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = written(tmp_path, real_data, "--set", "rotation=20", "--set", "erasing=0")
    assert capsys.readouterr().out == f"written: {tmp_path / 'sheet.html'}\n"
    shown = titles(page)
    assert shown[0] == "as they are"
    assert shown[1] == "rotation = 20"
    assert {f"{name}, M = 9" for name in OPERATIONS} < set(shown)
    assert {"mixup_alpha = 1", "cutmix_alpha = 1", "all of these"} < set(shown)
    assert not any("erasing" in title for title in shown)
    drawn = pictures(page)
    assert len(drawn) == 12 * len(shown)
    assert all(picture.shape == (28, 28) for picture in drawn)
    train = load_search_splits(real_data).train
    assert any((image.numpy() == drawn[0]).all() for image in train.images[:100])


def test_the_sheet_loads_nothing_and_is_fixed_by_its_seed(real_data: Path, tmp_path: Path) -> None:
    page = written(tmp_path, real_data, "--seed", "3")
    assert "://" not in page
    assert "<script src" not in page
    assert page == written(tmp_path, real_data, "--seed", "3")
    assert page != written(tmp_path, real_data, "--seed", "4")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "randaugment_magnitude=31"], "randaugment_magnitude is 31; allowed is 0 to 30."),
        (["--set", "rotation=400"], "rotation is 400.0; allowed is 0 (off) to 180 degrees."),
        (["--set", "zoom=half"], "zoom is 'half'; allowed is a number."),
        (["--set", "mixup_per_image=2"], "mixup_per_image is '2'; allowed is true or false."),
        (["--set", "rotate=4"], "rotate is not a field of TrainConfig; did you mean rotation?"),
        (["--set", "rotation"], "--set is 'rotation'; write it as field=value."),
        (["--seed", "x"], "seed is 'x'; allowed is a whole number."),
        (["--seed", "-1"], "seed is -1; allowed is 0 to 2**63 - 1."),
        (["--data", "nowhere"], "data folder nowhere "),
    ],
)
def test_bad_input_is_refused_in_one_sentence_and_leaves_no_file(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert augment.main(arguments) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"error: {words}")
    assert said.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_named(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "absent" / "sheet.html"
    assert augment.main(["--out", str(out), "--data", str(real_data)]) == 2
    assert str(out) in capsys.readouterr().err
