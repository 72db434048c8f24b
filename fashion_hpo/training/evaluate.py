"""Logits over a split, and what they say: loss, accuracy, confusion, calibration."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fashion_hpo.design.config import PixelRange
from fashion_hpo.training.data import Split
from fashion_hpo.training.devices import Hardware

EVALUATION_BATCH = 500
"""Images per forward pass; 500 keeps a CPU's caches warm, and no result depends on it."""


class Score(NamedTuple):
    """Mean cross entropy in nats, and accuracy as a share."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class ClassScores:
    """Per class, each an array of shape (10,)."""

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray


def normalise(images: Tensor, pixel_range: PixelRange, hardware: Hardware) -> Tensor:
    """uint8 (N, 28, 28) to float32 (N, 1, 28, 28) in [0, 1] or [-1, 1]."""
    pixels = images.unsqueeze(1).to(torch.float32, memory_format=hardware.memory_format)
    pixels = pixels.div_(255)
    return pixels if pixel_range == "unit" else pixels.mul_(2).sub_(1)


@torch.no_grad()
def logits_of(
    model: nn.Module, split: Split, pixel_range: PixelRange, hardware: Hardware
) -> Tensor:
    """Logits float32 (N, 10) in evaluation mode; the model's mode is put back.

    Where memory is short, no more images pass at once than in training.
    """
    at_once = min(EVALUATION_BATCH, hardware.micro_batch or EVALUATION_BATCH)
    was_training = model.training
    model.eval()
    parts = []
    for images in split.images.split(at_once):
        with hardware.autocast():
            parts.append(model(normalise(images, pixel_range, hardware)).float())
    model.train(was_training)
    return torch.cat(parts)


def score(logits: Tensor, labels: Tensor) -> Score:
    """Loss and accuracy; the one place where the device is waited for."""
    loss = cross_entropy(logits, labels)
    accuracy = (logits.argmax(1) == labels).float().mean()
    return Score(*torch.stack((loss, accuracy)).tolist())


def confusion_matrix(predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Counts (10, 10): rows are true classes, columns predicted ones."""
    matrix = np.zeros((10, 10), dtype=np.int64)
    np.add.at(matrix, (labels, predicted), 1)
    return matrix


def class_scores(confusion: np.ndarray) -> ClassScores:
    """Precision, recall and F1 of each class; 0 where a class was never predicted."""
    hits = np.diag(confusion).astype(float)
    support = confusion.sum(1)
    precision = hits / np.maximum(confusion.sum(0), 1)
    recall = hits / np.maximum(support, 1)
    total = np.maximum(precision + recall, np.finfo(float).tiny)
    return ClassScores(precision, recall, 2 * precision * recall / total, support)


def brier_score(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean over images of Σ over classes of (probability − truth)², truth being 1 or 0; from 0 to 2
    (Brier 1950).

    probabilities: (N, 10); labels: (N,).  Lower is better, and lowest for the true probabilities.
    """
    truth = np.arange(probabilities.shape[1]) == labels[:, None]
    return float(((probabilities - truth) ** 2).sum(axis=1).mean())


def expected_calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = 15
) -> float:
    """Mean |accuracy − confidence| over bins of equal mass (Guo et al. 2017, eq. 3).

    probabilities: (N, 10).  Equal-mass bins, because nearly all confidences are close to 1.
    """
    confidence = probabilities.max(1)
    correct = probabilities.argmax(1) == labels
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    gaps = [len(part) * abs(correct[part].mean() - confidence[part].mean()) for part in parts]
    return float(sum(gaps) / len(labels))
