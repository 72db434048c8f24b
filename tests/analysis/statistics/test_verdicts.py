"""Hand-made records: each level has one value a seed."""

from typing import Any

import numpy as np
import pytest

from fashion_hpo.analysis.intervals import Estimate
from fashion_hpo.analysis.statistics.cells import column_of
from fashion_hpo.analysis.statistics.verdicts import Asked, decide, judge
from fashion_hpo.design.claim_kinds.kind import Direction, Part
from fashion_hpo.design.measures import MEASURES
from tests.analysis.made import CLEAR, Table, claim, factorial, measured, plan, records

NOISY: Table = {0.0: [0.30, 0.31, 0.29], 0.5: [0.20, 0.35, 0.31]}


def verdict(table: Table, **changes: Any) -> tuple[str, str]:
    (found,) = judge(measured(table, claim(**changes)))
    assert (found.claim_id, found.text) == ("T.a", "Dropout narrows the gap.")
    return found.word, found.sentence


def test_a_clear_effect_is_reproduced_and_its_figures_are_named() -> None:
    word, sentence = verdict(CLEAR)
    assert word == "reproduced"
    assert sentence == (
        "generalization gap with dropout 0.5 against 0: -0.097 (95 % interval -0.111 to "
        "-0.082), 3 seeds; claimed lower."
    )


@pytest.mark.parametrize(
    ("margin", "word"),
    [(0.0, "reproduced"), (0.08, "reproduced"), (0.1, "undecided"), (0.12, "not reproduced")],
)
def test_the_interval_must_clear_the_margin(margin: float, word: str) -> None:
    assert verdict(CLEAR, margin=margin)[0] == word
    rising: Table = {0.0: CLEAR[0.5], 0.5: CLEAR[0.0]}
    assert verdict(rising, direction="higher", margin=margin)[0] == word


def test_an_effect_the_other_way_is_not_reproduced() -> None:
    word, sentence = verdict(CLEAR, direction="higher")
    assert word == "not reproduced"
    assert "-0.097 (95 % interval -0.111 to -0.082)" in sentence
    assert sentence.endswith("claimed higher.")
    assert verdict(CLEAR, contrast=("dropout", 0.5, 0.0))[0] == "not reproduced"


def test_a_noisy_effect_is_undecided_and_says_how_many_seeds_would_do() -> None:
    word, sentence = verdict(NOISY)
    assert word == "undecided"
    assert sentence.endswith(
        "3 seeds; claimed lower; about 124 more seeds would decide, and the study declares 3 at "
        "most."
    )
    assert verdict(NOISY, direction="higher")[0] == "undecided"


def test_an_effect_at_the_margin_would_need_too_many_seeds() -> None:
    word, sentence = verdict({0.0: [0.3, 0.3, 0.3], 0.5: [0.3, 0.2, 0.4]})
    assert word == "undecided"
    assert sentence.endswith("; 1,000 seeds would not decide.")


@pytest.mark.parametrize(("count", "seeds"), [(0, "0 seeds"), (1, "1 seed")])
def test_fewer_than_two_seeds_decide_nothing(count: int, seeds: str) -> None:
    word, sentence = verdict({0.0: [0.3, 0.31, 0.29], 0.5: [0.1] * count})
    assert word == "undecided"
    assert sentence.endswith(f"against 0: {seeds} with all that it compares; two are the least.")


@pytest.mark.parametrize(("changes", "seen"), [
    ({}, "0.3 → 0.1, 1 seed"),
    ({"contrast": None, "figure": 0.2, "at": {"dropout": 0.5}}, "0.1, 1 seed"),
])  # fmt: skip
def test_of_one_seed_what_it_came_to_is_shown(changes: dict[str, Any], seen: str) -> None:
    (found,) = judge(measured({0.0: [0.3], 0.5: [0.1]}, claim(**changes)))
    assert found.ours == (seen,)


def test_the_quick_budget_decides_nothing() -> None:
    (found,) = judge(measured(CLEAR, claim(), budget="quick"))
    assert found.word == "undecided"
    assert "-0.097" in found.sentence
    assert found.sentence.endswith("the quick budget is no evidence.")


def test_without_trials_or_the_measure_a_claim_is_undecided() -> None:
    for made in (records(plan(claim()), []), measured(CLEAR, claim(), column="ece")):
        (found,) = judge(made)
        assert found.word == "undecided"
        assert found.sentence == "generalization gap: no trial has a value yet."


def test_only_complete_trials_count() -> None:
    made = measured(CLEAR, claim())
    assert judge(made)[0].word == "reproduced"
    made.trials.loc[made.trials["dropout"] == 0.5, "outcome"] = "diverged"
    assert judge(made)[0].word == "undecided"


