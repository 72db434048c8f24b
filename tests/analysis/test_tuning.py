import pandas as pd

from fashion_hpo.analysis.tuning import tuned


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
