"""The page holds what it must, loads nothing, and takes no text for markup."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from jinja2 import UndefinedError
from optuna.distributions import CategoricalDistribution

from fashion_hpo.analysis.checks.check import Check
from fashion_hpo.analysis.checks.every import check
from fashion_hpo.analysis.findings import Finding
from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.verdicts import Verdict
from fashion_hpo.reporting.page import claims_page, document, sheet
from fashion_hpo.reporting.page.gallery import MOST
from fashion_hpo.reporting.page.page import Extras, render, write
from fashion_hpo.reporting.page.parts import QUICK, warnings_of
from fashion_hpo.reporting.page.tables import levels_table, trials_table
from tests.reporting import studies
from tests.reporting.test_model_figures import predicted

VERDICTS = [Verdict("R2.a", "losses stay together", "not reproduced", "they part by 0.3")]
ANSWER = ["Dropout 0.25 costs 5 points.", "Best is no dropout."]
HOSTILE = "</script><script>alert('x')</script>\"&<img src=x onerror=alert(1)>"
VOID = {"meta", "br", "img", "hr", "link", "input"}


class Outline(HTMLParser):
    """Collects tags with their attributes and text; checks that every element is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.text.append(data)

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def with_model() -> Extras:
    """The checks, the predictions of trial 4, and grey images."""
    images = np.full((200, 28, 28), 128, dtype=np.uint8)
    return Extras(check(studies.design()), predicted(), images)


def outline(records: Records, verdicts: list[Verdict] = VERDICTS) -> Outline:
    return Outline(render(records, verdicts, ANSWER))


@pytest.mark.parametrize(
    "records",
    [
        studies.design(),
        studies.design(seeds=1),
        studies.design(outcomes={0: "diverged"}),
        studies.design(outcomes=dict.fromkeys(range(6), "failed")),
        studies.search(),
        studies.search(("pruned", "diverged", "complete")),
        studies.search(()),
    ],
    ids=["design", "one seed", "diverged", "all failed", "search", "mixed", "nothing yet"],
)
def test_any_records_make_a_well_formed_page(records: Records) -> None:
    page = outline(records)
    assert page.open == []
    assert page.count("h1") == 1
    text = " ".join(page.text)
    command = f"python -m fashion_hpo.report example --budget {records.plan.budget}"
    made = (records.ledger_name, records.data_hash, command)
    verdict = ("R2.a", "not reproduced", "they part by 0.3")
    for expected in ("example", records.plan.question, *ANSWER, *verdict, *made):
        assert expected in text


def test_the_page_loads_nothing() -> None:
    page = Outline(render(studies.design(), VERDICTS, ANSWER, extras=with_model()))
    assert page.count("img") == MOST
    for tag, attributes in page.tags:
        assert (attributes.get("src") or "data:").startswith("data:"), tag
        assert tag not in ("link", "iframe", "object", "form")
    assert not any("@import" in text or "url(" in text for text in page.text)
    policy = next(a["content"] for t, a in page.tags if a.get("http-equiv"))
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "connect-src" not in policy
    assert "http" not in policy


def test_plotly_is_embedded_once_and_offers_no_upload() -> None:
    page = render(studies.design(), VERDICTS, ANSWER)
    assert page.count("* plotly.js v") == 1
    assert "sendChartToCloud" in page.rpartition("modeBarButtonsToRemove")[2]
    assert 'plotlyServerURL: ""' in page


def test_a_page_without_figures_carries_no_plotly() -> None:
    assert len(render(studies.search(()), [], ANSWER)) < 20_000


def verdict(text: str) -> Verdict:
    parts = (f"{text}[first part]", f"{text}[second part]")
    claim, reported = f"{text}[claim]", f"{text}[reported]"
    return Verdict(f"{text}[id]", claim, "undecided", f"{text}[sentence]", reported, parts)


def report(text: str) -> str:
    """Of a search, whose table of trials has every text of a trial."""
    records = studies.search(("complete", "failed"))
    records.trials["optimizer"] = f"{text}[level]"
    records.trials["device_name"] = f"{text}[device]"
    records.trials["reason"] = f"{text}[reason]"
    assert records.plan.search is not None
    choices = CategoricalDistribution([f"{text}[level]"])
    search = replace(records.plan.search, space={**studies.SPACE, "optimizer": choices})
    names = {"name": f"{text}[study]", "question": f"{text}[question]", "budget": text}
    records = replace(
        records,
        plan=replace(records.plan, search=search, **names),
        ledger_name=f"{text}[ledger]",
        ledger_uid=f"{text}[uid]",
        data_hash=f"{text}[data]",
    )
    check = Check(f"{text}[check]", "warning", f"{text}[seen]", f"{text}[advice]")
    extras = Extras([check], absent=[f"{text}[absent]"], where=f" --store {text}[store]")
    return render(records, [verdict(text)], [f"{text}[answer]"], [f"{text}[export]"], extras)


