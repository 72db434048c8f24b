"""Fixtures of all rooms: small images that can be learnt, plain hardware, the real data."""

import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from mlflow import MlflowClient

from fashion_hpo.design.plan import Plan
from fashion_hpo.running.session import Session, open_session
from fashion_hpo.running.signals import HANDLED
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.opening import connect
from fashion_hpo.stores.relocation import relocate
from fashion_hpo.training import sources
from fashion_hpo.training.data import SearchSplits, load_search_splits
from fashion_hpo.training.devices import Hardware
from tests import finished, migrations  # noqa: F401  (the latter for its effect)
from tests.faults.servers import TrackingServer
from tests.finished import Finished
from tests.images import search_splits

OpenSession = Callable[[Plan], Session]
Once = Callable[[str, Callable[[Path], None]], Path]


SLOWEST = (
    "test_installation", "test_advice", "test_trial", "test_train",
    "test_catalogue", "test_invariants", "test_workers", "test_local", "test_one_bad_item",
    "test_register", "test_mirror", "test_ledger", "test_models", "test_earlier_store",
)  # fmt: skip
MEMORY = Path("/dev/shm")
MEMORY_NEEDED = 4 * 2**30  # bytes


def pytest_configure() -> None:
    """Put temporary folders in memory: databases wait for the disk at each of many commits.

    A child of a test inherits TMPDIR.  TMPDIR that is set, or a small memory, is left as it is.
    """
    has_room = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > MEMORY_NEEDED
    if has_room and "TMPDIR" not in os.environ:
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None  # read TMPDIR again


def freeze() -> None:
    """Take modules and collected tests out of the garbage collector's walks: each took seconds."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def frozen() -> None:
    """What the files before have imported stays as well."""
    freeze()


def pytest_unconfigure() -> None:
    gc.unfreeze()  # at the end of Python modules are collected as ever


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--faults", choices=("some", "all"), default="some", help="how many")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the slowest files first, so that no process of pytest works on one alone in the end."""
    place = {name: number for number, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(SLOWEST)))


@pytest.fixture(scope="session")
def whole(pytestconfig: pytest.Config) -> bool:
    """Whether all cases are asked for (`make faults`), or a part that runs quickly."""
    return bool(pytestconfig.getoption("--faults") == "all")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Networks this small are slower on several threads, most of all on a busy machine; a training
    leaves the number that it had, and another number rounds differently."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def splits() -> SearchSplits:
    return search_splits()


@pytest.fixture(scope="session")
def hardware() -> Hardware:
    """One CPU thread and full precision: the same everywhere."""
    return Hardware(device="cpu", precision="fp32", channels_last=True, threads=1)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the real data set; tests that need it are skipped where there is none."""
    try:
        return sources.find()
    except sources.MissingDataError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def real_splits(real_data: Path) -> SearchSplits:
    return load_search_splits(real_data)


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Gives a folder that one of pytest's processes makes for all of them."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent

    def made_once(name: str, make: Callable[[Path], None]) -> Path:
        folder, whole = base / name, base / f"{name}.made"
        with FileLock(base / f"{name}.lock"):
            if not whole.exists():
                make(folder)
                whole.touch()
        return folder

    return made_once


@pytest.fixture(scope="session")
def fresh_databases(once: Once) -> Path:
    """Both databases with their tables and nothing else: making them takes seconds."""

    def make(folder: Path) -> None:
        store = Store.at(folder)
        folder.mkdir()
        connect(store).engine.dispose()
        MlflowClient(store.tracking_uri).search_experiments()

    return once("fresh", make)


@pytest.fixture(scope="session")
def finished_store(fresh_databases: Path, once: Once) -> Path:
    """The store of `tests/finished.py`, to be copied: no test opens it."""
    folder = once("finished", lambda folder: finished.make(folder, fresh_databases))
    freeze()  # the many modules that its first model and page have imported
    return folder


@pytest.fixture
def store(fresh_databases: Path, tmp_path: Path) -> Store:
    """An empty store of this test's own."""
    root = tmp_path / "store"
    root.mkdir()
    for name in ("optuna.db", "mlflow.db"):
        shutil.copy(fresh_databases / name, root / name)
    return Store.at(root)


@pytest.fixture
def done(finished_store: Path, tmp_path: Path) -> Finished:
    """A copy of the finished store, of this test's own."""
    return finished.finished(finished_store, tmp_path / "store")


@pytest.fixture
def copy_of_finished(finished_store: Path) -> Callable[[Path], Store]:
    """Copies the finished store to a folder; this process has not opened the copy."""

    def copy(root: Path) -> Store:
        shutil.copytree(finished_store, root)
        relocate(Store.at(root))
        return Store.at(root)

    return copy


@pytest.fixture
def open_here(store: Store, splits: SearchSplits) -> OpenSession:
    """Opens a plan in this test's store, on synthetic images; again is another process's start."""

    def opened(plan: Plan) -> Session:
        return open_session(store, plan, device="cpu", splits=splits)

    return opened


@pytest.fixture
def handlers() -> Iterator[None]:
    """This process's signal handlers, put back at the end."""
    before = {number: signal.getsignal(number) for number in HANDLED}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def server(
    fresh_databases: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TrackingServer]:
    """A tracking server that the tests of a module share."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(fresh_databases / "mlflow.db", folder)
    tracking = TrackingServer(folder)
    tracking.start()
    yield tracking
    tracking.stop()
