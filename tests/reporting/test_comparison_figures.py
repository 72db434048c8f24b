"""Differences are paired by seed; two fields at once are told apart; cost counts every trial."""

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import pytest
from optuna.distributions import FloatDistribution

from fashion_hpo.analysis.answers import answer
from fashion_hpo.analysis.checks.training import seed_noise
from fashion_hpo.analysis.intervals import Interval, t_interval
from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.comparisons import compare
from fashion_hpo.analysis.statistics.verdicts import judge
from fashion_hpo.analysis.wording import Units
from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.plan import make_plan
from fashion_hpo.design.spec import Budget, StudySpec, levels
from fashion_hpo.reporting.figures.comparisons import interactions, paired_differences
from fashion_hpo.reporting.figures.cost import accuracy_against_time
from fashion_hpo.reporting.figures.final_values import final_value
from fashion_hpo.reporting.page import cost
from fashion_hpo.reporting.page.tables import levels_table
from fashion_hpo.stores.layout import Store
from tests.analysis.made import factorial
from tests.analysis.statistics.test_image_noise import tuned_on_images
from tests.reporting import studies

Draw = Callable[[Records], go.Figure | None]


def with_nuisance() -> Records:
    """Two levels by two learning rates by three seeds; the second rate is better at each."""
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
        for seed in range(3)
        for rate in range(2)
        for place, dropout in enumerate((0.0, 0.5))
    ]  # fmt: skip
    plan = make_plan("tiny", "Does it?", spec, "standard")
    epochs = pd.DataFrame(columns=["trial", "epoch"])
    return Records(plan, "l", "u", "h", pd.DataFrame(rows), epochs, remaining=0)


def test_the_isolation_plot_shows_every_trial_and_each_level_at_its_best() -> None:
    figure = final_value(with_nuisance(), "val_accuracy")
    others, dots, means = figure.data
    assert sorted(others.x) == pytest.approx([80] * 6)
    assert sorted(dots.x) == pytest.approx([85] * 6)
    assert list(means.x) == pytest.approx([85, 85])
    assert "each level at its best" in figure.layout.title.text
    assert "hollow" in figure.layout.title.subtitle.text


FIRST_SEED = (0, 2)  # without dropout, at either rate


def drawn(records: Records) -> tuple[go.Figure, Interval]:
    """The figure, and the interval of its one difference, as a share."""
    figure = paired_differences(records)
    assert figure is not None
    mean, half = (figure.data[1].x[0], figure.data[1].error_x.array[0])
    return figure, Interval(mean / 100, (mean - half) / 100, (mean + half) / 100)


def test_the_figure_shows_the_interval_of_the_sentences_beside_it(tmp_path: Path) -> None:
    records = tuned_on_images(Store.at(tmp_path))
    figure, interval = drawn(records)
    (verdict,), (compared,) = judge(records), compare(records)
    units = Units(records.plan.spec.claims[0])
    assert units.interval(interval) in verdict.sentence
    assert interval == pytest.approx(compared.interval)
    by_seeds = t_interval([gain / 100 for gain in figure.data[0].x])
    assert interval.mean == pytest.approx(by_seeds.mean)
    assert interval.high - interval.low > 1.2 * (by_seeds.high - by_seeds.low)
    told = "from the noise of seeds, the choice of nuisance values and images"
    assert told in figure.layout.title.subtitle.text


def test_a_lead_is_checked_by_the_interval_that_the_figure_shows(tmp_path: Path) -> None:
    records = tuned_on_images(Store.at(tmp_path))
    _, interval = drawn(records)
    found = seed_noise(records)
    assert found is not None
    assert found.sentence == (
        f"dropout 0.5 leads dropout 0 by {100 * interval.mean:.2f} points; over 3 seeds, 300 "
        f"images, chance moves such a lead by up to {100 * (interval.high - interval.mean):.2f}."
    )
    assert found.is_warning == (interval.low <= 0)


def test_a_levels_mean_has_one_interval_in_figure_table_and_answer(tmp_path: Path) -> None:
    records = tuned_on_images(Store.at(tmp_path))
    figure = final_value(records, "val_accuracy")
    means = next(trace for trace in figure.data if trace.name == "mean, 95 % interval")
    mean, half = means.x[1], means.error_x.array[1]
    table = levels_table(records)
    assert f"{mean:.2f} % ({mean - half:.2f} % to {mean + half:.2f} %)" in table.rows[1]
    assert table.caption.endswith("choice of nuisance values and images")
    some = levels_table(tuned_on_images(Store.at(tmp_path / "some"), without=FIRST_SEED))
    absent = "choice of nuisance values and images; none where validation logits are missing"
    assert some.caption.endswith(absent)
    low = means.x[0]
    assert any(cell.startswith(f"{low:.2f} % (") for cell in table.rows[0])
    assert f"{low:.2f} %" in some.rows[0], "no interval without its evidence"
    assert f"{mean:.2f} % ({mean - half:.2f} % to {mean + half:.2f} %)" in some.rows[1]
    assert f"{mean:.2f}% (95 % interval {mean - half:.2f}% to {mean + half:.2f}%)" in " ".join(
        answer(records)
    )
    assert "the choice of nuisance values and images" in figure.layout.title.subtitle.text


