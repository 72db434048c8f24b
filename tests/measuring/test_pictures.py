"""Pictures as people have them: what is done to an image, and how right answers are counted."""

import numpy as np
import pytest

from fashion_hpo.measuring.pictures import DISTURBANCES, rate, resized

IMAGE = np.zeros((28, 28), np.uint8)
IMAGE[4:24, 8:20] = 200
LARGE = ("800 x 600, off the centre", "800 x 600, dark on light grey", "the same as a JPEG")
SIZES = {name: (600, 800) if name in LARGE else (28, 28) for name in DISTURBANCES}


@pytest.mark.parametrize("name", DISTURBANCES)
def test_a_disturbance_has_its_size_and_leaves_the_image(name: str) -> None:
    before = IMAGE.copy()
    picture = DISTURBANCES[name](IMAGE)
    assert (picture.shape, picture.dtype) == (SIZES[name], np.uint8)
    assert np.array_equal(IMAGE, before)
    is_light = name in ("dark on white", *LARGE[1:])
    assert (picture[0, 0] > 200) == is_light
    assert np.array_equal(picture, IMAGE) == (name == "as in the data set")


def test_a_jpeg_has_lost_something_and_not_much() -> None:
    before = DISTURBANCES["800 x 600, dark on light grey"](IMAGE).astype(int)
    difference = np.abs(DISTURBANCES["the same as a JPEG"](IMAGE) - before)
    assert 0 < difference.max() < 40
    assert difference.mean() < 1


def test_the_rate_is_the_share_of_right_answers() -> None:
    images, labels = np.stack([IMAGE, IMAGE, 255 - IMAGE, IMAGE]), np.array([0, 1, 1, 0])

    def light(pictures: np.ndarray) -> np.ndarray:
        return (pictures[:, 0, 0] > 127).astype(int)

    assert rate(images, labels, DISTURBANCES["as in the data set"], resized, light) == 0.75
    assert rate(images, labels, DISTURBANCES["dark on white"], resized, light) == 0.25
