"""What of a store may go, and its removal.

A model is given up in the ledger before its files are removed: from then on nothing expects it, and
a removal that was killed is ended by the next call.
"""

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import LoggedModel, Run, ViewType

from fashion_hpo.design.confirmation import SEARCHED_SEED
from fashion_hpo.design.formats import level_text
from fashion_hpo.files.audit import wrote
from fashion_hpo.registering.winner import winner
from fashion_hpo.stores.checkpoints import place_of
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.ledger import Entry, Ledger
from fashion_hpo.stores.model_files import hashes_in
from fashion_hpo.stores.opening import readable_and_not
from fashion_hpo.stores.paging import pages
from fashion_hpo.stores.relocation import relocate
from fashion_hpo.stores.tracking import TAG
from fashion_hpo.tidying.deletion import (
    begun,
    bytes_in,
    client_of,
    folder_of,
    ledger_uid,
    model_id,
    planned,
    remove,
    remove_artifacts,
    versions_in,
)

CHECKPOINTS = "checkpoints of finished trials"
COPIES = "copies of such checkpoints"
MODELS = "models beyond the best"
LEFT = "files of deleted runs and models"
TEMPORARY = "temporary files of killed processes"
PARTIAL = re.compile(r"\..+\.\d+")  # a file that `write_atomically` has not renamed yet
STALE_SECONDS = 3600.0  # a write takes seconds


@dataclass(frozen=True)
class Garbage:
    """One thing that may go; `study` is "" for what belongs to no study."""

    kind: str
    study: str
    bytes: int
    remove: Callable[[], None]


@dataclass(frozen=True)
class Survey:
    """What may go, the studies of all ledgers by uid, and studies whose deletion was not ended."""

    garbage: list[Garbage]
    studies: dict[str, str]
    unfinished: list[str]


def survey(store: Store, keep_best: int | None = None) -> Survey:
    """Look for what may go; nothing is removed.

    keep_best: the number of models to keep of each level of a design, and of each search; None
    keeps all.  A registered model and the one that `register` would take are always kept.
    """
    relocate(store)
    ledgers, unreadable = readable_and_not(store)
    studies = {ledger.uid: ledger.plan.name for ledger in ledgers}
    studies |= {e.uid: e.name.partition("/")[0] for e in unreadable if e.uid is not None}
    garbage = [*_checkpoints(store, ledgers), *_temporary(store)]
    if (client := client_of(store)) is not None:
        tracked = _Tracked(store, client)
        garbage += tracked.left(ledgers, studies)
        garbage += tracked.copies(ledgers)
        garbage += tracked.surplus(ledgers, keep_best)
    begun_of = {name.partition("/")[0] for name in begun(store).values()}
    unfinished = [study for study in sorted(begun_of) if not planned(store, study).is_empty]
    return Survey(garbage, studies, unfinished)


def collect(store: Store, keep_best: int | None = None) -> Survey:
    """Remove all that may go; returns what that was.

    No trial is claimed and no version registered meanwhile.
    """
    with store.lock("rebuilding"), store.lock("register"), store.lock("claim"):
        seen = survey(store, keep_best)
        for garbage in seen.garbage:
            garbage.remove()
    return seen


class _Tracked:
    """The runs and models of this project in MLflow, read once."""

    def __init__(self, store: Store, client: MlflowClient) -> None:
        self.store, self.client = store, client
        experiments = [e.experiment_id for e in pages(client.search_experiments, ViewType.ALL)]
        search = partial(client.search_runs, experiments, run_view_type=ViewType.ALL)
        self.runs: list[Run] = list(pages(search, filter_string=f"tags.`{TAG}.uid` LIKE '%'"))
        ours = sorted({run.info.experiment_id for run in self.runs})
        self.models: dict[str, LoggedModel] = {
            str(model.model_id): model
            for model in (pages(client.search_logged_models, ours) if ours else ())
        }
        versions = list(versions_in(client))
        self.registered = {str(version.tags[f"{TAG}.uid"]) for version in versions}
        self.registered_models = {model_id(version) for version in versions}

    def surplus(self, ledgers: list[Ledger], keep_best: int | None) -> Iterator[Garbage]:
        """The models beyond the best, and those whose removal was not ended."""
        by_uid = {str(m.tags.get(f"{TAG}.uid", "")): m for m in self.models.values()}
        for ledger in ledgers:
            entries = ledger.entries()
            spared = [entry for entry in entries if entry.given_up]
            if keep_best is not None and _is_at_rest(ledger, entries):
                spared += _beyond(ledger, entries, keep_best, self.registered)
            for entry in spared:
                if (model := by_uid.get(entry.attempt.uid)) is not None:
                    address = str(model.artifact_location)
                    yield Garbage(
                        MODELS,
                        ledger.plan.name,
                        _size(self.store, address),
                        partial(self._remove_model, ledger, entry, str(model.model_id), address),
                    )

    def left(self, ledgers: list[Ledger], studies: dict[str, str]) -> Iterator[Garbage]:
        """Files of runs and models that were deleted in MLflow.

        The runs of a ledger stay, because `doctor --fix` restores them.
        """
        expecting = self._expecting(ledgers)
        for run in self.runs:
            tags, address = run.data.tags, str(run.info.artifact_uri)
            study = tags.get(f"{TAG}.ledger", "").partition("/")[0]
            is_known = ledger_uid(tags[f"{TAG}.uid"]) in studies
            is_left = run.info.lifecycle_stage == "deleted" and not is_known
            if is_left and (size := _size(self.store, address)):
                yield Garbage(LEFT, study, size, partial(remove_artifacts, self.store, address))
            folder = folder_of(self.store, address)
            for output in run.outputs.model_outputs if run.outputs else ():
                if folder is None:
                    continue
                files = folder.parent / "models" / str(output.model_id)
                if self._was_deleted(str(output.model_id)) and files.exists():
                    trial = expecting.get(tags[f"{TAG}.uid"])
                    yield Garbage(LEFT, study, bytes_in(files), partial(_forget, trial, files))

    def copies(self, ledgers: list[Ledger]) -> Iterator[Garbage]:
        """Copies of checkpoints that this study's hosts left for each other."""
        for run in self.runs:
            ledger = next(
                (each for each in ledgers if each.uid == run.data.tags[f"{TAG}.uid"]), None
            )
            place = place_of(self.store, partial(str, run.info.artifact_uri))
            if ledger is None or place is None or not (done := _done(ledger)):
                continue
            for name, size in place.sizes(ledger.uid).items():
                if Path(name).stem in done:
                    yield Garbage(COPIES, ledger.plan.name, size, partial(place.remove, name))

    def _expecting(self, ledgers: list[Ledger]) -> dict[str, tuple[Ledger, Entry]]:
        """The trials with a model by their result, by uid."""
        return {
            entry.attempt.uid: (ledger, entry)
            for ledger in ledgers
            for entry in ledger.entries()
            if entry.result is not None and hashes_in(entry.result.files)
        }

    def _was_deleted(self, model: str) -> bool:
        return model not in self.models and model not in self.registered_models

    def _remove_model(self, ledger: Ledger, entry: Entry, model: str, address: str) -> None:
        if not entry.given_up:
            ledger.give_up_models([entry.attempt.number])
        remove_artifacts(self.store, address)
        self.client.delete_logged_model(model)
        wrote("model deleted")


