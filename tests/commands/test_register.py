"""`register` on a real store of two tiny studies: one that learns and one that hardly does."""

import io
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.tracking._tracking_service import utils

from fashion_hpo import register
from fashion_hpo.design.plan import make_plan
from fashion_hpo.design.study_file import load_study
from fashion_hpo.running import workers
from fashion_hpo.running.session import open_session
from fashion_hpo.stores import registry
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.registry import REGISTERED_NAME
from fashion_hpo.terminal import command_line
from fashion_hpo.training import data, sources
from fashion_hpo.training.sources import Arrays
from tests.images import noisy_patterns

STUDY = '''"""Does it learn?"""
from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, StudySpec, levels

STUDY = StudySpec(
    base=TrainConfig(
        architecture="simple_cnn", architecture_options={{"channels": 2, "hidden": 4}},
        train_images=200, batch_size=20, epochs=3, precision="fp32", dropout=0.2,
        schedule="constant",
    ),
    scientific={{"learning_rate": levels({rate})}},
    seeds={seeds},
    budgets={{"quick": Budget(), "standard": Budget()}},
)
'''
STUDIES = {"learns": STUDY.format(rate=0.01, seeds=3), "hardly": STUDY.format(rate=1e-6, seeds=1)}


@cache
def read(part: str, folder: Path | None = None) -> Arrays:
    """In place of the data files: patterns, 500 of each class for the gate and for validation."""
    split = noisy_patterns(10_300 if part == "train" else 1_000, seed=len(part))
    return Arrays(split.images.numpy(), split.labels.numpy().astype(np.uint8))


@pytest.fixture(scope="module")
def folder(fresh_databases: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A person's folder with both studies done, and nothing registered."""
    home = tmp_path_factory.mktemp("home")
    (home / "studies").mkdir()
    shutil.copytree(fresh_databases, home / "mlruns")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "read", read)
        patch.chdir(home)
        splits = data.load_search_splits()
        for name, text in STUDIES.items():
            (home / "studies" / f"{name}.py").write_text(text)
            store = Store.at(home / "mlruns")
            for budget in ("quick", "standard") if name == "hardly" else ("standard",):
                plan = make_plan(name, *load_study(name), budget)
                list(workers.work(open_session(store, plan, device="cpu", splits=splits)))
        yield home


