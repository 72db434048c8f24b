"""Write a trained model's results on the validation images as files."""

import csv
from pathlib import Path

import numpy as np

from fashion_hpo.design.data_set import DataInfo
from fashion_hpo.design.scores import class_scores, confusion_matrix
from fashion_hpo.design.summaries import finite, model_summaries
from fashion_hpo.files.audit import wrote
from fashion_hpo.stores.predictions import FILE


def write_documents(
    folder: Path,
    probabilities: np.ndarray,
    logits: np.ndarray,
    labels: np.ndarray,
    info: DataInfo,
) -> dict[str, float]:
    """Write logits, confusion matrix and per-class table; return the model's summaries.

    probabilities, logits: (N, classes); labels: (N,).  Logits are stored as float16, 20 bytes an
    image of ten classes, in the order of the split, so that any statistic can be computed later.
    """
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        folder / FILE,
        logits=logits.astype(np.float16),
        labels=labels.astype(np.uint8 if len(info.classes) <= 256 else np.uint16),
    )
    confusion = confusion_matrix(probabilities.argmax(1), labels, len(info.classes))
    _write_csv(
        folder / "confusion_matrix.csv",
        ["true class", *info.classes],
        [[name, *row] for name, row in zip(info.classes, confusion.tolist(), strict=True)],
    )
    scores = class_scores(confusion)
    columns = (scores.precision, scores.recall, scores.f1, scores.support)
    rows = [
        [name, *(round(float(column[i]), 4) for column in columns)]
        for i, name in enumerate(info.classes)
    ]
    _write_csv(folder / "class_scores.csv", ["class", "precision", "recall", "f1", "images"], rows)
    wrote("documents written")
    return finite(model_summaries(probabilities, labels, info))


def _write_csv(path: Path, header: list[str], rows: list[list[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
