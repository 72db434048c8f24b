"""Delete a study: its ledgers, its runs and models in MLflow, its files.

The ledgers go first: without them nothing expects the rest.  Their uids are written down before, so
that after a kill the same command finds the rest.
"""

import shutil
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Experiment, LoggedModel, Run, ViewType
from mlflow.entities.model_registry import ModelVersion
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from fashion_hpo.files.atomic import write_atomically
from fashion_hpo.files.audit import wrote
from fashion_hpo.integrity.rebuilding import check_idle
from fashion_hpo.stores.addresses import artifact_folder
from fashion_hpo.stores.checkpoints import SharedFolder
from fashion_hpo.stores.experiments import find_experiment
from fashion_hpo.stores.layout import ID, Store
from fashion_hpo.stores.ledger import Ledger
from fashion_hpo.stores.opening import delete_ledger, ledger_names, readable_and_not
from fashion_hpo.stores.paging import pages
from fashion_hpo.stores.registry import registered_names
from fashion_hpo.stores.relocation import relocate
from fashion_hpo.stores.schema import prepare_tracking
from fashion_hpo.stores.tracking import RETRAINED, TAG


@dataclass(frozen=True)
class Deletion:
    """All that a deletion removes, in the order of removal.

    `staying` are the registered versions of the study that stay, with their runs and models.
    """

    store: Store
    client: MlflowClient | None  # None if nothing was tracked
    ledgers: list[str]  # names; a confirmation before its search
    readable: list[Ledger]
    uids: dict[str, str]  # of the ledgers, with their names; also of those deleted already
    versions: list[ModelVersion]
    files: list[Path]
    copies: dict[str, int]  # bytes of the copies of checkpoints in the folder of --checkpoints
    models: list[LoggedModel]
    runs: list[Run]
    staying: list[ModelVersion]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to delete."""
        left = (self.ledgers, self.versions, self.files, self.copies, self.models, self.runs)
        return not any(left)

    @property
    def trials(self) -> int:
        """The number of trials of the readable ledgers."""
        return sum(len(ledger.entries()) for ledger in self.readable)

    @property
    def bytes(self) -> int:
        """The size of all files on this host."""
        addresses = [
            *(str(model.artifact_location) for model in self.models),
            *(str(run.info.artifact_uri) for run in self.runs),
        ]
        folders = [folder for address in addresses if (folder := folder_of(self.store, address))]
        return sum(map(bytes_in, [*self.files, *folders]))


def planned(
    store: Store, study: str, budget: str | None = None, *, registered: bool = False
) -> Deletion:
    """What the deletion of a study, or of one budget, removes; nothing is removed yet.

    registered: whether registered versions, with their runs and models, are removed too.
    """
    relocate(store)
    names = [name for name in ledger_names(store) if _is_of(name, study, budget)]
    readable, unreadable = readable_and_not(store)
    readable = [ledger for ledger in readable if ledger.name in names]
    uids = {ledger.uid: ledger.name for ledger in readable}
    uids |= {error.uid: error.name for error in unreadable if error.name in names and error.uid}
    uids |= {u: name for u, name in begun(store).items() if _is_of(name, study, budget)}
    client, runs, models, versions = client_of(store), [], [], []
    if client is not None and (experiment := find_experiment(client, study)) is not None:
        runs = list(_runs(client, experiment, uids))
        models = list(_models(client, experiment, uids))
        versions = [v for v in versions_in(client) if ledger_uid(v.tags[f"{TAG}.uid"]) in uids]
    reports = [path for path in (store.report(study) / (budget or ""),) if path.exists()]
    staying = [] if registered else versions
    kept_uids = {version.tags[f"{TAG}.uid"] for version in staying}
    kept_models = {model_id(version) for version in staying}
    return Deletion(
        store=store,
        client=client,
        ledgers=sorted(names, reverse=True),
        readable=readable,
        uids=uids,
        versions=versions if registered else [],
        files=[path for uid in sorted(uids) for path in _files(store, uid)] + reports,
        copies=_copies(store, uids),
        models=[model for model in models if model.model_id not in kept_models],
        runs=[
            run
            for run in runs
            if run.data.tags[f"{TAG}.uid"] not in kept_uids and _is_left(store, run)
        ],
        staying=staying,
    )


def delete(deletion: Deletion) -> None:
    """Delete all that was planned; raises StoreError while a trial of the study is running."""
    store, client = deletion.store, deletion.client
    with store.lock("register"), store.lock("claim"):
        check_idle(store, deletion.readable, deletion.uids)
        for uid, name in deletion.uids.items():
            write_atomically(_note(store, uid), name.encode())
        for name in deletion.ledgers:
            delete_ledger(store, name)
    for path in deletion.files:
        remove(path)
        wrote("files of a study deleted")
    if deletion.copies:
        _delete_copies(store, deletion.uids)
    if client is not None:
        _delete_tracked(deletion, client)
    for uid in () if deletion.staying else deletion.uids:
        _note(store, uid).unlink(missing_ok=True)


def _copies(store: Store, uids: Iterable[str]) -> dict[str, int]:
    if store.checkpoints is None:
        return {}
    folder = SharedFolder(store.checkpoints)
    return {name: size for uid in uids for name, size in folder.sizes(uid).items()}


def _delete_copies(store: Store, uids: Iterable[str]) -> None:
    assert store.checkpoints is not None
    folder = SharedFolder(store.checkpoints)
    for uid in uids:
        folder.remove_folder(uid)
        wrote("copies of checkpoints deleted")


def _delete_tracked(deletion: Deletion, client: MlflowClient) -> None:
    store = deletion.store
    for version in deletion.versions:
        client.delete_model_version(version.name, str(version.version))
        wrote("version deleted")
    for model in deletion.models:
        remove_artifacts(store, str(model.artifact_location))
        client.delete_logged_model(str(model.model_id))
        wrote("model deleted")
    for run in deletion.runs:
        remove_artifacts(store, str(run.info.artifact_uri))
        if run.info.lifecycle_stage == "active":
            client.delete_run(run.info.run_id)
            wrote("run deleted")


def begun(store: Store) -> dict[str, str]:
    """The uids of ledgers whose deletion was begun and left something, with their names."""
    notes = (store.root / "deleting").glob("*.txt")
    return {
        path.stem: path.read_text(encoding="utf-8") for path in notes if ID.fullmatch(path.stem)
    }


def ledger_uid(uid: str) -> str:
    """The uid of the ledger of a trial, a retrained model or a ledger itself, by their uid."""
    return uid.removeprefix(RETRAINED).partition("-")[0]


def model_id(version: ModelVersion) -> str:
    """The id of a version's model."""
    return str(version.source).removeprefix("models:/")


