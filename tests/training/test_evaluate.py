import numpy as np
import pytest
import torch
from torch import nn

from fashion_hpo.training.architectures import build
from fashion_hpo.training.data import SearchSplits, Split
from fashion_hpo.training.devices import Hardware
from fashion_hpo.training.evaluate import (
    brier_score,
    class_scores,
    confusion_matrix,
    expected_calibration_error,
    logits_of,
    normalise,
    score,
)

CONFUSION = np.diag([5] * 10)
CONFUSION[0, :3] = 3, 2, 0  # two images of class 0 taken for class 1
CONFUSION[9, 9], CONFUSION[9, 2] = 0, 5  # class 9 is never predicted


@pytest.mark.parametrize(("pixel_range", "low"), [("unit", 0.0), ("symmetric", -1.0)])
def test_pixels_span_the_range(pixel_range: str, low: float, hardware: Hardware) -> None:
    images = torch.arange(256, dtype=torch.uint8)[:, None, None].expand(256, 28, 28)
    pixels = normalise(images, pixel_range, hardware)  # type: ignore[arg-type]
    assert pixels.shape == (256, 1, 28, 28)
    assert pixels.dtype == torch.float32
    expected = torch.linspace(low, 1, 256)
    torch.testing.assert_close(pixels[:, 0, 5, 5], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_logits_are_those_of_evaluation_mode_and_the_mode_is_put_back(
    training: bool, splits: SearchSplits, hardware: Hardware
) -> None:
    model = build("simple_cnn", dropout=0.5).train(training)
    logits = logits_of(model, splits.train, "unit", hardware)
    assert model.training is training
    assert logits.shape == (400, 10)
    assert not logits.requires_grad
    with torch.no_grad():
        expected = model.eval()(normalise(splits.train.images, "unit", hardware))
    torch.testing.assert_close(logits, expected)


def test_no_image_is_lost_where_the_split_is_larger_than_a_batch(hardware: Hardware) -> None:
    images = torch.arange(1203).remainder(256).to(torch.uint8)[:, None, None].expand(-1, 28, 28)
    split = Split(images, torch.zeros(1203, dtype=torch.int64))
    first_pixels = nn.Sequential(nn.Flatten(), nn.AvgPool1d(1), nn.Identity())
    logits = logits_of(first_pixels, split, "unit", hardware)
    assert torch.equal(logits[:, 0], images[:, 0, 0].float() / 255)


def test_score_by_hand() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.2, 0.2, 0.6]]))
    loss, accuracy = score(logits, torch.tensor([1, 2]))
    assert loss == pytest.approx(-(np.log(0.25) + np.log(0.6)) / 2)
    assert accuracy == 0.5


def test_a_loss_that_is_not_finite_stays_so() -> None:
    assert np.isnan(score(torch.full((2, 10), float("nan")), torch.tensor([1, 2])).loss)


def test_confusion_counts_true_classes_in_rows() -> None:
    matrix = confusion_matrix(predicted=np.array([1, 1, 2, 1]), labels=np.array([0, 0, 2, 1]))
    assert matrix.shape == (10, 10)
    assert matrix.sum() == 4
    assert (matrix[0, 1], matrix[1, 1], matrix[2, 2]) == (2, 1, 1)


def test_class_scores_by_hand() -> None:
    scores = class_scores(CONFUSION)
    assert scores.precision[:3] == pytest.approx([1, 5 / 7, 1 / 2])
    assert scores.recall[:3] == pytest.approx([3 / 5, 1, 1])
    assert scores.f1[:3] == pytest.approx([3 / 4, 5 / 6, 2 / 3])
    assert (scores.precision[9], scores.recall[9], scores.f1[9]) == (0, 0, 0)
    assert scores.support.tolist() == [5] * 10


def probabilities(confidence: np.ndarray) -> np.ndarray:
    """Class 0 with this confidence, the rest spread evenly."""
    rest = np.repeat((1 - confidence)[:, None] / 9, 9, axis=1)
    return np.concatenate((confidence[:, None], rest), axis=1)


def test_calibration_error_by_hand() -> None:
    confidence = np.array([0.6, 0.9, 0.6, 0.9])
    labels = np.array([0, 0, 1, 0])  # at 0.6 half are right, at 0.9 all
    error = expected_calibration_error(probabilities(confidence), labels, bins=2)
    assert error == pytest.approx((2 * 0.1 + 2 * 0.1) / 4)


def test_calibrated_confidences_have_a_small_error_and_boasted_ones_a_large() -> None:
    numbers = np.random.default_rng(0)
    confidence = numbers.uniform(0.5, 1, 50_000)
    labels = (numbers.uniform(size=50_000) > confidence).astype(int)
    assert expected_calibration_error(probabilities(confidence), labels) < 0.01
    boasted = np.full(50_000, 0.999)
    assert expected_calibration_error(probabilities(boasted), labels) == pytest.approx(
        0.249, abs=0.01
    )


def test_brier_score_by_hand() -> None:
    guesses = np.array([[0.6, 0.4, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    expected = (0.4**2 + 0.4**2, 0.0, 2.0)
    assert brier_score(guesses, np.array([0, 1, 2])) == pytest.approx(np.mean(expected))
    assert brier_score(np.full((4, 10), 0.1), np.arange(4)) == pytest.approx(0.9)


def test_the_true_probabilities_have_the_lowest_brier_score() -> None:
    labels = (np.random.default_rng(0).uniform(size=20_000) < 0.3).astype(int)
    scores = [
        brier_score(np.tile([1 - share, share], (len(labels), 1)), labels)
        for share in (0.1, 0.3, 0.5)
    ]
    assert min(scores) == scores[1] == pytest.approx(2 * 0.3 * 0.7, abs=0.01)


def test_fewer_images_than_bins_are_no_hindrance() -> None:
    assert expected_calibration_error(probabilities(np.array([0.8])), np.array([0])) == (
        pytest.approx(0.2)
    )
