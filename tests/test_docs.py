"""What README.md and docs/ count and compute, compared with the code."""

import ast
import re
import runpy
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution

from fashion_hpo.analysis.findings import gather
from fashion_hpo.analysis.intervals import Interval, t_interval
from fashion_hpo.design.plan import make_plan, points
from fashion_hpo.design.reports import reports
from fashion_hpo.design.spec import Search, StudySpec
from fashion_hpo.design.study_file import PACKAGED, list_studies, load_study
from fashion_hpo.reporting.page.claims_page import summary
from fashion_hpo.running.publish import publish
from fashion_hpo.running.workers import work
from fashion_hpo.stores.layout import Store
from fashion_hpo.training.architectures import CATALOGUE
from tests.conftest import OpenSession
from tests.plans import BUDGETS, TINY

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text(encoding="utf-8")
REPORTS, STUDIES, MEASUREMENTS, WRITING = (
    (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    for name in ("reports", "studies", "measurements", "writing-studies")
)
NUMBER = r"([+−-]?\d+(?:\.\d+)?)"


@pytest.fixture(autouse=True)
def project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # no studies but the project's


def number(text: str) -> float:
    return float(text.replace("−", "-"))


def rows(text: str) -> list[list[str]]:
    """The cells of every line of a Markdown table."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]


def ids(text: str) -> Iterator[str]:
    """`R0.a to c, g` names R0.a, R0.b, R0.c and R0.g."""
    report = ""
    for part in filter(None, text.split(", ")):
        first, _, last = part.partition(" to ")
        if "." in first:
            report, _, first = first.partition(".")
        letters = [first] if not last else map(chr, range(ord(first), ord(last) + 1))
        yield from (f"{report}.{letter}" for letter in letters)


def test_there_is_one_number_of_claims(tmp_path: Path) -> None:
    findings, unreadable = gather(Store.at(tmp_path))
    assert not unreadable
    count = len(findings)
    assert summary(findings).startswith(f"{count} claims: ")
    assert f"put {count} claims to the test: the {len(reports().claims)} of five reports" in STUDIES
    written = re.search(r"^(\d+) claims: (.*)\.$", REPORTS, re.M)
    assert written is not None
    table = [row for row in rows(REPORTS) if re.match(r"R\d\.[a-z]", row[0])]
    assert [row[0] for row in table] == [each.verdict.claim_id for each in findings]
    assert int(written[1]) == len(table) == count
    told = dict(part.split(" ", 1)[::-1] for part in written[2].split(", "))
    assert {word: int(n) for word, n in told.items()} == Counter(row[-1] for row in table)


def test_the_measured_verdicts_are_those_of_the_reports_table() -> None:
    verdicts = {row[0]: row[-1] for row in rows(REPORTS) if re.match(r"R\d\.[a-z]", row[0])}
    measured = [row for row in rows(MEASUREMENTS) if re.match(r"R\d\.[a-z]", row[0])]
    assert len(measured) > 5
    for what, value, *_ in measured:
        assert value.endswith(f": {verdicts[what.partition(':')[0]]}"), what


def test_every_page_is_named_and_there() -> None:
    linked = re.findall(r"\]\((docs/[\w.-]+\.md)\)", README)
    assert set(linked) == {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")}
    counts = re.findall(r"[Pp]roject(?:'s| brings) (\d+) studies", README)
    assert set(counts) == {str(len(list_studies()))}


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{p.name}" for p in DOCS.glob("*.md"))])
def test_links_lead_to_files_and_headings(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), link


def anchors(text: str) -> set[str]:
    """Those that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_study_is_listed_with_its_claims() -> None:
    assert set(list_studies().values()) == set(PACKAGED.glob("[a-z]*.py"))
    head = STUDIES.partition("| study | question | claims |")[2].partition("\n\n")[0]
    listed = {row[0].strip("`"): [*ids(row[2])] for row in rows(head)[1:]}
    assert listed == {name: [claim.id for claim in load_study(name)[1].claims] for name in listed}
    assert sorted(listed) == sorted(list_studies())


def test_every_network_is_named_and_counted() -> None:
    told = re.search(r"trains any of (\d+): (.*?)\.", STUDIES, re.S)
    assert told is not None
    assert int(told[1]) == len(CATALOGUE)
    assert sorted(re.findall(r"`(\w+)`", told[2])) == sorted(CATALOGUE)


def triples(text: str) -> list[list[float]]:
    """Three values in brackets, as the baseline's rows print those of three seeds."""
    found = re.findall(rf"\({NUMBER}, {NUMBER}, {NUMBER}[;)]", text)
    return [[number(value) for value in triple] for triple in found]


def interval(text: str) -> list[float]:
    found = re.search(rf"{NUMBER} points \({NUMBER} to {NUMBER}\)", text)
    assert found is not None
    return [number(each) for each in found.groups()]


def rounded(found: Interval) -> list[float]:
    return [pytest.approx(value, abs=0.006) for value in found]


def test_the_baselines_seeds_are_in_the_order_that_gives_their_difference() -> None:
    """A paired interval holds for one pairing of the seeds: their order is part of the figure."""
    for machine in ("*Xeon*", "*EPYC*"):
        of_machine = [row for row in rows(MEASUREMENTS) if len(row) > 2 and row[2] == machine]
        values = {row[0].partition(",")[0]: row[1] for row in reversed(of_machine)}
        (first,), (second,) = triples(values["`cnn`"]), triples(values["`optimized_cnn`"])
        paired = [high - low for low, high in zip(first, second, strict=True)]
        assert interval(values["difference"]) == rounded(t_interval(paired))


def test_the_studies_in_the_docs_are_those_that_study_new_writes(
    tmp_path: Path,
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", WRITING, re.DOTALL)
    for kind, block in zip(("design", "search"), blocks, strict=True):
        written = runpy.run_path(str(PACKAGED / f"_new_{kind}.py"))["STUDY"]
        path = tmp_path / f"{kind}.py"
        path.write_text(block)
        assert runpy.run_path(str(path))["STUDY"] == written


def test_the_coupled_fields_in_the_docs_run(open_here: OpenSession, tmp_path: Path) -> None:
    block = re.search(r'```py\n(""".*?)```', WRITING, re.DOTALL)
    assert block is not None
    (tmp_path / "coupled.py").write_text(block[1], encoding="utf-8")
    spec = runpy.run_path(str(tmp_path / "coupled.py"))["STUDY"]
    small = {name: getattr(TINY, name) for name in ("architecture", "architecture_options")}
    plan = make_plan("coupled", "?", spec, "quick", changes={**small, "train_images": 300})
    session = open_here(plan)
    list(work(session))
    fields = ("batch_size", "learning_rate", "rotation", "shift", "zoom")
    runs = [
        session.tracker.client.get_run(session.tracker.run_of(entry.attempt.uid)).data.params
        for entry in session.ledger.entries()
    ]
    assert sorted(tuple(float(run[name]) for name in fields) for run in runs) == [
        (batch, rate, *warped)
        for batch, rate in ((64, 0.001), (256, 0.004))
        for warped in ((0, 0, 0), (10, 0.1, 0.1))
    ]
    page = publish(session.mirror).page.read_text(encoding="utf-8")
    assert "batch_size 256: learning_rate 0.004; rotation 10: shift 0.1, zoom 0.1" in page
    line = re.search(r"`coupled=(\{.*?\})`\. A coupled", WRITING)
    assert line is not None
    space = {"optimizer": CategoricalDistribution(("adamw", "sgd"))}
    search = Search(space=space, trials=2, sampler="random")
    coupled = ast.literal_eval(line[1])
    spec = StudySpec(base=TINY, search=search, coupled=coupled, budgets=BUDGETS)
    tried = [point.config for point in points(make_plan("coupled", "?", spec, "standard"))]
    assert {(config.optimizer, config.momentum) for config in tried} == {
        ("adamw", 0.9), ("sgd", 0.95)
    }  # fmt: skip
