import math
from pathlib import Path

import numpy as np
import pytest

from fashion_hpo.design.data_set import FASHION_MNIST
from fashion_hpo.design.scores import look_alike_errors
from fashion_hpo.running.documents import write_documents
from fashion_hpo.training.data import CLASSES

SHIRT, T_SHIRT, BAG, COAT = (
    CLASSES.index(name) for name in ("Shirt", "T-shirt/top", "Bag", "Coat")
)


def predictions(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and labels with these counts of (true class, predicted class)."""
    true, predicted = np.indices(confusion.shape).reshape(2, -1).repeat(confusion.flat, axis=1)
    return np.eye(10)[predicted], true


def test_errors_between_garments_for_the_upper_body_are_counted() -> None:
    confusion = np.diag([50] * 10)
    confusion[SHIRT, T_SHIRT], confusion[COAT, SHIRT] = 5, 1
    confusion[BAG, SHIRT], confusion[SHIRT, BAG] = 1, 1
    assert look_alike_errors(*predictions(confusion)) == 0.75


def test_chance_makes_such_errors_as_well() -> None:
    assert look_alike_errors(*predictions(np.ones((10, 10), dtype=int))) == pytest.approx(20 / 90)


def test_without_an_error_there_is_no_share(tmp_path: Path) -> None:
    assert math.isnan(look_alike_errors(*predictions(np.diag([50] * 10))))
    sure = np.eye(10)
    assert "look_alike_errors" not in write_documents(
        tmp_path, sure, sure, np.arange(10), FASHION_MNIST
    )


def test_confident_is_from_nine_tenths(tmp_path: Path) -> None:
    probabilities = np.full((4, 10), 0.01)
    probabilities[:, 0] = [0.91, 0.90, 0.89, 0.5]
    found = write_documents(
        tmp_path, probabilities, probabilities, np.array([0, 1, 0, 0]), FASHION_MNIST
    )
    assert found["confident_share"] == 0.5
    assert found["model_val_accuracy"] == 0.75


def test_recall_is_of_each_class_that_there_is(tmp_path: Path) -> None:
    probabilities = np.eye(10)[[0, 1, 1, 1]]
    found = write_documents(
        tmp_path, probabilities, probabilities, np.array([0, 0, 1, 2]), FASHION_MNIST
    )
    recalls = {name: value for name, value in found.items() if name.startswith("recall")}
    assert recalls == {"recall_0": 0.5, "recall_1": 1.0, "recall_2": 0.0}
    assert found["brier_score"] == 1.0