def test_each_claim_has_a_verdict_in_the_studys_order() -> None:
    made = measured(CLEAR, claim(id="T.b", direction="higher"), claim())
    assert [(v.claim_id, v.word) for v in judge(made)] == [
        ("T.b", "not reproduced"),
        ("T.a", "reproduced"),
    ]
    assert judge(measured(CLEAR)) == []


@pytest.mark.parametrize("measure", ["val_accuracy", "train_eval_accuracy"])
def test_shares_are_shown_in_points_and_curves_taken_at_the_last_epoch(measure: str) -> None:
    rising: Table = {0.0: [0.900, 0.902, 0.901], 0.5: [0.910, 0.913, 0.911]}
    wanted = claim(measure=measure, direction="higher", margin=0.005)
    (found,) = judge(measured(rising, wanted, column=f"last_{measure}"))
    assert found.word == "reproduced"
    assert found.sentence == (
        f"{MEASURES[measure].at(None)} with dropout 0.5 against 0: +1.03 points (95 % interval "
        "0.89 points to 1.18 points), 3 seeds; claimed higher by more than 0.50 points."
    )


def test_summaries_have_columns_of_their_own_name() -> None:
    assert column_of("val_loss") == "last_val_loss"
    assert column_of("images_per_second") == "last_images_per_second"
    for name in ("roughness", "best_val_accuracy", "ece"):
        assert column_of(name) == name


@pytest.mark.parametrize(
    ("effects", "word"),
    [
        ([0.001, 0.002, 0.0015], "reproduced"),
        ([-0.001, -0.002, -0.0015], "reproduced"),
        ([0.02, 0.021, 0.0205], "not reproduced"),
        ([-0.02, -0.021, -0.0205], "not reproduced"),
        ([-0.02, 0.001, 0.02], "undecided"),
        ([0.004, 0.0051, 0.0055], "undecided"),
    ],
)
def test_the_same_is_what_differs_by_less_than_the_margin(effects: list[float], word: str) -> None:
    part = Part(measure="value", contrast=("dropout", 0, 0.5), direction="same", margin=0.005)
    assert decide([Asked(Estimate(np.array(effects)), part)]) == [word]


def test_the_same_needs_the_same_number_of_seeds_on_either_side() -> None:
    part = Part(measure="value", contrast=("dropout", 0, 0.5), direction="same", margin=0.5)
    effects = np.array([0.1, 0.2, 0.5])
    needed, mirrored = (
        Asked(Estimate(values), part).seeds_to_decide(0.05) for values in (effects, -effects)
    )
    assert needed is not None
    assert needed == mirrored


def test_what_is_said_of_the_same_names_the_margin() -> None:
    word, sentence = verdict(CLEAR, direction="same", margin=0.2)
    assert word == "reproduced"
    assert sentence.endswith("3 seeds; claimed the same within 0.2.")


@pytest.mark.parametrize(
    ("values", "direction", "word"),
    [
        ([0.934, 0.935, 0.936], "higher", "reproduced"),
        ([0.921, 0.922, 0.923], "higher", "not reproduced"),
        ([0.921, 0.922, 0.923], "lower", "reproduced"),
        ([0.91, 0.93, 0.95], "higher", "undecided"),
    ],
)
def test_a_figure_is_held_against_the_measure_itself(
    values: list[float], direction: Direction, word: str
) -> None:
    wanted = claim(measure="value", contrast=None, figure=0.93, at={"dropout": 0.5},
                   direction=direction)  # fmt: skip
    (found,) = judge(measured({0.5: values, 0.0: [0.1, 0.2, 0.3]}, wanted, column="value"))
    assert found.word == word
    mean = f"validation accuracy at dropout 0.5: {100 * np.mean(values):.2f} % (95 % interval "
    assert found.sentence.startswith(mean)
    assert f" %), 3 seeds; claimed {direction} than 93.00 %" in found.sentence


@pytest.mark.parametrize(
    ("epochs", "word"),
    [
        ([5, 7, 6, 5, 8, 9], "reproduced"),
        ([21] * 6, "not reproduced"),
        ([21] * 3, "undecided"),
        ([5, 7, 6, 5, 8], "undecided"),
        ([5, 7, 6, 5, 8, 21], "undecided"),
        ([5, 7, 6, 5, 8, 21, 5, 6, 7], "reproduced"),
    ],
)
def test_a_count_is_decided_by_the_sign_test_which_needs_six_seeds(
    epochs: list[float], word: str
) -> None:
    wanted = claim(measure="parting_epoch", contrast=None, figure="epochs", at={"dropout": 0.5})
    (found,) = judge(measured({0.5: epochs}, wanted, column="parting_epoch"))
    assert (found.word, "claimed lower than 20" in found.sentence) == (word, True)


def test_an_interval_without_width_decides_nothing() -> None:
    same: Table = {0.0: [0.25, 0.25, 0.25], 0.5: [0.125, 0.125, 0.125]}
    assert verdict(same)[0] == "undecided"


