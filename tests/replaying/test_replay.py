"""A trial trained again: equal to the bit, or how far off, and nothing written."""

import dataclasses
import json
from pathlib import Path

import pytest

from fashion_hpo import replay as command
from fashion_hpo.design.config import Epoch
from fashion_hpo.replaying import replay
from fashion_hpo.replaying.changes import changed
from fashion_hpo.replaying.replay import Logged
from fashion_hpo.stores.tracking import Tracker
from fashion_hpo.training.data import SearchSplits
from tests.finished import Finished


def again(logged: Logged, splits: SearchSplits, epochs: int | None = None) -> tuple[int, list[str]]:
    """How many epochs it trained, and what differs."""
    training, count = replay.replay(logged, splits, replay.hardware_of(logged, None), epochs), 0
    while True:
        try:
            next(training)
        except StopIteration as ended:
            return count, ended.value
        count += 1


def contents(root: Path) -> dict[str, bytes]:
    """All files but sqlite's own notes and locks."""
    found = (path for path in root.rglob("*") if path.is_file())
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in found
        if path.suffix not in (".db-wal", ".db-shm", ".lock")
    }


def test_a_trial_again_is_equal_to_the_bit_and_writes_nothing(
    done: Finished, splits: SearchSplits
) -> None:
    before = contents(done.store.root)
    logged = replay.find(done.store, done.run_id())
    assert again(logged, splits) == (3, [])
    assert again(logged, splits, epochs=1) == (1, [])
    hardware = replay.hardware_of(logged, None)
    assert hardware.threads == int(logged.hardware["threads"])
    found = changed(logged, splits.data_hash, hardware)
    assert [line for line in found if not line.startswith("code: ")] == []
    assert contents(done.store.root) == before


def test_another_seed_is_different_and_says_where(done: Finished, splits: SearchSplits) -> None:
    logged = replay.find(done.store, done.run_id())
    config = logged.entry.attempt.config
    attempt = dataclasses.replace(logged.entry.attempt, config=config.replace(seed=1))
    other = dataclasses.replace(logged, entry=dataclasses.replace(logged.entry, attempt=attempt))
    count, found = again(other, splits)
    assert count == 3
    named = " ".join(found)
    assert "train_loss from epoch 1 on, by up to " in named
    assert "weights, by up to " in named
    assert "validation_logits.npz, by its sha256" in named


def test_one_different_digit_is_found(done: Finished) -> None:
    history = replay.find(done.store, done.run_id()).result.history
    epochs = [Epoch(**values) for values in history]
    assert replay.differing_epochs(history, epochs) == []
    epochs[1] = dataclasses.replace(epochs[1], val_loss=epochs[1].val_loss * (1 + 2**-52))
    (found,) = replay.differing_epochs(history, epochs)
    assert found.startswith("val_loss from epoch 2 on, by up to ")
    epochs[1] = dataclasses.replace(epochs[1], val_loss=history[1]["val_loss"], seconds=99.0)
    assert replay.differing_epochs(history, epochs) == [], "times are not compared"
    assert replay.differing_epochs(history, epochs[:2]) == ["2 epochs, not 3"]


def test_what_changed_is_named(done: Finished) -> None:
    logged = replay.find(done.store, done.run_id())
    client = done.tracker.client
    client.set_tag(done.run_id(), "mlflow.source.git.commit", "0" * 40)
    parent = str(logged.run.data.tags["mlflow.parentRunId"])
    client.log_text(parent, "torch==1.0\n", "packages.txt")
    hardware = dataclasses.replace(replay.hardware_of(logged, None), threads=64)
    found = changed(replay.find(done.store, done.run_id()), "f" * 64, hardware)
    for begins in (
        f"code: commit {'0' * 40} → ", "data sha256: synthetic → ffff", "package torch: 1.0 → ",
        f"hardware: threads {logged.hardware['threads']} → 64",
    ):  # fmt: skip
        assert any(line.startswith(begins) for line in found), begins


def test_a_pruned_trial_is_replayed_as_far_as_it_went(done: Finished, splits: SearchSplits) -> None:
    logged = replay.find(done.store, done.run_id())
    two = dataclasses.replace(
        logged.result, outcome="pruned", history=logged.result.history[:2], files={}
    )
    count, found = again(dataclasses.replace(logged, result=two), splits)
    assert count == 2
    assert all(line.endswith("by its sha256") for line in found), "no epoch differs"


def test_runs_that_are_no_trial_are_refused(done: Finished) -> None:
    with pytest.raises(replay.NoSuchRunError, match=r"run 'nothing' is not in .*; give STUDY/"):
        replay.find(done.store, "nothing")
    study_run = str(done.run().data.tags["mlflow.parentRunId"])
    with pytest.raises(replay.NoSuchRunError, match="is not a trial with a result"):
        replay.find(done.store, study_run)


def test_the_command_says_it_and_exits_so(
    done: Finished,
    splits: SearchSplits,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from fashion_hpo.training import data

    monkeypatch.setattr(data, "load_or_download", lambda folder: splits)
    at = ["--store", str(done.store.root)]
    assert command.main([done.run_id(), *at]) == 0
    out = capsys.readouterr().out
    assert "equal to the bit: every metric, the weights and the validation logits of 3 epoch" in out
    assert "changed since: " in out
    assert command.main([done.run_id(), *at, "--epochs", "1"]) == 0
    assert "equal to the bit: every metric of 1 epoch(s)." in capsys.readouterr().out
    assert command.main(["nothing", *at]) == 2
    assert capsys.readouterr().err.startswith("error: run 'nothing' is not in ")
    monkeypatch.setattr(replay, "differing_epochs", lambda *given: ["val_loss from epoch 1 on"])
    assert command.main([done.run_id(), *at, "--epochs", "1"]) == 1
    assert "different: val_loss from epoch 1 on." in capsys.readouterr().out


def test_a_trial_is_found_by_its_number_and_its_uid(done: Finished) -> None:
    for named in ("tiny/standard/r1:2", "tiny/standard:2", "tiny:2", done.uid(2)):
        logged = replay.find(done.store, named)
        assert (logged.entry.attempt.uid, logged.run.info.run_id) == (done.uid(2), done.run_id(2))
    for named in ("tiny:9", "0123456789ab-00001"):
        with pytest.raises(replay.NoSuchRunError, match="is not a trial with a result; give STUDY"):
            replay.find(done.store, named)
    with pytest.raises(replay.NoSuchRunError, match=r"'tin' is 0 .* among tiny/standard/r1, tiny_"):
        replay.find(done.store, "tin:0")


def test_its_uid_leads_to_the_ledgers_config(done: Finished) -> None:
    logged = replay.find(done.store, done.run_id(2))
    assert logged.entry.attempt.uid == done.uid(2)
    assert json.loads(logged.run.data.params["seed"]) == logged.entry.attempt.config.seed
    assert Tracker(done.store, "tiny").run_of(done.uid(2)) == done.run_id(2)
