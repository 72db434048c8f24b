"""A transformer trained in one study is the frozen backbone of another."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fashion_hpo.design.plan import Plan
from fashion_hpo.registering import registration
from fashion_hpo.running import workers
from fashion_hpo.running.backbones import backbone_file
from fashion_hpo.running.session import Session
from fashion_hpo.stores import models, registry
from fashion_hpo.stores.models import UnsafeModelError
from tests.conftest import OpenSession
from tests.plans import design
from tests.training.tiny import tiny_config

VIT = tiny_config("vit", epochs=1, train_images=100, batch_size=50, dropout=0.0)


def prompted(backbone: str) -> Plan:
    base = tiny_config("vit_deep_prompts", epochs=1, train_images=100, batch_size=50)
    options = {**base.architecture_options, "backbone": backbone}
    plan = design(base=base.replace(architecture_options=options), seeds=1)
    return replace(plan, name="prompted")


@pytest.fixture
def trained(open_here: OpenSession) -> Session:
    session = open_here(design(base=VIT, seeds=1))
    list(workers.work(session))
    return session


def weights_of(session: Session) -> dict[str, torch.Tensor]:
    chosen = registration.candidate(session.ledger, session.tracker)
    folder = registry.download(session.tracker.uri, f"models:/{chosen.model_id}")
    return dict(models.read_model(folder).state_dict())


def test_a_trials_network_is_the_frozen_backbone(trained: Session, open_here: OpenSession) -> None:
    best = registration.candidate(trained.ledger, trained.tracker).attempt.uid
    session = open_here(prompted(f"trial:{best}"))
    list(workers.work(session))
    outcomes = [entry.result.outcome for entry in session.ledger.entries() if entry.result]
    assert outcomes == ["complete"] * 2
    source, tuned = weights_of(trained), weights_of(session)
    frozen = [name for name in source if name.startswith("network.layers.")]
    assert frozen
    assert all(torch.equal(source[name], tuned[name]) for name in frozen)
    assert not torch.equal(source["network.head.weight"], tuned["network.head.weight"])


def test_an_alias_that_moves_changes_no_ledger_that_uses_it(
    trained: Session, open_here: OpenSession
) -> None:
    chosen = registration.candidate(trained.ledger, trained.tracker)
    model = registration.load_proven(chosen, trained.tracker, trained.splits)
    registration.register(chosen, trained.tracker, model, {}, "# card")
    session = open_here(prompted(registry.CHAMPION_URI))
    file = resolved(session)
    before = file.read_bytes()
    trained.tracker.client.delete_registered_model_alias(registry.REGISTERED_NAME, "champion")
    assert resolved(session) == file
    assert file.read_bytes() == before


def test_a_random_backbone_needs_no_file(open_here: OpenSession) -> None:
    session = open_here(prompted("random"))
    assert backbone_file(session, session.ledger.plan.base) is None


def test_a_trial_that_is_not_there_is_named(open_here: OpenSession) -> None:
    session = open_here(prompted("trial:nobody-00000"))
    with pytest.raises(ValueError, match=r"backbone is 'trial:nobody-00000', and .* no such trial"):
        resolved(session)


def test_an_altered_model_is_no_backbone(trained: Session, open_here: OpenSession) -> None:
    chosen = registration.candidate(trained.ledger, trained.tracker)
    folder = registry.download(trained.tracker.uri, f"models:/{chosen.model_id}")
    with (folder / "MLmodel").open("a") as file:
        file.write("# added\n")
    session = open_here(prompted(f"trial:{chosen.attempt.uid}"))
    with pytest.raises(UnsafeModelError, match="not what was logged: MLmodel is altered"):
        resolved(session)


def resolved(session: Session) -> Path:
    file = backbone_file(session, session.ledger.plan.base)
    assert file is not None
    return file
