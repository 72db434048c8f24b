import numpy as np
import pandas as pd
import pytest

from fashion_hpo.analysis.tuning import cross_fit, tuned, widening


def trials(*rows: tuple[str, int, float, float]) -> pd.DataFrame:
    """Rows of (architecture, seed index, learning rate, value)."""
    return pd.DataFrame(rows, columns=["architecture", "seed_index", "learning_rate", "value"])


def chosen(table: pd.DataFrame) -> list[tuple[object, ...]]:
    kept = tuned(table, ["architecture"], ["learning_rate"])
    return list(kept[["architecture", "seed_index", "learning_rate"]].itertuples(False, None))


def test_without_nuisance_every_trial_counts() -> None:
    table = trials(("a", 0, 0.1, 0.5), ("a", 0, 0.2, 0.6))
    assert tuned(table, ["architecture"], []) is table
    assert tuned(table.head(0), ["architecture"], ["learning_rate"]).empty


def test_each_level_has_the_best_of_its_own() -> None:
    table = trials(
        ("a", 0, 0.1, 0.9), ("a", 0, 0.2, 0.8), ("a", 1, 0.1, 0.9), ("a", 1, 0.2, 0.8),
        ("b", 0, 0.1, 0.2), ("b", 0, 0.2, 0.8), ("b", 1, 0.1, 0.2), ("b", 1, 0.2, 0.7),
    )  # fmt: skip
    assert chosen(table) == [("a", 0, 0.1), ("a", 1, 0.1), ("b", 0, 0.2), ("b", 1, 0.2)]


def test_the_setting_is_chosen_on_the_other_seeds() -> None:
    """Each seed's luck goes to another setting: nobody is measured by it."""
    table = trials(("a", 0, 0.1, 0.9), ("a", 0, 0.2, 0.5), ("a", 1, 0.1, 0.5), ("a", 1, 0.2, 0.9))
    assert chosen(table) == [("a", 0, 0.2), ("a", 1, 0.1)]


def test_one_seed_has_no_others() -> None:
    assert chosen(trials(("a", 0, 0.1, 0.5), ("a", 0, 0.2, 0.6))) == [("a", 0, 0.2)]


def test_a_setting_that_this_seed_lacks_is_not_chosen() -> None:
    table = trials(("a", 0, 0.1, 0.5), ("a", 1, 0.1, 0.5), ("a", 1, 0.2, 0.9))
    assert chosen(table)[0] == ("a", 0, 0.1)


def test_several_nuisance_fields_are_chosen_together() -> None:
    table = trials(("a", 0, 0.1, 0.5), ("a", 0, 0.1, 0.7), ("a", 1, 0.1, 0.5), ("a", 1, 0.1, 0.9))
    table["dropout"] = [0.0, 0.5, 0.0, 0.5]
    kept = tuned(table, ["architecture"], ["learning_rate", "dropout"])
    assert kept["dropout"].tolist() == [0.5, 0.5]


def three_seeds(values: list[list[float]]) -> pd.DataFrame:
    """One level; a row of the values of three learning rates for each seed."""
    rates = (0.1, 0.2, 0.3)
    return trials(*(
        ("a", seed, rate, value)
        for seed, row in enumerate(values) for rate, value in zip(rates, row, strict=True)
    ))  # fmt: skip


def test_with_three_seeds_two_choose_for_the_third() -> None:
    table = three_seeds([[0.9, 0.5, 0.1], [0.9, 0.8, 0.1], [0.1, 0.8, 0.2]])
    kept = tuned(table, ["architecture"], ["learning_rate"])
    assert kept["learning_rate"].tolist() == [0.2, 0.2, 0.1]
    assert kept["weight"].tolist() == [1.0] * 3
    assert kept["disagreement"].tolist() == pytest.approx([2 / 3] * 3)  # of three pairs one agrees


def test_where_all_halves_agree_there_is_no_disagreement() -> None:
    kept = tuned(three_seeds([[0.9, 0.5, 0.1]] * 3), ["architecture"], ["learning_rate"])
    assert kept["learning_rate"].tolist() == [0.1] * 3
    assert set(kept["disagreement"]) == {0.0}
    assert widening(kept["disagreement"].to_numpy()) == 1.0


@pytest.mark.parametrize("seeds", [2, 3, 4, 5, 10, 12])
def test_weights_add_up_and_a_seed_never_chooses_for_itself(seeds: int) -> None:
    values = np.random.default_rng(seeds).normal(size=(seeds, 4))
    weights = cross_fit(values).weights
    assert weights.sum(axis=-1) == pytest.approx(np.ones(seeds))
    changed = values.copy()
    changed[0, weights[1:].sum(axis=0).argmin()] += 99.0
    assert cross_fit(changed).weights[0].tolist() == weights[0].tolist()
    assert cross_fit(changed).weights.tolist() != weights.tolist()


def test_many_studies_are_fitted_as_each_alone() -> None:
    values = np.random.default_rng(0).normal(size=(7, 2, 4, 3))
    values[0, 0, 1, 2] = np.nan
    weights, disagreement = cross_fit(values)
    alone = cross_fit(values[0, 0])
    assert weights[0, 0].tolist() == alone.weights.tolist()
    assert disagreement[0, 0] == alone.disagreement


def test_a_missing_value_has_no_weight() -> None:
    values = np.array([[np.nan, 0.5], [0.9, 0.5], [0.9, np.nan], [0.9, 0.1]])
    weights = cross_fit(values).weights
    assert weights[np.isnan(values)].tolist() == [0.0, 0.0]
    assert weights[0].tolist() == [0.0, 1.0]
