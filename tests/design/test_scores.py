"""The formulas, by hand and on probabilities that are known to be true."""

import numpy as np
import pytest

from fashion_hpo.design.scores import (
    brier_scores,
    class_scores,
    confusion_matrix,
    cross_entropies,
    expected_calibration_error,
    mean_cross_entropy,
    softmax,
)

CONFUSION = np.diag([5] * 10)
CONFUSION[0, :3] = 3, 2, 0  # two images of class 0 taken for class 1
CONFUSION[9, 9], CONFUSION[9, 2] = 0, 5  # class 9 is never predicted


def test_softmax_of_large_half_precision_logits_is_finite() -> None:
    logits = np.array([[60000.0, 0, *[0] * 8], [0.0, np.log(3), *[-100] * 8]]).astype(np.float16)
    probabilities = softmax(logits)
    assert probabilities[0, 0] == 1
    assert probabilities[1, 1] == pytest.approx(0.75, abs=1e-3)


def test_cross_entropy_of_logits_is_that_of_their_probabilities() -> None:
    logits, labels = np.array([[0.0, 1.0, 3.0], [2.0, 0.0, 0.0]]), np.array([2, 1])
    by_hand = -np.log(softmax(logits)[[0, 1], labels])
    assert cross_entropies(logits, labels) == pytest.approx(by_hand)
    assert mean_cross_entropy(softmax(logits), labels) == pytest.approx(by_hand.mean())
    assert mean_cross_entropy(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(87.3, abs=0.1)


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
    assert brier_scores(guesses, np.array([0, 1, 2])) == pytest.approx(expected)
    assert brier_scores(np.full((4, 10), 0.1), np.arange(4)) == pytest.approx([0.9] * 4)


def test_the_true_probabilities_have_the_lowest_brier_score() -> None:
    labels = (np.random.default_rng(0).uniform(size=20_000) < 0.3).astype(int)
    scores = [
        brier_scores(np.tile([1 - share, share], (len(labels), 1)), labels).mean()
        for share in (0.1, 0.3, 0.5)
    ]
    assert min(scores) == scores[1] == pytest.approx(2 * 0.3 * 0.7, abs=0.01)


def test_fewer_images_than_bins_are_no_hindrance() -> None:
    assert expected_calibration_error(probabilities(np.array([0.8])), np.array([0])) == (
        pytest.approx(0.2)
    )
