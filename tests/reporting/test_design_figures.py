"""The figures of a design show every trial, the spread, and the reports' pairs on one scale."""

import dataclasses
import math

import pandas as pd
import pytest

from fashion_hpo.analysis.statistics.cells import column_of
from fashion_hpo.reporting.figures.curves import (
    accuracy_curves,
    captioned_levels,
    curve,
    loss_curves,
)
from fashion_hpo.reporting.figures.final_values import final_value, final_values
from fashion_hpo.reporting.figures.theme import COLOURS, SYMBOLS, level_look
from fashion_hpo.reporting.levels import by_level
from fashion_hpo.reporting.page.sections import sections
from tests.analysis.made import factorial
from tests.reporting import studies

NO_EPOCHS = pd.DataFrame(columns=["trial", "epoch"])


def test_loss_curves_are_solid_for_validation_and_dashed_for_training() -> None:
    lines = [t for t in loss_curves(studies.design()).data if t.mode == "lines+markers"]
    assert [(t.name, t.line.dash) for t in lines] == [
        ("dropout 0", "solid"), ("dropout 0", "dash"),
        ("dropout 0.25", "solid"), ("dropout 0.25", "dash"),
    ]  # fmt: skip
    assert lines[0].y[0] == pytest.approx(1.2 + 0.01)  # the mean over seeds 0, 1 and 2
    assert lines[1].y[-1] == pytest.approx(1 / studies.EPOCHS)


def test_a_level_is_in_the_legend_once() -> None:
    listed = [t.name for t in loss_curves(studies.design()).data if t.showlegend is not False]
    assert listed == ["dropout 0", "dropout 0.25", "validation", "training, in evaluation mode"]


def test_the_band_goes_from_lowest_to_highest_and_the_note_says_so() -> None:
    figure = accuracy_curves(studies.design())
    band = next(t for t in figure.data if t.fill == "toself")
    first = [y for x, y in zip(band.x, band.y, strict=True) if x == 1]
    assert sorted(first) == pytest.approx([80, 82])  # seeds 0 and 2, in per cent
    assert "lowest to highest" in figure.layout.title.subtitle.text


def test_one_seed_has_no_band_and_the_note_says_so() -> None:
    figure = accuracy_curves(studies.design(seeds=1))
    assert all(t.fill is None for t in figure.data)
    assert "no spread" in figure.layout.title.subtitle.text


def test_diverged_trials_are_left_out_and_counted() -> None:
    figure = accuracy_curves(studies.design(outcomes={0: "diverged"}))
    assert "left out: 1 diverged" in figure.layout.title.subtitle.text
    line = next(t for t in figure.data if t.mode == "lines+markers")
    assert line.y[0] == pytest.approx(81.5)  # seeds 1 and 2 alone


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_no_number_does_not_spoil_the_mean(bad: float) -> None:
    records = studies.design(last_loss=bad)
    drawn = curve(records.epochs[records.epochs["dropout"] == 0.0], "val_loss")
    assert drawn.mean[studies.EPOCHS] == pytest.approx(0.3 + 0.015)
    assert drawn.high.max() < 2


def test_an_epoch_without_any_number_is_no_part_of_the_curve() -> None:
    records = studies.design(seeds=1, values=(0.0,), last_loss=math.nan)
    assert list(curve(records.epochs, "val_loss").mean.index) == [1, 2, 3]


def test_early_stopping_is_said() -> None:
    records = studies.design()
    last = (records.epochs["trial"] == 0) & (records.epochs["epoch"] == studies.EPOCHS)
    records = dataclasses.replace(records, epochs=records.epochs[~last])
    assert "stopped early" in accuracy_curves(records).layout.title.subtitle.text


def test_every_trial_is_a_dot_and_the_mean_has_a_t_interval() -> None:
    dots, means = final_value(studies.design(), "val_accuracy").data
    assert len(dots.x) == 6
    assert means.x[0] == pytest.approx(100 * (0.9 - 0.025 + 0.01))
    half = 4.303 * 1 / math.sqrt(3)  # t quantile for 2 degrees of freedom; deviation: 1 point
    assert means.error_x.array[0] == pytest.approx(half, rel=1e-3)


