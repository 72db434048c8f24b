"""The winner is chosen on fresh seeds; what the search said of it is held against that."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fashion_hpo.analysis.answers import answer
from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.selection import audit, finalists, mean_bias, summary, winner
from fashion_hpo.design.confirmation import Confirmation
from fashion_hpo.design.plan import confirmation_plan
from fashion_hpo.reporting.figures.budget import budget_curve
from fashion_hpo.reporting.page.finalists import finalists_table
from fashion_hpo.reporting.page.parts import warnings_of
from fashion_hpo.reporting.page.tables import Table
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.predictions import PredictionFiles, Predictions
from tests.analysis.made import records
from tests.analysis.statistics.test_image_noise import keep
from tests.plans import search

A, B, C, D = (
    {"dropout": 0.1 * i, "learning_rate": 10.0**-i, "batch_size": 25 * (1 + i % 2)}
    for i in (1, 2, 3, 4)
)
SEARCHED = [(A, "complete", 0.93), (B, "complete", 0.95), (C, "complete", 0.90), (D, "pruned", 0.5)]
FRESH = [(A, 1, 0.92), (A, 2, 0.94), (B, 1, 0.91), (B, 2, 0.92)]


def confirmed(
    fresh: list[Any], *, remaining: int = 0, failed: tuple[int, ...] = (), finalists: int = 2
) -> Records:
    """A search of four trials; `fresh` are (values, seed index, accuracy) of its confirmation."""
    plan = search()
    assert plan.search is not None
    plan = replace(plan, search=replace(plan.search, finalists=finalists))
    rows = [
        {"trial": number, "outcome": outcome, "value": value, "seed_index": 0, **values}
        for number, (values, outcome, value) in enumerate(SEARCHED)
    ]
    theirs = [
        {
            "trial": number, "outcome": "failed" if number in failed else "complete",
            "value": None if number in failed else value, "seed_index": seed, **values,
        }
        for number, (values, seed, value) in enumerate(fresh)
    ]  # fmt: skip
    chosen = Confirmation(of="tiny_search/standard/r1", uid="uid", finalists=(B, A))
    made = records(confirmation_plan(plan, chosen, 2), theirs)
    return replace(records(plan, rows), confirmation=replace(made, remaining=remaining))


def test_the_winner_has_the_highest_mean_over_fresh_seeds() -> None:
    first, second = finalists(confirmed(FRESH))
    assert (first.trial, first.score, first.seeds, first.values) == (0, 0.93, 2, A)
    assert first.fresh.mean == pytest.approx(0.93)
    assert first.bias == pytest.approx(0.0)
    assert (second.trial, second.bias) == (1, pytest.approx(0.035))
    assert mean_bias([first, second]) == pytest.approx(0.0175)


def table_of(records: Records) -> Table:
    table = finalists_table(records)
    assert table is not None
    return table


def on_images(store: Store, *, without: int | None = None) -> Records:
    """Both seeds of a finalist are right on the same 90 of 100 images."""
    found = confirmed([(values, seed, 0.9) for values, seed, _ in FRESH])
    assert found.confirmation is not None
    labels, hashes = np.zeros(100, np.uint8), {}
    for number in range(len(FRESH)):
        guesses = np.where(np.arange(100) // 10 == number // 2, 1, 0)
        logits = np.eye(10, dtype=np.float16)[guesses]
        if number != without:
            hashes[f"uid-{number}"] = keep(store, f"uid-{number}", Predictions(logits, labels))
    trials = found.confirmation.trials
    trials = trials.assign(uid=[f"uid-{number}" for number in trials["trial"]])
    files = PredictionFiles(store, "tiny", "tiny/standard/r1", hashes)
    return replace(
        found, confirmation=replace(found.confirmation, trials=trials, predictions=files)
    )


def test_equal_seeds_leave_the_noise_of_the_images(tmp_path: Path) -> None:
    records = on_images(Store.at(tmp_path))
    best = winner(records)
    assert best is not None
    assert best.basis == "2 seeds, 100 images"
    assert best.fresh.mean == pytest.approx(0.9)
    error = np.sqrt(0.9 * 0.1 / 99)  # of a share of 100 images
    assert best.fresh.high - best.fresh.mean == pytest.approx(1.984 * error, rel=1e-3)
    assert "noise of seeds and images. " in table_of(records).note


def test_without_every_seeds_logits_there_is_no_interval(tmp_path: Path) -> None:
    records = on_images(Store.at(tmp_path), without=0)
    assert [each.basis for each in finalists(records)] == [
        "2 seeds, no interval because the validation logits of trial 0 were never written",
        "2 seeds, 100 images",
    ]
    assert "noise of seeds and images. " in table_of(records).note
    assert "nan" not in " ".join(answer(records))


def test_a_finalist_that_failed_on_a_seed_comes_last() -> None:
    first, second = finalists(confirmed(FRESH, failed=(0,)))
    assert (first.trial, second.trial, second.seeds) == (1, 0, 1)
    assert second.fresh.mean > first.fresh.mean


def test_no_winner_before_all_were_trained() -> None:
    made = confirmed(FRESH[:2], remaining=2)
    assert winner(made) is None
    assert summary(made) == {}
    assert len(finalists(made)) == 1, "what there is can be seen"
    assert "2 of 4 trainings that confirm the best trials" in " ".join(warnings_of(made))
    _, second, _ = answer(made)
    assert second.endswith("own figure (2 of 4 trainings that tell are done).")
    assert winner(replace(made, confirmation=None)) is None


def test_the_answer_names_the_winner_its_interval_and_the_bias() -> None:
    made = confirmed([(A, 1, 0.92), (A, 2, 0.93), (B, 1, 0.91), (B, 2, 0.92)])
    first, second, third, last = answer(made)
    assert first == (
        "Winner: dropout 0.1, learning_rate 0.1, batch_size 50: fresh-seed mean 92.50% (95 % "
        "interval 86.15% to 98.85%, 2 seeds), search score 93.00%: selection bias +0.50 points."
    )
    assert second == (
        "It is trial 0, the best of 2 finalists by that mean; on average their scores lie 2.00 "
        "points above those means."
    )
    assert third.startswith("Half the trials (2 of 4) would not have been enough")
    assert last.startswith("4 of 4 trials are random start-up trials: tpe uses results once 10 ")
    assert summary(made) == {
        "winner": "trial 0",
        "winner_fresh_seed_mean": "0.92500",
        "selection_bias": "+0.00500",
    }


@pytest.mark.parametrize(("value", "missed"), [(0.94, 1), (0.93, 1), (0.92, 0)])
def test_the_audit_counts_pruned_trials_that_would_have_been_finalists(
    value: float, missed: int
) -> None:
    made = confirmed([*FRESH, (D, 0, value)])
    found = audit(made)
    assert found is not None
    assert (found.ended, found.missed, found.pruned) == (1, missed, 1)
    assert [each.trial for each in finalists(made)] == [0, 1], "an audited trial is no finalist"
    told = f"Audit of the pruner: {missed} of 1 pruned trials, drawn from 1 and trained to their"
    assert any(sentence.startswith(told) for sentence in answer(made))
    assert audit(confirmed(FRESH)) is None


def test_the_best_of_many_equal_configs_is_flattered_and_fresh_seeds_show_by_how_much() -> None:
    """Where all configs are equally good, the whole lead of the best is bias."""
    draw = np.random.default_rng(0)
    biases = []
    for _ in range(100):
        scores = draw.normal(0.9, 0.003, 20)
        best = int(scores.argmax())
        values = {**A, "dropout": best / 100}
        rows = [
            {
                "trial": number, "outcome": "complete", "value": score, "seed_index": 0,
                **A, "dropout": number / 100,
            }
            for number, score in enumerate(scores.tolist())
        ]  # fmt: skip
        fresh = [
            {"trial": n, "outcome": "complete", "value": v, "seed_index": n + 1, **values}
            for n, v in enumerate(draw.normal(0.9, 0.003, 3).tolist())
        ]
        chosen = Confirmation(of="tiny_search/standard/r1", uid="uid", finalists=(values,))
        made = replace(
            records(search(), rows),
            confirmation=records(confirmation_plan(search(), chosen, 3), fresh),
        )
        found = winner(made)
        assert found is not None
        biases.append(found.bias)
    expected = 0.003 * 1.867  # the mean of the largest of 20 standard normal values
    assert np.mean(biases) == pytest.approx(expected, abs=0.0006)


def test_the_table_has_the_winner_first_with_score_mean_and_bias() -> None:
    made = confirmed(FRESH)
    table = table_of(made)
    score, bias = table.headings.index("search score"), table.headings.index("bias")
    assert [row[score] for row in table.rows] == ["93.00 %", "95.00 %"]
    assert table.rows[1][bias] == "+3.50"
    assert finalists_table(replace(made, confirmation=None)) is None


def test_the_curve_of_smaller_budgets_ends_at_the_best() -> None:
    figure = budget_curve(confirmed(FRESH))
    assert figure is not None
    band, line = figure.data
    assert list(line.x) == [1, 2, 3, 4]
    assert (band.mode, line.mode) == ("lines", "lines")
    assert "a guide only" in figure.layout.title.subtitle.text, "its sampler learns"
    assert line.y[-1] == pytest.approx(95)
    assert max(band.y) == pytest.approx(95)
    few = confirmed(FRESH)
    assert budget_curve(replace(few, trials=few.trials[:1])) is None