class Home:
    """A copy of that folder, in which commands are run."""

    def __init__(self, folder: Path, root: Path) -> None:
        shutil.copytree(folder, root)
        utils._artifact_repos_cache.clear()  # of MLflow: where the runs of these ids were before
        self.root = root
        self.store = Store.at(root / "mlruns")
        self.client = MlflowClient(self.store.tracking_uri, self.store.tracking_uri)

    def register(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code and what was printed."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = register.main([*arguments, "--data", str(self.root), "--device", "cpu"])
        return code, out.getvalue(), err.getvalue()

    def openings(self) -> list[str]:
        """Which images were opened, in order."""
        log = self.store.openings_log
        lines = log.read_text().splitlines() if log.exists() else []
        return [json.loads(line)["part"] for line in lines]

    def aliases(self) -> dict[str, int]:
        try:
            found = self.client.get_registered_model(REGISTERED_NAME).aliases
        except MlflowException:
            return {}
        return {alias: int(number) for alias, number in found.items()}

    def version(self, number: int) -> Any:
        return self.client.get_model_version(REGISTERED_NAME, str(number))

    def versions(self) -> int:
        return len(self.client.search_model_versions(f"name = '{REGISTERED_NAME}'"))

    def archive(self, number: int) -> Path:
        """A version's model file."""
        source = str(self.version(number).source)
        return registry.download(self.store.tracking_uri, source) / "data" / "model.pt2"


@pytest.fixture
def home(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for name in command_line.ADDRESSES:
        monkeypatch.delenv(name, raising=False)
    home = Home(folder, tmp_path / "home")
    monkeypatch.chdir(home.root)
    return home


def test_the_first_winner_is_champion_and_a_worse_one_is_refused(home: Home) -> None:
    code, out, err = home.register("learns")
    assert (code, err) == (0, "")
    assert "version 1 is champion: simple_cnn of learns/standard/r1, the only config: " in out
    assert ", the median of 3\nagainst the champion before: there was none, so nothing " in out
    assert "Wilson, 1,000 images), the test set's opening number 1 here" in out
    assert home.openings() == ["test"]
    assert home.aliases() == {"champion": 1}
    version = home.version(1)
    assert version.tags["fashion_hpo.forced"] == "False"
    assert len(version.description) < 5000
    for words in (
        "Question of the study: Does it learn?", "t over 3 seeds", "the median of 3.",
        "| openings of the test set before this one | 0 |", "| Ankle boot | ", "Intended use: ",
        "Limits: ", "Data sha256: ", '"learning_rate": 0.01', "there was none, so nothing was",
    ):  # fmt: skip
        assert words in version.description
    assert home.register("learns")[:2] == (
        0, "version 1 is this model and champion already; nothing was opened.\n"
    )  # fmt: skip
    assert home.openings() == ["test"]
    code, _, err = home.register("--rollback")
    assert (code, err.count("\n")) == (2, 1)
    assert "has no previous champion to go back to" in err
    for _ in range(2):  # the second time from what was kept
        code, out, err = home.register("hardly")
        assert (code, out) == (1, "")
        assert err.startswith("error: hardly/standard/r1 is not made champion: on the 5,000 gate")
        assert "where more than -0.3 is needed; keep the champion, or" in err
        assert err.count("\n") == 1
        assert home.openings() == ["test", "gate"], "it costs no look at the test set"
        assert home.aliases() == {"champion": 1}
        assert home.versions() == 1
    code, out, _ = home.register("hardly", "--force")
    assert code == 0
    assert home.openings() == ["test", "gate", "test"]
    assert home.aliases() == {"champion": 2, "previous": 1}
    assert "made champion all the same, by --force" in out
    assert "made champion all the same, by --force" in home.version(2).description
    assert home.version(2).tags["fashion_hpo.forced"] == "True"


def test_a_quick_winner_is_warned_of_where_the_test_images_are_opened(home: Home) -> None:
    typed = ("hardly", "--budget", "quick")
    code, _, err = home.register(*typed)
    assert (code, home.openings()) == (0, ["test"])
    assert err.startswith("warning: the quick budget trains few images for few epochs, and each ")
    assert "`python -m fashion_hpo.study hardly --budget standard` gives a better" in err
    assert home.register(*typed) == (
        0, "version 1 is this model and champion already; nothing was opened.\n", ""
    )  # fmt: skip
    assert home.register("learns", "--force")[0] == 0
    code, _, err = home.register(*typed, "--force")
    assert (code, err) == (0, ""), "it was tested before"
    assert home.openings().count("test") == 2


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_an_altered_champion_is_replaced_by_force_alone(home: Home) -> None:
    home.register("hardly")
    flip_a_bit(home.archive(1))
    code, _, err = home.register("learns")
    assert code == 1
    assert err.startswith("error: champion version 1 cannot be compared with (")
    assert "--rollback" not in err, "there is no former champion to go back to"
    assert err.endswith(
        "uncompared with `python -m fashion_hpo.register learns --budget standard --force`.\n"
    )
    assert home.openings() == ["test"], "the gate stays shut where there is nothing to compare"
    assert home.register("learns", "--force")[0] == 0
    assert home.aliases() == {"champion": 2, "previous": 1}
    assert "not compared, made champion by --force: champion version 1" in (
        home.version(2).description
    )
    code, _, err = home.register("--rollback")
    assert code == 1
    assert "version 1 is not what was registered: data/model.pt2 is altered" in err
    assert home.aliases() == {"champion": 2, "previous": 1}, "an altered one is not restored"


class Killed(BaseException):
    """Stands for a kill: no `except Exception` sees it."""


def killed_at(monkeypatch: pytest.MonkeyPatch, write: str, run: Callable[[], object]) -> bool:
    """Run something that ends right after a write; False if it has no such write."""

    def audit(event: str, *args: object) -> None:
        if (event, *args) == ("fashion_hpo.write", write):
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(sys, "audit", audit)
        try:
            run()
        except Killed:
            return True
    return False


REGISTERING = ("gate result kept", "tested result kept", "summaries logged", "version created",
               "previous set", "alias moved")  # fmt: skip
ROLLING_BACK = ("withdrawn set", "alias moved", "previous set")


def test_killed_at_one_write_after_the_other_it_is_completed(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A better one becomes champion and the former previous; then they change places."""
    home.register("hardly")
    for write in REGISTERING:
        assert killed_at(monkeypatch, write, partial(home.register, "learns")), write
    code, out, _ = home.register("learns")
    assert (code, "nothing was opened" in out) == (0, True)
    assert home.aliases() == {"champion": 2, "previous": 1}
    assert home.versions() == 2
    assert home.openings() == ["test", "gate", "test"]
    assert "on the 5,000 gate images it is +" in home.version(2).description
    assert "t with 4,999 degrees of freedom; the gate's opening number 1)" in (
        home.version(2).description
    )
    assert "| openings of the test set before this one | 1 |" in home.version(2).description
    for write in ROLLING_BACK:
        assert killed_at(monkeypatch, write, partial(home.register, "--rollback")), write
    assert home.register("--rollback")[:2] == (
        0, "version 1 is champion again; version 2 is previous.\n"
    )  # fmt: skip
    assert home.aliases() == {"champion": 1, "previous": 2}
    assert home.register("learns")[0] == 0, "and comes back without another look"
    assert home.aliases() == {"champion": 2, "previous": 1}
    assert home.openings() == ["test", "gate", "test"]


def test_json_has_what_was_tested(home: Home) -> None:
    code, out, err = home.register("learns", "--json")
    answer = json.loads(out)
    assert code == 0
    assert (answer["version"], answer["was_champion"]) == ("1", False)
    assert f"test accuracy {answer['test_accuracy']:.2%} (95 %" in err
    answer = json.loads(home.register("learns", "--json")[1])
    assert (answer["version"], answer["was_champion"]) == ("1", True)
    assert home.openings() == ["test"]


def test_retrained_on_training_and_validation_images(home: Home) -> None:
    code, out, _ = home.register("learns", "--retrain")
    assert code == 0
    assert "registered: that config, trained again on 5,200 training and validation images" in out
    card = home.version(1).description
    assert "this model is that config trained again on 5,200 training and validation" in card
    assert "validation accuracy of this model" not in card
    assert home.openings() == ["test"]
    code, out, _ = home.register("learns", "--retrain")
    assert (code, out.count("epoch 1:")) == (0, 0), "it is not trained twice"
    assert "nothing was opened" in out
    assert home.versions() == 1


def test_a_study_or_a_roll_back_must_be_asked_for(home: Home) -> None:
    code, _, err = home.register()
    command = "`python -m fashion_hpo.register --rollback`"
    assert (code, err) == (2, f"error: no study was named; name one, or type {command}.\n")
