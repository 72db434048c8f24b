"""Copy a store's MLflow experiments and registered versions to another tracking store.

Runs keep their tags, curves, files and times, and get new ids.  A copy names its original in a tag,
so that a repetition copies nothing twice.
"""

from collections.abc import Iterator, Sequence

from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput, Metric, Param, Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from fashion_hpo.files.audit import wrote
from fashion_hpo.integrity.evidence import local_artifacts
from fashion_hpo.stores import registry
from fashion_hpo.stores.experiments import STUDY
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.paging import pages
from fashion_hpo.stores.tracking import NOTE, TAG, Tracker, run_page

FROM = "moved_from"  # tag of a copy: the id of the original run, or of the original version's model
WHOLE = "moved"  # tag of a copied run that is complete
PARENT = "mlflow.parentRunId"
NOT_COPIED = (PARENT, "mlflow.log-model.history")


class MirrorCopy:
    """Copies one store's MLflow entries to `new`, a store with another tracking address.

    Call this after a Tracker of each of the store's studies was created.
    """

    def __init__(self, store: Store, new: Store) -> None:
        self._client = MlflowClient(store.tracking_uri, store.tracking_uri)
        experiments = list(pages(self._client.search_experiments))
        studies = {e.experiment_id: e.tags[STUDY] for e in experiments if STUDY in e.tags}
        self._sources = {number: Tracker(store, study) for number, study in studies.items()}
        self._targets = {number: Tracker(new, study) for number, study in studies.items()}

    def experiments(self) -> int:
        """Copy the experiments of all studies and pages; returns the number of their runs."""
        pairs = [(self._sources[number], self._targets[number]) for number in self._sources]
        return sum(_copy_experiment(source, target) for source, target in pairs)

    def registry(self) -> tuple[int, list[str]]:
        """Copy the registered versions, oldest first, and their aliases.

        Returns the number of versions, and the aliases that the new registry had already, which
        keep their versions.  A version whose model was deleted in MLflow is left out.
        """
        names = registry.registered_names(self._client)
        copied = [self._registered_model(name) for name in names]
        return sum(count for count, _ in copied), [alias for _, taken in copied for alias in taken]

    def _registered_model(self, name: str) -> tuple[int, list[str]]:
        numbers = {}
        for version in sorted(_versions(self._client, name), key=lambda v: int(v.version)):
            if registry.has_model(self._client, version):
                numbers[str(version.version)] = self._copy_version(version)
        if not numbers:
            return 0, []
        client = next(iter(self._targets.values())).client
        present, taken = registry.aliases(client, name), []
        for alias, number in registry.aliases(self._client, name).items():
            if number in numbers and alias not in present:
                client.set_registered_model_alias(name, alias, numbers[number])
                wrote("alias copied")
            elif present.get(alias) != numbers.get(number):
                taken.append(alias)
        return len(numbers), taken

    def _copy_version(self, version: ModelVersion) -> str:
        original = str(version.source)
        model = self._client.get_logged_model(original.removeprefix("models:/"))
        target = self._targets[str(model.experiment_id)]
        for copy in _versions(target.client, version.name):
            if copy.tags.get(f"{TAG}.{FROM}") == original:
                return str(copy.version)
        trial = str(model.tags[f"{TAG}.uid"])
        tags = {key.removeprefix(f"{TAG}."): value for key, value in version.tags.items()}
        copy = registry.create_version(
            target,
            str(target.model_of(trial)),
            str(target.run_of(trial)),
            tags.pop("uid", trial),
            {**tags, FROM: original},
            str(version.description),
            registry.manifest_of(version) or {},
            self._client.get_registered_model(version.name),
        )
        return str(copy.version)


def _versions(client: MlflowClient, name: str) -> Sequence[ModelVersion]:
    return list(pages(client.search_model_versions, f"name = '{name}'"))


def _copy_experiment(source: Tracker, target: Tracker) -> int:
    copies = {run.data.tags.get(f"{TAG}.{FROM}"): run for run in _runs(target)}
    runs = sorted(_runs(source), key=lambda run: PARENT in run.data.tags)  # study runs first
    for run in runs:
        copy = copies.get(run.info.run_id)
        if copy is None or f"{TAG}.{WHOLE}" not in copy.data.tags:
            parent = copies.get(run.data.tags.get(PARENT))
            copies[run.info.run_id] = _copy_run(source, target, run, copy, parent)
    return len(runs)


def _runs(tracker: Tracker) -> Iterator[Run]:
    return pages(tracker.client.search_runs, [tracker.experiment_id])


def _copy_run(
    source: Tracker, target: Tracker, run: Run, copy: Run | None, parent: Run | None
) -> Run:
    """Copy a run; `copy` is the copy that a killed process began."""
    client, info = target.client, run.info
    if copy is None:
        tags = {key: value for key, value in run.data.tags.items() if key not in NOT_COPIED}
        tags[f"{TAG}.{FROM}"] = info.run_id
        if parent is not None:
            tags[PARENT] = parent.info.run_id
            old = run_page(source.experiment_id, run.data.tags[PARENT])
            new = run_page(target.experiment_id, parent.info.run_id)
            tags |= {NOTE: tags[NOTE].replace(old, new)} if NOTE in tags else {}
        copy = client.create_run(target.experiment_id, info.start_time, tags, info.run_name)
        wrote("run copied")
    run_id = str(copy.info.run_id)
    if run.inputs is not None and not (copy.inputs and copy.inputs.dataset_inputs):
        client.log_inputs(run_id, run.inputs.dataset_inputs)
    client.log_batch(run_id, params=[Param(*item) for item in run.data.params.items()])
    for name in run.data.metrics:
        client.log_batch(run_id, source.client.get_metric_history(info.run_id, name))
    wrote("curves copied")
    with local_artifacts(source.uri, str(info.artifact_uri)) as folder:
        target.log_files(run_id, folder)
    for output in run.outputs.model_outputs if run.outputs else ():
        _copy_model(source, target, run_id, output)
    if info.end_time is None:
        client.update_run(run_id, info.status)
    else:
        client.set_terminated(run_id, info.status, info.end_time)
    target.set_tags(run_id, {WHOLE: "True"})
    wrote("run copied whole")
    return client.get_run(run_id)


def _copy_model(source: Tracker, target: Tracker, run_id: str, output: LoggedModelOutput) -> None:
    try:
        model = source.client.get_logged_model(output.model_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return  # deleted in MLflow
    if str(model.status) == "READY":
        with local_artifacts(source.uri, str(model.artifact_location)) as folder:
            uid = str(model.tags[f"{TAG}.uid"])
            copy = target.log_model(run_id, uid, folder, output.step, model.name)
        metrics = [
            Metric(m.key, m.value, m.timestamp, m.step, copy, m.dataset_name, m.dataset_digest)
            for m in model.metrics or ()
        ]
        target.client.log_batch(run_id, metrics)
