"""A picture becomes what the data set would have made of it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fashion_hpo.serving.preparing import SIDE, prepare
from fashion_hpo.training.data import load_search_splits

INVERTED = "inverted, because the background is light"
CROPPED = "cropped to the article and centred"


@pytest.fixture(scope="module")
def articles(real_data: Path) -> np.ndarray:
    """500 validation images, uint8 (500, 28, 28)."""
    return load_search_splits(real_data).val.images[:500].numpy()


def enlarged(image: np.ndarray, side: int = 560) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((side, side)))


def on(image: np.ndarray, height: int, width: int, top: int, left: int) -> np.ndarray:
    """The image on a black canvas."""
    canvas = np.zeros((height, width), np.uint8)
    canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
    return canvas


def mean_error(images: np.ndarray, others: list[np.ndarray]) -> float:
    return float(np.abs(images.astype(int) - np.stack(others).astype(int)).mean())


def likeness(image: np.ndarray, other: np.ndarray) -> float:
    """The correlation of two pictures; enlarging and shrinking blurs them alike."""
    return float(np.corrcoef(image.ravel(), other.ravel())[0, 1])


def test_images_of_the_data_set_stay_as_they_are(articles: np.ndarray) -> None:
    prepared = [prepare(image) for image in articles]
    same = [np.array_equal(p.pixels, image) for p, image in zip(prepared, articles, strict=True)]
    assert np.mean(same) > 0.99
    assert all(p.changes == () for p, is_same in zip(prepared, same, strict=True) if is_same)


def test_a_negative_is_inverted(articles: np.ndarray) -> None:
    prepared = [prepare(255 - image) for image in articles]
    assert all(picture.changes[0] == INVERTED for picture in prepared)
    assert mean_error(articles, [picture.pixels for picture in prepared]) < 0.5


def test_a_large_photograph_on_white_away_from_the_centre_is_found(articles: np.ndarray) -> None:
    alike = []
    for image in articles[:20]:
        photograph = 240 - on(enlarged(image, 300), 600, 800, 40, 450).astype(int) * 240 // 255
        prepared = prepare(photograph.astype(np.uint8))
        assert prepared.changes == (INVERTED, CROPPED)
        alike.append(likeness(image, prepared.pixels))
    assert np.mean(alike) > 0.85


def test_shadows_and_dust_do_not_move_the_article(articles: np.ndarray) -> None:
    image = articles[0]
    draws = np.random.default_rng(0)
    canvas = on(enlarged(image, 300), 600, 600, 20, 250).astype(int)
    shaded = canvas + draws.integers(0, 12, canvas.shape) + np.linspace(0, 12, 600).astype(int)
    shaded[590, 3] = 255  # one bright pixel far from the article
    prepared = prepare(shaded.clip(0, 255).astype(np.uint8))
    assert likeness(image, prepared.pixels) > 0.8


@pytest.mark.parametrize("value", [0, 40, 128, 200, 255])
@pytest.mark.parametrize("shape", [(28, 28), (1, 1), (1, 400), (300, 200)])
def test_an_empty_picture_is_told(value: int, shape: tuple[int, int]) -> None:
    prepared = prepare(np.full(shape, value, np.uint8))
    assert prepared.pixels.shape == (SIDE, SIDE)
    assert prepared.pixels.max() == 0
    assert prepared.changes[-1] == "nothing stands out from the background"


@pytest.mark.parametrize(("height", "width"), [(400, 100), (100, 400), (3, 200), (200, 3)])
def test_the_longer_side_fills_the_picture(height: int, width: int) -> None:
    prepared = prepare(on(np.full((height, width), 200, np.uint8), 500, 500, 7, 60)).pixels
    rows, columns = np.flatnonzero(prepared.any(1)), np.flatnonzero(prepared.any(0))
    assert max(len(rows), len(columns)) == SIDE
    assert abs(rows[0] + rows[-1] + 1 - SIDE) <= 1
    assert abs(columns[0] + columns[-1] + 1 - SIDE) <= 1
