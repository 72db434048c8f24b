from pathlib import Path

import pytest

from fashion_hpo.design.budgets import BUDGETS
from fashion_hpo.design.plan import make_plan, points
from fashion_hpo.design.reports import reports
from fashion_hpo.design.study_file import PACKAGED, list_studies, load_study, question_of
from fashion_hpo.running.session import check_architectures

STUDIES = sorted(path.stem for path in PACKAGED.glob("[a-z]*.py"))
CLAIMS = reports().claims
HEADER = '"""Does it?"""\n'
GOOD = f"""{HEADER}
from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, StudySpec, levels

STUDY = StudySpec(
    base=TrainConfig(),
    scientific={{"dropout": levels(0.0, 0.5)}},
    budgets={{"standard": Budget()}},
)
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder of one's own, with an empty studies/."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "studies"
    folder.mkdir()
    return folder


def test_the_project_has_the_reports_studies() -> None:
    assert len(STUDIES) >= 7
    assert {"dropout_ablation", "batch_size_ablation", "learning_rate_ablation"} < set(STUDIES)


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_is_read_top_to_bottom_in_one_look(name: str) -> None:
    text = (PACKAGED / f"{name}.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 50
    assert f"python -m fashion_hpo.study {name}\n" in text


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_asks_one_question_under_every_budget(name: str) -> None:
    question, spec = load_study(name)
    assert question.endswith("?")
    assert "\n" not in question
    assert tuple(spec.budgets) == BUDGETS


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("name", STUDIES)
def test_every_point_of_a_study_can_be_trained(name: str, budget: str) -> None:
    question, spec = load_study(name)
    plan = make_plan(name, question, spec, budget)
    check_architectures(plan)
    if plan.search is None:
        assert len(points(plan)) == plan.trials


@pytest.mark.parametrize("name", STUDIES)
def test_larger_budgets_train_longer(name: str) -> None:
    question, spec = load_study(name)
    quick, standard, full = (make_plan(name, question, spec, b).image_passes for b in BUDGETS)
    assert quick < standard < full


def test_every_claim_of_the_reports_is_asked_by_exactly_one_study() -> None:
    ids = [claim.id for name in STUDIES for claim in load_study(name)[1].claims]
    assert len(set(ids)) == len(ids)
    assert set(ids) - set(CLAIMS) == {
        "R2.a-small",
        "R2.b-steps",
        "R2.c-tuned",
        "R2.f-steps",
    }  # further answers to reports' questions
    assert set(CLAIMS) <= set(ids)


def test_a_studys_claims_say_what_the_reports_table_says() -> None:
    for name in STUDIES:
        for claim in load_study(name)[1].claims:
            if claim.id in CLAIMS:
                assert (claim.text, claim.reported) == CLAIMS[claim.id]


def test_the_list_has_every_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the project's are found from anywhere
    assert sorted(list_studies()) == STUDIES


def test_a_persons_own_studies_go_before_the_projects(own: Path) -> None:
    (own / "dropout_ablation.py").write_text(GOOD)
    (own / "mine.py").write_text(GOOD)
    (own / "_draft.py").write_text("")
    (own / "notes.txt").write_text("")
    found = list_studies()
    assert found["dropout_ablation"] == own / "dropout_ablation.py"
    assert sorted(found) == sorted([*STUDIES, "mine"])
    question, spec = load_study("mine")
    assert question == "Does it?"
    assert spec.scientific == {"dropout": (0.0, 0.5)}


def test_a_question_is_the_docstrings_first_paragraph(tmp_path: Path) -> None:
    path = tmp_path / "study.py"
    path.write_text('"""Does it,\nor does it not?\n\nMore.\n"""\nraise SystemExit\n')
    assert question_of(path) == "Does it, or does it not?"
    path.write_text("x = 1\n")
    assert question_of(path) == ""


def test_a_broken_file_does_not_hide_the_others_questions(own: Path) -> None:
    (own / "broken.py").write_text("STUDY = (\n")
    (own / "latin.py").write_bytes(b'"""\xe9"""\n')
    for name in ("broken", "latin"):
        assert question_of(list_studies()[name]).startswith("cannot be read: ")


@pytest.mark.parametrize(
    ("name", "near"),
    [("dropout_ablatoin", "dropout_ablation"), ("best_modell", "best_model")],
)
def test_an_unknown_name_is_refused_with_near_ones(name: str, near: str) -> None:
    with pytest.raises(ValueError, match=f"^study is '{name}', which is not in studies/; did you"):
        load_study(name)
    with pytest.raises(ValueError, match=f"did you mean .*{near}"):
        load_study(name)


def test_a_name_near_none_is_refused_with_some_and_the_way_to_all(own: Path) -> None:
    (own / "mine.py").write_text(GOOD)
    with pytest.raises(ValueError, match=r"^study is 'zzzz', .*; there are") as error:
        load_study("zzzz")
    named = [name for name in [*STUDIES, "mine"] if f" {name}" in str(error.value)]
    assert "mine" in named
    left = len(STUDIES) + 1 - len(named)
    told = f" and {left} more (`python -m fashion_hpo.study --list` shows all)."
    assert str(error.value).endswith(told)


@pytest.mark.parametrize("name", ["../studies/mine", "studies/mine", "mine.py", "Mine"])
def test_a_path_is_no_name(name: str, own: Path) -> None:
    (own / "mine.py").write_text(GOOD)
    with pytest.raises(ValueError, match=r"^study name is "):
        load_study(name)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD.replace("(0.0, 0.5)", "(0.0, 1.5)"), "dropout is 1.5; allowed is 0 up to"),
        (GOOD.replace('"dropout"', '"dropuot"'), "scientific has 'dropuot'; did you mean dropout?"),
        (GOOD.replace("base=", "bsae="), "unexpected keyword argument 'bsae'"),
        (GOOD.replace("    base=TrainConfig(),\n", ""), "base"),
        (GOOD.replace("TrainConfig()", "TrainConfig().rate"), "no attribute 'rate'"),
        (GOOD.replace("TrainConfig()", "TrainConfg()"), "name 'TrainConfg' is not defined"),
        (GOOD.replace("levels(0.0, 0.5)", "levels(1 / 0)"), "division by zero"),
        (GOOD.replace("levels(0.0, 0.5)", "{}['a']"), "'a'"),
        (GOOD.replace("levels(0.0, 0.5)", "levels(0.0"), "(mine.py, line 8)"),
        (f"{HEADER}import no_such_package\n", "No module named 'no_such_package'"),
        (f"{HEADER}assert 1 > 2\n", "AssertionError"),
        (f"{HEADER}import sys\nsys.exit()\n", "sys.exit("),
        (f"{HEADER}import sys\nsys.exit(0)\n", "sys.exit(0)"),
        (f"{HEADER}raise SystemExit('enough\\nof it')\n", "sys.exit(enough of it)"),
        (f"{HEADER}raise ValueError('one\\ntwo')\n", "one two"),
        (f"{HEADER}raise OSError('x' * 10_000)\n", "xxx"),
        (f"{HEADER}x = {'(' * 5000}1{')' * 5000}\n", "mine.py: "),
        (f"{HEADER}x = {'-' * 100_000}1\n", "mine.py: "),
        (f"{HEADER}def f(): f()\nf()\n", "recursion"),
        (HEADER, "has no STUDY = StudySpec(...); add one."),
        (f"{HEADER}STUDY = {{'base': 1}}\n", "has no STUDY = StudySpec(...); add one."),
        ("", "has no STUDY = StudySpec(...); add one."),
    ],
)
def test_a_file_that_is_no_study_is_refused_by_name(own: Path, text: str, words: str) -> None:
    (own / "mine.py").write_text(text)
    with pytest.raises(ValueError, match=r"^mine\.py") as error:
        load_study("mine")
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_a_folder_is_no_study(own: Path) -> None:
    (own / "mine.py").mkdir()
    (own / "mine.py" / "__main__.py").write_text(GOOD)
    with pytest.raises(ValueError, match=r"^mine\.py is not a file; a study is one Python file\.$"):
        load_study("mine")


def test_a_link_out_of_the_folder_is_refused(own: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.py").write_text(GOOD)
    (own / "mine.py").symlink_to(tmp_path / "elsewhere.py")
    with pytest.raises(ValueError, match=r"^mine\.py is a link out of .*; put the file itself"):
        load_study("mine")
    (own / "loop.py").symlink_to("loop.py")
    with pytest.raises(ValueError, match=r"^loop\.py is not a file"):
        load_study("loop")


def test_a_link_within_the_folder_is_followed(own: Path) -> None:
    (own / "mine.py").write_text(GOOD)
    (own / "other.py").symlink_to("mine.py")
    assert load_study("other")[0] == "Does it?"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x00\x01\x02", "mine.py: "),
        (b"\x7fELF\x02\x01\x01" + bytes(100), "mine.py: "),
        (b'"""\xe9"""\n', "mine.py: "),
        (b"#" * 2**18 + b"\n", "mine.py has 262145 bytes; allowed are 262144."),
        (b"raise SystemExit\n" * 500_000, "mine.py has 8500000 bytes; allowed are 262144."),
    ],
)
def test_a_file_that_is_no_text_or_no_page_is_refused(
    own: Path, content: bytes, words: str
) -> None:
    (own / "mine.py").write_bytes(content)
    with pytest.raises(ValueError, match=r"^mine\.py") as error:
        load_study("mine")
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert question_of(own / "mine.py").startswith("cannot be read: mine.py")


def test_hostile_files_do_not_hide_the_others_questions(own: Path, tmp_path: Path) -> None:
    (own / "good.py").write_text(GOOD)
    (own / "folder.py").mkdir()
    (own / "gone.py").symlink_to(tmp_path / "gone.py")
    (own / "binary.py").write_bytes(bytes(100))
    (own / "leaves.py").write_text("raise SystemExit\n")
    found = {name: question_of(path) for name, path in list_studies().items()}
    assert found["good"] == "Does it?"
    assert found["leaves"] == ""
    for name in ("folder", "gone", "binary"):
        assert found[name].startswith(f"cannot be read: {name}.py")
