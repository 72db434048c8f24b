"""Find a study's MLflow experiment by its tag, because people rename experiments."""

from mlflow import MlflowClient
from mlflow.entities import Experiment, ViewType

STUDY = "fashion_hpo.study"
"""The tag that names the experiment's study."""


def find_experiment(client: MlflowClient, study: str) -> Experiment | None:
    """A study's experiment, whatever its present name; an active one before a deleted one.

    Earlier versions set no tag: such an experiment is recognised by its name or its study runs.
    """
    tagged = client.search_experiments(ViewType.ALL, filter_string=f"tags.`{STUDY}` = '{study}'")
    if tagged:
        return min(tagged, key=lambda e: (is_deleted(e), int(e.experiment_id)))
    named = client.get_experiment_by_name(study)
    if named is not None and STUDY not in named.tags:
        return named
    return _by_runs(client, study)


def is_deleted(experiment: Experiment) -> bool:
    """Whether the experiment was deleted in MLflow, which keeps it until `mlflow gc`."""
    return bool(experiment.lifecycle_stage == "deleted")


def _by_runs(client: MlflowClient, study: str) -> Experiment | None:
    """The experiment of an earlier version, without a tag, that a person renamed."""
    untagged = [e for e in client.search_experiments() if STUDY not in e.tags]
    if not untagged:
        return None
    of_studies = f"tags.`fashion_hpo.ledger` LIKE '{study}/%' AND tags.`fashion_hpo.kind` = 'study'"
    for run in client.search_runs([e.experiment_id for e in untagged], of_studies):
        if run.data.tags["fashion_hpo.ledger"].startswith(f"{study}/"):  # _ is LIKE's wildcard
            return next(e for e in untagged if e.experiment_id == run.info.experiment_id)
    return None
