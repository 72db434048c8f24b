"""A browser draws every figure of a report; plotly's Python accepts more than its JavaScript."""

from pathlib import Path

import pytest

from fashion_hpo.analysis.records import Records
from fashion_hpo.reporting.page.page import Extras, render
from tests.browser import needs_browser, tab
from tests.reporting import studies
from tests.reporting.test_page import ANSWER, VERDICTS, with_model

pytestmark = needs_browser

SEARCH = studies.search((*("complete",) * 20, "pruned", "diverged"))


@pytest.mark.parametrize(
    ("records", "extras"),
    [(studies.design(), with_model()), (studies.design(seeds=2), Extras()), (SEARCH, Extras())],
    ids=["design", "two seeds", "search"],
)
@pytest.mark.parametrize("width", [1400, 390])
def test_every_figure_is_drawn(
    records: Records, extras: Extras, width: int, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    page.write_text(render(records, VERDICTS, ANSWER, extras=extras), encoding="utf-8")
    with tab() as opened:
        opened.open(page.as_uri(), (width, 900))
        plots = "[...document.querySelectorAll('.plot')]"
        assert opened.value(f"{plots}.length") > 5
        assert (
            opened.value(f"{plots}.filter(p => !p.querySelector('.main-svg')).map(p => p.id)") == []
        )
        assert opened.value("document.documentElement.scrollWidth") == width