def versions_in(client: MlflowClient) -> Iterator[ModelVersion]:
    """Every registered version that this project made."""
    for name in registered_names(client):
        for version in pages(client.search_model_versions, f"name = '{name}'"):
            if f"{TAG}.uid" in version.tags:
                yield version


def bytes_in(path: Path) -> int:
    """The size of a file, or of all files in a folder; 0 if it does not exist."""
    files: Iterable[Path] = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_file() or file.is_symlink())


def remove(path: Path) -> None:
    """Remove a file or folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_artifacts(store: Store, address: str) -> None:
    """Remove the files at the artifact address of a run or model.

    Local files outside the store stay: the address is a database's, to which others may write.
    """
    if folder := folder_of(store, address):
        remove(folder)
    elif artifact_folder(address) is None:
        repository: Any = get_artifact_repository(address, tracking_uri=store.tracking_uri)
        repository.delete_artifacts()
    wrote("artifacts deleted")


def folder_of(store: Store, address: str) -> Path | None:
    """The folder of a run or model, in which `artifacts` is; None if outside the store."""
    folder = artifact_folder(address)
    if folder is None or not folder.is_relative_to(store.artifacts):
        return None
    return folder.parent if folder.name == "artifacts" else folder


def _is_of(ledger: str, study: str, budget: str | None) -> bool:
    """Whether a ledger's name, STUDY/BUDGET/rN, is of this study and budget."""
    name, _, rest = ledger.partition("/")
    return name == study and budget in (None, rest.partition("/")[0])


def client_of(store: Store) -> MlflowClient | None:
    """MLflow's client; None if nothing was tracked."""
    if store.tracking is None and not (store.databases / "mlflow.db").exists():
        return None
    with store.lock("databases"):
        prepare_tracking(store)
        return MlflowClient(store.tracking_uri, store.tracking_uri)


def _runs(client: MlflowClient, experiment: Experiment, uids: Collection[str]) -> Iterator[Run]:
    """The runs of these ledgers, also deleted ones, whose files MLflow keeps."""
    ids, ours = [experiment.experiment_id], f"tags.`{TAG}.uid` LIKE '%'"
    for run in pages(client.search_runs, ids, filter_string=ours, run_view_type=ViewType.ALL):
        if ledger_uid(run.data.tags[f"{TAG}.uid"]) in uids:
            yield run


def _models(
    client: MlflowClient, experiment: Experiment, uids: Collection[str]
) -> Iterator[LoggedModel]:
    for model in pages(client.search_logged_models, [experiment.experiment_id]):
        if ledger_uid(str(model.tags.get(f"{TAG}.uid", ""))) in uids:
            yield model


def _is_left(store: Store, run: Run) -> bool:
    """Whether anything of a run is left to delete: MLflow keeps the rows of deleted runs."""
    folder = folder_of(store, str(run.info.artifact_uri))
    return run.info.lifecycle_stage == "active" or (folder is not None and folder.exists())


def _note(store: Store, uid: str) -> Path:
    return store.root / "deleting" / f"{uid}.txt"


def _files(store: Store, uid: str) -> Iterator[Path]:
    """The files of one ledger that exist outside MLflow's artifacts, but its reports."""
    folders = (store.root / name / uid for name in ("checkpoints", "logits", "backbones"))
    yield from filter(Path.exists, folders)
    yield from store.root.glob(f"trials/{uid}-*")
