"""The files that tell what a trained model does with the validation images."""

import csv
import math
from pathlib import Path

import numpy as np

from fashion_hpo.design.scores import (
    brier_scores,
    class_scores,
    confusion_matrix,
    expected_calibration_error,
    is_correct,
    mean_cross_entropy,
)
from fashion_hpo.files.audit import wrote
from fashion_hpo.stores.predictions import FILE
from fashion_hpo.training.data import CLASSES
from fashion_hpo.training.summaries import finite

CONFIDENT = 0.9  # a prediction with at least this probability
LOOK_ALIKE = ("T-shirt/top", "Pullover", "Dress", "Coat", "Shirt")  # worn on the upper body


def write_documents(
    folder: Path, probabilities: np.ndarray, logits: np.ndarray, labels: np.ndarray
) -> dict[str, float]:
    """Write logits, confusion matrix and per-class table; return the model's summaries.

    probabilities, logits: (N, 10); labels: (N,).  Logits are stored as float16, 20 bytes an image,
    in the order of the split: any later statistic can be taken from them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        folder / FILE,
        logits=logits.astype(np.float16),
        labels=labels.astype(np.uint8),
    )
    confusion = confusion_matrix(probabilities.argmax(1), labels)
    _write_csv(
        folder / "confusion_matrix.csv",
        ["true class", *CLASSES],
        [[name, *row] for name, row in zip(CLASSES, confusion.tolist(), strict=True)],
    )
    scores = class_scores(confusion)
    columns = (scores.precision, scores.recall, scores.f1, scores.support)
    rows = [
        [name, *(round(float(column[i]), 4) for column in columns)]
        for i, name in enumerate(CLASSES)
    ]
    _write_csv(folder / "class_scores.csv", ["class", "precision", "recall", "f1", "images"], rows)
    wrote("documents written")
    summaries = {
        "model_val_accuracy": float(is_correct(probabilities, labels).mean()),
        "model_val_loss": mean_cross_entropy(probabilities, labels),
        "brier_score": float(brier_scores(probabilities, labels).mean()),
        "ece": expected_calibration_error(probabilities, labels),
        "confident_share": float((probabilities.max(1) >= CONFIDENT).mean()),
        "look_alike_errors": look_alike_errors(confusion),
        **{
            f"recall_{label}": float(share) if scores.support[label] else math.nan
            for label, share in enumerate(scores.recall)
        },
    }
    return finite(summaries)


def look_alike_errors(confusion: np.ndarray) -> float:
    """The share of all errors that are between classes worn on the upper body; NaN for no error.

    confusion: counts (10, 10).  By chance alone it would be 20 of 90, 22 %.
    """
    errors = confusion - np.diag(np.diag(confusion))
    alike = [CLASSES.index(name) for name in LOOK_ALIKE]
    return float(errors[np.ix_(alike, alike)].sum() / errors.sum()) if errors.any() else math.nan


def _write_csv(path: Path, header: list[str], rows: list[list[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