def test_the_interval_of_a_loss_does_not_go_below_zero() -> None:
    records = studies.design(seeds=3)
    losses = [0.1 + 0.5 * seed for seed in records.trials["seed_index"]]
    records.trials[column_of("val_loss")] = losses
    _, means = final_value(records, "val_loss").data
    assert means.x[0] == pytest.approx(0.6)
    assert means.error_x.arrayminus[0] == pytest.approx(0.6)
    assert means.error_x.array[0] > 1


@pytest.mark.parametrize(
    ("budget", "small", "order"),
    [
        ("standard", "", ["final_generalization_gap", "isolation", "final_loss"]),
        ("standard", "val_loss", ["final_generalization_gap", "final_loss", "isolation"]),
        ("quick", "val_loss", ["final_loss", "final_generalization_gap", "isolation"]),
        ("quick", "ece", ["final_generalization_gap", "isolation", "final_loss"]),  # not measured
    ],
)
def test_the_first_figure_is_of_the_claim_that_the_budget_asks(
    budget: str, small: str, order: list[str]
) -> None:
    first, others = list(sections(studies.design(budget=budget, small=small)).values())[:2]
    assert [*first, *others] == order
    assert len(first) == 1
    dots, _ = final_values(studies.design(budget=budget))["final_generalization_gap"].data
    assert sorted(dots.x)[0] == pytest.approx(0.2 / studies.EPOCHS)


def test_without_claims_the_first_figure_is_of_the_accuracy() -> None:
    assert list(final_values(studies.design(values=(0.25,)))) == ["isolation", "final_loss"]


def test_every_level_has_its_label_beside_the_axis_title_of_its_field() -> None:
    axis = final_value(studies.design(values=(0.0, 0.1, 0.25)), "val_accuracy").layout.yaxis
    assert axis.title.text == "dropout (probability)"
    assert list(axis.ticktext) == ["0", "0.1", "0.25"]


def test_captioned_levels_share_their_ranges() -> None:
    first, second = captioned_levels(studies.design())
    assert (first.layout.title.text, second.layout.title.text) == (
        "without dropout",
        "with dropout",
    )
    for axis in ("yaxis", "yaxis2"):
        assert first.layout[axis].range == second.layout[axis].range
    shares = [y for figure in (first, second) for y in figure.data[2].y]
    low, high = first.layout.yaxis2.range
    assert low < min(shares) and max(shares) < high  # noqa: PT018


def test_captioned_levels_put_accuracy_on_the_right() -> None:
    figure = captioned_levels(studies.design())[0]
    axes = {trace.name: trace.yaxis for trace in figure.data}
    assert axes["validation accuracy"] == "y2"
    assert axes["validation loss"] == axes["training loss, in evaluation mode"] == "y"
    assert figure.layout.yaxis2.side == "right"
    assert "%" in figure.layout.yaxis2.title.text


def test_a_caption_without_trials_draws_nothing() -> None:
    assert captioned_levels(studies.design(values=(0.1,), captions={0.4: "with much"})) == []


def test_text_from_a_study_is_no_markup_in_a_figure() -> None:
    figure = captioned_levels(studies.design(captions={0.0: "<b>bold</b> & " + "x" * 200}))[0]
    title = figure.layout.title.text
    assert title.startswith("&lt;b&gt;bold&lt;/b&gt; &amp; ")
    assert len(title) < 100


def test_levels_are_told_apart_by_colour_and_symbol() -> None:
    looks = {level_look(index) for index in range(8)}
    assert len({look.colour for look in looks}) == len(COLOURS) == 8
    assert len({look.symbol for look in looks}) == len(SYMBOLS) == 8
    assert level_look(8) == level_look(0)


def test_levels_of_several_fields_are_told_apart_in_a_legend() -> None:
    records = factorial(lambda dropout, batch, seed: dropout + batch / 1000)()
    assert [rows.short for rows in by_level(dataclasses.replace(records, epochs=NO_EPOCHS))] == [
        "0, 32", "0, 512", "0.5, 32", "0.5, 512"
    ]  # fmt: skip
