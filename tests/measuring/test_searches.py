"""Samplers and pruners replayed on tables whose best row is known."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from fashion_hpo import bench
from fashion_hpo.analysis.records import epoch_columns
from fashion_hpo.analysis.statistics import expected_regret
from fashion_hpo.design.plan import Plan, make_plan, points, sampler_seed
from fashion_hpo.design.search import Pruner, Sampler
from fashion_hpo.design.sequences import random_values, sobol_values
from fashion_hpo.design.study_file import load_study
from fashion_hpo.measuring import searches
from fashion_hpo.measuring.searches import Replayed, Table, leave_one_out, regrets, replay

SPACE = {
    "dropout": FloatDistribution(0.0, 0.5),
    "learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
    "architecture": CategoricalDistribution(["cnn", "resnet9"]),
}
EPOCHS = 4


def accuracy(values: dict[str, float | str]) -> float:
    """Best at no dropout and a rate of 1e-3, with resnet9."""
    decades = np.log10(float(values["learning_rate"]) / 1e-3)
    right = values["architecture"] == "resnet9"
    return 0.8 + 0.1 * right - 0.2 * float(values["dropout"]) - 0.1 * float(decades) ** 2


def table(rows: int = 300) -> Table:
    """Every epoch of a row is nearer to its final accuracy."""
    values = random_values(SPACE, rows, seed=0)
    finals = np.array([accuracy(row) for row in values])
    curves = finals[:, None] - 0.1 / np.arange(1, EPOCHS + 1) + 0.1 / EPOCHS
    return Table(SPACE, 1_000, np.array([searches.place(SPACE, row) for row in values]), curves)


SMOOTH = table()


def kept_plan() -> Plan:
    question, spec = load_study(searches.STUDY)
    return make_plan(searches.STUDY, question, spec, "standard")


def test_the_nearest_row_has_the_same_choices_and_the_nearest_numbers_as_searched() -> None:
    rows = [
        {"dropout": 0.5, "learning_rate": 1e-2, "architecture": "cnn"},
        {"dropout": 0.0, "learning_rate": 1e-3, "architecture": "resnet9"},
        {"dropout": 0.0, "learning_rate": 1e-4, "architecture": "cnn"},
    ]
    small = replace(SMOOTH, places=np.array([searches.place(SPACE, row) for row in rows]))
    assert [small.nearest(row) for row in rows] == [0, 1, 2]
    assert small.nearest({**rows[1], "architecture": "cnn"}) == 2
    assert small.nearest(rows[2] | {"learning_rate": 2e-3, "dropout": 0.25}) == 0
    assert small.nearest(rows[2] | {"learning_rate": 5e-4, "dropout": 0.25}) == 2


def test_a_table_is_read_from_what_report_writes() -> None:
    plan = kept_plan()
    trials, epochs = frames(plan, 3)
    assert set(epochs) <= set(epoch_columns(plan))
    read = Table.of(plan, trials[::-1], epochs.sample(frac=1.0, random_state=0))
    assert (read.epochs, read.images) == (plan.base.epochs, plan.base.train_images)
    assert read.curves.tolist() == [[0.5 + 0.01 * n] * plan.base.epochs for n in range(3)]
    assert [read.nearest(point.params) for point in points(plan)[:3]] == [0, 1, 2]
    diverged = epochs[~((epochs["trial"] == 1) & (epochs["epoch"] > 2))]
    assert np.isnan(Table.of(plan, trials, diverged).curves[1]).tolist() == [False] * 2 + [True] * (
        plan.base.epochs - 2
    )


def frames(plan: Plan, trials: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """trials.csv and epochs.csv, whose learning rate is that of an epoch's last step."""
    first = points(plan)[:trials]
    epochs = [
        {"trial": number, "epoch": epoch, "val_accuracy": 0.5 + 0.01 * number, "learning_rate": 0.0}
        for number in range(trials)
        for epoch in range(1, plan.base.epochs + 1)
    ]
    values = [{"trial": number, **point.params} for number, point in enumerate(first)]
    return pd.DataFrame(values), pd.DataFrame(epochs)


def test_a_table_of_something_else_is_refused() -> None:
    plan = kept_plan()
    trials, epochs = frames(plan, 2)
    with pytest.raises(ValueError, match=r"trials\.csv has no column mixup_alpha; name a folder"):
        Table.of(plan, trials.drop(columns="mixup_alpha"), epochs)
    with pytest.raises(ValueError, match=r"epochs\.csv has no column epoch; name a folder"):
        Table.of(plan, trials, epochs.drop(columns="epoch"))
    with pytest.raises(ValueError, match=rf"no trial of epochs\.csv has {plan.base.epochs} epochs"):
        Table.of(plan, trials, epochs[epochs["epoch"] < 3])


