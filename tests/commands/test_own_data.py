"""A data set of one's own through every command: colour tiles of two classes."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from fashion_hpo import claims, doctor, predict, register, replay, report, study, train
from fashion_hpo.stores.layout import Store
from fashion_hpo.terminal import command_line
from tests.own_sets import write_letters, write_tiles

STUDY = '''"""Does it learn tiles?"""
from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, Claim, DataSet, StudySpec, levels

STUDY = StudySpec(
    data=DataSet("tiles"),
    base=TrainConfig(
        architecture="simple_cnn", architecture_options={"channels": 4, "hidden": 8},
        batch_size=10, epochs=2, precision="fp32", flip=0.5,
    ),
    scientific={"learning_rate": levels(0.003, 0.01)},
    seeds=1,
    budgets={"standard": Budget()},
)
'''
Command = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def home(fresh_databases: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A person's folder: the tiles, and a study of them that is done."""
    folder = tmp_path_factory.mktemp("home")
    write_tiles(folder)
    shutil.copytree(fresh_databases, folder / "mlruns")
    (folder / "studies").mkdir()
    (folder / "studies/tiles.py").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        for name in command_line.ADDRESSES:
            patch.delenv(name, raising=False)
        patch.chdir(folder)
        assert study.main(["tiles", "--device", "cpu"]) == 0
        yield folder


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    capsys.readouterr()

    def typed(command: Callable[[list[str]], int], *arguments: str) -> tuple[int, str]:
        code = command(list(arguments))
        out, err = capsys.readouterr()
        return code, " ".join((err + out).split())

    return typed


def trial_runs(home: Path) -> list[str]:
    client = MlflowClient(Store.at(home / "mlruns").tracking_uri)
    (experiment,) = client.search_experiments(filter_string="name = 'tiles'")
    runs = client.search_runs([experiment.experiment_id])
    return [r.info.run_id for r in runs if r.data.tags["fashion_hpo.kind"] == "trial"]


def test_the_page_and_mlflow_name_the_classes_and_the_data_set(home: Path, run: Command) -> None:
    assert run(report.main, "tiles")[0] == 0
    page = next((home / "mlruns/reports").rglob("report.html")).read_text()
    assert "flower" in page
    assert "temple" in page
    assert "tiles, " in page
    assert "Ankle boot" not in page
    store = Store.at(home / "mlruns")
    client = MlflowClient(store.tracking_uri)
    logged = client.get_run(trial_runs(home)[0])
    (used,) = logged.inputs.dataset_inputs
    assert used.dataset.name == "tiles"
    assert json.loads(used.dataset.schema)["images"] == "uint8 (N, 3, 28, 28)"
    assert "recall_0" not in logged.data.metrics
    recalls = [logged.data.metrics[f"class/{name}_recall"] for name in ("flower", "temple")]
    assert sum(recalls) / 2 == pytest.approx(logged.data.metrics["model_val_accuracy"], abs=0.02)
    scores = Path(client.download_artifacts(logged.info.run_id, "class_scores.csv")).read_text()
    assert scores.splitlines()[1].startswith("flower,")


def test_a_trial_is_trained_again_to_the_same_bits(home: Path, run: Command) -> None:
    code, told = run(replay.main, trial_runs(home)[0])
    assert (code, "equal to the bit" in told) == (0, True), told


def test_doctor_agrees(run: Command) -> None:
    code, told = run(doctor.main, "tiles")
    assert (code, "all invariants hold" in told) == (0, True), told


def test_the_winner_is_registered_under_the_data_sets_name_and_answers(
    home: Path, run: Command
) -> None:
    code, told = run(register.main, "tiles")
    assert code == 0, told
    assert "tiles-classifier version 1 is champion" in told
    client = MlflowClient(Store.at(home / "mlruns").tracking_uri)
    version = client.get_model_version("tiles-classifier", "1")
    assert "Data set: tiles" in version.description
    assert "| temple |" in version.description
    code, told = run(predict.main, "tiles/temple", "--data-name", "tiles", "--json")
    answers = json.loads(told)["predictions"]
    assert len(answers) == 60
    assert {"flower", "temple"} == set(answers[0]["probabilities"])
    right = sum(answer["class"] == "temple" for answer in answers)
    assert right > 30
    code, told = run(doctor.main, "tiles")
    assert (code, "all invariants hold" in told) == (0, True), told
    code, told = run(predict.main, "tiles/temple/000.png")
    assert (code, "fashion-mnist-classifier@champion cannot be read" in told) == (2, True), told


