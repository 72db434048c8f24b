"""What has changed since a trial was logged: code, data, packages, hardware."""

import tempfile
from pathlib import Path

from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException
from mlflow.tracking.context.registry import resolve_tags

from fashion_hpo.design.sentences import shortened
from fashion_hpo.replaying.replay import Logged
from fashion_hpo.stores.tracking import git_diff
from fashion_hpo.stores.versions import packages
from fashion_hpo.training.devices import Hardware

COMMIT = "mlflow.source.git.commit"


def changed(logged: Logged, data_hash: str, hardware: Hardware) -> list[str]:
    """A line for each difference.  Packages and uncommitted changes are compared with those at the
    start of the study, the rest with the trial's."""
    now = resolve_tags({})
    lines = _lines("code: commit", logged.run.data.tags.get(COMMIT), now.get(COMMIT))
    parent = logged.run.data.tags.get("mlflow.parentRunId")
    if parent is not None:
        lines += _lines("code: changes beyond the commit", *_diffs(logged, parent))
    lines += _lines("data sha256:", logged.ledger.data_hash, data_hash)
    if parent is not None:
        old, new = (
            _versions(text) for text in (_artifact(logged, parent, "packages.txt"), packages())
        )
        for name in sorted(old.keys() & new.keys()):
            lines += _lines(f"package {name}:", old[name], new[name])
    described = hardware.describe()
    for name in sorted(described.keys() & logged.hardware.keys()):
        lines += _lines(f"hardware: {name}", logged.hardware[name], described[name])
    return lines


def _lines(label: str, old: str | None, new: str | None) -> list[str]:
    return [] if old == new else [f"{label} {_short(old)} → {_short(new)}"]


def _short(value: str | None) -> str:
    return "(not known)" if value is None else shortened(value, 40) or "(none)"


def _diffs(logged: Logged, parent: str) -> tuple[str, str]:
    """The sizes of the uncommitted changes then and now; two empty texts if they are equal."""
    old, new = _artifact(logged, parent, "git.diff"), git_diff()
    if old == new:
        return "", ""
    return f"{len(old.splitlines())} lines", f"{len(new.splitlines())} other lines"


def _artifact(logged: Logged, run_id: str, name: str) -> str:
    """The text of a file of the study run; empty if it cannot be downloaded."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = download_artifacts(
                run_id=run_id,
                artifact_path=name,
                dst_path=folder,
                tracking_uri=logged.store.tracking_uri,
            )
            return Path(path).read_text(encoding="utf-8")
    except (MlflowException, OSError):
        return ""


def _versions(text: str) -> dict[str, str]:
    return {line.partition("==")[0]: line.partition("==")[2] for line in text.splitlines()}