@pytest.mark.parametrize(
    ("sampler", "draw"), [("random", random_values), ("quasi_random", sobol_values)]
)
def test_without_a_pruner_the_drawn_points_are_trained_to_completion(
    sampler: Sampler, draw: object
) -> None:
    trials = replay(SMOOTH, sampler, "none", seed=3, budget=5 * EPOCHS)
    assert callable(draw)
    values = draw(SPACE, 5, sampler_seed(3, 0, 0))
    assert trials == [Replayed(SMOOTH.nearest(row), EPOCHS, complete=True) for row in values]


def test_pruners_end_trials_as_in_a_search() -> None:
    once = replay(SMOOTH, "random", "one_epoch", seed=0, budget=12)
    assert [trial[1:] for trial in once] == [(1, False)] * 12
    for pruner in ("median", "successive_halving", "hyperband"):
        trials = replay(SMOOTH, "random", pruner, seed=0, budget=40 * EPOCHS)
        assert len(trials) > 40, pruner
        of_pruned = [SMOOTH.finals[trial.row] for trial in trials if not trial.complete]
        of_complete = [SMOOTH.finals[trial.row] for trial in trials if trial.complete]
        assert np.mean(of_pruned) < np.mean(of_complete), pruner


def test_the_last_epoch_of_a_replayed_trial_completes_the_trial() -> None:
    """Each row's last epoch is far worse than its earlier ones, so that a median would end it."""
    falling = SMOOTH.curves[:, :1] - 0.1 * np.arange(EPOCHS)
    falling[:, :-1] = 0.9
    trials = replay(replace(SMOOTH, curves=falling), "random", "median", 0, budget=20 * EPOCHS)
    assert {trial.epochs for trial in trials} == {EPOCHS}
    assert all(trial.complete for trial in trials)


def test_a_diverged_row_costs_its_epochs_and_is_no_result() -> None:
    curves = SMOOTH.curves.copy()
    curves[:, 1:] = np.nan
    curves[0] = 0.5
    trials = replay(replace(SMOOTH, curves=curves), "random", "none", seed=0, budget=10)
    assert [trial[1:] for trial in trials] == [(2, False)] * 5


def test_regret_counts_what_is_complete_within_the_passes() -> None:
    finals = np.array([0.5, 0.7, 0.9, 0.8])
    small = replace(SMOOTH, places=SMOOTH.places[:4], curves=np.tile(finals[:, None], EPOCHS))
    trials = [
        Replayed(0, 4, True),
        Replayed(2, 1, False),
        Replayed(1, 4, True),
        Replayed(3, 4, True),
    ]
    assert regrets(small, "none", trials, [3, 4, 8, 9, 13]) == pytest.approx(
        [0.4, 0.4, 0.4, 0.2, 0.1]
    )


def test_regret_of_one_epoch_pays_for_the_trials_that_go_on() -> None:
    """Of the first trials, the three best after an epoch; one of them is the best in the end."""
    first = np.array([0.1, 0.5, 0.4, 0.2, 0.3, 0.6])
    last = np.array([0.9, 0.6, 0.7, 0.8, 0.5, 0.4])
    curves = np.linspace(first, last, EPOCHS).T
    small = replace(SMOOTH, places=SMOOTH.places[:6], curves=curves)
    trials = [Replayed(row, 1, False) for row in (0, 1, 1, 2, 3, 4, 5)]
    paid = searches.COMPLETED * (EPOCHS - 1)
    spent = [paid, paid + 1, paid + 4, paid + 5, paid + 7]
    assert regrets(small, "one_epoch", trials, spent) == pytest.approx([0.5, 0.0, 0.0, 0.1, 0.2])


@pytest.mark.parametrize(("sampler", "seeds"), [("tpe", 6), ("gp", 2)])
def test_a_sampler_that_learns_beats_random_on_a_smooth_table(sampler: Sampler, seeds: int) -> None:
    size, repeats = 15 * EPOCHS, range(seeds)
    learned, random = (
        np.mean([searches.regret_of(SMOOTH, name, "none", [size], 5, seed) for seed in repeats])
        for name in (sampler, "random")
    )
    assert learned < 0.5 * random