def test_claims_of_the_reports_are_not_judged_on_other_data(home: Path, run: Command) -> None:
    reported = STUDY.replace(
        "    seeds=1,",
        '    seeds=1, claims=[Claim(id="R2.b", text="?", measure="val_loss", '
        'contrast=("learning_rate", 0.003, 0.01), direction="lower", margin=0.1)],',
    )
    (home / "studies/tiles.py").write_text(reported)
    try:
        _, told = run(claims.main)
    finally:
        (home / "studies/tiles.py").write_text(STUDY)
    assert "the claim is about Fashion-MNIST, and the study was run on tiles" in told, told


def test_a_data_set_that_changed_since_is_refused(home: Path, run: Command) -> None:
    picture = home / "tiles/flower/000.png"
    moved = home / "moved.png"
    picture.rename(moved)
    try:
        code, told = run(study.main, "tiles", "--device", "cpu")
        assert (code, "data: tiles " in told) == (2, True), told
        assert "--revise" in told
        code, told = run(register.main, "tiles")
        assert code == 2
        assert "put the files back as they were" in told
        code, told = run(report.main, "tiles")
        assert code == 0
    finally:
        moved.rename(picture)


def test_another_data_set_under_a_studys_name_is_refused(home: Path, run: Command) -> None:
    code, told = run(study.main, "tiles", "--data", "tiles", "--data-name", "bricks")
    assert code == 2
    assert "holds another spec (data: tiles" in told
    assert "→ bricks" in told


def test_a_dry_run_counts_the_images_that_there_are(run: Command) -> None:
    code, told = run(study.main, "tiles", "--dry-run")
    assert code == 0, told
    assert "all 88 training images are used" in told
    assert "2 epochs of 88 images each" in told


def test_train_says_that_all_images_are_used(home: Path, run: Command) -> None:
    code, told = run(
        train.main, "--data", "tiles", "--set", "epochs=1", "--set", "batch_size=20",
        "--set", "architecture=lenet5", "--device", "cpu",
    )  # fmt: skip
    assert code == 0, told
    assert "train_images is 50,000, more than tiles has: all 88 training images are used" in told


def test_letters_in_a_table_are_learned(run: Command, tmp_path: Path) -> None:
    """26 classes, as against Fashion-MNIST's ten."""
    code, told = run(
        train.main, "--data", str(write_letters(tmp_path)), "--set", "epochs=4", "--set",
        "architecture=simple_cnn", "--set", "train_images=2000", "--set", "batch_size=32",
        "--device", "cpu",
    )  # fmt: skip
    assert code == 0, told
    *_, accuracy, _speed = told.split()
    assert float(accuracy.rstrip("%")) > 50, told


def test_the_options_that_are_told_for_bad_data_help(
    home: Path, run: Command, tmp_path: Path
) -> None:
    small = ("--set", "epochs=1", "--set", "batch_size=20", "--set", "architecture=lenet5")
    bad = Path(shutil.copytree(home / "tiles", tmp_path / "Ж"))
    (bad / "flower/bad.png").write_text("no image")
    code, told = run(train.main, "--data", str(bad), *small)
    assert code == 2
    assert "set it with --data-name" in told
    code, told = run(train.main, "--data", str(bad), "--data-name", "mine", *small)
    assert code == 2
    assert "flower/bad.png (no image of a known format)" in told
    assert "leave them out with --skip-bad" in told
    given = ("--data", str(bad), "--data-name", "mine", "--skip-bad")
    code, told = run(train.main, *given, *small)
    assert code == 0, told
    assert "1 file(s) that are no images are left out" in told
    code, told = run(train.main, "--skip-bad", *small)
    assert (code, "--skip-bad needs --data" in told) == (2, True), told
    code, told = run(replay.main, trial_runs(home)[0], *given)
    assert code == 2
    assert "trained on tiles, and the data here are mine; name the trial's data with --data" in told


def test_a_champion_of_other_images_is_replaced_by_force_alone_and_can_come_back(
    home: Path, run: Command
) -> None:
    assert run(register.main, "tiles")[0] == 0
    client = MlflowClient(Store.at(home / "mlruns").tracking_uri)
    client.set_model_version_tag("tiles-classifier", "1", "fashion_hpo.uid", "another")
    client.set_model_version_tag("tiles-classifier", "1", "fashion_hpo.data_hash", "0" * 64)
    code, told = run(register.main, "tiles")
    assert code == 1
    assert "champion version 1 was trained on other images of tiles" in told
    code, told = run(register.main, "tiles", "--force")
    assert code == 0, told
    assert "tiles-classifier version 2 is champion" in told
    code, told = run(register.main, "--rollback", "--data-name", "tiles")
    assert (code, "version 1 is champion again" in told) == (0, True), told
    aliases = client.get_registered_model("tiles-classifier").aliases
    assert {name: str(number) for name, number in aliases.items()} == {
        "champion": "1",
        "previous": "2",
    }
