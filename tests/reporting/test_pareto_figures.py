"""Every trial with both objectives is a dot, and the front a line of steps through its own."""

from fashion_hpo.reporting.figures.pareto import pareto_fronts
from fashion_hpo.reporting.page.sections import sections
from tests.analysis.statistics.test_pareto import COSTS, records
from tests.reporting import studies


def test_every_trial_is_drawn_and_the_front_is_a_line() -> None:
    (name, figure), = pareto_fronts(records()).items()  # fmt: skip
    line, others, best = figure.data
    assert name == "parameters"
    assert (line.mode, line.line.shape) == ("lines", "hv")
    assert (list(line.x), list(line.y)) == ([50, 300], [80, 85])
    assert sorted([*others.x, *best.x]) == sorted(COSTS)
    assert sorted(best.x) == [50, 300]
    assert figure.layout.xaxis.type == "log"
    assert figure.layout.xaxis.title.text == "parameters (number, log scale)"
    assert figure.layout.yaxis.title.text == "validation accuracy (%)"
    assert all("learning_rate" in text for text in best.text)


def test_only_a_search_with_several_objectives_has_one() -> None:
    assert pareto_fronts(studies.search()) == {}
    drawn = sections(records())
    assert next(iter(drawn)) == "The Pareto front"
    assert list(drawn["The Pareto front"]) == ["pareto_parameters"]


def test_without_values_the_figure_says_so() -> None:
    (figure,) = pareto_fronts(records(outcome="failed")).values()
    assert not figure.data
    assert "left out: 5 failed" in figure.layout.title.subtitle.text
    assert figure.layout.annotations
