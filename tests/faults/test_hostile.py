"""Models, names, study files, data, requests and addresses that somebody made to do harm."""

import io
import json
import os
import pickle
import random
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml  # type: ignore[import-untyped]

from fashion_hpo import study
from fashion_hpo.design.study_file import load_study
from fashion_hpo.integrity.invariants import examine
from fashion_hpo.registering import registration
from fashion_hpo.stores import models, registry
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.tracking import Tracker
from fashion_hpo.training import sources
from tests.faults import child
from tests.faults.child import Moment
from tests.faults.lab import Lab, ended, ledger_of
from tests.plans import TINY, design
from tests.serving.test_server import JSON, model, picture, png_header, port, predict, still_answers  # noqa: F401  (fixtures)
from tests.serving.test_server import ask as request

PLAN = design(seeds=1)
ARCHIVE = Path("data") / "model.pt2"


@pytest.fixture(scope="module")
def template(lab: Lab) -> Store:
    """A finished study with a champion."""
    store = lab.store()
    assert lab.run(store, PLAN) == 0
    assert ended(lab.process(child.register, store, PLAN)) == 0
    return store


@pytest.fixture
def trained(template: Store) -> Iterator[Store]:
    """The finished study, put back as it was after each test."""
    kept = template.root.with_name("kept")
    shutil.copytree(template.root, kept)
    yield template
    shutil.rmtree(template.root)
    kept.rename(template.root)


def champion(store: Store) -> Path:
    """Where its files are."""
    tracker = Tracker(store, PLAN.name)
    chosen = registration.candidate(ledger_of(store, PLAN), tracker)
    return registry.download(tracker.uri, f"models:/{chosen.model_id}")


def refused_everywhere(store: Store) -> None:
    """Neither registered again, nor loaded as the champion, and named by the doctor."""
    ledger, tracker = ledger_of(store, PLAN), Tracker(store, PLAN.name)
    chosen = registration.candidate(ledger, tracker)
    with pytest.raises((registration.AlteredModelError, models.UnsafeModelError)):
        registration.load_proven(chosen, tracker, child.SPLITS)
    with pytest.raises(models.UnsafeModelError):
        registry.download_verified(tracker.uri, registry.CHAMPION_URI)
    named = [v.where for v in examine(store, ledger, tracker)]
    assert any(chosen.model_id in where or chosen.attempt.uid in where for where in named)


class Runs:
    """Unpickled, it makes a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.canary),)


def pickled(folder: Path, canary: Path) -> None:
    (folder / ARCHIVE).write_bytes(pickle.dumps(Runs(canary)))


def torch_pickled(folder: Path, canary: Path) -> None:
    torch.save(Runs(canary), folder / ARCHIVE)


def with_pickled_sample(folder: Path, canary: Path) -> None:
    """The archive's own sample inputs are a pickle."""
    with zipfile.ZipFile(folder / ARCHIVE) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    buffer = io.BytesIO()
    torch.save(Runs(canary), buffer)
    with zipfile.ZipFile(folder / ARCHIVE, "w") as archive:
        for name, content in records.items():
            hostile = name.endswith("sample_inputs/model.pt")
            archive.writestr(name, buffer.getvalue() if hostile else content)


def with_loader(folder: Path, canary: Path) -> None:
    code = folder / "code"
    code.mkdir()
    (code / "own.py").write_text(f"import os\nos.mkdir({str(canary)!r})\n_load_pyfunc = print\n")
    described = yaml.safe_load((folder / "MLmodel").read_text())
    described["flavors"]["python_function"] |= {"loader_module": "own", "code": "code"}
    described["flavors"]["pytorch"]["code"] = "code"
    (folder / "MLmodel").write_text(yaml.safe_dump(described))


@pytest.mark.parametrize("harm", [pickled, torch_pickled, with_pickled_sample, with_loader])
def test_a_model_with_code_is_never_run(
    lab: Lab, trained: Store, tmp_path: Path, harm: Callable[[Path, Path], None]
) -> None:
    folder, canary = champion(trained), tmp_path / "canary"
    harm(folder, canary)
    lab.inject(f"a malicious model ({harm.__name__})")
    refused_everywhere(trained)
    with pytest.raises(models.UnsafeModelError):
        models.read_model(folder)
    assert not canary.exists()


