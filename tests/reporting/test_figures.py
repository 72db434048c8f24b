"""What every figure has to have, whatever the trials came to."""

import json
from collections.abc import Callable

import pytest

from fashion_hpo.analysis.records import Records
from fashion_hpo.reporting.figures import curves, final_values, search
from fashion_hpo.reporting.page.sections import sections
from tests.reporting import studies

MIXED = ("complete", "pruned", "diverged", "failed", "complete", "complete", "complete")
CASES: dict[str, Callable[[], Records]] = {
    "design": studies.design,
    "one seed": lambda: studies.design(seeds=1),
    "NaN": lambda: studies.design(last_loss=float("nan")),
    "infinite": lambda: studies.design(last_loss=float("inf")),
    "diverged": lambda: studies.design(outcomes={0: "diverged", 3: "failed"}),
    "all diverged": lambda: studies.design(outcomes=dict.fromkeys(range(6), "diverged")),
    "one level": lambda: studies.design(values=(0.25,)),
    "nine levels": lambda: studies.design(values=tuple(i / 10 for i in range(9))),
    "search": studies.search,
    "mixed search": lambda: studies.search(MIXED),
    "search without value": lambda: studies.search(("diverged", "failed")),
    "all pruned": lambda: studies.search(("pruned", "pruned")),
    "empty search": lambda: studies.search(()),
}


@pytest.mark.parametrize("case", CASES)
def test_every_figure_has_title_axis_titles_and_valid_json(case: str) -> None:
    drawn = [figure for part in sections(CASES[case]()).values() for figure in part.values()]
    for figure in drawn:
        layout = json.loads(figure.to_json())["layout"]
        assert layout["title"]["text"]
        assert layout["title"]["subtitle"]["text"]
        assert layout["xaxis"]["title"]["text"]
        assert layout["yaxis"]["title"]["text"]
        assert figure.data
        json.dumps(json.loads(figure.to_json()), allow_nan=False)


@pytest.mark.parametrize(
    ("case", "count"),
    [("design", 8), ("one level", 5), ("all diverged", 0), ("search", 10), ("empty search", 0)],
)
def test_as_many_figures_as_the_records_can_fill(case: str, count: int) -> None:
    assert sum(map(len, sections(CASES[case]()).values())) == count


@pytest.mark.parametrize("case", CASES)
def test_each_figure_can_be_drawn_from_any_records(case: str) -> None:
    """Also those that the page would leave out: a figure with nothing to draw says so."""
    records = CASES[case]()
    if records.plan.search is None:
        drawn = [
            curves.loss_curves(records),
            curves.accuracy_curves(records),
            final_values.final_value(records, "val_accuracy"),
            final_values.final_value(records, "val_loss"),
        ]
    else:
        drawn = [
            search.optimisation_history(records),
            search.parallel_coordinates(records),
            search.importance_bars({}),
            *search.slices(records).values(),
        ]
    for figure in drawn:
        assert figure.data or figure.layout.annotations[0].text == "nothing to show yet"


@pytest.mark.parametrize("case", ["design", "search"])
def test_nothing_in_a_figure_hides_on_a_light_or_a_dark_page(case: str) -> None:
    for part in sections(CASES[case]()).values():
        for figure in part.values():
            template = figure.layout.template.layout
            assert template.paper_bgcolor == template.plot_bgcolor == "rgba(0, 0, 0, 0)"
            assert not {"#000000", "#ffffff", "black", "white"} & set(_colours(figure.to_json()))


def _colours(text: str) -> list[str]:
    return [part.lower() for part in text.split('"')]
