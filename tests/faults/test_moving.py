"""kill -9 while a store moves to shared databases: the same command goes on."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fashion_hpo.integrity.ledger_file import export, restore
from fashion_hpo.integrity.moving import Moved, move
from fashion_hpo.stores import registry
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.opening import all_ledgers
from tests.faults.child import Fault, Moment
from tests.faults.lab import Lab, ended
from tests.integrity.test_moving import values, violations_of_all

if TYPE_CHECKING:
    from tests.postgres import Server

pytest_plugins = ["tests.postgres"]

MOMENTS = [
    Moment("ledger copied", 1), Moment("run copied", 1), Moment("run copied", 4),
    Moment("curves copied", 2), Moment("model created", 1), Moment("model uploaded", 2),
    Moment("run copied whole", 3), Moment("version created"), Moment("alias copied"),
]  # fmt: skip


def moves(store: Store, storage: str, tracking: str, fault: Fault | None = None) -> None:
    if fault is not None:
        fault()
    assert move(store, storage, tracking) == Moved(2, 6, 8, 1, [])


def test_a_killed_move_goes_on(
    lab: Lab,
    whole: bool,
    postgres: "Server",
    closed_connections: None,
    copy_of_finished: Callable[[Path], Store],
    tmp_path: Path,
) -> None:
    def try_out(moment: Moment) -> None:
        store = copy_of_finished(tmp_path / f"{moment.write} {moment.nth}")
        storage = postgres.fresh_database()
        tracking = f"sqlite:///{tmp_path / f'{moment.write} {moment.nth}.db'}"
        addresses = (store, storage, tracking)
        lab.kill(moves, *addresses, moment=moment, kind="kill -9 in a move")
        before = values(store)
        assert ended(lab.process(moves, *addresses)) == 0
        new = dataclasses.replace(store, storage=storage, tracking=tracking)
        assert values(new) == before
        assert violations_of_all(new) == []
        assert registry.download_verified(tracking, registry.CHAMPION_URI).is_dir()

    for moment in MOMENTS if whole else MOMENTS[5:6]:
        try_out(moment)


WRITES = [
    Moment("trial imported", 2), Moment(" file written", 3), Moment("ledger imported"),
    Moment("trial imported", 1),
]  # fmt: skip


def imports(store: Store, file: Path, fault: Fault | None = None) -> None:
    if fault is not None:
        fault()
    list(restore(store, file))


def test_a_killed_import_goes_on(
    lab: Lab, whole: bool, copy_of_finished: Callable[[Path], Store], tmp_path: Path
) -> None:
    finished, file = copy_of_finished(tmp_path / "finished"), tmp_path / "tiny.zip"
    (ledger,) = (ledger for ledger in all_ledgers(finished) if ledger.plan.name == "tiny")
    export(finished, ledger, file)
    for moment in WRITES if whole else WRITES[:1]:
        store = Store.at(tmp_path / f"{moment.write} {moment.nth}".strip())
        lab.kill(imports, store, file, moment=moment, kind="kill -9 in an import")
        assert ended(lab.process(imports, store, file)) == 0
        assert values(store) == values(finished)
        assert violations_of_all(store) == []
