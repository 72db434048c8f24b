"""Differences are paired by seed; two fields at once are told apart; cost counts every trial."""

import dataclasses
import math

import pandas as pd
import pytest
from optuna.distributions import FloatDistribution

from fashion_hpo.analysis.records import Records
from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.plan import make_plan
from fashion_hpo.design.spec import Budget, StudySpec, levels
from fashion_hpo.reporting import cost
from fashion_hpo.reporting.comparison_figures import interactions, paired_differences
from fashion_hpo.reporting.final_figures import isolation
from tests.analysis.made import factorial
from tests.reporting import studies


def with_nuisance() -> Records:
    """Two levels by two learning rates by two seeds; the second rate is better at each."""
    spec = StudySpec(
        base=TrainConfig(),
        scientific={"dropout": levels(0.0, 0.5)},
        nuisance={"learning_rate": FloatDistribution(1e-4, 1e-2, log=True)},
        nuisance_points=2,
        budgets={"standard": Budget()},
    )
    rows = [
        {
            "trial": 4 * seed + 2 * rate + place, "outcome": "complete", "dropout": dropout,
            "learning_rate": (1e-3, 5e-3)[rate], "seed_index": seed,
            "value": 0.8 + 0.05 * rate, "last_val_accuracy": 0.8 + 0.05 * rate,
        }
        for seed in range(2)
        for rate in range(2)
        for place, dropout in enumerate((0.0, 0.5))
    ]  # fmt: skip
    plan = make_plan("tiny", "Does it?", spec, "standard")
    epochs = pd.DataFrame(columns=["trial", "epoch"])
    return Records(plan, "l", "u", "h", pd.DataFrame(rows), epochs, remaining=0)


def test_the_isolation_plot_shows_every_trial_and_each_level_at_its_best() -> None:
    figure = isolation(with_nuisance())
    others, dots, means = figure.data
    assert sorted(others.x) == pytest.approx([80] * 4)
    assert sorted(dots.x) == pytest.approx([85] * 4)
    assert list(means.x) == pytest.approx([85, 85])
    assert "each level at its best" in figure.layout.title.text
    assert "hollow" in figure.layout.title.subtitle.text


def test_a_seed_that_moves_both_levels_alike_is_no_noise() -> None:
    figure = paired_differences(studies.design())
    assert figure is not None
    seeds, means = figure.data
    assert list(seeds.x) == pytest.approx([-5, -5, -5])
    assert means.x[0] == pytest.approx(-5)
    assert means.error_x.array[0] == pytest.approx(0, abs=1e-9)
    assert "Differences to dropout 0" in figure.layout.title.text


def test_seeds_that_one_level_lacks_are_left_out_and_one_seed_has_no_interval() -> None:
    figure = paired_differences(studies.design(outcomes={0: "diverged", 3: "failed"}))
    assert figure is not None
    seeds, means = figure.data
    assert len(seeds.x) == 1
    assert means.error_x.array[0] is None


@pytest.mark.parametrize(
    "records",
    [
        studies.design(values=(0.25,)),
        studies.design(outcomes=dict.fromkeys(range(6), "failed")),
        studies.design(seeds=1, outcomes={0: "failed"}),
    ],
    ids=["one level", "none complete", "nothing shared"],
)
def test_nothing_to_compare_is_no_figure(records: Records) -> None:
    assert paired_differences(records) is None


def test_an_interaction_has_the_mean_of_every_cell() -> None:
    records = factorial(lambda dropout, batch, seed: dropout + batch / 1000 + 0.01 * seed)()
    found = interactions(records)
    assert list(found) == ["dropout_batch_size"]
    (heat,) = found["dropout_batch_size"].data
    assert [list(row) for row in heat.z] == [
        pytest.approx([4.2, 52.2]), pytest.approx([54.2, 102.2])
    ]  # fmt: skip
    assert (list(heat.y), list(heat.x)) == (["0", "0.5"], ["32", "512"])
    assert interactions(studies.design()) == {}


def test_cost_counts_all_trials_and_images() -> None:
    records = studies.design(outcomes={0: "diverged"})
    shown = cost.cost_table(records)
    assert "<td>all</td><td>6</td>" in shown
    assert "<td>24,000</td>" in shown  # 6 trials x 4 epochs x 1,000 images
    assert "cpu (test)" in shown
    assert sum(len(trace.x) for trace in cost.accuracy_against_time(records).data) == 5


def test_classical_trials_have_no_images_a_second() -> None:
    records = studies.design()
    trials = records.trials.assign(epochs_done=0, seconds=math.nan)
    shown = cost.cost_table(dataclasses.replace(records, trials=trials))
    assert "–" in shown
    assert "nan" not in shown
