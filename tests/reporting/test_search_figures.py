"""The figures of a search mark every outcome and lay each field out as it was searched."""

import math
import statistics

import plotly.graph_objects as go
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from fashion_hpo.analysis.statistics.expected_regret import Curve, Curves
from fashion_hpo.reporting.figures.axes import field_axis
from fashion_hpo.reporting.figures.budget import expected_regret
from fashion_hpo.reporting.figures.contour import contour
from fashion_hpo.reporting.figures.search import (
    importance_bars,
    optimisation_history,
    parallel_coordinates,
    slices,
)
from tests.reporting import studies

MIXED = ("complete", "pruned", "diverged", "failed", "complete")


def test_every_outcome_is_marked_and_no_trial_is_missing() -> None:
    traces = {t.name: t for t in optimisation_history(studies.search(MIXED)).data}
    shown = {name: list(trace.x) for name, trace in traces.items()}
    assert shown == {
        "best so far": [0, 1, 2, 3, 4],
        "pruned": [1],
        "complete": [0, 4],
        "diverged": [2],
        "failed": [3],
    }
    assert traces["diverged"].y[0] < min(*traces["complete"].y, *traces["pruned"].y)
    looks = {(t.marker.symbol, t.marker.color) for n, t in traces.items() if n != "best so far"}
    assert len(looks) == 4


def test_the_best_so_far_never_falls_and_pruned_trials_do_not_count() -> None:
    records = studies.search(MIXED)
    records.trials.loc[1, "value"] = 0.999  # pruned: a high value early on is no result
    records.trials.loc[4, "value"] = 0.95
    best = next(t for t in optimisation_history(records).data if t.name == "best so far")
    assert list(best.y) == pytest.approx([80, 80, 80, 80, 95])


def test_the_expected_regret_is_drawn_with_the_searchs_own_passes() -> None:
    records = studies.search(("complete",) * 8)
    mean, low, high = ([0.01 * n for n in (4, 2, ends)] for ends in (1, 0, 2))
    curves = [
        Curve("random", "none", 0, 9, mean, low, high),
        Curve("tpe", "hyperband", 10, 9, mean, low, high),
    ]
    kept = Curves("search_table", 304, 5, 1_500, [*studies.SPACE], 3, curves)
    figure = expected_regret(records, kept)
    assert figure is not None
    _, random, own = figure.data
    assert (random.name, own.name) == ("random, pruner none", "tpe, pruner hyperband")
    assert (list(own.x), list(own.y)) == ([1, 2, 3], pytest.approx([4, 2, 1]))
    assert figure.layout.shapes[0].x0 == pytest.approx(8 / studies.EPOCHS), "one epoch a trial"
    assert figure.layout.title.subtitle.text.startswith("tpe with pruner hyperband, replayed 9 ")
    assert expected_regret(records, None) is None


def test_importance_puts_the_most_important_on_top() -> None:
    bars = importance_bars({"dropout": 0.7, "<i>x</i>": 0.3}).data[0]
    assert list(bars.y) == ["&lt;i&gt;x&lt;/i&gt;", "dropout"]
    assert list(bars.x) == [0.3, 0.7]


def test_the_contour_has_the_two_most_important_numbers_and_every_complete_trial() -> None:
    records = studies.search((*MIXED, *MIXED))
    shares = {"optimizer": 0.5, "learning_rate": 0.3, "dropout": 0.2, "batch_size": 0.0}
    figure = contour(records, shares)
    assert figure is not None
    smooth, dots = figure.data
    assert figure.layout.xaxis.title.text == "learning_rate (log scale)"
    assert list(figure.layout.xaxis.ticktext) == ["0.0001", "0.001", "0.01", "0.1"]
    assert figure.layout.yaxis.title.text == "dropout (probability)"
    complete = records.complete
    assert list(dots.x) == pytest.approx([math.log10(rate) for rate in complete["learning_rate"]])
    assert list(dots.y) == pytest.approx(list(complete["dropout"]))
    known = [z for row in smooth.z for z in row if z is not None]
    values = (100 * complete["value"]).tolist()
    assert min(values) - 1e-9 <= min(known) < max(known) <= max(values) + 1e-9
    low, high = (mean_at(figure, dropout) for dropout in (0.05, 0.35))
    assert low > high + 2, "the value falls with dropout"
    assert any(z is None for row in smooth.z for z in row), "nothing is said far from all trials"


