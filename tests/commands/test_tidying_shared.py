"""`gc` and `delete` where hosts share PostgreSQL and a tracking server."""

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mlflow import MlflowClient

from fashion_hpo import delete, doctor, gc
from fashion_hpo.running import workers
from fashion_hpo.running.session import open_session
from fashion_hpo.stores.checkpoints import SharedCheckpoints, place_of
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.opening import ledger_names
from tests.faults.servers import HOST, TrackingServer
from tests.images import search_splits
from tests.plans import design

if TYPE_CHECKING:
    from tests.postgres import Server

pytest_plugins = ["tests.postgres"]


class Shared:
    """A finished study on two servers; its hosts left copies of the checkpoints of two points."""

    def __init__(
        self, store: Store, name: str, server: TrackingServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.store, self.name, self._capsys = store, name, capsys
        plan = replace(design(), name=name)
        session = open_session(store, plan, device="cpu", splits=search_splits())
        list(workers.work(session))
        report = store.report(session.ledger.name)
        report.mkdir(parents=True)
        (report / "report.html").write_text("a report")
        assert session.mirror.publish(report, {}, finished=True)
        self.client = MlflowClient(store.tracking_uri, store.tracking_uri)
        self.experiment = session.tracker.experiment_id
        self.folder = server.folder / "artifacts" / self.experiment
        self.ended = session.ledger.entry(0).attempt.point
        place = place_of(store, session.mirror.artifact_uri)
        assert place is not None
        self.copies = SharedCheckpoints(place, session.ledger.uid)
        for point in (self.ended, "another"):
            assert self.copies.put(point, b"a checkpoint")

    def type(self, command: str, arguments: str = "") -> str:
        self._capsys.readouterr()
        main = {"delete": delete.main, "gc": gc.main, "doctor": doctor.main}[command]
        code = main([*shlex.split(arguments), "--store", str(self.store.root)])
        text = "".join(self._capsys.readouterr())
        assert code == 0, text
        return text

    def files(self) -> list[Path]:
        """The study's files on the tracking server."""
        return [path for path in self.folder.rglob("*") if path.is_file()]

    @property
    def models(self) -> int:
        return sum(path.name == "MLmodel" for path in self.files())


@pytest.fixture(params=["server", "folder"])
def shared(
    request: pytest.FixtureRequest,
    postgres: "Server",
    server: TrackingServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    closed_connections: None,
) -> Shared:
    """The copies are on the tracking server, or in the folder of --checkpoints."""
    tracking, storage = f"http://{HOST}:{server.port}", postgres.fresh_database()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking)
    monkeypatch.setenv("FASHION_HPO_STORAGE", storage)
    folder = None if request.param == "server" else str(tmp_path / "copies")
    store = Store(tmp_path / "host", storage, tracking, checkpoints=folder)
    return Shared(store, f"tiny_{request.param}", server, capsys)


def told(text: str, command: str) -> str:
    """The arguments of the last such command that the text tells to type, without --store."""
    arguments = re.findall(rf"`python -m fashion_hpo\.{command} (.*?)`", text)[-1]
    return str(arguments).partition(" --store")[0]


def test_gc_and_delete_reach_what_hosts_share(shared: Shared) -> None:
    option = f" --checkpoints {shared.store.checkpoints}" if shared.store.checkpoints else ""
    assert shared.models == 4
    text = shared.type("gc", f"--keep-best 1 --json{option}")
    may_go = json.loads(text[text.index("{") : text.rindex("}") + 1])["may_go"]
    kinds = [each["kind"] for each in may_go]
    assert kinds == [
        "copies of such checkpoints",
        "models beyond the best",
        "models beyond the best",
    ]
    assert may_go[0]["bytes"] > 12
    shared.type("gc", told(text, "gc"))
    assert shared.models == 2
    assert (shared.copies.get(shared.ended), shared.copies.get("another")) == (
        None,
        b"a checkpoint",
    )
    assert "all invariants hold" in shared.type("doctor")

    text = shared.type("delete", f"{shared.name}{option}")
    assert shared.files()
    shared.type("delete", told(text, "delete"))
    assert shared.files() == []
    assert ledger_names(shared.store) == []
    assert shared.copies.get("another") is None
    assert not shared.client.search_logged_models([shared.experiment])
    assert not shared.client.search_runs([shared.experiment])
    if shared.store.checkpoints:
        assert list(Path(shared.store.checkpoints).iterdir()) == []