@pytest.mark.parametrize("damage", ["a flipped bit", "a cut end"])
def test_a_damaged_model_is_refused(lab: Lab, whole: bool, trained: Store, damage: str) -> None:
    path = champion(trained) / ARCHIVE
    good, chance = path.read_bytes(), random.Random(damage)
    for _ in range(30 if whole else 3):
        place = chance.randrange(len(good))
        bad = bytearray(good)
        bad[place] ^= 1 << chance.randrange(8)
        path.write_bytes(bytes(bad) if damage == "a flipped bit" else good[:place])
        lab.inject(f"a model with {damage}")
        refused_everywhere(trained)
    path.write_bytes(good)
    lab.check(trained, PLAN)


def test_killed_while_registering_there_is_one_version(lab: Lab, whole: bool) -> None:
    writes = ("registered model created", "version created", "alias moved")
    for write in writes if whole else writes[1:2]:
        store = lab.store()
        assert lab.run(store, PLAN) == 0
        killed = partial(child.killed_at, Moment(write))
        assert ended(lab.process(child.register, store, PLAN, killed)) < 0
        lab.inject("kill -9 while registering")
        assert ended(lab.process(child.register, store, PLAN)) == 0
        lab.check(store, PLAN)
        client = Tracker(store, PLAN.name).client
        (version,) = client.search_model_versions(f"name = '{registry.REGISTERED_NAME}'")
        folder = registry.download_verified(store.tracking_uri, registry.CHAMPION_URI)
        alias = client.get_model_version_by_alias(registry.REGISTERED_NAME, registry.CHAMPION)
        assert alias.version == version.version
        models.read_model(folder)


def test_killed_while_the_champion_changes_the_former_is_previous(lab: Lab) -> None:
    """In a store of its own: MLflow keeps connections open to the one that the others put back."""
    store = lab.store()
    assert lab.run(store, PLAN) == 0
    assert ended(lab.process(child.register, store, PLAN)) == 0
    other = replace(design(seeds=1, base=TINY.replace(epochs=1)), name="tiny_two")
    assert lab.run(store, other) == 0
    for write in ("version created", "previous set", "alias moved"):
        killed = partial(child.killed_at, Moment(write))
        assert ended(lab.process(child.register, store, other, killed)) < 0
        lab.inject("kill -9 while the champion changes")
    assert ended(lab.process(child.register, store, other)) == 0
    lab.check(store, other, same=False)
    client = Tracker(store, other.name).client
    aliases = client.get_registered_model(registry.REGISTERED_NAME).aliases
    assert {alias: int(number) for alias, number in aliases.items()} == {
        "champion": 2, "previous": 1
    }  # fmt: skip
    registry.download_verified(store.tracking_uri, registry.CHAMPION_URI)


NAMES = (
    "../etc/passwd",
    "/etc/passwd",
    "a/b",
    "..",
    "a\0b",
    "x" * 300,
    "",
    "-rf",
    "a;b",
    "Ä",
    "a b",
)


def test_hostile_names_are_refused(lab: Lab, trained: Store) -> None:
    for name in NAMES:
        lab.inject("a hostile study name")
        with pytest.raises(ValueError):
            load_study(name)
    lab.check(trained, PLAN)


STUDY_FILES = {
    "raises": b'"""Is it?"""\nraise RuntimeError("no")\n',
    "exits": b'"""Is it?"""\nimport sys\nsys.exit(0)\n',
    "is no Python": b'"""Is it?"""\nSTUDY = (\n',
    "has no study": b'"""Is it?"""\n',
    "has another thing": b'"""Is it?"""\nSTUDY = 7\n',
    "is binary": bytes(range(256)),
    "is huge": b"#" * 10_000_000,
}


