"""The survey's classical classifiers (report R0, and R4.c), fitted by scikit-learn.

A fit is a trial of one epoch, with metrics and predictions but without a curve and a model file.
The surveys give no settings: each setting is scikit-learn's default or our choice.
"""

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from fashion_hpo.design.config import Epoch, TrainConfig
from fashion_hpo.design.scores import is_correct, mean_cross_entropy
from fashion_hpo.design.summaries import curve_summaries, energy_summary, finite
from fashion_hpo.running.documents import write_documents
from fashion_hpo.running.session import Session
from fashion_hpo.stores.ledger import Attempt, Result
from fashion_hpo.stores.model_files import file_hashes
from fashion_hpo.training import energy
from fashion_hpo.training.data import SearchSplits, Split
from fashion_hpo.training.devices import Hardware
from fashion_hpo.training.train import TRAIN_EVAL_IMAGES

CLASSIFIERS: Mapping[str, Callable[[int], ClassifierMixin]] = {
    "logistic_regression": lambda seed: LogisticRegression(max_iter=200, random_state=seed),
    "nearest_neighbours": lambda _: KNeighborsClassifier(5, weights="distance"),
    "svm": lambda seed: SVC(C=10.0, random_state=seed),
    "random_forest": lambda seed: RandomForestClassifier(100, max_depth=50, random_state=seed),
    "mlp": lambda seed: MLPClassifier((100,), random_state=seed, early_stopping=True),
}
"""Makes an unfitted classifier from the seed, by the name that a study uses as `architecture`."""


def fit(
    session: Session, attempt: Attempt, hardware: Hardware
) -> Generator[Epoch | None, None, Result]:
    """Fit the config's classifier, write its predictions, and return the trial's result.

    Pixels are scaled to [0, 1].  Only the config's architecture, train_images and seed are used.
    """
    before = energy.read("cpu")
    with session.signals.interruptible():
        epoch, probabilities = fitted(attempt.config, session.splits, hardware)
    spent = energy.joules(before, energy.read("cpu"))
    folder = session.store.trial_folder(attempt.uid)
    labels = session.splits.of(attempt.config.fold).val.labels.numpy()
    summaries = finite(curve_summaries([epoch])) | energy_summary(spent)
    logits = np.log(probabilities)
    summaries |= write_documents(
        folder / "files", probabilities, logits, labels, session.splits.info
    )
    summaries["kept_epoch"] = 1.0
    yield epoch
    return Result(
        outcome="complete",
        value=epoch.val_accuracy,
        history=[asdict(epoch)],
        summaries=summaries,
        files=file_hashes(folder),
        hardware={**hardware.describe(), "model": "none: a classifier of scikit-learn"},
    )


def fitted(
    config: TrainConfig, splits: SearchSplits, hardware: Hardware
) -> tuple[Epoch, np.ndarray]:
    """The epoch, and the validation images' probabilities (N, classes)."""
    splits = splits.of(config.fold)
    with threadpool_limits(hardware.threads):
        return _fit(config, splits.train, splits.val)


def _fit(config: TrainConfig, train: Split, val: Split) -> tuple[Epoch, np.ndarray]:
    images = train.first(config.train_images)
    began = time.perf_counter()
    classifier = CLASSIFIERS[config.architecture](config.seed % 2**32)
    classifier.fit(pixels(images), images.labels.numpy())
    fitted = time.perf_counter()
    sample = images.first(TRAIN_EVAL_IMAGES)
    on_train = probabilities_of(classifier, sample)
    on_val = probabilities_of(classifier, val)
    train_loss, train_accuracy = _score(on_train, sample.labels.numpy())
    val_loss, val_accuracy = _score(on_val, val.labels.numpy())
    epoch = Epoch(
        epoch=1,
        train_loss=train_loss,
        train_eval_loss=train_loss,
        train_eval_accuracy=train_accuracy,
        val_loss=val_loss,
        val_accuracy=val_accuracy,
        learning_rate=0.0,
        seconds=time.perf_counter() - began,
        images_per_second=len(images) / (fitted - began),
        timestamp=time.time_ns() // 1_000_000,
    )
    return epoch, on_val


def pixels(split: Split) -> np.ndarray:
    """The images as float32 (N, pixels) in [0, 1]."""
    return split.images.reshape(len(split), -1).numpy().astype(np.float32) / 255


def probabilities_of(classifier: ClassifierMixin, split: Split) -> np.ndarray:
    """Probabilities float64 (N, classes), none of them 0, so that every loss is a number.

    An SVM has margins instead; their softmax keeps the ranking but is not calibrated.
    """
    if isinstance(classifier, SVC):
        margins = classifier.decision_function(pixels(split))
        if margins.ndim == 1:  # of two classes
            margins = np.stack((-margins, margins), axis=1) / 2
        shares = np.exp(margins - margins.max(1, keepdims=True))
    else:
        shares = classifier.predict_proba(pixels(split))
    shares = np.maximum(shares, 1e-6)
    probabilities: np.ndarray = shares / shares.sum(1, keepdims=True)
    return probabilities


def _score(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    accuracy = float(is_correct(probabilities, labels).mean())
    return mean_cross_entropy(probabilities, labels), accuracy