def mean_at(figure: go.Figure, dropout: float) -> float:
    """The mean of the smoothed values in the row of the grid next to this dropout."""
    smooth = figure.data[0]
    row = min(range(len(smooth.y)), key=lambda i: abs(smooth.y[i] - dropout))
    return statistics.fmean(z for z in smooth.z[row] if z is not None)


def test_one_numeric_field_has_no_contour() -> None:
    assert contour(studies.search(), {"optimizer": 0.6, "dropout": 0.4}) is None


def test_slices_come_in_the_order_of_the_reports() -> None:
    assert list(slices(studies.search())) == [
        "dropout", "batch_size", "learning_rate", "weight_decay", "optimizer",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "kind"),
    [("dropout", "linear"), ("batch_size", "log"), ("learning_rate", "log")],
)
def test_a_slice_is_logarithmic_where_the_range_is(name: str, kind: str) -> None:
    axis = slices(studies.search())[name].layout.xaxis
    assert axis.type == kind
    assert ("log scale" in axis.title.text) == (kind == "log")


def test_pruned_trials_are_lighter_and_valueless_ones_absent() -> None:
    pruned, complete = slices(studies.search(MIXED))["dropout"].data
    assert (pruned.name, pruned.marker.symbol, len(pruned.x)) == ("pruned", "circle-open", 1)
    assert (complete.name, complete.marker.symbol, len(complete.x)) == ("complete", "circle", 2)


def test_choices_are_a_strip_with_quartiles() -> None:
    figure = slices(studies.search())["optimizer"]
    box, dots = figure.data
    assert box.type == "box"
    assert sorted(set(box.x)) == [0, 1]
    assert list(figure.layout.xaxis.ticktext) == ["adam", "sgd"]
    assert {round(x) for x in dots.x} == {0, 1}
    assert len(dots.x) == 12


def test_parallel_coordinates_take_logarithms_codes_and_complete_trials_only() -> None:
    records = studies.search(MIXED)
    drawn = parallel_coordinates(records).data[0]
    by_label = {dimension.label.split(" ")[0]: dimension for dimension in drawn.dimensions}
    assert list(by_label["optimizer"].values) == [0, 0]  # trials 0 and 4
    rates = records.complete["learning_rate"]
    assert list(by_label["learning_rate"].values) == pytest.approx([math.log10(r) for r in rates])
    assert list(drawn.line.color) == pytest.approx([80, 64])
    assert len(by_label["batch_size"].tickvals) == len(by_label["batch_size"].ticktext)


@pytest.mark.parametrize(
    ("distribution", "labels"),
    [
        (FloatDistribution(1e-4, 1e-1, log=True), ["0.0001", "0.001", "0.01", "0.1"]),
        (FloatDistribution(3e-4, 3e-3, log=True), ["0.0005", "0.001", "0.002"]),
        (FloatDistribution(3e-4, 4e-4, log=True), ["0.0003", "0.0004"]),
        (IntDistribution(32, 256, log=True), ["32", "64", "128", "256"]),
        (CategoricalDistribution(["a<b", "c"]), ["a&lt;b", "c"]),
    ],
    ids=["decades", "one decade", "no round number within", "powers of two", "choices"],
)
def test_ticks_are_numbers_that_people_read(
    distribution: BaseDistribution, labels: list[str]
) -> None:
    ticks = field_axis("learning_rate", distribution).ticks
    assert ticks is not None
    assert list(ticks.values()) == labels


@pytest.mark.parametrize("distribution", studies.SPACE.values(), ids=studies.SPACE)
def test_an_axis_has_room_for_its_whole_range(distribution: BaseDistribution) -> None:
    axis = field_axis("field", distribution)
    ends = (
        distribution.choices
        if isinstance(distribution, CategoricalDistribution)
        else (distribution.low, distribution.high)  # type: ignore[attr-defined]
    )
    low, high = axis.ends
    assert all(low < axis.place(value) < high for value in ends)
