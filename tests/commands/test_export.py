"""`register --export`: what is written, that it computes the same, and what refuses."""

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from fashion_hpo import serve, train
from fashion_hpo.registering import export as exporting
from fashion_hpo.serving.exported import exported
from fashion_hpo.stores import models
from fashion_hpo.stores.model_files import file_hashes
from fashion_hpo.stores.models import UnsafeModelError
from fashion_hpo.terminal import command_line
from tests.commands.test_register import Home, folder, home

__all__ = ["folder", "home"]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def exporter(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Where `out put` is an export of the champion, with the study's registration."""
    pytest.importorskip("onnxruntime")
    with pytest.MonkeyPatch.context() as patch:
        for name in command_line.ADDRESSES:
            patch.delenv(name, raising=False)
        home = Home(folder, tmp_path_factory.mktemp("exporter") / "home")
        patch.chdir(home.root)
        code, printed, _ = home.register("learns", "--export", str(home.root / "out put"))
        assert code == 0
        assert "differ from the torch model's by at most " in printed
        yield home


@pytest.fixture
def out(exporter: Home) -> Path:
    """The export, which is left as it is."""
    return exporter.root / "out put"


def test_the_onnx_model_answers_as_the_registered_one(exporter: Home, out: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(out / "model.onnx", providers=["CPUExecutionProvider"])
    model = models.read_model(exporter.archive(1).parents[1])
    for count in (1, 7, 100):
        images = torch.randint(0, 256, (count, 28, 28), dtype=torch.uint8)
        (outputs,) = session.run(None, {"images": images.numpy()})
        expected = model(images).detach().numpy()
        assert np.abs(outputs - expected).max() <= exporting.TOLERANCE
    about = json.loads((out / "model.json").read_text())
    assert about["onnx"]["largest_difference"] <= about["onnx"]["tolerance"]
    assert about["classes"][9] == "Ankle boot"
    assert about["files"] == file_hashes(out / "model")
    assert sorted(path.name for path in out.iterdir()) == [
        "Dockerfile", "config.json", "model", "model.json", "model.onnx",
    ]  # fmt: skip
    assert exporter.openings() == ["test"]


def test_the_config_is_taken_by_train(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = json.loads((out / "config.json").read_text())
    assert (config["epochs"], config["learning_rate"]) == (3, 0.01)
    assert train.main(["--config", str(out / "config.json"), "--set", "epochs=1"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("simple_cnn, ")
    assert re.findall(r"^ +(\d) ", printed, re.MULTILINE) == ["1"]
    for text, words in (("[]", "no JSON object"), ("{", "no JSON: "), ('{"colour": 1}', "colour")):
        (tmp_path / "bad.json").write_text(text)
        assert train.main(["--config", str(tmp_path / "bad.json")]) == 2
        said = capsys.readouterr().err
        assert "--config " in said
        assert words in said
    assert train.main(["--config", "nowhere.json"]) == 2
    assert "--config nowhere.json cannot be read" in capsys.readouterr().err


def test_the_dockerfiles_commands_are_ours(out: Path) -> None:
    lines = (out / "Dockerfile").read_text().splitlines()
    comments = [line for line in lines if line.startswith("#")]
    steps = [line.partition(" ") for line in lines if not line.startswith("#")]
    assert [step for step, _, _ in steps] == ["FROM", "COPY", "RUN", "RUN", "CMD"]
    module, *arguments = json.loads(steps[-1][2])[2:]
    assert module == "fashion_hpo.serve"
    given = command_line.parser_of(serve.main).parse_args(arguments)
    assert (given.model, given.port) == (Path("/model"), 5001)
    built, started = (shlex.split(line[1:]) for line in comments if "docker" in line)
    assert Path(built[built.index("-f") + 1]) == out / "Dockerfile"
    assert started[started.index("-v") + 1] == f"{out}:/model:ro"
    for needed in re.findall(r"/code/([\w.]+)", "\n".join(lines)):
        assert (ROOT / needed).exists()


def test_the_folder_is_served_without_a_store(exporter: Home, out: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(out, tmp_path / "elsewhere"))
    classifier = exported(out)
    assert (classifier.name, classifier.version) == ("fashion-mnist-classifier", "1")
    assert classifier.unsure_below is not None
    images = torch.randint(0, 256, (3, 28, 28), dtype=torch.uint8)
    model = models.read_model(exporter.archive(1).parents[1])
    for answer, row in zip(classifier.answers(images), model(images), strict=True):
        assert answer.probabilities == pytest.approx(row.detach().numpy())
    (out / "model" / "data" / "model.pt2").write_bytes(b"altered")
    with pytest.raises(UnsafeModelError, match="is altered; export it again with"):
        exported(out)


def test_the_champion_is_exported_by_what_is_told(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime")
    assert serve.main(["--model", str(tmp_path)]) == 2
    (told,) = re.findall(r"`python -m fashion_hpo\.register (.*)`", capsys.readouterr().err)
    assert home.register("learns")[0] == 0
    before = home.openings()
    code, printed, _ = home.register(*told.replace("DIR", "champion").split())
    assert code == 0, printed
    assert exported(home.root / "champion").version == "1"
    assert home.openings() == before, "nothing is opened"
    assert home.versions() == 1
    assert [path for path in home.root.iterdir() if path.name.startswith(".champ")] == []


def test_what_cannot_be_exported_is_refused_before_anything_is_opened(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home.root / "full").mkdir()
    (home.root / "full" / "mine.txt").touch()
    monkeypatch.setattr(exporting, "find_spec", lambda name: object())
    code, _, said = home.register("learns", "--export", "full")
    assert (code, "full, which is not empty; name a new folder." in said) == (2, True)
    monkeypatch.setattr(exporting, "find_spec", lambda name: None)
    code, _, said = home.register("learns", "--export", "new")
    assert (code, "needs the extra [onnx], of which onnx is not installed" in said) == (2, True)
    assert home.openings() == []
    assert home.versions() == 0
