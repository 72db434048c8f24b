import os
import re
import shutil
from pathlib import Path

import pytest
import torch
from mlflow.entities.model_registry import ModelVersion
from torch import nn

from fashion_hpo.design.config import PixelRange
from fashion_hpo.registering import registration
from fashion_hpo.running import workers
from fashion_hpo.running.outcome import AlteredModelError
from fashion_hpo.running.session import Session
from fashion_hpo.stores import model_files, models, registry
from fashion_hpo.stores.models import UnsafeModelError
from fashion_hpo.training import packaging
from fashion_hpo.training.architectures import build_for
from tests.conftest import OpenSession
from tests.plans import design


class Constant(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.full((images.shape[0], 10), 0.1)


@pytest.fixture
def done(open_here: OpenSession) -> Session:
    session = open_here(design(seeds=1))
    list(workers.work(session))
    return session


def chosen(session: Session) -> registration.Candidate:
    return registration.candidate(session.ledger, session.tracker)


def model_folder(session: Session) -> Path:
    address = f"models:/{chosen(session).model_id}"
    return registry.download(session.tracker.uri, address)


def register(session: Session) -> str:
    candidate = chosen(session)
    model = registration.load_proven(candidate, session.tracker, session.splits)
    return registration.register(candidate, session.tracker, model, {"study": "tiny"}, "# card")


def test_the_best_trial_becomes_champion_and_loads_by_its_alias(done: Session) -> None:
    candidate = chosen(done)
    best = max(entry.result.value for entry in done.ledger.entries() if entry.result)  # type: ignore[type-var]
    assert candidate.result.value == best
    assert register(done) == "1"
    folder = registry.download_verified(done.tracker.uri, registry.CHAMPION_URI)
    accuracy = registration.score(models.read_model(folder), done.splits.val).accuracy
    assert accuracy == candidate.result.summaries["model_val_accuracy"]
    version = registry.find_version(done.tracker, candidate.attempt.uid)
    assert version is not None
    assert version.tags["fashion_hpo.study"] == "tiny"
    assert version.description == "# card"
    assert "MLFLOW_TRACKING_URI" not in os.environ, "what registering set is put back"


def test_without_a_complete_trial_there_is_no_candidate(open_here: OpenSession) -> None:
    with pytest.raises(ValueError, match="tiny/standard/r1 has no complete trial"):
        chosen(open_here(design()))


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("change", ["altered", "missing", "added"])
def test_a_changed_file_is_refused(done: Session, change: str) -> None:
    path = model_folder(done) / "data" / "model.pt2"
    if change == "altered":
        flip_a_bit(path)
    elif change == "missing":
        path.unlink()
    else:
        path = path.with_name("model.pth")
        path.touch()
    words = rf"data/{re.escape(path.name)} is {change}, so it is not"
    with pytest.raises(AlteredModelError, match=words):
        register(done)
    assert registry.find_version(done.tracker, chosen(done).attempt.uid) is None


def created(session: Session) -> tuple[registration.Candidate, nn.Module, ModelVersion]:
    """As a process leaves it that was killed after the version was made and before its proof."""
    candidate = chosen(session)
    model = registration.load_proven(candidate, session.tracker, session.splits)
    hashes = model_files.file_hashes(model_folder(session))
    uid, run_id = candidate.attempt.uid, candidate.run_id
    registry.create_version(session.tracker, candidate.model_id, run_id, uid, {}, "", hashes)
    found = registry.find_version(session.tracker, uid)
    assert found is not None
    return candidate, model, found


def has_champion(session: Session) -> bool:
    try:
        registry.download_verified(session.tracker.uri, registry.CHAMPION_URI)
    except ValueError:
        return False
    return True


def test_a_version_that_an_earlier_process_left_is_proven_and_champion(done: Session) -> None:
    candidate, model, version = created(done)
    assert not has_champion(done)
    registration.crown(candidate, done.tracker, version, model)
    assert has_champion(done)


def test_a_version_that_was_altered_since_is_not_made_champion(done: Session) -> None:
    candidate, model, version = created(done)
    flip_a_bit(model_folder(done) / "data" / "model.pt2")
    with pytest.raises(UnsafeModelError, match=r"version 1 is not what was registered: data/model"):
        registration.crown(candidate, done.tracker, version, model)
    assert not has_champion(done)


def test_a_version_of_another_network_is_not_made_champion(done: Session) -> None:
    candidate, _, version = created(done)
    with pytest.raises(AlteredModelError, match="version 1 is not the tested model: outputs at"):
        registration.crown(candidate, done.tracker, version, Constant())
    assert not has_champion(done)


def test_a_version_without_a_manifest_gets_the_ledgers(done: Session) -> None:
    candidate, model, version = created(done)
    client = done.tracker.client
    client.delete_model_version_tag(version.name, version.version, registry.MANIFEST)
    version = client.get_model_version(version.name, version.version)
    registration.crown(candidate, done.tracker, version, model)
    assert has_champion(done)


def test_another_network_of_right_hashes_is_refused(done: Session) -> None:
    """The hashes are set to fit, as if the ledger had been altered too."""

    folder, candidate = model_folder(done), chosen(done)
    shutil.rmtree(folder)
    models.write_model(Constant(), folder, done.splits.val.images[:2].numpy(), {})
    hashes = {f"model/{name}": value for name, value in model_files.file_hashes(folder).items()}
    candidate.result.files.clear()  # type: ignore[attr-defined]
    candidate.result.files.update(hashes)  # type: ignore[attr-defined]
    with pytest.raises(AlteredModelError, match=r"has accuracy .* and loss 2\.3026, where"):
        registration.load_proven(candidate, done.tracker, done.splits)


def test_a_model_put_there_in_training_mode_is_refused(open_here: OpenSession) -> None:
    """Exported by somebody else, the hashes set to fit: dropout would stay on for ever."""
    session = open_here(design(seeds=1, scientific={"dropout": (0.5,)}, claims=[]))
    list(workers.work(session))
    folder, candidate = model_folder(session), chosen(session)
    shutil.rmtree(folder)
    network = packaging.ServedClassifier(build_for(candidate.attempt.config), "unit").train()
    models.write_model(network, folder, session.splits.val.images[:2].numpy(), {})
    hashes = {f"model/{name}": value for name, value in model_files.file_hashes(folder).items()}
    candidate.result.files.clear()  # type: ignore[attr-defined]
    candidate.result.files.update(hashes)  # type: ignore[attr-defined]
    with pytest.raises(AlteredModelError, match="dropout is on"):
        registration.load_proven(candidate, session.tracker, session.splits)


def test_a_model_exported_in_training_mode_is_refused(
    open_here: OpenSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here at the trial itself: its export is compared before its result counts."""

    def in_training_mode(
        network: nn.Module, pixel_range: PixelRange, *, channels_last: bool
    ) -> nn.Module:
        network = network.to(memory_format=torch.contiguous_format)
        served = packaging.ServedClassifier(network, pixel_range, channels_last=channels_last)
        return served.train()

    monkeypatch.setattr(packaging, "served", in_training_mode)
    session = open_here(design(seeds=1, scientific={"dropout": (0.5,)}, claims=[]))
    list(workers.work(session))
    (entry,) = session.ledger.entries()
    assert entry.result is not None
    assert entry.result.outcome == "failed"
    assert "dropout is on" in entry.result.reason
