"""The gate: a challenger becomes champion only if it is not clearly worse on the gate images.

No model was trained or selected on the gate images, so neither model has an advantage there.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import t as student_t

MARGIN = 0.003
"""The largest allowed loss of accuracy, as a share: 0.3 points."""


@dataclass(frozen=True)
class Comparison:
    """Challenger minus champion on the same images; `difference` and `lower` are shares.

    lower = d̄ − t(0.95; n − 1) · s / √n, where dᵢ is 1 if only the challenger is right about image
    i, −1 if only the champion is and 0 otherwise, and s is their standard deviation.
    """

    champion: str  # the champion's version
    source: str  # its model: MLflow may give a deleted version's number again
    difference: float
    lower: float  # one-sided 95 % bound
    images: int
    openings_before: int  # earlier openings of the gate images

    @property
    def passed(self) -> bool:
        """Whether the challenger may become champion."""
        return self.lower > -MARGIN

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"on the {self.images:,} gate images it is {self.difference * 100:+.2f} points against "
            f"champion version {self.champion}, lower one-sided 95 % bound "
            f"{self.lower * 100:+.2f} (paired by image, t with {self.images - 1:,} degrees of "
            f"freedom; the gate's opening number {self.openings_before + 1}), where more "
            f"than {-MARGIN * 100:.1f} is needed"
        )


def paired(challenger: np.ndarray, champion: np.ndarray) -> tuple[float, float]:
    """The mean difference of two models' hits, each bool (N,) on the same images, and its bound.

    Raises ValueError for different or too few images.
    """
    if challenger.shape != champion.shape or len(challenger) < 2:
        raise ValueError(
            f"hits are of {len(challenger)} and {len(champion)} images; give hits of the same "
            "images, at least two."
        )
    differences = challenger.astype(float) - champion.astype(float)
    count, mean = len(differences), float(differences.mean())
    quantile = float(student_t.ppf(0.95, count - 1))
    return mean, mean - quantile * float(differences.std(ddof=1)) / math.sqrt(count)