def test_a_replay_depends_on_its_seed_alone() -> None:
    pruner: Pruner
    for pruner in get_args(Pruner):
        first, again, other = (
            replay(SMOOTH, "tpe", pruner, seed=seed, budget=14 * EPOCHS) for seed in (1, 1, 2)
        )
        assert first == again != other


def test_leaving_one_out_tells_how_far_answers_are_off() -> None:
    error = leave_one_out(SMOOTH)
    assert error.median < 0.03 < error.spread
    assert error.correlation > 0.9
    shuffled = np.random.default_rng(0).permutation(SMOOTH.curves)
    assert abs(leave_one_out(replace(SMOOTH, curves=shuffled)).correlation) < 0.2


@pytest.mark.parametrize(
    ("markdown", "pruners"), [(False, get_args(Pruner)), (True, ("none", "median"))]
)
def test_the_command_prints_a_row_for_each_pruner(
    markdown: bool, pruners: Sequence[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, frame in zip(("trials", "epochs"), frames(kept_plan(), 20), strict=True):
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    small = ["--repeats", "2", "--trials", "4", "8", "--samplers", "random", "tpe"]
    form = ["--markdown", "--pruners", *pruners] if markdown else []
    assert bench.main(["search", "--table", str(tmp_path), *small, *form]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("20 trained configs of search_table, 5 epochs of 1,500 images; ")
    rows = [line.strip("| ").split() for line in lines[:-1] if line.strip("| ").startswith("tpe ")]
    assert [row[2 if markdown else 1] for row in rows] == list(pruners)
    assert lines[-1].startswith("tpe less random after 8 trials: ")
    assert ("| --- | --- | --- | --- |" in lines) == markdown


def test_the_command_keeps_the_curves_that_reports_show(tmp_path: Path) -> None:
    for name, frame in zip(("trials", "epochs"), frames(kept_plan(), 20), strict=True):
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    path = tmp_path / "curves.json"
    small = ["--table", str(tmp_path), "--repeats", "2", "--trials", "6", "--keep", str(path)]
    small += ["--pruners", "none", "median"]
    for sampler, startup in (("random", "10"), ("tpe", "3")):
        options = [*small, "--samplers", sampler, "--startup", startup]
        assert bench.main(["search", *options]) == 0
    kept = expected_regret.read(path)
    assert kept is not None
    assert (kept.configs, kept.epochs, kept.images) == (20, 5, 1_500)
    assert {curve.replayed for curve in kept.curves} == {
        *(("random", pruner, 0) for pruner in ("none", "median")),
        *(("tpe", pruner, 3) for pruner in ("none", "median")),
    }
    table = searches.read_table(tmp_path)
    expected = [searches.regret_of(table, "tpe", "median", [10, 30], 3, seed) for seed in (0, 1)]
    (shown,) = [curve for curve in kept.curves if curve.replayed == ("tpe", "median", 3)]
    assert [shown.mean[1], shown.mean[5]] == pytest.approx(np.mean(expected, axis=0), abs=1e-5)


def test_a_table_that_cannot_be_read_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in (None, ""):
        if text is not None:
            (tmp_path / "trials.csv").write_text(text)
        assert bench.main(["search", "--table", str(tmp_path)]) == 2
        told = f"error: --table is {tmp_path}, and its trials.csv cannot be read: "
        assert capsys.readouterr().err.startswith(told)


def test_the_command_knows_all_samplers_and_pruners() -> None:
    assert sorted(bench.SAMPLERS) == sorted(get_args(Sampler))
    assert get_args(Pruner) == bench.PRUNERS


def test_the_kept_table_is_of_best_models_space() -> None:
    best_model = load_study("best_model")[1].search
    assert best_model is not None
    assert kept_plan().ranges == best_model.space


def test_the_kept_curves_are_of_the_kept_table() -> None:
    curves, table = expected_regret.read(), searches.read_table(None)
    assert curves is not None
    assert curves.table == searches.curves(table, [], startup=10).table
    best_model = load_study("best_model")[1].search
    assert best_model is not None
    startup = 0 if best_model.is_drawn else best_model.startup
    named = best_model.sampler, best_model.pruner, startup
    assert named in {curve.replayed for curve in curves.curves}


def test_the_kept_table_is_what_its_study_trains() -> None:
    assert sum(path.stat().st_size for path in searches.KEPT.iterdir()) < 500_000
    plan, kept = kept_plan(), searches.read_table(None)
    known = {kept.nearest(point.params) for point in points(plan)}
    assert len(known) == len(kept.curves) >= 300
    places = {tuple(searches.place(plan.ranges, point.params)) for point in points(plan)}
    assert {tuple(row) for row in kept.places} <= places