def claims(text: str) -> str:
    finding = Finding(verdict(text), f"{text}[study]", f"{text}[basis]")
    return claims_page.page([finding], [f"{text}[message]"], f" --store {text}[store]")


def augmentations(text: str) -> str:
    rows = [(f"{text}[row]", np.zeros((1, 1, 28, 28), dtype=np.uint8))]
    return sheet.render(f"{text}[title]", [f"{text}[note]"], rows, [f"{text}[name]"])


@pytest.mark.parametrize("written", [report, claims, augmentations])
def test_every_text_is_shown_as_it_is_and_never_markup(written: Callable[[str], str]) -> None:
    page, plain = Outline(written(HOSTILE)), Outline(written(""))
    shown = "".join(page.text)
    assert shown.count(f"{HOSTILE}[") == "".join(plain.text).count("[") > 1
    assert shown.replace(HOSTILE, "") == "".join(plain.text)
    assert harmless_tags(page) == harmless_tags(plain)


def harmless_tags(page: Outline) -> list[tuple[str, dict[str, str]]]:
    """Tags and attributes without the hostile text."""
    return [
        (tag, {name: unquote(value or "").replace(HOSTILE, "") for name, value in values.items()})
        for tag, values in page.tags
    ]


def test_a_figures_text_is_never_markup() -> None:
    page = outline(studies.design(captions={0.0: HOSTILE, 0.25: "plain"}))
    plain = outline(studies.design())
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    assert HOSTILE[:40] in "".join(page.text), "a title, cut to its longest"


def test_a_cell_names_its_heading_where_the_page_may_be_narrow() -> None:
    page = Outline(claims_page.page([Finding(verdict(""))], []))
    named = [attributes["data-heading"] for tag, attributes in page.tags if tag == "td"]
    assert named == claims_page.HEADINGS


def test_a_value_that_a_template_lacks_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="'unreadable' is undefined"):
        document.render("claims.html", title="", summary="", where="", reports=[])


def test_figure_titles_are_text_of_the_page_and_not_drawn_twice() -> None:
    page = render(studies.design(captions={0.0: "a < b"}), VERDICTS, ANSWER)
    assert "<h3>a &lt; b</h3>" in page
    for data in _figure_data(page):
        assert "title" not in data["layout"]
        assert data["layout"]["xaxis"]["title"]["text"]


def test_every_figure_has_its_own_place_and_data() -> None:
    tags = outline(studies.search()).tags
    places = [a["id"] for _, a in tags if (a.get("class") or "").startswith("plot")]
    data = [a["id"] for t, a in tags if t == "script" and a.get("type") == "application/json"]
    assert len(set(places)) == len(places) == 11
    assert data == [f"{place}-data" for place in places]


@pytest.mark.parametrize(
    ("records", "warnings"),
    [
        (studies.design(), []),
        (studies.design(budget="quick"), [QUICK]),
        (studies.design(remaining=1), ["1 trial has no outcome yet"]),
        (studies.design(budget="quick", remaining=5), [QUICK, "5 trials have no outcome yet"]),
        (studies.search(("failed",)), ["No trial is complete yet"]),
    ],
    ids=["sound", "quick", "one remains", "quick and unfinished", "none complete"],
)
def test_warnings_say_why_the_answer_may_be_none(records: Records, warnings: list[str]) -> None:
    found = warnings_of(records)
    assert len(found) == len(warnings)
    assert all(start in sentence for start, sentence in zip(warnings, found, strict=True))
    text = " ".join(outline(records).text)
    assert all(sentence in text for sentence in found)


def test_the_levels_table_gives_mean_interval_and_seeds() -> None:
    cells = levels_table(studies.design()).rows[0]
    assert cells[:3] == ["dropout 0", "3", "88.50 % (86.02 % to 90.98 %)"]
    assert cells[3].startswith("0.3100 (")
    assert "–" in cells  # ece, which these trials lack


def test_the_trials_table_has_every_trial_and_a_search_puts_the_best_first() -> None:
    records = studies.search(("diverged", "complete", "pruned", "complete"))
    rows = trials_table(records).rows
    order = [row[0] for row in rows]
    assert order == ["1", "3", "2", "0"], "a pruned trial is not ranked with the complete ones"
    assert "diverged: a loss was not finite" in rows[-1]


