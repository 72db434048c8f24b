"""The package elsewhere than in its checkout: in a copied folder, as a wheel, without its packages.

`python -S` knows nothing of site-packages: it imports what PYTHONPATH names, and that alone.
"""

import compileall
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

import pytest
from mlflow import MlflowClient
from PIL import Image

from fashion_hpo import __main__ as dispatcher
from fashion_hpo import __version__
from fashion_hpo.design.config import EPOCH_METRICS, field_names
from fashion_hpo.terminal import environment
from tests.walk import Place, Type, a_read_only_copy_can_be_looked_at, the_study_is_as_it_was, walk

PROJECT = Path(__file__).parents[1]
STUDIES = sorted(path.stem for path in (PROJECT / "studies").glob("[a-z]*.py"))
ODD = "100% für alle"
SMALL = ("epochs=1", "train_images=200", "architecture=lenet5")
OWN = '"""Is it mine?"""\n'

TYPED_COMMANDS = """
import contextlib, importlib, io, json, sys
for line in sys.stdin:
    command, arguments = json.loads(line)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        code = importlib.import_module(f"fashion_hpo.{command}").main(arguments)
    print(json.dumps([code, printed.getvalue()]), flush=True)
"""
PASSED_ON = ("PATH", "TMPDIR", "FASHION_HPO_DATA", "OMP_WAIT_POLICY")

Run = subprocess.CompletedProcess[str]
Said = tuple[int, str]


def python(
    *arguments: str, path: tuple[Path, ...], here: Path, before: tuple[str, ...] = ()
) -> Run:
    """Run a Python that finds modules at `path` alone, by a user without a home folder."""
    command = [*before, sys.executable, "-S", *arguments]
    return subprocess.run(
        command,
        cwd=here,
        env=environment_of(path),
        capture_output=True,
        text=True,
        check=False,
        umask=0o002,
    )


def environment_of(path: tuple[Path, ...]) -> dict[str, str]:
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    modules = os.pathsep.join(map(str, path))
    return passed | {"PYTHONPATH": modules, "PYTHONDONTWRITEBYTECODE": "1"}


