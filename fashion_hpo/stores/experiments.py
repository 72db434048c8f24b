"""Find a study's experiment in MLflow by a tag of ours, for people rename experiments."""

from mlflow import MlflowClient
from mlflow.entities import Experiment, ViewType

STUDY = "fashion_hpo.study"
"""The tag that says whose experiment it is."""


def find_experiment(client: MlflowClient, study: str) -> Experiment | None:
    """A study's experiment, whatever its name is now; an active one before a deleted one.

    One that an earlier version made has no tag: it is known by its name, or by its study runs.
    """
    tagged = client.search_experiments(ViewType.ALL, filter_string=f"tags.`{STUDY}` = '{study}'")
    if tagged:
        return min(tagged, key=lambda each: (is_deleted(each), int(each.experiment_id)))
    named = client.get_experiment_by_name(study)
    if named is not None and STUDY not in named.tags:
        return named
    return _by_runs(client, study)


def is_deleted(experiment: Experiment) -> bool:
    """Whether a person has deleted it in MLflow, which keeps it until `mlflow gc`."""
    return bool(experiment.lifecycle_stage == "deleted")


def _by_runs(client: MlflowClient, study: str) -> Experiment | None:
    """One that was renamed before it had a tag."""
    untagged = [each for each in client.search_experiments() if STUDY not in each.tags]
    if not untagged:
        return None
    of_studies = f"tags.`fashion_hpo.ledger` LIKE '{study}/%' AND tags.`fashion_hpo.kind` = 'study'"
    for run in client.search_runs([each.experiment_id for each in untagged], of_studies):
        if run.data.tags["fashion_hpo.ledger"].startswith(f"{study}/"):  # _ is LIKE's wildcard
            return next(e for e in untagged if e.experiment_id == run.info.experiment_id)
    return None
