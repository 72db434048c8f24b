"""The measures of a trial, one row each: its names, its unit, which way is better, its formula.

Every reader takes them from here: what a claim may be about, which summaries a trial logs, and how
sentences, tables, figures and the README write them.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from fashion_hpo.design import curves, scores
from fashion_hpo.design.classes import CLASSES
from fashion_hpo.design.config import Epoch
from fashion_hpo.design.formats import number_text

Needs = Literal["epochs", "curve", "model", "network", "trial", "counters", "search"]
"""What a measure is computed from.

epochs: logged for every epoch; a claim is about the last unless it names another.
curve: all epochs of a trial; see `of_curve`.
model: the validation images' probabilities by the exported model; see `of_model`.
network: the architecture alone.
trial: how the trial went.
counters: the device's energy counters.
search: measured only where a search asks for it; no claim can be about it.
"""


@dataclass(frozen=True)
class Unit:
    """How a measure's values are written; `symbol` completes an axis title."""

    symbol: str
    cell: Callable[[float], str]  # in a table, where decimals stand one under another


def _percentage(value: float) -> str:
    return f"{value:.2%}".replace("%", " %")


def _one_decimal(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _four_decimals(value: float) -> str:
    return f"{value:.4f}"


SHARE = Unit("%", _percentage)  # a share of 1, written as a percentage
NATS = Unit("nats", _four_decimals)
NUMBER = Unit("", _four_decimals)
EPOCHS = Unit("epochs", _one_decimal)
COUNT = Unit("number", number_text)
SECONDS = Unit("s", _one_decimal)


@dataclass(frozen=True)
class Measure:
    """One measure of a trial."""

    name: str  # as study files and MLflow have it
    title: str  # as people read it
    unit: Unit
    better: Literal["higher", "lower"] | None  # None: neither
    needs: Needs
    what: str  # what it is, in one line
    of_curve: Callable[[Sequence[Epoch]], float] | None = None
    of_model: Callable[[np.ndarray, np.ndarray], float] | None = None  # probabilities, labels
    per_image: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    """Where it is a mean over the validation images: of logits and labels each image's value."""
    images: str = ""  # which part of it alone is such a mean
    in_levels_table: bool = False  # of a design's report

    @property
    def is_share(self) -> bool:
        """Whether it is a share of 1, which is written as a percentage."""
        return self.unit is SHARE

    @property
    def bounds(self) -> tuple[float, float]:
        """The smallest and the largest value that it can have."""
        least = -math.inf if self.name == "generalization_gap" else 0.0
        return least, 1.0 if self.is_share else math.inf

    @property
    def axis(self) -> str:
        """The title of an axis that shows it."""
        return f"{self.title} ({self.unit.symbol})" if self.unit.symbol else self.title

    def at(self, epoch: int | None) -> str:
        """Its title after an epoch, None being the last."""
        if self.needs != "epochs":
            return self.title
        return f"final {self.title}" if epoch is None else f"{self.title} at epoch {epoch}"

    def text(self, value: float) -> str:
        """A value of it, in a sentence."""
        return _percentage(value) if self.is_share else number_text(value)


def correct(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """1 for an image whose class has the highest logit, 0 for another; (N,)."""
    return scores.is_correct(logits, labels).astype(float)


def brier(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The Brier score of each image, (N,)."""
    return scores.brier_scores(scores.softmax(logits), labels)


loss = scores.cross_entropies

_ROWS = (
    Measure("train_loss", "loss while training", NATS, "lower", "epochs",
            "mean cross entropy of the training batches, with dropout and augmentation"),
    Measure("train_eval_loss", "training loss", NATS, "lower", "epochs",
            "mean cross entropy of a fixed sample of the training images, in evaluation mode"),
    Measure("train_eval_accuracy", "training accuracy", SHARE, "higher", "epochs",
            "share of the same images that are classified correctly"),
    Measure("val_accuracy", "validation accuracy", SHARE, "higher", "epochs",
            "share of the validation images that are classified correctly",
            per_image=correct, in_levels_table=True),
    Measure("val_loss", "validation loss", NATS, "lower", "epochs",
            "mean cross entropy of the validation images",
            per_image=loss, in_levels_table=True),
    Measure("learning_rate", "learning rate", NUMBER, None, "epochs",
            "of the epoch's last step"),
    Measure("seconds", "seconds of an epoch", SECONDS, "lower", "epochs",
            "training and evaluation of one epoch"),
    Measure("images_per_second", "images trained a second", COUNT, "higher", "epochs",
            "of the training pass, evaluation left out"),
    Measure("value", "validation accuracy", SHARE, "higher", "trial",
            "what is compared: a design's final validation accuracy; of a search, or with early "
            "stopping, that of the kept model",
            per_image=correct),
    Measure("best_val_accuracy", "best validation accuracy", SHARE, "higher", "curve",
            "the highest validation accuracy of any epoch; never compared",
            of_curve=curves.best_val_accuracy),
    Measure("best_epoch", "best epoch", EPOCHS, None, "curve",
            "the first epoch with the highest validation accuracy",
            of_curve=curves.best_epoch),
    Measure("accuracy_fall", "fall of the accuracy", SHARE, "lower", "curve",
            "highest validation accuracy less the last, each a mean of neighbouring epochs",
            of_curve=curves.accuracy_fall),
    Measure("generalization_gap", "generalization gap", NATS, "lower", "curve",
            "validation loss − training loss after the last epoch",
            of_curve=curves.generalization_gap, per_image=loss, images="of validation alone",
            in_levels_table=True),
    Measure("parting_epoch", "parting epoch", EPOCHS, "higher", "curve",
            "epoch of the lowest smoothed validation loss, if it then rises by more than 2 % while "
            "the training loss falls; else the number of epochs + 1",
            of_curve=curves.parting_epoch, in_levels_table=True),
    Measure("roughness", "roughness", NUMBER, "lower", "curve",
            "standard deviation of the second differences of the validation accuracy, last half",
            of_curve=curves.roughness, in_levels_table=True),
    Measure("loss_roughness", "roughness of the loss", NUMBER, "lower", "curve",
            "standard deviation of the second differences of the validation loss, last half",
            of_curve=curves.loss_roughness),
    Measure("ece", "calibration error", NUMBER, "lower", "model",
            "expected calibration error, 15 bins of equal mass",
            of_model=scores.expected_calibration_error, in_levels_table=True),
    Measure("confident_share", "share of confident predictions", SHARE, None, "model",
            "share of the predictions with a probability of at least 0.9",
            of_model=scores.confident_share),
    Measure("probable_share", "share of probable predictions", SHARE, None, "model",
            "share of the predictions with a probability of at least 0.8",
            of_model=scores.probable_share),
    Measure("look_alike_errors", "share of look-alike errors", SHARE, None, "model",
            "share of the errors between T-shirt, pullover, dress, coat and shirt; 22 % by chance",
            of_model=scores.look_alike_errors),
    Measure("model_val_accuracy", "validation accuracy of the kept model", SHARE, "higher", "model",
            "share of the validation images that the exported model, reloaded, classifies "
            "correctly",
            of_model=scores.accuracy, per_image=correct),
    Measure("model_val_loss", "validation loss of the kept model", NATS, "lower", "model",
            "mean cross entropy of the validation images by the exported model, reloaded",
            of_model=scores.mean_cross_entropy, per_image=loss),
    Measure("parameters", "parameters", COUNT, "lower", "network",
            "number of the network's weights and biases"),
    Measure("flops", "FLOPs of one image", Unit("operations", number_text), "lower", "network",
            "operations of one forward pass"),
    Measure("kept_epoch", "kept epoch", EPOCHS, None, "trial",
            "the epoch whose weights are kept"),
    Measure("export_seconds", "seconds of the export", SECONDS, "lower", "trial",
            "export, reload and comparison of the model"),
    Measure("area_above_curve", "area above the learning curve", SHARE, "lower", "curve",
            "mean of 1 − validation accuracy over the epochs",
            of_curve=curves.area_above_curve),
    Measure("brier_score", "Brier score", NUMBER, "lower", "model",
            "squared distance of the probabilities from the truth, summed over classes, mean over "
            "images",
            of_model=scores.brier_score, per_image=brier),
    Measure("energy_joules", "energy", Unit("J", number_text), "lower", "counters",
            "of the epochs, evaluation included, by the processor's or GPU's own counters (all "
            "that ran beside it is in it); absent where they cannot be read"),
    *(Measure(f"recall_{label}", f"recall of {name}", SHARE, "higher", "model",
              f"share of the images of {name} that are classified correctly",
              of_model=partial(scores.recall, label=label))
      for label, name in enumerate(CLASSES)),
    Measure("latency", "latency of one image", Unit("ms", number_text), "lower", "search",
            "median time of one forward pass of one image"),
)  # fmt: skip

MEASURES = {measure.name: measure for measure in _ROWS}
OF_FASHION_MNIST = {"look_alike_errors", *(name for name in MEASURES if name[:7] == "recall_")}
"""Measures of its classes; a claim about one of them cannot be judged on another data set."""
CLAIMABLE = tuple(name for name, measure in MEASURES.items() if measure.needs != "search")
"""What a claim may be about: all that a trial logs."""
