"""What trials said of every image is read back as it was written, wherever it is, or not at all."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fashion_hpo.analysis.answers import answer
from fashion_hpo.analysis.records import of_ledger
from fashion_hpo.analysis.statistics.comparisons import compare
from fashion_hpo.analysis.statistics.verdicts import NO_VERDICT, Verdict, verdict_of
from fashion_hpo.design.claims import Claim
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.predictions import FILE, NoPredictionsError, PredictionFiles
from tests.finished import Finished

NOBODY = "http://127.0.0.1:1"  # a tracking server that is away
CONTRAST = ("dropout", 0.0, 0.5)
MEASURES = ("val_accuracy", "generalization_gap", "brier_score", "roughness")


def reader(done: Finished, store: Store | None = None) -> PredictionFiles:
    found = of_ledger(done.ledger, store or done.store).predictions
    assert found is not None
    return found


def artifact(done: Finished, number: int = 1) -> Path:
    return Path(done.tracker.client.get_run(done.run_id(number)).info.artifact_uri) / FILE


def forget(done: Finished) -> None:
    """What the store keeps itself, as in stores of before."""
    shutil.rmtree(done.store.root / "logits")


def lose(done: Finished) -> None:
    """Both copies of trial 1's."""
    done.store.logits(done.uid()).unlink()
    artifact(done).unlink()


def alter(done: Finished) -> None:
    shutil.copy(artifact(done, 2), artifact(done))
    shutil.copy(artifact(done, 2), done.store.logits(done.uid()))


def delete_runs(done: Finished) -> None:
    for entry in done.ledger.entries():
        done.tracker.client.delete_run(done.run_id(entry.attempt.number))


def refusal(files: PredictionFiles, uid: str) -> str:
    with pytest.raises(NoPredictionsError) as error:
        files.read(uid)
    return str(error.value)


def verdicts(done: Finished, store: Store | None = None) -> list[Verdict]:
    records = of_ledger(done.ledger, store or done.store)
    return [
        verdict_of(
            Claim(id="T.a", text="?", measure=m, contrast=CONTRAST, direction="higher"), records
        )
        for m in MEASURES
    ]


def test_what_was_written_is_read(done: Finished) -> None:
    found = reader(done).read(done.uid())
    assert (found.logits.shape, found.logits.dtype, found.labels.dtype) == ((100, 10), "f2", "u1")
    assert done.store.logits(done.uid()).read_bytes() == artifact(done).read_bytes()
    sha256 = hashlib.sha256(artifact(done).read_bytes()).hexdigest()
    result = done.entry().result
    assert result is not None
    assert result.files[f"files/{FILE}"] == sha256


PLACES: dict[str, Callable[[Finished], Store | None]] = {
    "a server that is away": lambda d: replace(d.store, tracking=NOBODY),
    "another database": lambda d: replace(d.store, tracking=f"sqlite:///{d.store.root}/other.db"),
    "runs deleted": delete_runs,
    "MLflow's files gone": lambda d: shutil.rmtree(d.store.artifacts),
    "MLflow's database gone": lambda d: (d.store.root / "mlflow.db").unlink(),
    "a store of before": forget,
    "a store of before, runs deleted": lambda d: (delete_runs(d), forget(d))[1],
    "a store of before, a server that is away": lambda d: (
        forget(d), replace(d.store, tracking=NOBODY))[1],
    "another host's, by its database": lambda d: (
        shutil.copytree(d.store.artifacts, d.store.root.parent / "served"),
        forget(d),
        Store(d.store.root.with_name("here"), tracking=d.store.tracking_uri),
    )[2],
    "one altered, MLflow's whole": lambda d: d.store.logits(d.uid()).write_bytes(b"PK"),
    "MLflow's altered": lambda d: artifact(d).write_bytes(b"PK"),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_a_verdict_does_not_depend_on_where_mlflow_is(done: Finished, place: str) -> None:
    before = verdicts(done)
    store = PLACES[place](done)
    assert verdicts(done, store if isinstance(store, Store) else done.store) == before
    assert NO_VERDICT not in {verdict.word for verdict in before}


@pytest.mark.parametrize(("harm", "what"), [(lose, "are missing"), (alter, "were altered")])
def test_without_its_evidence_there_is_no_verdict(
    done: Finished, harm: Callable[[Finished], None], what: str
) -> None:
    before = verdicts(done)
    place = done.store.logits(done.uid())
    content = place.read_bytes()
    harm(done)
    after = verdicts(done)
    assert [verdict.word for verdict in after[:3]] == [NO_VERDICT] * 3
    assert after[3] == before[3], "roughness is no mean over images"
    assert after[0].sentence == (
        "final validation accuracy with dropout 0.5 against 0: no verdict: the validation logits "
        "of trial 1 "
        f"{what}; let `python -m fashion_hpo.doctor tiny --fix` look for them, or put "
        f"{place.relative_to(done.store.root)} back from a copy of the store."
    )
    records = of_ledger(done.ledger, done.store)
    (compared,) = compare(records)
    assert (compared.word, compared.more_seeds) == (NO_VERDICT, None)
    why = f": no verdict, because the validation logits of trial 1 {what}; let `python -m "
    assert why in answer(records)[0]
    assert "nan" not in " ".join([*answer(records), *(v.sentence for v in after)])
    place.write_bytes(content)  # as the sentence says
    assert verdicts(done) == before


def test_what_a_server_that_is_away_has_is_missing_until_it_is_back(done: Finished) -> None:
    before = verdicts(done)
    lose(done)
    away = replace(done.store, tracking=NOBODY)
    assert refusal(reader(done, away), done.uid()) == "cannot be fetched while tracking is away"
    assert verdicts(done, away)[3] == before[3]
    assert "run the same command once it is back" in verdicts(done, away)[0].sentence


def test_what_never_was_is_said_to_be() -> None:
    unknown = PredictionFiles(Store(Path("nowhere")), "tiny", "tiny/standard/r1", {})
    assert refusal(unknown, "abc-00002") == "were never written"


def test_files_that_are_not_mirrored_yet_are_read_from_the_trials_folder(done: Finished) -> None:
    local = done.store.trial_folder(done.uid()) / "files"
    local.mkdir(parents=True)
    shutil.move(artifact(done), local / FILE)
    forget(done)
    assert len(reader(done).read(done.uid()).labels) == 100


def test_mlflows_copy_is_kept_once_it_was_read(done: Finished) -> None:
    before = verdicts(done)
    forget(done)
    assert verdicts(done) == before
    shutil.rmtree(done.store.artifacts)
    assert verdicts(done) == before