@contextmanager
def one_python(path: tuple[Path, ...], here: Path) -> Iterator[Type]:
    """Types commands into one such Python, which imports the packages once."""
    with subprocess.Popen(
        [sys.executable, "-S", "-c", TYPED_COMMANDS],
        cwd=here,
        env=environment_of(path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        typed, printed = process.stdin, process.stdout

        def type_command(command: str, arguments: list[str]) -> tuple[int, str]:
            print(json.dumps([command, arguments]), file=typed, flush=True)
            answer = printed.readline()
            assert answer, f"Python ended in {command} {arguments}"
            code, text = json.loads(answer)
            return int(code), str(text)

        yield type_command


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout's code, which is installed nowhere."""
    return copy_code(tmp_path_factory.mktemp("copied") / ODD)


def copy_code(folder: Path) -> Path:
    leave = shutil.ignore_patterns("__pycache__")
    for name in ("fashion_hpo", "studies"):
        shutil.copytree(PROJECT / name, folder / name, ignore=leave)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, folder)
    return folder


@pytest.fixture
def packages(tmp_path: Path) -> Callable[..., Path]:
    """`link_packages`, into a folder of this test's own."""
    return partial(link_packages, tmp_path)


def link_packages(under: Path, *absent: str) -> Path:
    """A new folder of all installed packages but ours, and but those that are named."""
    folder = under / "packages"
    folder.mkdir()
    for path in Path(sysconfig.get_paths()["purelib"]).iterdir():
        name = re.split(r"[-.]", path.name.removeprefix("__editable__"))
        if not {"fashion_hpo", *absent}.intersection(name) and "fashion_hpo" not in path.name:
            (folder / path.name).symlink_to(path)
    return folder


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked into a folder of packages that has a foreign package `studies`."""
    source = copy_code(tmp_path_factory.mktemp("source"))
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "wheel", ".", "--quiet", *options, "-w", str(folder)]
    subprocess.run(command, cwd=source, check=True)
    (archive,) = folder.glob("fashion_hpo-*.whl")
    site = folder / ODD / "site-packages"
    zipfile.ZipFile(archive).extractall(site)
    compileall.compile_dir(site, quiet=1)  # as pip does
    (site / "studies").mkdir()
    (site / "studies" / "foreign.py").write_text(OWN)
    return site


@pytest.mark.parametrize("command", dispatcher.COMMANDS)
def test_without_packages_a_command_says_what_to_type(
    command: str, copied: Path, tmp_path: Path
) -> None:
    said = python("-m", f"fashion_hpo.{command}", path=(copied,), here=tmp_path)
    assert said.returncode == 2
    last = said.stderr.splitlines()[-1]
    assert "error: package filelock is not installed for " in last
    assert f"make -C '{copied}' .venv/installed`, activate it with `. '{copied}/.venv" in last
    assert "Traceback" not in said.stderr
    help_ = python("-m", f"fashion_hpo.{command}", "--help", path=(copied,), here=tmp_path)
    assert (help_.returncode, help_.stderr) == (0, "")


@pytest.mark.skipif(
    not Path(sys.prefix, "bin", "activate").exists(), reason="the tests run in no environment"
)
def test_what_a_command_without_packages_says_to_type_works(tmp_path: Path) -> None:
    folder = copy_code(tmp_path / ODD)
    (folder / ".venv").symlink_to(sys.prefix)
    said = python("-m", "fashion_hpo.study", "--list", path=(), here=folder)
    assert said.returncode == 2
    assert said.stderr.endswith(
        "activate the project's environment with `. .venv/bin/activate`, "
        "then run the command again.\n"
    )
    (advice,) = re.findall("`(.*)`", said.stderr)
    typed = f"{advice} && python -m fashion_hpo.study --list"
    done = subprocess.run(
        ["sh", "-c", typed], cwd=folder, capture_output=True, text=True, check=True
    )
    assert [line.split()[0] for line in done.stdout.splitlines()] == STUDIES


def test_a_missing_package_is_named_before_anything_is_trained(
    copied: Path, packages: Callable[..., Path], tmp_path: Path
) -> None:
    """Plotly is used last: a study that began without it would end after its training."""
    path = (copied, packages("plotly"))
    said = python("-m", "fashion_hpo.study", "dropout_ablation", path=path, here=tmp_path)
    assert said.returncode == 2
    assert said.stderr.startswith("error: package plotly is not installed for ")
    assert not (tmp_path / "mlruns").exists()


def test_what_is_needed_is_what_the_project_depends_on() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {*environment.NEEDED} < {re.split(r"[>=]", text)[0] for text in project["dependencies"]}
    assert "package pillow is not installed" in environment.advice("PIL.Image")


def user(number: int) -> tuple[str, ...]:
    """What starts a command as another user, in a common group, without an entry in passwd.

    They may read all, for the interpreter may lie in root's home; the packages may not, because
    alembic asks what the user may without that.  Where it cannot be had: the same user.
    """
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("setpriv") is None:
        return ()
    packages = Path(sysconfig.get_paths()["purelib"])
    if not all(folder.stat().st_mode & 0o001 for folder in packages.parents):
        return ()
    reads = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    return ("setpriv", f"--reuid={number}", "--regid=4242", "--clear-groups", *reads)


@contextmanager
def folder_for_all() -> Iterator[Path]:
    """A folder that all users can write to: pytest's own are in one that others cannot enter."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        folder = Path(name, ODD)
        folder.mkdir()
        folder.chmod(0o777)
        yield folder


@pytest.fixture
def shared() -> Iterator[Path]:
    with folder_for_all() as folder:
        yield folder


def test_two_users_of_a_copied_folder_share_a_store(shared: Path, real_data: Path) -> None:
    """Without metadata of the package, a home folder and torchvision."""
    here = shared / "here"
    here.mkdir()
    here.chmod(0o777)
    # MLflow itself cannot be in a folder with a percent sign.
    path = (copy_code(shared / "code"), link_packages(shared.parent, "torchvision"))
    compileall.compile_dir(path[0], quiet=1)  # else each of the two compiles all
    changes = [part for change in SMALL for part in ("--set", change)]
    arguments = ["dropout_ablation", "--budget", "quick", "--max-trials", "1", *changes]
    arguments += ["--data", str(real_data.resolve())]
    for number in (1, 2):
        said = python(
            "-m", "fashion_hpo.study", *arguments, path=path, here=here, before=user(54320 + number)
        )
        assert said.returncode == 1, said.stderr
        assert said.stderr == ""
        assert f"{6 - number} point(s) left" in said.stdout
        assert "not in MLflow" not in said.stdout
    store = here / "mlruns"
    assert [place for place in store.rglob("*") if place.stat().st_mode & 0o060 != 0o060] == []
    (logged,) = (store / "artifacts").rglob("packages.txt")
    lines = logged.read_text().splitlines()
    assert f"fashion_hpo=={__version__}" in lines
    assert "torchvision==not installed" in lines


def listed(said: Run) -> dict[str, str]:
    assert (said.stderr, said.returncode) == ("", 0)
    return dict(line.split(maxsplit=1) for line in said.stdout.splitlines())  # type: ignore[misc]


def test_the_wheel_has_every_file_of_the_package_and_the_studies(wheel: Path) -> None:
    package = wheel / "fashion_hpo"
    assert files(package, package) == (
        files(PROJECT / "fashion_hpo", PROJECT / "fashion_hpo")
        | files(PROJECT / "studies", PROJECT)
    )


def files(folder: Path, root: Path) -> set[str]:
    """Every file in the folder that was written by a person, also templates, relative to root."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(root)) for path in paths if path.parent.name != "__pycache__"}


def test_the_wheels_studies_are_the_projects(
    wheel: Path, packages: Callable[..., Path], tmp_path: Path
) -> None:
    """A package `studies` of somebody else on the Python path is none of them."""
    path = (wheel, packages())
    said = python("-m", "fashion_hpo.study", "--list", path=path, here=tmp_path)
    assert sorted(listed(said)) == STUDIES
    said = python("-m", "fashion_hpo.study", "foreign", path=path, here=tmp_path)
    assert said.returncode == 2
    assert said.stderr.startswith("error: study is 'foreign', which is not in studies/; ")


def test_the_wheel_has_the_reports_claims_which_are_no_study(
    wheel: Path, packages: Callable[..., Path], tmp_path: Path
) -> None:
    path = (wheel, packages())
    show = "from fashion_hpo.design.reports import reports; print(reports().claims['R2.b'].text)"
    said = python("-c", show, path=path, here=tmp_path)
    assert said.stdout == "Dropout is the most influential hyperparameter.\n", said.stderr
    said = python("-m", "fashion_hpo.study", "_reports", path=path, here=tmp_path)
    assert said.returncode == 2
    assert said.stderr.startswith("error: study name is '_reports'; ")


def test_a_persons_studies_are_those_of_the_folder_they_stand_in(
    wheel: Path, packages: Callable[..., Path], tmp_path: Path
) -> None:
    here = tmp_path / ODD
    (here / "studies").mkdir(parents=True)
    for name in ("mine", "dropout_ablation"):
        (here / "studies" / f"{name}.py").write_text(OWN)
    path = (wheel, packages())
    questions = listed(python("-m", "fashion_hpo.study", "--list", path=path, here=here))
    assert sorted(questions) == sorted([*STUDIES, "mine"])
    assert questions["mine"] == "Is it mine?"
    instead = here / "studies" / "dropout_ablation.py"
    assert questions["dropout_ablation"] == f"Is it mine? ({instead}, instead of the project's)"


@pytest.fixture(scope="module")
def toured(wheel: Path, real_data: Path, whole: bool) -> Iterator[Path]:
    """A newcomer's odd folder after the README's tour from a wheel, but for its servers.

    `make faults`: a process for each command, and a read-only copy.  Otherwise the commands are
    typed into one Python process.
    """
    with folder_for_all() as shared:
        home, path = shared / "zu Hause", (wheel, link_packages(shared.parent))
        home.mkdir()
        Image.new("L", (28, 28)).save(home / "picture.png")

        def type_alone(command: str, arguments: list[str], before: tuple[str, ...] = ()) -> Said:
            said = python(
                "-m", f"fashion_hpo.{command}", *arguments, path=path, here=home, before=before
            )
            return said.returncode, said.stdout + said.stderr

        with one_python(path, home) if not whole else nullcontext(type_alone) as type_command:
            walk(home, type_command, bench="trainer" if whole else "search")
            the_study_is_as_it_was(home, type_command)
        left = ["augmentations.html", "mlruns", "picture.png"]
        assert sorted(path.name for path in home.iterdir()) == left
        if whole:
            a_read_only_copy_can_be_looked_at(home, partial(type_alone, before=user(54323)))
        yield home


def client(home: Path) -> MlflowClient:
    uri = f"sqlite:///{home}/mlruns/mlflow.db"
    return MlflowClient(uri, uri)


def test_mlflow_has_one_study_run_and_every_trial_finished_under_it(toured: Path) -> None:
    mlflow, experiment = client(toured), Place(toured).experiment
    runs = mlflow.search_runs([experiment])
    (study,) = [run for run in runs if run.data.tags["fashion_hpo.kind"] == "study"]
    trials = [run for run in runs if run.data.tags["fashion_hpo.kind"] == "trial"]
    assert len(trials) == 6
    assert study.info.status == "FINISHED"
    assert {run.data.tags["mlflow.parentRunId"] for run in trials} == {study.info.run_id}
    files = {file.path for file in mlflow.list_artifacts(study.info.run_id, "report")}
    assert "report/report.html" in files
    for trial in trials:
        assert trial.info.status == "FINISHED"
        assert set(trial.data.params) - {"luck"} == set(field_names())
        for metric in EPOCH_METRICS:
            points = mlflow.get_metric_history(trial.info.run_id, metric)
            assert sorted(point.step for point in points) == [1, 2], metric
    models = mlflow.search_logged_models([experiment])
    assert {model.source_run_id for model in models} == {run.info.run_id for run in trials}


def test_the_page_loads_nothing_from_elsewhere(toured: Path) -> None:
    (page,) = (toured / "mlruns" / "reports" / "dropout_ablation").rglob("report.html")
    text = page.read_text(encoding="utf-8")
    body = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r"<(link|img|iframe|script)[^>]+(src|href)\s*=\s*['\"]https?:", text)
    # Links that a person may follow, to MLflow's pages on this machine.
    of_trials = r'<a href="http://127\.0\.0\.1:5000/#/experiments/1/runs/'
    assert len(re.findall(of_trials, body)) >= 4
    assert "http" not in re.sub(rf"<meta[^>]*>|{of_trials}", "", body)
    assert "it is no evidence" in body, "the walk has changed the quick budget"
    assert (page.parent / "trials.csv").exists()


def test_the_test_set_was_opened_once_and_by_register(toured: Path) -> None:
    (opening,) = map(json.loads, Place(toured).openings())
    assert opening["purpose"] == "register dropout_ablation/quick/r1"


def test_any_mlflow_user_can_load_the_champion(toured: Path) -> None:
    """In a fresh process, without this package's help, unpickling refused."""
    code = (
        "import mlflow.pytorch, torch\n"
        "mlflow.set_tracking_uri('sqlite:///mlruns/mlflow.db')\n"
        "model = mlflow.pytorch.load_model('models:/fashion-mnist-classifier@champion')\n"
        "for batch in (1, 7, 512):\n"
        "    images = torch.randint(0, 256, (batch, 28, 28), dtype=torch.uint8)\n"
        "    first, second = model(images), model(images)\n"
        "    assert first.shape == (batch, 10) and torch.equal(first, second)\n"
        "    assert torch.allclose(first.sum(1), torch.ones(batch), atol=1e-5)\n"
    )
    environment = {**os.environ, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    subprocess.run([sys.executable, "-c", code], cwd=toured, env=environment, check=True)
