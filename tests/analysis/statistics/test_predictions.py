"""What is read is what was written, and the measures are those of small cases done by hand."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics

from fashion_hpo.analysis.records import of_ledger
from fashion_hpo.analysis.statistics import predictions
from fashion_hpo.analysis.statistics.predictions import Pair, Predictions
from fashion_hpo.design.scores import confusion_matrix
from fashion_hpo.stores.predictions import FILE, NoPredictionsError
from tests.finished import Finished
from tests.reporting import studies

FIGURES = """
import sys
import numpy as np
from fashion_hpo.analysis.checks import every
from fashion_hpo.analysis.statistics import importance, predictions

of = predictions.Predictions(0, np.eye(10), np.arange(10))
predictions.precision_recall(of, 3)
predictions.reliability(of, bins=2)
print(*(name for name in sys.modules if name in ("sklearn", "scipy.stats")))
"""


def made(probability: list[float], labels: list[int]) -> Predictions:
    """Class 0 has each image's probability, the others share the rest."""
    rest = (1 - np.array(probability)) / 9
    table = np.repeat(rest[:, None], 10, axis=1)
    table[:, 0] = probability
    return Predictions(3, table, np.array(labels))


def test_the_best_trial_is_the_first_of_the_highest_value() -> None:
    records = studies.design()
    assert predictions.best_trial(records) == 4  # no dropout, the seed that gains most
    assert predictions.best_trial(studies.search(("pruned", "failed"))) is None
    assert predictions.best_trial(studies.search(())) is None


def test_logits_are_read_back_from_the_trials_run(done: Finished) -> None:
    entry = done.entry()
    assert entry.result is not None
    found = predictions.read(of_ledger(done.ledger, done.store), entry.attempt.number)
    assert found.probabilities.shape == (100, 10)
    np.testing.assert_allclose(found.probabilities.sum(1), 1)
    measured = entry.result.summaries["model_val_accuracy"]
    assert found.correct.mean() == pytest.approx(measured)
    assert predictions.best_trial(of_ledger(done.ledger)) is not None


def test_what_cannot_be_read_is_told_with_the_trials_number(done: Finished) -> None:
    artifacts = Path(done.tracker.client.get_run(done.run_id()).info.artifact_uri)
    (artifacts / FILE).write_bytes(b"other")
    found = predictions.read(of_ledger(done.ledger, done.store), 1)
    assert found.probabilities.shape == (100, 10), "the store has a copy of its own"
    done.store.logits(done.uid()).write_bytes(b"other")
    with pytest.raises(NoPredictionsError) as error:
        predictions.read(of_ledger(done.ledger, done.store), 1)
    assert str(error.value) == "the validation logits of trial 1 were altered"


def test_pairs_are_ranked_by_mistakes_and_hits_are_none() -> None:
    of = made([0.9] * 6, [0, 1, 1, 2, 0, 0])
    matrix = confusion_matrix(of.predicted, of.labels)
    assert matrix[1, 0] == 2
    assert matrix.sum() == 6
    assert predictions.confused_pairs(matrix) == [Pair(1, 0, 2, 2), Pair(2, 0, 1, 1)]


def test_reliability_of_a_model_that_is_always_too_sure() -> None:
    of = made([0.9] * 10 + [0.6] * 10, ([0] * 7 + [1] * 3) * 2)
    low, high = predictions.reliability(of, bins=2)
    assert (low.confidence, low.accuracy) == pytest.approx((0.6, 0.7))
    assert (high.confidence, high.accuracy) == pytest.approx((0.9, 0.7))
    assert (low.low, low.high) == pytest.approx((0.397, 0.892), abs=1e-3)  # Wilson, 7 of 10


def test_average_precision_is_the_mean_of_precision_at_each_hit() -> None:
    of = made([0.9, 0.8, 0.7, 0.6], [0, 1, 0, 1])
    found = predictions.precision_recall(of, 0)
    assert found is not None
    assert found.precision.tolist() == pytest.approx([1, 1, 1 / 2, 2 / 3, 1 / 2])
    assert found.recall.tolist() == [0, 0.5, 0.5, 1, 1]
    assert found.average == pytest.approx(5 / 6)
    assert predictions.precision_recall(of, 5) is None


def test_precision_and_recall_are_scikit_learns() -> None:
    numbers = np.random.default_rng(7)
    sure = numbers.integers(0, 40, 500) / 40  # so that many are equal
    of = made(sure.tolist(), (numbers.random(500) > sure).astype(int).tolist())
    found = predictions.precision_recall(of, 0)
    assert found is not None
    precision, recall, _ = metrics.precision_recall_curve(of.labels == 0, sure)
    np.testing.assert_array_equal(found.precision, precision[::-1])
    np.testing.assert_array_equal(found.recall, recall[::-1])
    average = metrics.average_precision_score(of.labels == 0, sure)
    assert found.average == pytest.approx(average, rel=1e-12)


def test_the_figures_of_a_model_import_neither_scikit_learn_nor_scipys_statistics() -> None:
    done = subprocess.run([sys.executable, "-c", FIGURES], capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == ([], "")


def test_the_surest_mistakes_come_first() -> None:
    of = made([0.5, 0.9, 0.99, 0.7], [1, 1, 0, 1])
    assert predictions.confident_mistakes(of, 2).tolist() == [1, 3]
