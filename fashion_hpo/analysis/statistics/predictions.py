"""What the best trial's model says of every validation image, and what that comes to."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.intervals import wilson
from fashion_hpo.stores.predictions import NoPredictionsError

BINS = 15  # of equal mass, as the expected calibration error has them


@dataclass(frozen=True)
class Predictions:
    """One trial's: probabilities (N, 10) and labels (N,), in the order of the validation split."""

    trial: int
    probabilities: np.ndarray
    labels: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """The likeliest class of each image, shape (N,)."""
        return np.asarray(self.probabilities.argmax(1))

    @property
    def confidence(self) -> np.ndarray:
        """The probability of that class, shape (N,)."""
        return np.asarray(self.probabilities.max(1))

    @property
    def correct(self) -> np.ndarray:
        """Whether it is the true one, shape (N,)."""
        return np.asarray(self.predicted == self.labels)


def best_trial(records: Records) -> int | None:
    """The number of the first of the trials that are compared; None without any."""
    trials = records.ranked
    return None if trials.empty else int(trials["trial"].iloc[0])


def read(records: Records, trial: int) -> Predictions:
    """A trial's predictions, by its number; the records are those of a store.

    Raises NoPredictionsError, with a sentence, if they cannot be had.
    """
    assert records.predictions is not None
    (uid,) = records.trials.loc[records.trials["trial"] == trial, "uid"]
    try:
        kept = records.predictions.read(uid)
    except NoPredictionsError as error:
        what = f"the validation logits of trial {trial} {error}"
        raise NoPredictionsError(what, error.advice) from None
    return Predictions(trial, softmax(kept.logits), kept.labels.astype(np.int64))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities (N, 10) of logits (N, 10) of any precision."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(1, keepdims=True)
    powers = np.exp(shifted)
    return np.asarray(powers / powers.sum(1, keepdims=True))


def confusion(of: Predictions) -> np.ndarray:
    """Counts (10, 10): rows are true classes, columns predicted ones."""
    matrix = np.zeros((10, 10), dtype=np.int64)
    np.add.at(matrix, (of.labels, of.predicted), 1)
    return matrix


class Pair(NamedTuple):
    """How many images of one class were taken for another, of how many."""

    true: int
    predicted: int
    mistakes: int
    images: int


def confused_pairs(matrix: np.ndarray, most: int = 10) -> list[Pair]:
    """The most frequent mistakes, the most frequent first; pairs that never occur are left out."""
    support = matrix.sum(1)
    found = [
        Pair(true, predicted, int(matrix[true, predicted]), int(support[true]))
        for true in range(10)
        for predicted in range(10)
        if true != predicted and matrix[true, predicted]
    ]
    return sorted(found, key=lambda pair: -pair.mistakes)[:most]


class Bin(NamedTuple):
    """Images of like confidence: mean confidence, accuracy with its 95 % interval, their number."""

    confidence: float
    accuracy: float
    low: float
    high: float
    images: int


def reliability(of: Predictions, bins: int = BINS) -> list[Bin]:
    """Accuracy against confidence in bins of equal mass; intervals after Wilson (1927)."""
    order = np.argsort(of.confidence, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    found = []
    for part in parts:
        accuracy = float(of.correct[part].mean())
        low, high = wilson(accuracy, len(part))
        found.append(Bin(float(of.confidence[part].mean()), accuracy, low, high, len(part)))
    return found


def calibration_error(bins: list[Bin]) -> float:
    """Mean |accuracy - confidence| over the images (Guo et al. 2017, eq. 3)."""
    total = sum(each.images for each in bins)
    return sum(each.images * abs(each.accuracy - each.confidence) for each in bins) / total


class PrecisionRecall(NamedTuple):
    """Of one class, at falling thresholds: recall and precision (T,), and average precision."""

    recall: np.ndarray
    precision: np.ndarray
    average: float


def precision_recall(of: Predictions, label: int) -> PrecisionRecall | None:
    """Of one class against all others, a threshold after each image of it; None without any."""
    order = np.argsort(-of.probabilities[:, label], kind="stable")
    hits = of.labels[order] == label
    if not hits.any():
        return None
    ranks = np.flatnonzero(hits) + 1
    found = np.arange(1, len(ranks) + 1)
    precision = found / ranks
    return PrecisionRecall(found / len(ranks), precision, float(precision.mean()))


def confident_mistakes(of: Predictions, most: int) -> np.ndarray:
    """The numbers of the wrongly classified images, the most confident first, shape (<= most,)."""
    wrong = np.flatnonzero(~of.correct)
    return np.asarray(wrong[np.argsort(-of.confidence[wrong], kind="stable")][:most])