def test_what_does_not_vary_needs_no_interval() -> None:
    table: Table = {0.0: [1000.0], 0.5: [1101.0]}
    wanted = claim(measure="parameters", direction="higher", relative=True, margin=0.09)
    (found,) = judge(measured(table, wanted, column="parameters"))
    assert found.word == "reproduced"


PARTS = {
    "holds": Part(measure="value", contrast=("dropout", 0.0, 0.5), direction="higher"),
    "fails": Part(measure="value", contrast=("dropout", 0.0, 0.5), direction="lower"),
    "open": Part(measure="value", contrast=("dropout", 0.0, 0.5), direction="higher", margin=0.01),
}


@pytest.mark.parametrize(
    ("names", "word"),
    [
        (["holds", "holds"], "reproduced"),
        (["holds", "open"], "undecided"),
        (["open", "fails"], "not reproduced"),
        (["fails", "holds"], "not reproduced"),
        (["fails", *["open"] * 2], "not reproduced"),  # Holm: 3 times 0.0065 is less than 0.025
        (["fails", *["open"] * 3], "undecided"),
    ],
)
def test_a_claim_of_several_parts_is_as_good_as_the_weakest(names: list[str], word: str) -> None:
    wanted = claim(measure="", contrast=None, direction=None, parts=[PARTS[name] for name in names])
    made = measured({0.0: [0.90, 0.91, 0.92], 0.5: [0.91, 0.922, 0.928]}, wanted, column="value")
    (found,) = judge(made)
    assert found.word == word
    assert found.sentence.startswith("(1) ")
    assert " (2) " in found.sentence
    assert len(found.ours) == len(names)


def test_what_cannot_be_tested_says_why_whatever_was_measured() -> None:
    wanted = claim(measure="", contrast=None, direction=None, untestable="No weights are here")
    (found,) = judge(measured(CLEAR, wanted))
    assert (found.word, found.sentence) == ("not testable here", "No weights are here.")


def test_our_figures_have_means_interval_and_seeds() -> None:
    rising: Table = {0.0: [0.900, 0.902, 0.901], 0.5: [0.910, 0.913, 0.911]}
    wanted = claim(id="R2.e", measure="val_accuracy", direction="higher")
    (found,) = judge(measured(rising, wanted, column="last_val_accuracy"))
    assert found.ours == ("90.10 % → 91.13 %: +1.03 points (0.89 to 1.18), 3 seeds",)
    assert found.reported == "92 to 93 %"


def test_a_relative_difference_is_in_percent() -> None:
    table: Table = {0.0: [1000.0, 1010.0, 990.0], 0.5: [1101.0, 1110.0, 1090.0]}
    wanted = claim(measure="images_per_second", direction="higher", relative=True, margin=0.09)
    (found,) = judge(measured(table, wanted, column="last_images_per_second"))
    assert found.word == "reproduced"
    assert found.sentence.endswith("3 seeds; claimed higher by more than 9.00 %.")
    assert found.ours[0].startswith("1,000 → 1,100: +10.03 % (9.")


def test_influence_is_in_points_of_the_variance() -> None:
    made = factorial(
        lambda dropout, batch, seed: 0.9 + (0.04 + 1e-5 * seed) * dropout + 1e-5 * batch
    )
    part = Part(measure="value", influence="dropout", direction="higher")
    wanted = claim(measure="", contrast=None, direction=None, parts=[part])
    (found,) = judge(made(wanted))
    assert found.word == "reproduced"
    assert found.ours[0].startswith("dropout 94.6 %, batch_size 5.4 %: +89.")
    name = "dropout's share of the variance of validation accuracy less batch_size's: +89."
    assert found.sentence.startswith(name)


def best_of(lead: float, jitter: float = 0.004) -> tuple[str, str]:
    """`dropout 0` claimed the best; its rivals are lower by `lead` and by 0.1."""
    table: Table = {
        0.0: [0.9, 0.91, 0.92],
        0.25: [0.9 - lead, 0.91 - lead + jitter, 0.92 - lead],
        0.5: [0.8, 0.811, 0.82],
    }
    wanted = claim(measure="value", contrast=None, best={"dropout": 0.0}, direction="higher")
    (found,) = judge(measured(table, wanted, column="value"))
    return found.word, found.sentence


def test_the_best_must_beat_every_rival() -> None:
    word, sentence = best_of(0.05)
    assert word == "reproduced"
    assert "with dropout 0 against dropout 0.25: +" in sentence, "the nearest rival is named"
    assert sentence.endswith("claimed higher; of 2 rivals it beats 2.")
    assert best_of(0.0)[0] == "undecided"


def test_one_rival_that_wins_refutes_the_best() -> None:
    word, sentence = best_of(-0.05)
    assert word == "not reproduced"
    assert sentence.endswith("claimed higher; of 2 rivals it beats 1, loses to 1.")