@pytest.mark.parametrize("which", STUDY_FILES)
def test_a_hostile_study_file_is_one_sentence(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], which: str,
) -> None:  # fmt: skip
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "mine.py").write_bytes(STUDY_FILES[which])
    monkeypatch.chdir(tmp_path)
    lab.inject(f"a study file that {which}")
    assert study.main(["mine", "--dry-run"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert len(told.splitlines()) == 1
    assert not (tmp_path / "mlruns").exists()


@pytest.mark.parametrize("uri", [
    "postgresql://me:s3cret@127.0.0.1:1/db", "postgresql://me:s3c%2Fret@127.0.0.1:1/db",
    "mysql+pymysql://me:s3cret@127.0.0.1:1/db",
    "postgresql://127.0.0.1:1/db?user=me&password=s3cret",
])  # fmt: skip
def test_a_password_is_not_printed(
    lab: Lab, tmp_path: Path, real_data: Path, capsys: pytest.CaptureFixture[str], uri: str
) -> None:
    lab.inject("a password in an address")
    command = ["dropout_ablation", "--storage", uri, "--store", str(tmp_path), "--debug"]
    assert study.main([*command, "--data", str(real_data)]) != 0
    told = "".join(capsys.readouterr())
    assert "error: " in told
    assert "s3c" not in told


OTHER = {
    "train-images": "t10k-images",
    "train-labels": "t10k-labels",
    "t10k-images": "train-images",
    "t10k-labels": "train-labels",
}


@pytest.mark.parametrize("part", OTHER)
@pytest.mark.parametrize("damage", ["a flipped bit", "a cut end", "another's content"])
def test_broken_data_are_refused_by_name(
    lab: Lab, tmp_path: Path, real_data: Path, part: str, damage: str
) -> None:
    for path in real_data.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (broken,), (other,) = tmp_path.glob(f"{part}*"), tmp_path.glob(f"{OTHER[part]}*")
    content = bytearray(broken.read_bytes())
    half = len(content) // 2
    broken.unlink()
    if damage == "a flipped bit":
        content[half] ^= 4
        broken.write_bytes(content)
    elif damage == "a cut end":
        broken.write_bytes(content[:half])
    else:
        broken.write_bytes(other.read_bytes())
    lab.inject(f"data with {damage}")
    with pytest.raises(sources.BrokenDataError, match=part):
        sources.read("train", tmp_path)


IMAGE = [[0] * 28] * 28
INPUTS: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"{", JSON),
    "no images": (b"{}", JSON),
    "a value too large": (json.dumps({"images": [[[256] * 28] * 28]}).encode(), JSON),
    "a value that is no number": (b'{"images": [[[NaN]]]}', JSON),
    "another shape": (json.dumps({"images": [[[0] * 27] * 28]}).encode(), JSON),
    "too many images": (json.dumps({"images": [IMAGE] * 2000}).encode(), JSON),
    "a deep nest": (b"[" * 100_000, JSON),
    "five megabytes": (bytes(5_000_000), "image/png"),
    "no image": (b"GIF89a" + bytes(20), "image/gif"),
    "half an image": (picture()[:40], "image/png"),
    "a bomb": (png_header(60_000, 60_000), "image/png"),
    "a script": (b"<svg onload=alert(1)>", "image/svg+xml"),
    "a pickle": (pickle.dumps(Runs(Path("/nowhere/canary"))), "application/octet-stream"),
}


@pytest.mark.parametrize("which", INPUTS)
def test_a_hostile_request_is_answered_4xx(lab: Lab, port: int, which: str) -> None:  # noqa: F811
    lab.inject(f"a request with {which}")
    assert 400 <= predict(port, *INPUTS[which]).status < 500
    assert still_answers(port)


@pytest.mark.parametrize("header", [
    {"host": "evil.example"}, {"host": "127.0.0.1.evil.example"}, {"host": "0.0.0.0"},
    {"origin": "https://evil.example"}, {"origin": "null"},
])  # fmt: skip
def test_a_hostile_host_or_origin_is_refused(
    lab: Lab, port: int, header: dict[str, str]  # noqa: F811
) -> None:  # fmt: skip
    lab.inject("a hostile " + next(iter(header)))
    body = json.dumps({"images": [IMAGE]}).encode()
    answer = request(port, "POST", "/predict", body, content_type=JSON, **header)
    assert 400 <= answer.status < 500
    assert still_answers(port)
