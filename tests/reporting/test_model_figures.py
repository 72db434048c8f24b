"""The figures of one model's predictions, also of one that makes no mistake or nothing but."""

import json

import numpy as np
import plotly.graph_objects as go
import pytest

from fashion_hpo.analysis.statistics.predictions import Predictions
from fashion_hpo.design.classes import CLASSES
from fashion_hpo.reporting.figures import predictions
from fashion_hpo.reporting.page.gallery import MOST, mistakes
from fashion_hpo.reporting.page.sections import of_model


def predicted(share_right: float = 0.8, images: int = 200, classes: int = 10) -> Predictions:
    rng = np.random.default_rng(0)
    labels = np.arange(images) % classes
    named = np.where(np.arange(images) < share_right * images, labels, (labels + 1) % 10)
    table = rng.random((images, 10)) / 20
    table[np.arange(images), named] = 1 + rng.random(images)
    return Predictions(4, table / table.sum(1, keepdims=True), labels)


@pytest.mark.parametrize("share", [0.0, 0.8, 1.0])
@pytest.mark.parametrize("classes", [1, 10])
def test_every_figure_has_axis_titles_and_valid_json(share: float, classes: int) -> None:
    drawn = of_model(predicted(share, classes=classes))
    assert len(drawn) == 5
    for figure in drawn.values():
        layout = json.loads(figure.to_json())["layout"]
        assert layout["title"]["subtitle"]["text"]
        assert layout["xaxis"]["title"]["text"]
        assert layout["yaxis"]["title"]["text"]
        assert figure.data or figure.layout.annotations[0].text == "nothing to show yet"
        json.dumps(json.loads(figure.to_json()), allow_nan=False)


def test_the_confusion_matrix_has_every_image_once() -> None:
    hits, mistakes = predictions.confusion_counts(predicted()).data
    assert _total(hits) == 160
    assert _total(mistakes) == 40
    assert all(hits.z[row][row] is not None for row in range(10))


def test_confused_pairs_are_shares_of_the_true_class() -> None:
    (bars,) = predictions.most_confused(predicted()).data
    assert f"{CLASSES[0]} → {CLASSES[1]}" in bars.y
    assert max(bars.x) == pytest.approx(20)  # 4 of 20
    assert set(bars.text) == {"4"}


def test_confidence_is_apart_for_right_and_wrong() -> None:
    right, wrong = predictions.confidence_boxes(predicted()).data
    assert (right.name, wrong.name) == ("right", "wrong")
    assert list(right.y) == list(CLASSES)
    for each in (right, wrong):
        for low, middle, high in zip(each.q1, each.median, each.q3, strict=True):
            assert low <= middle <= high <= 100


def test_curves_stay_small_and_end_at_full_recall() -> None:
    for curve in predictions.precision_recall_curves(predicted(images=5000)).data:
        assert len(curve.x) <= predictions.CURVE_POINTS
        assert curve.x[-1] == 1


def test_the_gallery_has_the_surest_mistakes_and_none_of_a_model_that_made_none() -> None:
    images = np.zeros((200, 28, 28), dtype=np.uint8)
    shown = mistakes(predicted(), images)
    assert len(shown) == MOST
    assert all(mistake.picture.startswith("data:image/png;base64,") for mistake in shown)
    assert all(mistake.predicted != mistake.true for mistake in shown)
    shares = [float(mistake.confidence.removesuffix("\u00a0%")) for mistake in shown]
    assert shares == sorted(shares, reverse=True)
    assert mistakes(predicted(1.0), images) == []


def _total(heatmap: go.Heatmap) -> int:
    return sum(value for row in heatmap.z for value in row if value is not None)
