import math

import pytest

from fashion_hpo.analysis.intervals import Interval
from fashion_hpo.analysis.wording import Units, decimals_of
from fashion_hpo.design.claim_kinds.kind import Part


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (Interval(-0.00779, -0.01600, 0.00042), "-0.0078 (95 % interval -0.0160 to 0.0004)"),
        (Interval(1.5, 1.2, 1.8), "+1.50 (95 % interval 1.20 to 1.80)"),
        (Interval(21.0, 9.0, 33.0), "+21 (95 % interval 9 to 33)"),
        (Interval(52_000.0, 41_000.0, 63_000.0), "+52,000 (95 % interval 41,000 to 63,000)"),
        (Interval(0.25, 0.25, 0.25), "+0.25 (95 % interval 0.25 to 0.25)"),
    ],
)
def test_an_interval_and_its_mean_end_at_the_same_decimal(interval: Interval, text: str) -> None:
    part = Part(measure="roughness", contrast=("dropout", 0.0, 0.5))
    assert Units(part).interval(interval) == text


def test_an_interval_of_one_seed_has_no_decimals_of_its_own() -> None:
    assert decimals_of(Interval(0.5, math.nan, math.nan)) is None


def test_percentages_keep_their_two_decimals_and_name_their_unit_once() -> None:
    part = Part(measure="val_accuracy", contrast=("dropout", 0.0, 0.5))
    assert Units(part).brief(Interval(0.0195, 0.012, 0.027)) == "+1.95 points (1.20 to 2.70)"
