"""The table of claims on a real, tiny store: a study of one's own, trained on small images."""

import json
import re
import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from fashion_hpo import claims
from fashion_hpo.design.plan import make_plan
from fashion_hpo.design.reports import reports
from fashion_hpo.design.study_file import load_study
from fashion_hpo.running import workers
from fashion_hpo.running.session import open_session
from fashion_hpo.stores.layout import Store
from fashion_hpo.terminal import command_line
from tests.images import search_splits

STUDY = '''"""Does it?"""
from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, Claim, Part, StudySpec, levels

STUDY = StudySpec(
    base=TrainConfig(
        architecture="simple_cnn", architecture_options={"channels": 2, "hidden": 4},
        train_images=100, batch_size=50, epochs=2, precision="fp32",
    ),
    scientific={"dropout": levels(0.0, 0.5)},
    seeds=2,
    claims=[
        Claim(id="R2.a", measure="parameters", contrast=("dropout", 0.0, 0.5),
              direction="same", margin=1),
        Claim(id="T.own", text="A <b>bold</b> | claim.", measure="parameters", figure=1e6,
              direction="higher"),
        Claim(id="T.open", text="None can say.", untestable="Nothing here could tell"),
    ],
    budgets={"quick": Budget(), "standard": Budget()},
)
'''


@pytest.fixture(scope="module")
def folder(fresh_databases: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A person's folder with a study named like one of ours, done under the standard budget."""
    home = tmp_path_factory.mktemp("home")
    (home / "studies").mkdir()
    (home / "studies" / "dropout_ablation.py").write_text(STUDY)
    shutil.copytree(fresh_databases, home / "mlruns")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        question, spec = load_study("dropout_ablation")
        plan = make_plan("dropout_ablation", question, spec, "standard")
        store = Store.at(home / "mlruns")
        list(workers.work(open_session(store, plan, device="cpu", splits=search_splits())))
    return home


@pytest.fixture
def home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in command_line.ADDRESSES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(folder)
    return folder


def block(text: str, claim_id: str) -> str:
    """The lines about one claim."""
    found = re.search(rf"^{re.escape(claim_id)}  .*\n(?:      .*\n)*", text, re.MULTILINE)
    assert found is not None
    return found[0]


def test_every_claim_has_its_verdict_figures_and_basis(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert claims.main([]) == 0
    said = capsys.readouterr().out
    ids = [line.split()[0] for line in said.splitlines() if re.match(r"R\d\.", line)]
    reported = reports().claims
    own = list(reported)
    for variant in ("R2.b-steps", "R2.c-tuned", "R2.f-steps"):
        own.insert(own.index(variant.partition("-")[0]) + 1, variant)
    assert ids == own
    assert said.index(f"\n{own[-1]}  ") < said.index("\nT.own  "), "other studies' claims come last"
    reproduced = block(said, "R2.a")
    assert reproduced.startswith(f"R2.a  REPRODUCED  {reported['R2.a'].text}\n")
    assert f"reported  {reported['R2.a'].figure}\n" in reproduced
    assert ": +0 (0 to 0), 2 seeds\n" in reproduced
    assert "rests on  dropout_ablation, standard: 100 images × 2 epochs\n" in reproduced
    assert "claimed higher than 1,000,000" in block(said, "T.own")
    assert "T.own  NOT REPRODUCED" in said
    assert "why       Nothing here could tell.\n" in block(said, "T.open")
    not_run = block(said, "R2.e")
    assert not_run.startswith("R2.e  NOT RUN HERE")
    assert "; `python -m fashion_hpo.study simple_vs_optimized` makes them.\n" in not_run
    assert re.search(
        r"^35 claims: 1 reproduced, 1 not reproduced, 2 not testable here, 31 not run here",
        said,
        re.M,
    )


def test_the_page_is_in_the_store_and_in_mlflow_once(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert claims.main([]) == 0
    path = home / "mlruns" / "reports" / "all-claims" / "claims.html"
    assert f"report    {path}\n" in capsys.readouterr().out
    client = MlflowClient(f"sqlite:///{home}/mlruns/mlflow.db")
    experiment = client.get_experiment_by_name("all-claims")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.tags["fashion_hpo.verdict.R2.a"] == "reproduced"
    assert [file.path for file in client.list_artifacts(run.info.run_id, "report")] == [
        "report/claims.html"
    ]


def test_the_page_takes_no_text_for_markup_and_may_go_elsewhere(home: Path, tmp_path: Path) -> None:
    assert claims.main(["--html", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "A &lt;b&gt;bold&lt;/b&gt; | claim." in page
    assert "<script" not in page
    assert "<h2>Other studies&#39; claims</h2>" in page
    assert page.count("<h2>R") == 5


def test_another_budget_has_other_results(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert claims.main(["--budget", "quick"]) == 0
    said = block(capsys.readouterr().out, "R2.a")
    assert "; `python -m fashion_hpo.study dropout_ablation --budget quick` makes them." in said


def test_json_has_the_same_verdicts(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert claims.main(["--json"]) == 0
    said = capsys.readouterr()
    answer = json.loads(said.out)
    by_claim = {claim["claim"]: claim for claim in answer["claims"]}
    assert reports().claims.keys() < by_claim.keys()
    for claim_id, claim in by_claim.items():
        assert f"{claim_id}  {claim['verdict'].upper()}  {claim['text']}\n" in said.err
    assert by_claim["R2.a"]["measured"][0].endswith(": +0 (0 to 0), 2 seeds")
    assert by_claim["R2.a"]["rests_on"] == "standard: 100 images × 2 epochs"


def test_markdown_is_one_table(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert claims.main(["--markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + 35
    assert {row.count("|") for row in rows} == {7}
    assert lines[-1].startswith("35 claims: ")


def test_a_study_that_cannot_be_read_is_named_and_hides_no_other(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = home / "studies" / "broken.py"
    broken.write_text("STUDY = (\n")
    try:
        assert claims.main([]) == 0
    finally:
        broken.unlink()
    said = capsys.readouterr().out
    assert "a study cannot be read, and its claims are left out: broken.py: " in said
    assert "R2.a  REPRODUCED" in said


def test_a_tracking_server_that_is_away_costs_the_artifact_alone(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert claims.main([]) == 0
    said = capsys.readouterr().out
    assert "R2.a  REPRODUCED" in said
    assert "not in MLflow (" in said
    assert "; the same command logs it.\n" in said


def test_a_folder_without_a_store_is_left_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in command_line.ADDRESSES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    assert claims.main([]) == 0
    assert "34 claims: " in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
