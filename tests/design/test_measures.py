"""The rows of measures against what reads them: claims, the trainer's epochs and the documents."""

import re
from pathlib import Path

from fashion_hpo.design.config import EPOCH_METRICS
from fashion_hpo.design.measures import CLAIMABLE, MEASURES
from fashion_hpo.design.objectives import OBJECTIVES, directions

STUDIES = (Path(__file__).parents[2] / "docs" / "studies.md").read_text(encoding="utf-8")
ROW = re.compile(r"\| `(\w+)`(?: … `recall_9`)? \| (.*) \| (.*) \| (.*) \|")


def test_every_measure_of_an_epoch_has_a_row() -> None:
    rows = {name for name, row in MEASURES.items() if row.needs == "epochs"}
    assert rows == set(EPOCH_METRICS)


def test_a_measure_has_one_formula_where_its_evidence_is_kept() -> None:
    for row in MEASURES.values():
        assert (row.of_curve is not None) == (row.needs == "curve"), row.name
        assert (row.of_model is not None) == (row.needs == "model"), row.name


def test_measures_are_told_apart_by_the_name_that_people_read() -> None:
    titles = [row.at(None) for row in MEASURES.values()]
    assert len(set(titles)) == len(titles)


def test_a_claim_may_be_about_all_but_what_only_searches_measure() -> None:
    assert set(MEASURES) - set(CLAIMABLE) == {"latency"}


def test_an_objective_is_better_where_its_measure_is() -> None:
    assert directions([*OBJECTIVES]) == ["maximize", "minimize", "minimize", "minimize"]


def test_the_page_about_studies_has_every_measure() -> None:
    table = STUDIES.partition("| name in MLflow | as people read it | better | what it is |")[2]
    rows = ROW.findall(table.partition("\n\n")[0])
    expected = [
        (name, row.title, row.better or "–", row.what)
        for name, row in MEASURES.items()
        if name in CLAIMABLE and not re.fullmatch(r"recall_[1-9]", name)
    ]
    assert [row for row in rows if row[0] != "recall_0"] == [
        row for row in expected if row[0] != "recall_0"
    ]
    assert "recall_0" in {row[0] for row in rows}