def test_without_logits_the_figure_has_no_interval_and_says_so(tmp_path: Path) -> None:
    figure = paired_differences(tuned_on_images(Store.at(tmp_path), without=FIRST_SEED))
    assert figure is not None
    assert math.isnan(figure.data[1].error_x.array[0])
    told = "images; none where validation logits are missing; not corrected"
    assert told in figure.layout.title.subtitle.text
    plain = paired_differences(studies.design())
    assert plain is not None
    assert "from the noise of seeds;" in plain.layout.title.subtitle.text
    told = answer(tuned_on_images(Store.at(tmp_path / "other"), without=FIRST_SEED))
    assert told[0].startswith("T.a has no verdict: ")


def test_of_several_fields_each_combination_is_held_against_the_first() -> None:
    records = factorial(
        lambda dropout, batch, seed: dropout + batch / 1000 + 0.01 * seed * dropout
    )()
    epochs = pd.DataFrame(columns=["trial", "epoch"])
    figure = paired_differences(dataclasses.replace(records, epochs=epochs))
    assert figure is not None
    *_, means = figure.data
    assert list(means.x) == pytest.approx([48.0, 50.5, 98.5])
    assert list(figure.layout.yaxis.ticktext) == ["0, 512", "0.5, 32", "0.5, 512"]


def test_a_seed_that_moves_both_levels_alike_is_no_noise() -> None:
    figure = paired_differences(studies.design())
    assert figure is not None
    seeds, means = figure.data
    assert list(seeds.x) == pytest.approx([-5, -5, -5])
    assert means.x[0] == pytest.approx(-5)
    assert means.error_x.array[0] == pytest.approx(0, abs=1e-9)
    assert "Differences to dropout 0" in figure.layout.title.text


def test_levels_are_held_against_the_base_configs_own_as_in_the_table() -> None:
    records = studies.design(values=(0.5, 0.0, 0.25))
    figure = paired_differences(records)
    assert figure is not None
    assert "Differences to dropout 0" in figure.layout.title.text
    assert list(figure.layout.yaxis.ticktext) == ["0.5", "0.25"]
    assert {each.reference for each in compare(records)} == {0.0}
    assert records.plan.base.dropout == 0.0


def test_seeds_that_one_level_lacks_are_left_out() -> None:
    figure = paired_differences(studies.design(outcomes={0: "diverged", 3: "failed"}))
    assert figure is not None
    (seeds,) = figure.data
    assert len(seeds.x) == 1


@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize(
    "draw",
    [partial(final_value, name="val_accuracy"), partial(final_value, name="val_loss"),
     paired_differences],
)  # fmt: skip
def test_fewer_than_three_seeds_are_dots_alone(draw: Draw, seeds: int) -> None:
    """The interval of two seeds would be 13 standard errors to each side."""
    figure = draw(studies.design(seeds=seeds))
    assert figure is not None
    assert [len(trace.x) for trace in figure.data] == [
        seeds * (1 + (draw is not paired_differences))
    ]
    assert "an interval needs 3 seeds" in figure.layout.title.subtitle.text
    assert "mean, 95 % interval" in [t.name for t in (draw(studies.design()) or figure).data]


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
    label, trials, *_, images, _, device = cost.cost_table(records).rows[-1]
    assert (label, trials, device) == ("all", "6", "cpu (test)")
    assert images == "24,000"  # 6 trials x 4 epochs x 1,000 images
    assert sum(len(trace.x) for trace in accuracy_against_time(records).data) == 5


def test_energy_has_a_column_where_a_trial_has_it_with_what_it_counts() -> None:
    records = studies.design()
    assert "kJ" not in cost.cost_table(records).headings
    trials = records.trials.assign(energy_joules=[1500.0, 2000.0, math.nan, 500.0, 1000.0, 2500.0])
    shown = cost.cost_table(dataclasses.replace(records, trials=trials))
    assert shown.headings[-1] == "kJ"
    assert [row[-1] for row in shown.rows] == ["2.5 (of 2)", "5.0", "7.5 (of 5)"]
    assert "all that ran beside it is in it" in shown.note


def test_classical_trials_have_no_images_a_second() -> None:
    records = studies.design()
    trials = records.trials.assign(epochs_done=0, seconds=math.nan)
    cells = cost.cost_table(dataclasses.replace(records, trials=trials)).rows[0]
    assert "–" in cells
    assert not any("nan" in cell for cell in cells)
