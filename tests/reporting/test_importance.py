"""Importances find the field that decides, and stay silent where the trials cannot tell."""

import math

import optuna
import pytest

from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.importance import good_share, importances
from tests.reporting import studies


def test_the_field_that_decides_comes_first_and_shares_add_up() -> None:
    shares = importances(studies.search(["complete"] * 40))
    assert next(iter(shares)) == "dropout"
    assert set(shares) == set(studies.SPACE)
    assert sum(shares.values()) == pytest.approx(1)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)


def test_trials_that_did_not_end_do_not_count() -> None:
    assert importances(studies.search(["complete"] * 3 + ["pruned"] * 20)) == {}


@pytest.mark.parametrize(
    "records",
    [studies.search(["complete"] * 3), studies.search(flat=True), studies.search([])],
    ids=["three trials", "one value", "no trial"],
)
def test_nothing_is_said_where_trials_cannot_tell(records: Records) -> None:
    assert importances(records) == {}


def test_a_tie_that_reaches_down_to_the_worst_says_nothing() -> None:
    records = studies.search(["complete"] * 8, flat=True)
    records.trials.loc[0, "value"] = 0.99  # one good trial, seven equal ones
    assert importances(records) == {}


def test_a_value_that_is_no_number_is_left_out() -> None:
    records = studies.search(["complete"] * 5)
    records.trials.loc[0:1, "value"] = math.nan
    assert importances(records) == {}


def test_a_design_without_ranges_has_no_importances() -> None:
    assert importances(studies.design()) == {}


def test_optuna_stays_quiet_and_keeps_its_verbosity(capfd: pytest.CaptureFixture[str]) -> None:
    before = optuna.logging.get_verbosity()
    importances(studies.search())
    assert optuna.logging.get_verbosity() == before
    assert "created in memory" not in capfd.readouterr().err


@pytest.mark.parametrize(("trials", "share"), [(4, 0.5), (10, 0.5), (20, 0.25), (200, 0.1)])
def test_at_least_five_good_trials_but_never_more_than_half(trials: int, share: float) -> None:
    assert good_share(trials) == pytest.approx(share)