def test_write_leaves_whole_files_and_no_stale_figures(tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "level_9.json").write_text("{}")
    (tmp_path / "trials.csv").write_text("trial\n")
    path = write(studies.design(), VERDICTS, ANSWER, tmp_path)
    assert path == tmp_path / "report.html"
    page = path.read_text(encoding="utf-8")
    names = {file.name for file in (tmp_path / "figures").iterdir()}
    assert names == {"final_generalization_gap.json", "isolation.json", "final_loss.json",
                     "differences.json", "level_1.json", "level_2.json", "loss_curves.json",
                     "accuracy_curves.json", "cost.json"}  # fmt: skip
    for name in names:
        assert json.loads((tmp_path / "figures" / name).read_text())["data"]
        assert f'href="./figures/{name}"' in page
    assert 'href="./trials.csv"' in page
    assert {file.name for file in tmp_path.iterdir()} == {"report.html", "figures", "trials.csv"}


def test_write_again_gives_the_same_page(tmp_path: Path) -> None:
    first = write(studies.search(), [], ANSWER, tmp_path).read_bytes()
    assert write(studies.search(), [], ANSWER, tmp_path).read_bytes() == first


def _figure_data(page: str) -> list[dict[str, dict[str, dict[str, dict[str, str]]]]]:
    found = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page)
    assert found
    return [json.loads(text) for text in found]


def test_trials_of_another_experiment_are_named_and_left_out() -> None:
    records = studies.design(seeds=2)
    complete = len(records.complete)
    records.trials["not_comparable"] = ""
    records.trials.loc[records.trials.index[0], "not_comparable"] = "batch normalisation over 12"
    assert len(records.complete) == complete - 1
    assert warnings_of(records)[-1].startswith("1 trial was trained in pieces")


def test_the_model_the_checks_and_the_merits_of_one_trial_are_told() -> None:
    page = Outline(render(studies.design(), VERDICTS, ANSWER, extras=with_model()))
    text = " ".join(page.text)
    assert page.open == []
    assert "the best by value: trial 4 (dropout 0, seed 2). Its model is right on 80.00 %" in text
    assert "Confident mistakes" in text
    assert "seed noise" in text
    drawn = [a["id"] for t, a in page.tags if (a.get("class") or "") == "plot"]
    assert {"confusion", "reliability", "precision_recall", "cost"} <= set(drawn)


def test_what_is_absent_is_said_and_every_level_is_compared_after_the_claims() -> None:
    page = render(studies.design(), VERDICTS, ANSWER, extras=Extras(absent=["No <logits>."]))
    assert "No &lt;logits&gt;." in page
    compared = page.index("Every level compared")
    first, second = page.index('id="final_generalization_gap"'), page.index('id="differences"')
    assert first < page.index("Declared before") < compared < second
    assert "dropout 0.25 against 0<" in page
    assert "Every level compared" not in render(studies.design(values=(0.0,)), VERDICTS, ANSWER)
    assert 'id="confusion"' not in page


def test_the_page_names_once_the_command_that_makes_its_figures_again() -> None:
    page = render(studies.design(), VERDICTS, ANSWER, extras=with_model())
    assert page.count("python -m fashion_hpo.report example --budget standard") == 1
    assert page.count("<figure>") == 14


def test_a_trials_number_leads_to_its_run_and_the_page_says_what_to_start() -> None:
    records = studies.design(seeds=1)
    runs = {uid: f"http://127.0.0.1:5000/#/runs/{uid}" for uid in records.trials["uid"]}
    extras = Extras(runs=runs, ui="python -m fashion_hpo.ui --store here")
    page = Outline(render(records, VERDICTS, ANSWER, extras=extras))
    links = [attributes for tag, attributes in page.tags if tag == "a"]
    assert [link["href"] for link in links] == list(runs.values())
    assert all(link["target"] == "_blank" for link in links)
    assert "while python -m fashion_hpo.ui --store here runs" in "".join(page.text)
    without = Outline(render(records, VERDICTS, ANSWER))
    assert "fashion_hpo.ui" not in "".join(without.text)
    assert without.count("a") == 0


def test_the_first_screen_has_the_verdict_and_the_figure_that_answers() -> None:
    page = render(studies.design(), VERDICTS, ANSWER)
    badge, figure = page.index("R2.a: not reproduced"), page.index("<figure>")
    assert badge < page.index(ANSWER[0]) < figure < page.index("<section>")
    assert 'id="final_generalization_gap"' in page[figure : page.index("</figure>")]
    assert '<span class="badge not-reproduced">' in page


def test_decided_claims_come_first_at_the_top_and_stay_in_order_below() -> None:
    waiting = Verdict("R9.a", "the losses part", "not asked at this budget", "outside")
    page = render(studies.design(), [waiting, *VERDICTS], ANSWER)
    assert page.index("R2.a: not reproduced") < page.index("R9.a: not asked at this budget")
    assert re.findall(r"<td[^>]*>(R\d\.a)<", page) == ["R9.a", "R2.a"]
