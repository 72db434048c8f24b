"""Scores of a classifier's probabilities, on numpy arrays.

Labels are class numbers from 0, of shape (N,); probabilities and logits are (N, classes).
"""

import math
from dataclasses import dataclass

import numpy as np

from fashion_hpo.design.classes import CLASSES

CALIBRATION_BINS = 15
CONFIDENT = 0.9  # a prediction with at least this probability
PROBABLE = 0.8  # the same for a network that label smoothing keeps below 0.91
LOOK_ALIKE = ("T-shirt/top", "Pullover", "Dress", "Coat", "Shirt")  # worn on the upper body


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities float64 (N, classes) of logits of any precision."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(1, keepdims=True)
    powers = np.exp(shifted)
    return np.asarray(powers / powers.sum(1, keepdims=True))


def is_correct(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether the class with the highest probability or logit is the true one, bool (N,)."""
    return np.asarray(scores.argmax(1) == labels)


def cross_entropies(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Cross entropy of each image in nats, (N,)."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(1, keepdims=True)
    picked = shifted[np.arange(len(labels)), labels]
    return np.asarray(np.log(np.exp(shifted).sum(axis=1)) - picked)


def mean_cross_entropy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean cross entropy in nats; a probability of 0 counts as the smallest float32 above 0."""
    picked = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(picked, np.finfo(np.float32).tiny)).mean())


def brier_scores(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Brier score of each image, (N,), from 0 to 2 (Brier 1950).

    Σ over classes of (probability − truth)², truth being 1 or 0.  Lower is better; the mean is
    lowest for the true probabilities.
    """
    truth = np.arange(probabilities.shape[1]) == labels[:, None]
    return np.asarray(((probabilities - truth) ** 2).sum(axis=1))


def equal_mass_bins(confidence: np.ndarray, bins: int = CALIBRATION_BINS) -> list[np.ndarray]:
    """The indices of the images of each bin, by rising confidence; sizes differ by at most one.

    Equal mass, because nearly all confidences are close to 1.  Empty bins are left out.
    """
    order = np.argsort(confidence, kind="stable")
    return [part for part in np.array_split(order, bins) if len(part)]


def expected_calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = CALIBRATION_BINS
) -> float:
    """Mean |accuracy − confidence| over bins of equal mass (Guo et al. 2017, eq. 3)."""
    confidence, correct = probabilities.max(1), is_correct(probabilities, labels)
    parts = equal_mass_bins(confidence, bins)
    gaps = [len(part) * abs(correct[part].mean() - confidence[part].mean()) for part in parts]
    return float(sum(gaps) / len(labels))


def accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The share of the images whose likeliest class is the true one."""
    return float(is_correct(probabilities, labels).mean())


def brier_score(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The mean Brier score over the images."""
    return float(brier_scores(probabilities, labels).mean())


def confident_share(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The share of the predictions with a probability of at least 0.9."""
    return float((probabilities.max(1) >= CONFIDENT).mean())


def probable_share(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The share of the predictions with a probability of at least 0.8."""
    return float((probabilities.max(1) >= PROBABLE).mean())


def recall(probabilities: np.ndarray, labels: np.ndarray, *, label: int) -> float:
    """The share of a class's images that are classified correctly; NaN without any image of it."""
    hits = is_correct(probabilities, labels)[labels == label]
    return float(hits.mean()) if len(hits) else math.nan


def look_alike_errors(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The share of all errors that are between classes worn on the upper body; NaN for no error.

    By chance alone it would be 20 of 90, 22 %.
    """
    wrong = ~is_correct(probabilities, labels)
    alike = [CLASSES.index(name) for name in LOOK_ALIKE]
    between = wrong & np.isin(labels, alike) & np.isin(probabilities.argmax(1), alike)
    return float(between.sum() / wrong.sum()) if wrong.any() else math.nan


def confusion_matrix(predicted: np.ndarray, labels: np.ndarray, classes: int = 10) -> np.ndarray:
    """Counts (classes, classes): rows are true classes, columns predicted ones."""
    matrix = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(matrix, (labels, predicted), 1)
    return matrix


@dataclass(frozen=True)
class ClassScores:
    """Precision, recall, F1 and number of images of each class, arrays of shape (classes,)."""

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray


def class_scores(confusion: np.ndarray) -> ClassScores:
    """The scores of each class; 0 where a class was never predicted."""
    hits = np.diag(confusion).astype(float)
    support = confusion.sum(1)
    precision = hits / np.maximum(confusion.sum(0), 1)
    recall = hits / np.maximum(support, 1)
    total = np.maximum(precision + recall, np.finfo(float).tiny)
    return ClassScores(precision, recall, 2 * precision * recall / total, support)