def _forget(trial: tuple[Ledger, Entry] | None, files: Path) -> None:
    """Remove the files of a model that a person deleted in MLflow; nothing expects it any more."""
    if trial is not None:
        ledger, entry = trial
        ledger.give_up_models([entry.attempt.number])
    remove(files)
    wrote("artifacts deleted")


def _beyond(
    ledger: Ledger, entries: list[Entry], keep_best: int, registered: set[str]
) -> list[Entry]:
    """The trials whose models are not among the best of their level."""
    order = {entry.attempt.number: place for place, entry in enumerate(ledger.ranked())}
    by_level: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.result is not None and hashes_in(entry.result.files):
            config = entry.attempt.config
            level = " ".join(level_text(getattr(config, name)) for name in ledger.plan.scientific)
            by_level[level].append(entry)
    chosen = _chosen(ledger, entries)
    return [
        entry
        for trials in by_level.values()
        for entry in sorted(
            trials,
            key=lambda entry: (order.get(entry.attempt.number, len(entries)), entry.attempt.number),
        )[keep_best:]
        if entry.attempt.uid not in registered and entry.attempt.number != chosen
    ]


def _chosen(ledger: Ledger, entries: list[Entry]) -> int | None:
    """The number of the trial whose model `register` would choose, or None."""
    if ledger.plan.confirmation is not None:
        entries = [entry for entry in entries if entry.attempt.seed_index > SEARCHED_SEED]
    try:
        won = winner(entries, ledger.plan.constraints)
    except ValueError:  # the winner keeps no model
        return None
    return None if won is None else won.chosen.attempt.number


def _is_at_rest(ledger: Ledger, entries: list[Entry]) -> bool:
    return ledger.remaining() == 0 and all(entry.state != "RUNNING" for entry in entries)


def _checkpoints(store: Store, ledgers: list[Ledger]) -> Iterator[Garbage]:
    """Checkpoints of points that nothing resumes any more, unless a person resumes pruned ones."""
    for ledger in ledgers:
        folder = store.checkpoint(ledger.uid, "any").parent
        done = _done(ledger) if folder.exists() else set()
        for path in sorted(folder.glob("*.pt")):
            if path.stem in done:
                yield _file(CHECKPOINTS, ledger.plan.name, path)


def _done(ledger: Ledger) -> set[str]:
    """The points that have ended; none while the study is under way."""
    entries = ledger.entries()
    if not _is_at_rest(ledger, entries):
        return set()
    return {e.attempt.point for e in entries if e.result is not None and e.result.final}


def _temporary(store: Store) -> Iterator[Garbage]:
    """Half-written files that no process renames any more."""
    oldest = time.time() - STALE_SECONDS
    for path in sorted(store.root.rglob(".*")):
        is_partial = PARTIAL.fullmatch(path.name) and path.is_file()
        if (is_partial or path == store.root / ".found") and path.stat().st_mtime < oldest:
            yield _file(TEMPORARY, "", path)


def _file(kind: str, study: str, path: Path) -> Garbage:
    def take_away() -> None:
        remove(path)
        wrote("file removed")

    return Garbage(kind, study, bytes_in(path), take_away)


def _size(store: Store, address: str) -> int:
    folder = folder_of(store, address)
    return 0 if folder is None else bytes_in(folder)
