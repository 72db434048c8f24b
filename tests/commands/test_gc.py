"""`gc` shows the disk by study and removes what may go; all commands work afterwards."""

import json
import os
import re
import shlex
import time
from pathlib import Path

import pytest

from fashion_hpo import doctor, gc
from fashion_hpo.registering import registration
from fashion_hpo.running.session import open_session
from fashion_hpo.stores import registry
from fashion_hpo.stores.ledger import Ledger
from fashion_hpo.stores.opening import all_ledgers
from fashion_hpo.stores.tracking import Tracker
from fashion_hpo.tidying.garbage import STALE_SECONDS
from tests.commands.test_delete import Place, place
from tests.folders import content
from tests.images import search_splits
from tests.plans import design

__all__ = ["place"]


def collect(place: Place, arguments: str = "") -> tuple[int, str]:
    place._capsys.readouterr()
    code = gc.main([*shlex.split(arguments), "--store", str(place.store.root)])
    return code, "".join(place._capsys.readouterr())


def ledger(place: Place, study: str = "tiny") -> Ledger:
    return next(each for each in all_ledgers(place.store) if each.plan.name == study)


def told(text: str) -> list[str]:
    """The commands that a text tells to type."""
    return re.findall(r"`python -m fashion_hpo\.gc (.*?)`", text)


def test_every_byte_is_counted_once(place: Place) -> None:
    place.doctor()
    code, text = collect(place, "--json")
    assert code == 0
    answer = json.loads(text[text.index("{") : text.rindex("}") + 1])
    files = [path for path in place.store.root.rglob("*") if path.is_file()]
    counted = sum(sum(row.values()) for row in answer["bytes"].values())
    assert counted == sum(path.stat().st_size for path in files)
    assert set(answer["bytes"]) == {"(store)", "tiny", "tiny_search"}
    models = place.store.artifacts / "tiny" / "models"
    assert answer["bytes"]["tiny"]["models"] == sum(
        path.stat().st_size for path in models.rglob("*") if path.is_file()
    )
    assert (answer["may_go"], answer["removed"], answer["unfinished"]) == ([], False, [])


def test_models_go_by_what_is_told_and_everything_works_without_them(place: Place) -> None:
    place.doctor()
    before = content(place.store.root, "-wal", "-shm", ".lock")
    code, text = collect(place)
    assert code == 0
    (shows,) = told(text)
    assert shows.startswith("--keep-best 3")
    code, text = collect(place, shows.partition(" --store")[0].replace("3", "1"))
    assert content(place.store.root, "-wal", "-shm", ".lock") == before, "nothing goes unasked"
    (going,) = map(int, re.findall(r"models beyond the best  (\d), ", text))
    assert going >= 2, "of two levels and a search of two trials, at most four are kept"
    (removes,) = told(text)
    assert collect(place, removes.partition(" --store")[0])[0] == 0
    assert place.active("tiny")[1] + place.active("tiny_search")[1] == 6 - going
    assert len(list(place.store.artifacts.glob("*/models/*"))) == 6 - going
    assert place.doctor() == "2 ledger(s), 6 trials: all invariants hold\n"
    assert doctor.main(["--fix", "--store", str(place.store.root)]) == 0
    assert registry.download_verified(place.store.tracking_uri, registry.CHAMPION_URI).is_dir()
    tracker = Tracker(place.store, "tiny")
    chosen = registration.candidate(ledger(place), tracker)
    assert registration.load_proven(chosen, tracker, search_splits()) is not None
    assert "models beyond" not in collect(place, "--keep-best 1")[1]


def test_a_winner_without_any_model_is_trained_again_by_what_is_told(place: Place) -> None:
    tracker, design_ = Tracker(place.store, "tiny"), ledger(place)
    design_.give_up_models([entry.attempt.number for entry in design_.entries()])
    for model in tracker.client.search_logged_models([tracker.experiment_id]):
        tracker.client.delete_logged_model(model.model_id)
    command = "`python -m fashion_hpo.register tiny --budget standard --retrain`"
    with pytest.raises(ValueError, match="was removed by gc") as refused:
        registration.candidate(ledger(place), tracker)
    assert command in str(refused.value)
    assert registration.candidate(ledger(place), tracker, retrain=True).winner.configs == 2


def test_a_model_deleted_in_mlflow_is_gone_for_good_and_nothing_misses_it(place: Place) -> None:
    tracker, number = Tracker(place.store, "tiny_search"), 0
    uid = ledger(place, "tiny_search").entry(number).attempt.uid
    model = str(tracker.model_of(uid))
    place.client.delete_logged_model(model)
    assert doctor.main(["--store", str(place.store.root)]) == 1
    code, text = collect(place, "--yes")
    assert (code, "files of deleted runs and models  1, " in text) == (0, True)
    assert not (place.store.artifacts / "tiny_search" / "models" / model).exists()
    assert place.doctor() == "2 ledger(s), 6 trials: all invariants hold\n"


def test_files_of_a_deleted_run_that_can_be_restored_stay(place: Place) -> None:
    run = place.client.search_runs(
        [Tracker(place.store, "tiny_search").experiment_id], "tags.`fashion_hpo.kind` = 'trial'"
    )[0]
    place.client.delete_run(run.info.run_id)
    assert "files of deleted" not in collect(place, "--yes")[1]
    assert doctor.main(["--fix", "--store", str(place.store.root)]) == 0


def test_checkpoints_of_a_finished_study_go_and_those_of_a_running_one_stay(place: Place) -> None:
    paths = {}
    for name in ("tiny", "tiny_search"):
        of_study = ledger(place, name)
        paths[name] = place.store.checkpoint(of_study.uid, of_study.entry(1).attempt.point)
        paths[name].parent.mkdir(parents=True, exist_ok=True)
        paths[name].write_bytes(bytes(1000))
    open_session(place.store, design(more_seeds=1), device="cpu", splits=search_splits())
    code, text = collect(place, "--yes")
    assert (code, "checkpoints of finished trials  1, 0.0 MB" in text) == (0, True)
    assert [name for name, path in paths.items() if path.exists()] == ["tiny"]


def test_only_old_temporary_files_go(place: Place) -> None:
    folder: Path = place.store.root / "logits"
    old, fresh, other = folder / ".a.npz.123", folder / ".b.npz.124", folder / ".DS_Store"
    for path in (old, fresh, other):
        path.write_text("half")
    for path in (old, other):
        os.utime(path, (0, time.time() - STALE_SECONDS - 1))
    assert "temporary files of killed processes  1, " in collect(place, "--yes")[1]
    assert (old.exists(), fresh.exists(), other.exists()) == (False, True, True)


def test_a_deletion_that_was_not_ended_is_told(place: Place) -> None:
    note = place.store.root / "deleting" / f"{place.uids['tiny_search']}.txt"
    note.parent.mkdir()
    note.write_text("tiny_search/standard/r1")
    _, text = collect(place)
    (command,) = re.findall(r"`python -m fashion_hpo\.delete (.*)`", text)
    assert place.delete(command)[0] == 0
    assert "was not deleted to the end" not in collect(place)[1]
    assert not note.exists()


def test_a_folder_without_a_store_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gc.main(["--store", str(tmp_path / "none")]) == 2
    assert "has no ledgers; run a study first" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []
