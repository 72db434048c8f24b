import os
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from fashion_hpo.running import registration, workers
from fashion_hpo.running.session import Session
from fashion_hpo.running.trial import AlteredModelError
from fashion_hpo.stores import models, registry
from tests.plans import design
from tests.running.conftest import OpenSession


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
    folder = registry.download(done.tracker.uri, registry.CHAMPION_URI)
    accuracy = registration.score(models.read_model(str(folder)), done.splits.val).accuracy
    assert accuracy == candidate.result.summaries["model_val_accuracy"]
    version = registry.find_version(done.tracker, candidate.attempt.uid)
    assert version is not None
    assert version.tags["fashion_hpo.study"] == "tiny"
    assert version.description == "# card"
    assert "MLFLOW_TRACKING_URI" not in os.environ, "what registering set is put back"


def test_without_a_complete_trial_there_is_no_candidate(open_here: OpenSession) -> None:
    with pytest.raises(ValueError, match="tiny/standard/r1 has no complete trial"):
        chosen(open_here(design()))


@pytest.mark.parametrize("change", ["altered", "missing"])
def test_a_changed_file_is_refused(done: Session, change: str) -> None:
    path = model_folder(done) / "data" / "model.pt2"
    if change == "altered":
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    else:
        path.unlink()
    with pytest.raises(AlteredModelError, match=rf"data/model\.pt2 is {change}; it is not"):
        register(done)
    assert registry.find_version(done.tracker, chosen(done).attempt.uid) is None


def test_another_network_of_right_hashes_is_refused(done: Session) -> None:
    """The hashes are set to fit, as if the ledger had been altered too."""

    class Constant(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.full((images.shape[0], 10), 0.1)

    folder, candidate = model_folder(done), chosen(done)
    shutil.rmtree(folder)
    models.write_model(Constant(), folder, done.splits.val.images[:2].numpy(), {})
    hashes = {f"model/{name}": value for name, value in models.file_hashes(folder).items()}
    candidate.result.files.clear()  # type: ignore[attr-defined]
    candidate.result.files.update(hashes)  # type: ignore[attr-defined]
    with pytest.raises(AlteredModelError, match=r"has accuracy .* and loss 2\.3026, where"):
        registration.load_proven(candidate, done.tracker, done.splits)


def test_a_model_exported_in_training_mode_is_refused(
    open_here: OpenSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here at the trial itself: its export is compared before its result counts."""
    from fashion_hpo.training import packaging

    served = packaging.served
    monkeypatch.setattr(packaging, "served", lambda *given: served(*given).train())
    session = open_here(design(seeds=1, scientific={"dropout": (0.5,)}, claims=[]))
    list(workers.work(session))
    (entry,) = session.ledger.entries()
    assert entry.result is not None
    assert entry.result.outcome == "failed"
    assert "dropout is on" in entry.result.reason
