"""Validation logits that are lost, altered or out of reach: the same verdict, or none."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from fashion_hpo.analysis.records import of_ledger
from fashion_hpo.analysis.statistics.verdicts import NO_VERDICT, Verdict, verdict_of
from fashion_hpo.design.claims import Claim
from fashion_hpo.integrity.mending import mend
from fashion_hpo.stores.copying import copy_store
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.predictions import FILE
from fashion_hpo.stores.tracking import Tracker
from tests.faults.lab import Lab, ledger_of
from tests.faults.servers import HOST, TrackingServer
from tests.plans import design

PLAN = design(seeds=2)
CLAIMS = [
    Claim(id=measure, text="?", measure=measure, contrast=("dropout", 0.0, 0.5), direction="lower")
    for measure in ("val_accuracy", "generalization_gap", "roughness")
]


def verdicts(store: Store, name: str = PLAN.name) -> list[Verdict]:
    records = of_ledger(ledger_of(store, replace(PLAN, name=name)), store)
    return [verdict_of(claim, records) for claim in CLAIMS]


def kept(store: Store) -> list[Path]:
    return sorted((store.root / "logits").rglob("*.npz"))


def uploaded(store: Store) -> list[Path]:
    return sorted(store.artifacts.rglob(FILE))


def delete_runs(store: Store) -> None:
    client = Tracker(store, PLAN.name).client
    for entry in ledger_of(store, PLAN).entries():
        if entry.attempt.config.dropout:
            run = Tracker(store, PLAN.name).run_of(entry.attempt.uid)
            assert run is not None
            client.delete_run(run)


def spoil(paths: list[Path]) -> None:
    for path in paths:
        path.write_bytes(path.read_bytes()[:-1])


HARMS: dict[str, Callable[[Store], object]] = {
    "one file gone": lambda s: kept(s)[1].unlink(),
    "one file altered": lambda s: spoil(kept(s)[:1]),
    "all gone from the store": lambda s: shutil.rmtree(s.root / "logits"),
    "all gone from MLflow": lambda s: [path.unlink() for path in uploaded(s)],
    "the runs of a level deleted": delete_runs,
    "both copies gone": lambda s: (kept(s)[1].unlink(), [path.unlink() for path in uploaded(s)]),
    "both copies altered": lambda s: spoil([*kept(s), *uploaded(s)]),
}
MENDABLE = list(HARMS)[:5]


def test_lost_evidence_turns_no_verdict(lab: Lab, tmp_path: Path, whole: bool) -> None:
    unharmed = lab.store()
    assert lab.run(unharmed, PLAN) == 0
    before = verdicts(unharmed)
    for harm, do in HARMS.items():
        store = copy_store(unharmed, tmp_path / harm.replace(" ", "-"))
        do(store)
        lab.inject("evidence missing")
        for one, other in zip(before, verdicts(store), strict=True):
            assert other == one or other.word == NO_VERDICT, harm
        if harm in MENDABLE:
            assert verdicts(store) == before, harm
            ledger, tracker = ledger_of(store, PLAN), Tracker(store, PLAN.name)
            mend(store, ledger, tracker)
            if whole or harm == MENDABLE[-1]:
                lab.check(store, PLAN)
            assert len(kept(store)) == len(ledger.entries())


def test_another_hosts_logits_come_through_the_server(lab: Lab, server: TrackingServer) -> None:
    store, plan = (
        replace(lab.store(), tracking=f"http://{HOST}:{server.port}"),
        replace(PLAN, name="evidence"),
    )
    assert lab.run(store, plan) == 0
    before = verdicts(store, plan.name)
    shutil.rmtree(store.root / "logits")
    lab.inject("evidence missing")
    away = replace(store, tracking="http://127.0.0.1:1")
    words = [verdict.word for verdict in verdicts(away, plan.name)]
    assert words == [NO_VERDICT, NO_VERDICT, before[2].word]
    assert verdicts(store, plan.name) == before
    assert verdicts(away, plan.name) == before, "they were kept"
