"""Pictures as people have them: what is done to an image, and how right answers are counted."""

import numpy as np
import pytest

from fashion_hpo.measuring.pictures import DISTURBANCES, rate, resized

IMAGE = np.zeros((28, 28), np.uint8)
IMAGE[4:24, 8:20] = 200
SIZES = {name: (600, 800) if "800" in name else (28, 28) for name in DISTURBANCES}


@pytest.mark.parametrize("name", DISTURBANCES)
def test_a_disturbance_has_its_size_and_leaves_the_image(name: str) -> None:
    before = IMAGE.copy()
    picture = DISTURBANCES[name](IMAGE)
    assert (picture.shape, picture.dtype) == (SIZES[name], np.uint8)
    assert np.array_equal(IMAGE, before)
    is_light = name in ("dark on white", "800 x 600, dark on light grey")
    assert (picture[0, 0] > 200) == is_light
    assert np.array_equal(picture, IMAGE) == (name == "as in the data set")


def test_the_rate_is_the_share_of_right_answers() -> None:
    images, labels = np.stack([IMAGE, IMAGE, 255 - IMAGE, IMAGE]), np.array([0, 1, 1, 0])

    def light(pictures: np.ndarray) -> np.ndarray:
        return (pictures[:, 0, 0] > 127).astype(int)

    assert rate(images, labels, DISTURBANCES["as in the data set"], resized, light) == 0.75
    assert rate(images, labels, DISTURBANCES["dark on white"], resized, light) == 0.25
