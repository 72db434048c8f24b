"""Check a store outside its ledgers: databases, addresses, files, the registry."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from fashion_hpo.design.sentences import shortened
from fashion_hpo.integrity.evidence import Violation, is_held, local_artifacts
from fashion_hpo.stores.addresses import artifact_folder, is_server
from fashion_hpo.stores.experiments import find_experiment, is_deleted
from fashion_hpo.stores.layout import ID, Store
from fashion_hpo.stores.model_files import changes
from fashion_hpo.stores.opening import readable_and_not
from fashion_hpo.stores.paging import pages
from fashion_hpo.stores.registry import CHAMPION, aliases, manifest_of, registered_names
from fashion_hpo.stores.schema import LOCK_WAIT_SECONDS, prepare_tracking
from fashion_hpo.stores.tracking import TAG


def examine_store(store: Store) -> list[Violation]:
    """The violations in a store's databases, addresses, files and registry.

    If a database is damaged or missing, only that is reported: nothing else can be read.
    """
    if damaged := list(_databases(store)):
        return damaged
    with store.lock("databases"):
        prepare_tracking(store)
        client = MlflowClient(store.tracking_uri, store.tracking_uri)
    ledgers, errors = readable_and_not(store)
    uids = [*(ledger.uid for ledger in ledgers), *(error.uid for error in errors)]
    known = {uid for uid in uids if uid is not None}
    return [
        *(
            Violation("ledger", error.name, f"cannot be read ({error.reason})", False)
            for error in errors
        ),
        *(() if is_server(store.tracking_uri) else _addresses(store, client)),
        *_experiments(client, sorted({ledger.plan.name for ledger in ledgers})),
        *(() if None in uids else _strays(store, known)),
        *versions(client, store.tracking_uri, lambda uid: uid.partition("-")[0] not in known),
    ]


def _databases(store: Store) -> Iterator[Violation]:
    """The databases in the store's folder exist and pass sqlite's integrity check."""
    embedded = (
        ("optuna.db", store.storage, "restore it from a copy of the store"),
        ("mlflow.db", store.tracking, "run `python -m fashion_hpo.doctor --rebuild-mlflow`"),
    )
    for name, address, remedy in embedded:
        path = store.databases / name
        if address is not None:  # outside the store
            continue
        if not path.exists():
            yield Violation("database", name, f"is missing: {remedy}", mendable=False)
        elif damage := _damage(path):
            yield Violation("database", name, f"is damaged ({damage}): {remedy}", mendable=False)


def _damage(database: Path) -> str:
    try:
        with closing(sqlite3.connect(database, timeout=LOCK_WAIT_SECONDS)) as connection:
            reports = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
    except sqlite3.Error as error:
        return str(error)
    return "" if reports == ["ok"] else shortened(reports[0], 100)


def _addresses(store: Store, client: MlflowClient) -> Iterator[Violation]:
    """MLflow's artifact addresses, which are absolute, lie in the store."""
    experiments = {e.experiment_id: e for e in pages(client.search_experiments)}
    kind = f"tags.`{TAG}.kind` LIKE '%'"
    runs = list(pages(client.search_runs, list(experiments), filter_string=kind))
    ours = sorted({str(run.info.experiment_id) for run in runs})
    models = pages(client.search_logged_models, ours) if ours else ()
    addresses = [
        *((experiment_id, experiments[experiment_id].artifact_location) for experiment_id in ours),
        *((run.info.experiment_id, run.info.artifact_uri) for run in runs),
        *((model.experiment_id, model.artifact_location) for model in models),
    ]
    outside = Counter(
        experiment_id
        for experiment_id, address in addresses
        if not _is_within(address, store.artifacts)
    )
    for experiment_id, count in outside.items():
        what = f"has {count} addresses outside {store.artifacts}"
        yield Violation("address", str(experiments[experiment_id].name), what)


def _experiments(client: MlflowClient, studies: list[str]) -> Iterator[Violation]:
    """No study's experiment is deleted in MLflow: a deleted one takes no runs."""
    for study in studies:
        experiment = find_experiment(client, study)
        if experiment is not None and is_deleted(experiment):
            yield Violation("experiment", study, "had its experiment deleted in MLflow")


def _is_within(address: str, root: Path) -> bool:
    folder = artifact_folder(address)
    return folder is not None and folder.is_relative_to(root)


def _strays(store: Store, known: set[str]) -> Iterator[Violation]:
    """Each folder of a trial, of checkpoints and of logits belongs to a ledger."""
    for uid in sorted(store.trials_under_way()):
        if uid.rpartition("-")[0] not in known and not is_held(store, uid):
            yield Violation("leftover", f"trials/{uid}", "is of no ledger")
    folders = [*store.root.glob("checkpoints/*"), *store.root.glob("logits/*")]
    for path in sorted(folders):
        if path.is_dir() and ID.fullmatch(path.name) and path.name not in known:
            where = path.relative_to(store.root).as_posix()
            yield Violation("leftover", where, "is of no ledger")


def versions(
    client: MlflowClient, tracking_uri: str, belongs: Callable[[str], bool]
) -> Iterator[Violation]:
    """Each trial has at most one registered version, with unaltered files."""
    registered = [
        version
        for name in registered_names(client)
        for version in pages(client.search_model_versions, f"name = '{name}'")
    ]
    # Versions that a person made have no uid.
    ours = [version for version in registered if f"{TAG}.uid" in version.tags]
    checked = [version for version in ours if belongs(str(version.tags[f"{TAG}.uid"]))]
    for uid, count in Counter(str(version.tags[f"{TAG}.uid"]) for version in checked).items():
        if count > 1:
            yield Violation("one version", uid, f"is registered as {count} versions")
    for version in checked:
        where = f"{version.name}/{version.version}"
        if (manifest := manifest_of(version)) is None:
            yield Violation("version", where, "has no manifest of its files", mendable=False)
            continue
        address = _address(client, str(version.source))
        if address is None:  # only the champion's model is needed
            if str(version.version) == aliases(client, version.name).get(CHAMPION):
                what = "is champion, and its model was deleted in MLflow"
                yield Violation("version", where, what, mendable=False)
            continue
        for change in changes_at(tracking_uri, address, manifest):
            yield Violation("version", where, f"has a model whose {change}", mendable=False)


def _address(client: MlflowClient, source: str) -> str | None:
    """The artifact address of a version's model; None if the model was deleted in MLflow."""
    try:
        return str(client.get_logged_model(source.removeprefix("models:/")).artifact_location)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def changes_at(tracking_uri: str, address: str, expected: Mapping[str, str]) -> list[str]:
    """How the files at an MLflow address differ from the expected ones; empty if they do not."""
    with local_artifacts(tracking_uri, address) as folder:
        return changes(folder, expected)
