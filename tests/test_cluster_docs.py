"""docs/cluster.md and its manifests: what they tell to type is what the parsers take."""

import importlib
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow.cli
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts import scripts

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "cluster.md"
MANIFESTS = sorted((ROOT / "docs" / "cluster").iterdir())
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


def manifest(name: str) -> Any:
    return yaml.safe_load((ROOT / "docs" / "cluster" / name).read_text(encoding="utf-8"))


def commands() -> Iterator[tuple[str, list[str]]]:
    """Our commands in the page and the manifests, with their arguments."""
    for path in (PAGE, *MANIFESTS):
        text = path.read_text(encoding="utf-8")
        for line in re.findall(r"python -m fashion_hpo\.([^`\n]+)", text):
            name, *arguments = shlex.split(line, comments=True)
            if "…" not in arguments:
                yield name, arguments
    (container,) = manifest("job.yaml")["spec"]["template"]["spec"]["containers"]
    assert container["command"][:2] == ["python", "-m"]
    yield container["command"][2].removeprefix("fashion_hpo."), container["command"][3:]


def test_every_manifest_is_named_in_the_page() -> None:
    linked = re.findall(r"\]\(cluster/([\w.]+)\)", PAGE.read_text(encoding="utf-8"))
    assert set(linked) == {path.name for path in MANIFESTS}


def test_every_command_is_taken_by_its_parser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A parser that does not take an argument raises SystemExit."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FASHION_HPO_STORAGE", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    typed = list(commands())
    assert len(typed) >= 7
    for name, arguments in typed:
        given = ["dropout_ablation" if "NAME" in a or "{1:?" in a else a for a in arguments]
        dry = ["--dry-run"] if name == "study" else []
        store = [] if "--store" in given else ["--store", str(tmp_path / "empty")]
        code = importlib.import_module(f"fashion_hpo.{name}").main([*given, *store, *dry])
        assert code == 0 or name != "study", (name, given, capsys.readouterr().err)


def test_the_job_array_is_a_shell_script() -> None:
    path = ROOT / "docs" / "cluster" / "study.sbatch"
    subprocess.run(["bash", "-n", str(path)], check=True)
    assert "#SBATCH --array=" in path.read_text(encoding="utf-8")


def test_the_server_of_mlflow_takes_its_arguments() -> None:
    services = manifest("compose.yaml")["services"]
    program, command, *arguments = services["mlflow"]["command"]
    assert (program, command) == ("mlflow", "server")
    assert mlflow.cli.server.make_context("server", list(arguments)).params["port"] == 5000
    assert "max_connections=400" in services["postgres"]["command"]
    assert "compose.yaml sets 400" in PAGE.read_text(encoding="utf-8")
    for name in ("postgres", "mlflow"):
        passwords = [v for k, v in services[name]["environment"].items() if "PASSWORD" in k]
        assert all(value.startswith("${POSTGRES_PASSWORD:?") for value in passwords)


def test_the_clusters_of_ray_are_what_ray_takes() -> None:
    """Of `ray up`, by the checks that it makes itself before it calls a machine."""
    config = prepare_config(manifest("ray.yaml"))
    validate_config(config)
    for line in config["head_start_ray_commands"] + config["worker_start_ray_commands"]:
        _, _, arguments = line.partition("bin/ray ")
        command, *options = shlex.split(arguments.replace("$RAY_HEAD_IP", "127.0.0.1"))
        scripts.cli.commands[command].make_context(command, options)
    job = manifest("kuberay.yaml")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert f"ray=={job['spec']['rayClusterSpec']['rayVersion']}\n" in LOCK


def test_pods_get_their_addresses_from_the_same_secret() -> None:
    for name in ("job.yaml", "kuberay.yaml"):
        text = (ROOT / "docs" / "cluster" / name).read_text(encoding="utf-8")
        assert text.count("envFrom: [{secretRef: {name: fashion-hpo}}]") == 1
        assert "terminationGracePeriodSeconds: 60" in text
