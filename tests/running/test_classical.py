"""Every classical classifier as a trial of a study."""

import numpy as np
import pytest

from fashion_hpo.integrity.invariants import examine
from fashion_hpo.running import workers
from fashion_hpo.running.classical import CLASSIFIERS, pixels, probabilities_of
from fashion_hpo.training.architectures import CLASSICAL, build
from fashion_hpo.training.data import SearchSplits
from tests.conftest import OpenSession
from tests.plans import TINY, design

BASE = TINY.replace(architecture="mlp", architecture_options={}, train_images=300)


def test_the_catalogue_names_what_is_fitted_here() -> None:
    assert tuple(CLASSIFIERS) == CLASSICAL


def test_each_is_a_trial_of_one_epoch_without_a_model(open_here: OpenSession) -> None:
    plan = design(base=BASE, scientific={"architecture": CLASSICAL}, seeds=1, claims=[])
    session = open_here(plan)
    list(workers.work(session))
    entries = session.ledger.entries()
    assert [entry.attempt.config.architecture for entry in entries] == list(CLASSICAL)
    for entry in entries:
        result = entry.result
        assert result is not None
        assert (result.outcome, len(result.history)) == ("complete", 1), result.reason
        assert result.value == result.history[0]["val_accuracy"]
        assert result.value > 0.3, "the images can be learnt"
        assert result.summaries["model_val_accuracy"] == pytest.approx(result.value)
        assert not any(name.startswith("model/") for name in result.files)
    session.mirror.publish(session.store.root / "reports", {}, finished=True)
    assert examine(session.store, session.ledger, session.tracker) == []


@pytest.mark.parametrize("name", ["random_forest", "mlp"])
def test_a_fit_depends_on_the_seed_alone(name: str, splits: SearchSplits) -> None:
    def fitted(seed: int) -> np.ndarray:
        images = splits.train.first(200)
        classifier = CLASSIFIERS[name](seed).fit(pixels(images), images.labels.numpy())
        return probabilities_of(classifier, splits.val)

    assert np.array_equal(fitted(1), fitted(1))
    assert not np.array_equal(fitted(1), fitted(2))


@pytest.mark.parametrize("name", CLASSICAL)
def test_probabilities_are_positive_and_rank_as_the_classifier(
    name: str, splits: SearchSplits
) -> None:
    images = splits.train.first(200)
    classifier = CLASSIFIERS[name](0).fit(pixels(images), images.labels.numpy())
    found = probabilities_of(classifier, splits.val)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    assert found.min() > 0
    assert (
        found.argmax(1) == classifier.predict(pixels(splits.val))
    ).mean() > 0.98  # ties may fall either way


def test_a_classifier_is_no_network() -> None:
    with pytest.raises(ValueError, match=r"architecture is 'svm', not a network; only a study"):
        build("svm")
