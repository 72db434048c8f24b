"""What the best trial's model says of every validation image, and what that comes to."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fashion_hpo.analysis.intervals import wilson
from fashion_hpo.analysis.records import Records
from fashion_hpo.design.classes import CLASSES
from fashion_hpo.design.scores import CALIBRATION_BINS, equal_mass_bins, is_correct, softmax
from fashion_hpo.stores.predictions import NoPredictionsError


@dataclass(frozen=True)
class Predictions:
    """One trial's: probabilities (N, classes) and labels (N,), in the order of the validation
    split, and the names of the classes."""

    trial: int
    probabilities: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...] = CLASSES

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
        return is_correct(self.probabilities, self.labels)


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
        stored = records.predictions.read(uid)
    except NoPredictionsError as error:
        what = f"the validation logits of trial {trial} {error}"
        raise NoPredictionsError(what, error.advice) from None
    labels = stored.labels.astype(np.int64)
    return Predictions(trial, softmax(stored.logits), labels, records.info.classes)


class Pair(NamedTuple):
    """How many images of one class were taken for another, of how many."""

    true: int
    predicted: int
    mistakes: int
    images: int


def confused_pairs(matrix: np.ndarray, most: int = 10) -> list[Pair]:
    """The most frequent mistakes, the most frequent first; pairs that never occur are left out."""
    support = matrix.sum(1)
    pairs = [
        Pair(true, predicted, int(matrix[true, predicted]), int(support[true]))
        for true in range(len(matrix))
        for predicted in range(len(matrix))
        if true != predicted and matrix[true, predicted]
    ]
    return sorted(pairs, key=lambda pair: -pair.mistakes)[:most]


class Bin(NamedTuple):
    """Images of like confidence: mean confidence, accuracy with its 95 % interval, their number."""

    confidence: float
    accuracy: float
    low: float
    high: float
    images: int


def reliability(of: Predictions, bins: int = CALIBRATION_BINS) -> list[Bin]:
    """Accuracy against confidence in bins of equal mass; intervals after Wilson (1927)."""
    parts = equal_mass_bins(of.confidence, bins)
    shares = [float(of.correct[part].mean()) for part in parts]
    return [
        Bin(float(of.confidence[part].mean()), share, *wilson(share, len(part)), len(part))
        for share, part in zip(shares, parts, strict=True)
    ]


class PrecisionRecall(NamedTuple):
    """Of one class, at falling thresholds: recall and precision (T,), and average precision."""

    recall: np.ndarray
    precision: np.ndarray
    average: float


def precision_recall(of: Predictions, label: int) -> PrecisionRecall | None:
    """Of one class against all others, at every threshold; None without an image of the class.

    As scikit-learn has them, whose import takes a second.
    """
    is_class, confidence = of.labels == label, of.probabilities[:, label]
    if not is_class.any():
        return None
    falling = np.argsort(-confidence, kind="stable")
    hits = is_class[falling].cumsum()
    last = np.flatnonzero(np.diff(confidence[falling], append=-1))  # of those of equal confidence
    precision = np.append(1.0, hits[last] / (last + 1))
    recall = np.append(0.0, hits[last] / hits[-1])
    return PrecisionRecall(recall, precision, float(np.diff(recall) @ precision[1:]))


def confident_mistakes(of: Predictions, most: int) -> np.ndarray:
    """The numbers of the wrongly classified images, the most confident first, shape (<= most,)."""
    wrong = np.flatnonzero(~of.correct)
    return np.asarray(wrong[np.argsort(-of.confidence[wrong], kind="stable")][:most])
